/** A file that uses every field of today's onnx.proto survives reading and writing, as Python's onnx judges it. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Messages } from '../../src/onnx/messages.ts';
import { shapeOf } from '../../src/onnx/schema.ts';
import { decodeModel, encodeModel } from '../../src/onnx/wire.ts';

const python = process.env['MOEC_PYTHON'] ?? 'python3';
const script = new URL('./wire.py', import.meta.url).pathname;
const ask = (...words: readonly string[]): string => execFileSync(python, [script, ...words], { encoding: 'utf8' });

test('every field survives', () => {
  const folder = mkdtempSync(join(tmpdir(), 'moec-wire-'));
  try {
    ask('make', folder);
    for (const name of ['every', 'ends']) {
      const model = decodeModel(readFileSync(join(folder, `${name}.onnx`)));
      expect(JSON.stringify(model, (key, value: unknown) => (key === 'unknown' ? 'not known' : value))).not.toContain('not known');
      writeFileSync(join(folder, `${name}.again.onnx`), encodeModel(model));
    }
    expect(ask('compare', folder)).toBe('every same\nends same\n');
    // The comparison can fail: one number of the model is another.
    const model = decodeModel(readFileSync(join(folder, 'every.onnx')));
    writeFileSync(join(folder, 'every.again.onnx'), encodeModel({ ...model, irVersion: 3 }));
    expect(ask('compare', folder)).toContain('every differs');
  } finally {
    rmSync(folder, { recursive: true });
  }
});

/** Messages that onnx.proto nests inside others under short names. */
const nested: Readonly<Record<string, keyof Messages>> = {
  Tensor: 'TensorTypeProto',
  SparseTensor: 'TensorTypeProto',
  Sequence: 'ElementTypeProto',
  Optional: 'ElementTypeProto',
  Map: 'MapTypeProto',
  Opaque: 'OpaqueTypeProto',
};

test('the table has every field that Python’s onnx has', () => {
  const missing = ask('fields')
    .trim()
    .split('\n')
    .filter((line) => {
      const [message = '', number, name = ''] = line.split(' ');
      const field = shapeOf(nested[message] ?? (message as keyof Messages))?.byNumber.get(Number(number));
      return field?.name !== name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
    });
  expect(missing).toEqual([]);
});
