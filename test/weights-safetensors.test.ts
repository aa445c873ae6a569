/** Checkpoints that are sound are read exactly; every kind of lie in one is told, and nothing else is thrown. */

import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Outcome } from '../src/diagnostics/diagnostic.ts';
import { type Checkpoint, ReadFault } from '../src/weights/checkpoint.ts';
import { fromBytes, toBytes } from '../src/weights/elements.ts';
import { openCheckpoint } from '../src/weights/open.ts';
import { readHeader, readHeaderLength } from '../src/weights/safetensors.ts';
import { writeSafetensors } from '../src/weights/write.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'moec-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A file with this header text and so many bytes of numbers. */
function fileOf(header: string | Uint8Array, dataLength: number, claimed?: bigint): Uint8Array {
  const text = Buffer.from(header);
  const start = Buffer.alloc(8);
  start.writeBigUInt64LE(claimed ?? BigInt(text.length));
  return Buffer.concat([start, text, Buffer.alloc(dataLength)]);
}

function open(bytes: Uint8Array): Outcome<Checkpoint> {
  const file = join(folder, 'one.safetensors');
  writeFileSync(file, bytes);
  return openCheckpoint(file);
}

const said = ({ diagnostics }: Outcome<unknown>): string => diagnostics.map(({ code, message }) => `${code}: ${message.replaceAll(folder, '')}`).join('\n');
const f32 = (from: number, to: number, shape = [(to - from) / 4]): string => `{"dtype":"F32","shape":[${shape}],"data_offsets":[${from},${to}]}`;

