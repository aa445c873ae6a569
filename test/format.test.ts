/** The formatter: each `.moe` has a `.formatted.moe` twin, formatting the twin changes nothing, and neither loses a word. */

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import type { File } from '../grammar/ast.ts';
import { parse } from '../grammar/parse.ts';
import { format } from '../grammar/print.ts';

const folder = fileURLToPath(new URL('format', import.meta.url));
const sketches = fileURLToPath(new URL('../../shared/reference/language-sketch', import.meta.url));
const models = fileURLToPath(new URL('../models', import.meta.url));

/** The AST without its spans. */
const meaning = (ast: File): unknown => JSON.parse(JSON.stringify(ast, (key, value: unknown) => (/^(?:span|operatorSpan|returnSpan)$/.test(key) ? undefined : value)));

for (const file of readdirSync(folder).filter((name) => !name.endsWith('.formatted.moe'))) {
  test(file, () => {
    const text = readFileSync(`${folder}/${file}`, 'utf8');
    const twin = `${folder}/${file.replace(/\.moe$/, '.formatted.moe')}`;
    const formatted = format(text, file);
    expect(formatted.faults).toEqual([]);
    if (process.env['UPDATE']) writeFileSync(twin, formatted.text);
    expect(formatted.text).toBe(readFileSync(twin, 'utf8'));
    expect(format(formatted.text, file).text).toBe(formatted.text);
    keepsEverything(text, file);
  });
}

/** Formatting keeps what a text means, every comment, and its own result. */
function keepsEverything(text: string, file: string): void {
  const before = parse(text, file);
  const formatted = format(text, file).text;
  const after = parse(formatted, file);
  expect(before.faults).toEqual([]);
  expect(after.faults).toEqual([]);
  expect(meaning(after.ast)).toEqual(meaning(before.ast));
  const words = (comments: typeof before.comments): readonly string[] => comments.map((one) => one.text.replace(/^\/+/, '')).sort();
  expect(words(after.comments)).toEqual(words(before.comments));
  expect(format(formatted, file).text).toBe(formatted);
}

const moeFiles = (of: string): readonly string[] => (existsSync(of) ? readdirSync(of, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.moe')) : []);

test.each(moeFiles(sketches))('the sketch %s keeps its meaning and its comments', (name) => {
  keepsEverything(readFileSync(`${sketches}/${name}`, 'utf8'), name);
});

test.each(moeFiles(models))('models/%s keeps its meaning and its comments', (name) => {
  keepsEverything(readFileSync(`${models}/${name}`, 'utf8'), name);
});

test('lines are at most 120 wide where there is a place to break', () => {
  for (const name of moeFiles(models)) {
    const { text } = format(readFileSync(`${models}/${name}`, 'utf8'), name);
    for (const line of text.split('\n')) expect(line.replace(/ *\/\/.*$/, '').length, `${name}: ${line}`).toBeLessThanOrEqual(120);
  }
});

test('a file with faults comes back as it is', () => {
  const text = 'param   D =\nlayer  A( {';
  const { text: same, faults } = format(text, 'x.moe');
  expect(same).toBe(text);
  expect(faults.length).toBeGreaterThan(0);
});

test.each([
  ['', ''],
  ['\n\n', ''],
  ['  // only a comment  \n\n\n// another', '// only a comment\n\n// another\n'],
  ['\uFEFFdim B\r\nparam D = 3\r\n', 'dim B\nparam D = 3\n'],
])('%j becomes %j', (text, formatted) => {
  expect(format(text, 'x.moe').text).toBe(formatted);
});
