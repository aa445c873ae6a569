/** What the README shows is what there is: its programs have no faults, its commands exist, its files are there. */

import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { format } from '../grammar/print.ts';
import { checkProgram, loadProgram } from '../src/model/index.ts';
import { repository, repositoryReader } from './repository.ts';
import { moec } from './terminal.ts';

const readme = readFileSync(fileURLToPath(new URL('../README.md', import.meta.url)), 'utf8');
const programs = [...readme.matchAll(/^```moe\n([\s\S]*?)^```$/gm)].map((found) => found[1] ?? '');

test('every program has no faults and is formatted', () => {
  expect(programs.length).toBeGreaterThan(0);
  for (const text of programs) {
    const reader = { ...repositoryReader, read: (path: string) => (path === 'README.moe' ? text : repositoryReader.read(path)) };
    expect(checkProgram(loadProgram('README.moe', reader)).diagnostics).toEqual([]);
    expect(format(text, 'README.moe')).toEqual({ text, faults: [] });
  }
});

test('the first screen: one sentence, twelve lines, two commands', () => {
  expect(programs[0]?.trimEnd().split('\n').length).toBe(12);
  expect(/^```sh\n([\s\S]*?)^```$/m.exec(readme)?.[1]?.trimEnd().split('\n')).toEqual([
    expect.stringMatching(/^npm ci && npx moec run models\/tiny\.moe --prompt /),
    'npm ci && npm test',
  ]);
});

test('every command and script it names is there', async () => {
  const { scripts } = JSON.parse(readFileSync(`${repository}package.json`, 'utf8'));
  const commands = new Set([...readme.matchAll(/`(?:npx )?moec ([a-z]+)/g)].map((found) => found[1] ?? ''));
  const { out } = await moec(['--help']);
  expect([...commands].filter((command) => !new RegExp(`^ {2}${command}\\b`, 'm').test(out))).toEqual([]);
  expect([...readme.matchAll(/npm run ([a-z]+)/g)].map((found) => found[1] ?? '').filter((script) => !(script in scripts))).toEqual([]);
});

test('every file it points to is there', () => {
  const paths = [...readme.matchAll(/\]\(([^)#:]+)\)/g), ...readme.matchAll(/\b(models\/[\w./-]+\.moe)\b/g)].map((found) => found[1] ?? '');
  expect(paths.filter((path) => !existsSync(`${repository}${path}`))).toEqual([]);
});
