/** Data files beside a model: complete or not there at all. */

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { diagnose } from '../src/diagnostics/diagnostic.ts';
import { bringFile, copyFile, type DataItem, writeData, writeWhole } from '../src/onnx/external-data.ts';
import { ReadFault } from '../src/weights/checkpoint.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'moec-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const item = (key: string, ...pieces: readonly number[][]): DataItem => ({ key, bytes: pieces.map((piece) => Uint8Array.from(piece)), length: pieces.flat().length });

test('tensors begin at multiples of the alignment, and the digest is the file’s', async () => {
  const steps: (readonly [number, number])[] = [];
  const written = await writeData(folder, 'data', [item('a', [1, 2], [3]), item('empty'), item('b', [4, 5])], { align: 8, progress: (done, total) => steps.push([done, total]) });
  if (!written.ok) throw new Error(written.diagnostics[0]?.message ?? '');
  const bytes = readFileSync(join(folder, 'data'));
  expect([...bytes]).toEqual([1, 2, 3, 0, 0, 0, 0, 0, 4, 5]);
  expect([...written.value.placements]).toEqual([
    ['a', { kind: 'external', location: 'data', offset: 0, length: 3 }],
    ['empty', { kind: 'external', location: 'data', offset: 8, length: 0 }],
    ['b', { kind: 'external', location: 'data', offset: 8, length: 2 }],
  ]);
  expect(written.value).toMatchObject({ bytes: 10, sha256: createHash('sha256').update(bytes).digest('hex') });
  expect(steps).toEqual([
    [2, 10],
    [3, 10],
    [10, 10],
  ]);
  expect(readdirSync(folder)).toEqual(['data']);
});

test('stopped in the middle, nothing is left, and an older file stands', async () => {
  writeFileSync(join(folder, 'data'), 'older');
  const stop = new AbortController();
  const written = await writeData(folder, 'data', [item('a', [1], [2], [3])], { align: 1, signal: stop.signal, progress: (done) => done === 2 && stop.abort() });
  expect(written).toMatchObject({ ok: false, diagnostics: [{ code: 'writing-stopped', message: `stopped before ${join(folder, 'data')} was complete; nothing of it is left` }] });
  expect(readdirSync(folder)).toEqual(['data']);
  expect(readFileSync(join(folder, 'data'), 'utf8')).toBe('older');
});

test('a checkpoint that fails while it is read is reported as such', async () => {
  function* failing(): Generator<Uint8Array> {
    yield Uint8Array.of(1);
    throw new ReadFault(diagnose('file-not-readable', { file: 'shard', reason: 'the disk reports an error' }));
  }
  const written = await writeData(folder, 'data', [{ key: 'a', bytes: failing(), length: 2 }], { align: 1 });
  expect(written).toMatchObject({ ok: false, diagnostics: [{ message: 'cannot read shard: the disk reports an error' }] });
  expect(readdirSync(folder)).toEqual([]);
});

test('a source that gives too few or too many bytes is a fault of moec, and leaves nothing', async () => {
  await expect(writeData(folder, 'data', [{ ...item('a', [1]), length: 2 }], { align: 1 })).rejects.toThrow('a gave 1 bytes and announced 2');
  await expect(writeData(folder, 'data', [item('a', [1]), item('a', [1])], { align: 1 })).rejects.toThrow('two tensors are called a');
  expect(readdirSync(folder)).toEqual([]);
});

test('a folder that is not there', async () => {
  const written = await writeWhole(join(folder, 'gone', 'data'), [Uint8Array.of(1)]);
  expect(written).toMatchObject({ ok: false, diagnostics: [{ code: 'cannot-write', message: `cannot write ${join(folder, 'gone', 'data')}: its folder is not there` }] });
});

test('a folder of that name', async () => {
  mkdirSync(join(folder, 'data'));
  writeFileSync(join(folder, 'data', 'inside'), 'x');
  const written = await writeWhole(join(folder, 'data'), [Uint8Array.of(1)]);
  expect(written).toMatchObject({ ok: false, diagnostics: [{ code: 'cannot-write', message: `cannot write ${join(folder, 'data')}: there is a folder of that name` }] });
  expect(readdirSync(folder)).toEqual(['data']);
});

test.runIf(existsSync('/dev/full'))('a full disk', async () => {
  // What the system says when a write finds no room, from the device that always says so.
  function* filling(): Generator<Uint8Array> {
    yield Uint8Array.of(1);
    writeFileSync('/dev/full', 'x');
  }
  const written = await writeWhole(join(folder, 'data'), filling());
  expect(written).toMatchObject({ ok: false, diagnostics: [{ code: 'cannot-write', message: `cannot write ${join(folder, 'data')}: the disk is full` }] });
  expect(readdirSync(folder)).toEqual([]);
});

test('files are cloned or copied, linked on request', () => {
  const from = join(folder, 'from');
  writeFileSync(from, 'content');
  const how = copyFile(from, join(folder, 'to'));
  expect(['cloned', 'copied']).toContain(how);
  expect(bringFile(from, join(folder, 'again'), 'copy')).toMatchObject({ ok: true, value: how });
  expect(bringFile(from, join(folder, 'linked'), 'link')).toMatchObject({ ok: true, value: 'linked' });
  expect(['to', 'again', 'linked'].map((name) => readFileSync(join(folder, name), 'utf8'))).toEqual(['content', 'content', 'content']);
  expect(statSync(join(folder, 'linked')).ino).toBe(statSync(from).ino);
  expect(statSync(join(folder, 'again')).ino).not.toBe(statSync(from).ino);
  expect(bringFile(join(folder, 'gone'), join(folder, 'x'), 'link')).toMatchObject({ ok: false, diagnostics: [{ code: 'cannot-write' }] });
  expect(readdirSync(folder).sort()).toEqual(['again', 'from', 'linked', 'to']);
});