const hostile: readonly (readonly [what: string, file: Uint8Array, says: string])[] = [
  ['an empty file', new Uint8Array(), 'safetensors-cut-short: /one.safetensors is cut short: it has 0 bytes and says it needs 8'],
  ['seven bytes', new Uint8Array(7), 'safetensors-cut-short: /one.safetensors is cut short: it has 7 bytes and says it needs 8'],
  ['a header beyond the file', fileOf('{}', 0, 1000n), 'safetensors-cut-short: /one.safetensors is cut short: it has 10 bytes and says it needs 1008'],
  [
    'a header of 2^64 - 1',
    fileOf('{}', 0, 2n ** 64n - 1n),
    'safetensors-header-too-long: /one.safetensors says that its header has 18446744073709552000 bytes; 100000000 is the most',
  ],
  ['a header of 100 MB and one', fileOf('{}', 0, 100_000_001n), 'safetensors-header-too-long'],
  ['an empty header', fileOf('', 0), 'safetensors-header-unreadable: the header of /one.safetensors is not what safetensors has: it is not JSON'],
  ['no JSON', fileOf('{"a":', 0), 'it is not JSON'],
  ['no UTF-8', fileOf(Uint8Array.of(0x7b, 0xff, 0x7d), 0), 'it is not UTF-8'],
  ['an array', fileOf('[]', 0), 'it is not a table of tensors'],
  ['null', fileOf('null', 0), 'it is not a table of tensors'],
  ['a million brackets', fileOf('['.repeat(1_000_000), 0), 'it nests deeper than 16'],
  ['a name twice', fileOf(`{"a":${f32(0, 4)},"a":${f32(4, 8)}}`, 8), '`a` stands in it twice'],
  ['a name twice, spelt differently', fileOf(`{"a":${f32(0, 4)},"\\u0061":${f32(4, 8)}}`, 8), '`a` stands in it twice'],
  ['a field twice', fileOf('{"a":{"dtype":"F32","shape":[1],"dtype":"F16","data_offsets":[0,4]}}', 4), '`dtype` stands in it twice'],
  ['an entry that is no table', fileOf('{"a":7}', 0), 'tensor-entry-malformed: `a` in /one.safetensors: its entry is not a table'],
  ['no dtype', fileOf('{"a":{"shape":[1],"data_offsets":[0,4]}}', 4), 'it has no `dtype`'],
  ['an inherited dtype', fileOf('{"a":{"__proto__":{"dtype":"F32"},"shape":[1],"data_offsets":[0,4]}}', 4), 'it has no `dtype`'],
  [
    'a dtype nobody knows',
    fileOf('{"a":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}}', 1),
    'tensor-dtype-unknown: `a` in /one.safetensors has the element type `F8_E4M3`, which moec does not read',
  ],
  ['a dtype of the prototype', fileOf('{"a":{"dtype":"constructor","shape":[1],"data_offsets":[0,1]}}', 1), 'tensor-dtype-unknown'],
  ['no shape', fileOf('{"a":{"dtype":"F32","data_offsets":[0,4]}}', 4), 'its `shape` is not a list of whole numbers from 0'],
  ['a negative size', fileOf('{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}', 4), 'its `shape` is not a list'],
  ['half a row', fileOf('{"a":{"dtype":"F32","shape":[0.5,2],"data_offsets":[0,4]}}', 4), 'its `shape` is not a list'],
  ['a size beyond 2^53', fileOf('{"a":{"dtype":"F32","shape":[9007199254740993],"data_offsets":[0,4]}}', 4), 'its `shape` is not a list'],
  ['sizes whose product overflows', fileOf('{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}}', 4), 'its sizes multiply to more than 2^53 bytes'],
  ['a hundred axes', fileOf(`{"a":{"dtype":"F32","shape":[${Array(100).fill(1)}],"data_offsets":[0,4]}}`, 4), 'it has 100 axes'],
  ['one offset', fileOf('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}', 4), 'its `data_offsets` are not two whole numbers'],
  ['a negative offset', fileOf('{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}', 4), 'its `data_offsets` are not two whole numbers'],
  ['offsets in reverse', fileOf('{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}', 4), 'its bytes end at 0, before they begin at 4'],
  ['a range beyond the file', fileOf(`{"a":${f32(0, 8)}}`, 4), 'tensor-out-of-file: `a` lies outside /one.safetensors: bytes 0 to 8 of 4'],
  ['fewer bytes than sizes', fileOf(`{"a":${f32(0, 4, [2])}}`, 4), 'tensor-bytes-differ: `a` in /one.safetensors has 4 bytes, but [2] of F32 needs 8'],
  ['two tensors in one place', fileOf(`{"a":${f32(0, 8)},"b":${f32(4, 12)}}`, 12), 'tensors-overlap: `b` and `a` occupy the same bytes'],
  ['a gap', fileOf(`{"a":${f32(0, 4)},"b":${f32(8, 12)}}`, 12), 'bytes-unaccounted: 4 bytes of /one.safetensors belong to no tensor, from byte 4'],
  ['bytes at the end', fileOf(`{"a":${f32(0, 4)}}`, 9), 'bytes-unaccounted: 5 bytes'],
  ['metadata that is no table of texts', fileOf('{"__metadata__":{"a":1}}', 0), '`__metadata__` is not a table of texts'],
  ['a name that moves the cursor', fileOf(`{"\\u001b[2J":7}`, 0), '`\\u{1b}[2J` in'],
];

test.each(hostile)('%s', (_, file, says) => {
  const opened = open(file);
  expect(opened.ok).toBe(false);
  expect(said(opened)).toContain(says);
});

test('several faults are told at once, but not millions', () => {
  const many = Array.from({ length: 50 }, (_, i) => `"t${i}":${i}`).join();
  expect(open(fileOf(`{${many}}`, 0)).diagnostics).toHaveLength(10);
});

