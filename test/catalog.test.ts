/** The catalogue of diagnostics: every entry says enough, and every one can be met. */

import { expect, test } from 'vitest';
import { catalog, type Entry } from '../src/diagnostics/catalog.ts';
import { diagnose } from '../src/diagnostics/diagnostic.ts';
import { sourcesIn } from './sources.ts';

const entries: readonly (readonly [string, Entry])[] = Object.entries<Entry>(catalog);
const chapters = sourcesIn(['src/diagnostics/catalog'], ['.ts']);

test('there are at least forty codes, in kebab-case', () => {
  expect(entries.length).toBeGreaterThanOrEqual(40);
  expect(entries.map(([code]) => code).filter((code) => !/^[a-z0-9]+(-[a-z0-9]+)*$/.test(code))).toEqual([]);
});

test('no code stands in two chapters', () => {
  const written = chapters.flatMap(({ text }) => [...text.matchAll(/^ {2}'?([a-z0-9-]+)'?: \{$/gm)].map((found) => found[1]));
  expect(written.filter((code, i) => written.indexOf(code) !== i)).toEqual([]);
  expect([...written].sort()).toEqual(entries.map(([code]) => code).sort());
});

test('every entry has a severity, a message and an explanation', () => {
  const severities: readonly string[] = ['error', 'warning', 'note'];
  const poor = entries.filter(([, entry]) => !severities.includes(entry.severity) || entry.message.parts.join('').trim() === '' || !/^\S.{60,}/s.test(entry.explanation));
  expect(poor.map(([code]) => code)).toEqual([]);
});

test('messages are one line and end without a full stop', () => {
  expect(entries.filter(([, { message }]) => message.parts.some((part) => part.includes('\n')) || message.parts.at(-1)?.endsWith('.')).map(([code]) => code)).toEqual([]);
});

test('every code is reported somewhere', () => {
  const reporting = sourcesIn(['grammar', 'src'], ['.ts'])
    .filter(({ path }) => !path.startsWith('src/diagnostics/catalog'))
    .map(({ text }) => text)
    .join('\n');
  expect(entries.map(([code]) => code).filter((code) => !reporting.includes(`'${code}'`))).toEqual([]);
});

test('holes are filled where they stand', () => {
  expect(diagnose('cannot-read', { path: 'a.moe', reason: 'it is a folder' }).message).toBe('cannot read a.moe: it is a folder');
});