test('every element type, names of the prototype, a scalar, a tensor without elements', () => {
  const file = join(folder, 'sound.safetensors');
  const numbers = new Map([
    ['f64', [0.1, -2]],
    ['f32', [1.5, -2]],
    ['f16', [0.5, -65504]],
    ['bf16', [3, -0.0078125]],
    ['i64', [2 ** 40, -(2 ** 40) - 1]],
    ['i32', [-5, 2 ** 31 - 1]],
    ['i16', [-3, 300]],
    ['i8', [-128, 127]],
    ['u64', [2 ** 50, 1]],
    ['u32', [2 ** 32 - 1, 0]],
    ['u16', [65535, 1]],
    ['u8', [255, 0]],
    ['bool', [1, 0]],
  ] as const);
  const tensors = [...numbers].map(([dtype, data]) => ({ name: dtype, dtype, dims: [2], bytes: [toBytes(dtype, Float64Array.from(data))] }));
  const one = { dtype: 'f32', dims: [], bytes: [toBytes('f32', Float64Array.of(7))] } as const;
  writeSafetensors(file, [...tensors, { ...one, name: '__proto__' }, { ...one, name: 'constructor' }, { name: 'empty', dtype: 'f32', dims: [3, 0], bytes: [] }], { format: 'pt' });
  const opened = openCheckpoint(file);
  if (!opened.ok) throw new Error(said(opened));
  const { tensors: found, read, close } = opened.value;
  for (const [dtype, data] of numbers) {
    const tensor = found.get(dtype);
    if (!tensor) throw new Error(`no ${dtype}`);
    expect([dtype, ...fromBytes(dtype, read(tensor))]).toEqual([dtype, ...data]);
  }
  const scalar = found.get('__proto__');
  if (!scalar) throw new Error('no __proto__');
  expect(scalar).toMatchObject({ name: '__proto__', dims: [], length: 4 });
  expect(fromBytes('f32', read(scalar, 0, 4))[0]).toBe(7);
  expect(found.get('constructor')?.offset).toBe(scalar.offset + 4);
  expect(found.get('empty')).toMatchObject({ dims: [3, 0], length: 0 });
  expect(found.get('toString')).toBe(undefined);
  expect(found.get('f64')?.offset).toSatisfy((offset: number) => offset % 8 === 0);
  close();
});

function shards(name: string, map: unknown): string {
  const place = join(folder, name);
  mkdirSync(place, { recursive: true });
  const tensor = (x: number) => [{ name: `t${x}`, dtype: 'f32', dims: [1], bytes: [toBytes('f32', Float64Array.of(x))] }] as const;
  writeSafetensors(join(place, 'a.safetensors'), tensor(1));
  writeSafetensors(join(place, 'b.safetensors'), tensor(2));
  writeFileSync(join(place, 'model.safetensors.index.json'), typeof map === 'string' ? map : JSON.stringify({ weight_map: map }));
  return place;
}

test('shards', () => {
  const place = shards('shards', { t1: 'a.safetensors', t2: 'b.safetensors' });
  const opened = openCheckpoint(place);
  if (!opened.ok) throw new Error(said(opened));
  const { tensors, read, close } = opened.value;
  expect([...tensors].map(([name, tensor]) => [name, tensor.file.slice(place.length), fromBytes('f32', read(tensor))[0]])).toEqual([
    ['t1', '/a.safetensors', 1],
    ['t2', '/b.safetensors', 2],
  ]);
  close();
});

test.each([
  ['no JSON', '{', 'is no index of shards: it is not JSON'],
  ['no weight_map', '{"a": 1}', 'it has no `weight_map`'],
  ['a list', '[]', 'it has no `weight_map`'],
  ['a weight_map that is a list', { length: 1 }, 'the file of `length` is not a text'],
  ['a path upwards', { t1: '../a.safetensors' }, '`../a.safetensors` is not the name of a file in its folder'],
  ['an absolute path', { t1: '/etc/passwd.safetensors' }, 'is not the name of a file'],
  ['a path of Windows', { t1: 'C:\\a.safetensors' }, 'is not the name of a file'],
  ['dots', { t1: '..' }, 'is not the name of a file'],
  ['another kind of file', { t1: 'pytorch_model.bin' }, 'is not the name of a file'],
  ['a shard that is not there', { t1: 'c.safetensors' }, 'shard-missing'],
  ['a tensor that is not in its shard', { t1: 'b.safetensors' }, 'tensor-not-in-shard'],
  ['a name of the prototype', '{"weight_map": {"__proto__": "a.safetensors"}}', 'tensor-not-in-shard'],
  ['a tensor twice', '{"weight_map": {"t1": "a.safetensors", "t1": "b.safetensors"}}', '`t1` stands in it twice'],
])('an index with %s', (_, map, says) => {
  const opened = openCheckpoint(shards('lying', map));
  expect(opened.ok).toBe(false);
  expect(said(opened)).toContain(says);
});

test('what is no checkpoint', () => {
  const place = join(folder, 'pickled');
  mkdirSync(place);
  writeFileSync(join(place, 'pytorch_model.bin'), 'x');
  const [first] = openCheckpoint(place).diagnostics;
  expect(first).toMatchObject({ code: 'checkpoint-not-found', notes: ['there is pytorch_model.bin'] });
  expect(said(openCheckpoint(join(folder, 'nowhere')))).toContain('checkpoint-not-found');
  mkdirSync(join(place, 'model.safetensors'));
  expect(said(openCheckpoint(place))).toContain('it is not a plain file');
  symlinkSync(join(folder, 'gone'), join(folder, 'dangling.safetensors'));
  expect(said(openCheckpoint(join(folder, 'dangling.safetensors')))).toContain('checkpoint-not-found');
});

test('a file that shrinks after it was opened', () => {
  const opened = open(fileOf(`{"a":${f32(0, 4000)}}`, 4000));
  const tensor = opened.ok ? opened.value.tensors.get('a') : undefined;
  if (!opened.ok || !tensor) throw new Error(said(opened));
  truncateSync(tensor.file, tensor.offset + 100);
  expect(() => opened.value.read(tensor)).toThrow(ReadFault);
  expect(fromBytes('f32', opened.value.read(tensor, 0, 100))).toHaveLength(25);
  opened.value.close();
});

test('any header gives tensors within the data or diagnostics, never anything else', () => {
  const name = fc.oneof(fc.constantFrom('a', 'b', '__proto__', 'constructor', '__metadata__'), fc.string());
  const number = fc.oneof(fc.integer({ min: -4, max: 64 }), fc.double(), fc.constantFrom(2 ** 31, 2 ** 53, 1e300));
  const entry = fc.record(
    { dtype: fc.constantFrom('F32', 'U8', 'BOOL', 'F4', ''), shape: fc.array(number, { maxLength: 4 }), data_offsets: fc.array(number, { minLength: 1, maxLength: 3 }) },
    { requiredKeys: [] },
  );
  const near = fc
    .array(fc.tuple(name, fc.oneof(entry, fc.jsonValue())), { maxLength: 4 })
    .map((entries) => Buffer.from(`{${entries.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join()}}`));
  const header = fc.oneof(
    near,
    fc.uint8Array({ maxLength: 60 }),
    fc.json().map((json) => Buffer.from(json)),
  );
  fc.assert(
    fc.property(header, fc.integer({ min: 0, max: 64 }), (bytes, length) => {
      const found = readHeader(bytes, length, 'file');
      if (!found.ok) return found.diagnostics.length > 0;
      return found.value.reduce((end, { from, to }) => (from === end && to <= length ? to : Number.NaN), 0) === length;
    }),
    { numRuns: 3000 },
  );
  fc.assert(fc.property(fc.uint8Array({ maxLength: 10 }), fc.nat(), (start, size) => readHeaderLength(start, size, 'file').diagnostics.length <= 1));
});

test('a sound header with one byte changed never names bytes that are not there', () => {
  const sound = Buffer.from(`{"a":${f32(0, 8)},"b":{"dtype":"BF16","shape":[2,2],"data_offsets":[8,16]}}`);
  fc.assert(
    fc.property(fc.nat(sound.length - 1), fc.nat(255), (at, byte) => {
      const changed = Buffer.from(sound);
      changed[at] = byte;
      const found = readHeader(changed, 16, 'file');
      return found.ok ? found.value.every(({ from, to }) => from >= 0 && to <= 16) : found.diagnostics.length > 0;
    }),
    { numRuns: 3000 },
  );
});
