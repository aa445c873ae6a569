/** Views of stored numbers: streamed bytes against the same views worked out index by index, element types against hand-picked bits, random numbers against a golden digest. */

import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { count, type NdArray, ndArray, stridesOf } from '../src/graph/nd-array.ts';
import type { Arithmetic, Source } from '../src/graph/source.ts';
import type { DType } from '../src/graph/type.ts';
import type { Checkpoint } from '../src/weights/checkpoint.ts';
import { fromBf16, fromBytes, fromF16, toBf16, toBytes, toF16 } from '../src/weights/elements.ts';
import { openCheckpoint } from '../src/weights/open.ts';
import { randomNumbers } from '../src/weights/random.ts';
import { located, sourceArray, sourceBytes } from '../src/weights/source.ts';
import { writeSafetensors } from '../src/weights/write.ts';

let folder = '';
let checkpoint: Checkpoint;
const stored = (name: string, dims: readonly number[], dtype: DType = 'f32'): Source => ({ kind: 'tensor', name, dims, dtype });
const ramp = (dims: readonly number[]): Float64Array => Float64Array.from({ length: count(dims) }, (_, i) => i);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'moec-'));
  const tensors = (['f32', 'bf16', 'f16', 'f64', 'u8'] as const).map((dtype) => ({ name: dtype, dtype, dims: [2, 6, 4], bytes: [toBytes(dtype, ramp([2, 6, 4]))] }));
  writeSafetensors(join(folder, 'model.safetensors'), [...tensors, { name: 'big', dtype: 'f64', dims: [600, 1000], bytes: [toBytes('f64', ramp([600, 1000]))] }]);
  const opened = openCheckpoint(folder);
  if (!opened.ok) throw new Error(opened.diagnostics[0]?.message ?? '');
  checkpoint = opened.value;
});
afterAll(() => {
  checkpoint.close();
  rmSync(folder, { recursive: true });
});

/** The number at an index of a source, straight from the meaning of each view. */
function at(source: Source, index: readonly number[]): number {
  const moved = (axis: number, to: number): readonly number[] => index.map((i, k) => (k === axis ? to : i));
  switch (source.kind) {
    case 'tensor':
      return flat(source.dims, index);
    case 'literal':
      return source.array.data[flat(source.dims, index)] ?? Number.NaN;
    case 'slice': {
      if (source.drop) return at(source.of, [...index.slice(0, source.axis), source.from, ...index.slice(source.axis)]);
      return at(source.of, moved(source.axis, (index[source.axis] ?? 0) + source.from));
    }
    case 'interleaved':
      return at(source.of, moved(source.axis, (index[source.axis] ?? 0) * source.step + source.from));
    case 'transpose':
      return at(source.of, [...index.slice(0, -2), index.at(-1) ?? 0, index.at(-2) ?? 0]);
    case 'reshape':
      return at(source.of, unflat(source.of.dims, flat(source.dims, index)));
    case 'cast':
      return at(source.of, index);
    case 'concat': {
      let start = 0;
      for (const part of source.of) {
        const size = part.dims[source.axis] ?? 0;
        const own = (index[source.axis] ?? 0) - start;
        if (own < size) return at(part, moved(source.axis, own));
        start += size;
      }
      return Number.NaN;
    }
    default:
      return Number.NaN;
  }
}
const flat = (dims: readonly number[], index: readonly number[]): number => stridesOf(dims).reduce((sum, stride, i) => sum + stride * (index[i] ?? 0), 0);
const unflat = (dims: readonly number[], offset: number): readonly number[] => stridesOf(dims).map((stride, i) => Math.floor(offset / stride) % (dims[i] ?? 1));
const expected = (source: Source): NdArray =>
  ndArray(
    source.dims,
    Float64Array.from({ length: count(source.dims) }, (_, i) => at(source, unflat(source.dims, i))),
    source.dtype,
  );

const turn = (of: Source): Source => ({ kind: 'transpose', of, dtype: of.dtype, dims: [...of.dims.slice(0, -2), of.dims.at(-1) ?? 1, of.dims.at(-2) ?? 1] });
const cut = (of: Source, axis: number, from: number, to: number, drop = false): Source => ({
  kind: 'slice',
  of,
  axis,
  from,
  to,
  drop,
  dtype: of.dtype,
  dims: of.dims.flatMap((size, i) => (i !== axis ? [size] : drop ? [] : [to - from])),
});
const unzip = (of: Source, axis: number, from: number, step: number): Source => ({
  kind: 'interleaved',
  of,
  axis,
  from,
  step,
  dtype: of.dtype,
  dims: of.dims.map((size, i) => (i === axis ? Math.ceil((size - from) / step) : size)),
});
const reshaped = (of: Source, dims: readonly number[]): Source => ({ kind: 'reshape', of, dims, dtype: of.dtype });
const cast = (of: Source, dtype: DType): Source => ({ kind: 'cast', of, dtype, dims: of.dims });
const joined = (axis: number, ...of: readonly Source[]): Source => ({
  kind: 'concat',
  of,
  axis,
  dtype: of[0]?.dtype ?? 'f32',
  dims: (of[0]?.dims ?? []).map((size, i) => (i === axis ? of.reduce((sum, part) => sum + (part.dims[axis] ?? 0), 0) : size)),
});

test('views of every kind, nested', () => {
  const a = stored('f32', [2, 6, 4]);
  const views = [
    a,
    turn(a),
    cut(a, 0, 1, 2),
    cut(a, 0, 1, 2, true),
    cut(a, 1, 2, 5),
    cut(a, 2, 1, 3),
    cut(a, 2, 3, 4, true),
    unzip(a, 0, 1, 2),
    unzip(a, 1, 1, 2),
    unzip(a, 2, 0, 2),
    unzip(a, 2, 1, 3),
    reshaped(a, [12, 4]),
    joined(0, a, turn(reshaped(a, [2, 4, 6]))),
    joined(1, a, cut(a, 1, 0, 3)),
    joined(2, a, a, cut(a, 2, 0, 1)),
    turn(cut(turn(a), 1, 1, 3)),
    turn(joined(1, cut(a, 1, 0, 2), a)),
    cut(unzip(a, 1, 0, 2), 1, 1, 3),
    turn(reshaped(a, [48, 1])),
    reshaped(turn(a), [48]),
  ];
  for (const view of views) expect(sourceArray(view, checkpoint)).toEqual(expected(view));
});

test('any stack of views gives the numbers its meaning says', () => {
  const step: fc.Arbitrary<(of: Source) => Source> = fc
    .tuple(fc.constantFrom('turn', 'cut', 'unzip', 'join', 'flat'), fc.nat(9), fc.nat(9), fc.nat(9))
    .map(([kind, a, b, c]) => (of: Source): Source => {
      const axis = a % of.dims.length;
      const size = of.dims[axis] ?? 1;
      if (kind === 'turn') return turn(of);
      if (kind === 'cut') return cut(of, axis, b % size, (b % size) + 1 + (c % (size - (b % size))));
      if (kind === 'unzip') return unzip(of, axis, b % size, 1 + (c % 3));
      if (kind === 'join') return joined(axis, of, cut(of, axis, b % size, size));
      return reshaped(of, [...of.dims.slice(0, -2), 1, (of.dims.at(-2) ?? 1) * (of.dims.at(-1) ?? 1)]);
    });
  fc.assert(
    fc.property(fc.constantFrom('f32', 'bf16', 'u8', 'f64'), fc.array(step, { maxLength: 5 }), (dtype, steps) => {
      const view = steps.reduce((of, next) => next(of), stored(dtype, [2, 6, 4], dtype));
      expect(sourceArray(view, checkpoint)).toEqual(expected(view));
    }),
    { numRuns: 400 },
  );
});

test('views larger than a piece', () => {
  const big = stored('big', [600, 1000], 'f64');
  for (const view of [turn(big), cut(big, 1, 7, 990), unzip(joined(1, big, big), 1, 1, 2), unzip(big, 0, 1, 3), joined(1, big, big), turn(cut(big, 1, 0, 900))]) {
    const pieces = [...sourceBytes(view, checkpoint)];
    expect(pieces).toHaveLength(Math.ceil((count(view.dims) * 8) / (4 << 20)));
    expect(Math.max(...pieces.map(({ length }) => length))).toBeLessThanOrEqual(4 << 20);
    expect(Buffer.concat(pieces).equals(toBytes('f64', expected(view).data))).toBe(true);
  }
});

test('arithmetic is rounded once', () => {
  const a: Source = { kind: 'literal', dims: [3], dtype: 'f32', array: ndArray([3], [1, 2, 4]) };
  const step = (operator: Arithmetic['operator'], operand?: number, left?: boolean): readonly number[] => [
    ...sourceArray({ kind: 'arithmetic', of: a, operator, dims: [3], dtype: 'f32', ...(operand === undefined ? {} : { operand }), ...(left ? { left } : {}) }, undefined).data,
  ];
  expect(step('+', 1)).toEqual([2, 3, 5]);
  expect(step('-', 1)).toEqual([0, 1, 3]);
  expect(step('-', 1, true)).toEqual([0, -1, -3]);
  expect(step('*', 0.1)).toEqual([0.1, 0.2, 0.4].map(Math.fround));
  expect(step('/', 3)).toEqual([1 / 3, 2 / 3, 4 / 3].map(Math.fround));
  expect(step('/', 8, true)).toEqual([8, 4, 2]);
  expect(step('negate')).toEqual([-1, -2, -4]);
  expect(step('rsqrt')).toEqual([1, Math.fround(Math.SQRT1_2), 0.5]);
  expect(step('sqrt')).toEqual([1, Math.fround(Math.SQRT2), 2]);
  expect(step('exp')).toEqual([1, 2, 4].map((x) => Math.fround(Math.exp(x))));
  expect(step('log')).toEqual([1, 2, 4].map((x) => Math.fround(Math.log(x))));
});

test('half precision widens exactly, every one of its numbers', () => {
  for (const [dtype, one, back] of [
    ['f16', fromF16, toF16],
    ['bf16', fromBf16, toBf16],
  ] as const) {
    const bits = Uint16Array.from({ length: 65_536 }, (_, i) => i);
    const bytes = new Uint8Array(bits.buffer);
    const numbers = fromBytes(dtype, bytes);
    expect(numbers.every((x, i) => Object.is(x, one(i)) && Object.is(x, Number.isNaN(x) ? x : Math.fround(x)))).toBe(true);
    expect(bits.every((i) => Number.isNaN(one(i)) || back(one(i)) === i)).toBe(true);
  }
  expect([fromF16(0x3c00), fromF16(0xc000), fromF16(1), fromF16(0x7bff), fromF16(0xfc00)]).toEqual([1, -2, 2 ** -24, 65504, -Infinity]);
  const asF32 = new DataView(new ArrayBuffer(4));
  for (const bits of [0, 1, 0x80, 0x3f80, 0x3f81, 0x7f7f, 0xff80, 0xc2f7]) {
    asF32.setUint32(0, bits << 16);
    expect(fromBf16(bits)).toBe(asF32.getFloat32(0));
  }
});

test('rounding to half precision: ties to even, once, with overflow at the middle of the last step', () => {
  expect([1 + 2 ** -11, 1 + 3 * 2 ** -11, 1 + 2 ** -11 + 2 ** -40, 65519.99, 65520, -65520, 2 ** -25, 2 ** -25 * 1.0001, Number.NaN].map(toF16)).toEqual([
    0x3c00, 0x3c02, 0x3c01, 0x7bff, 0x7c00, 0xfc00, 0, 1, 0x7e00,
  ]);
  // By way of f32 this one would become the tie 1 + 2^-11 and round down.
  expect(toF16(1 + 2 ** -11 + 2 ** -30)).toBe(0x3c01);
  expect([1 + 2 ** -8, 1 + 3 * 2 ** -8, 3.4e38, 2 ** 128, -0].map(toBf16)).toEqual([0x3f80, 0x3f82, 0x7f80, 0x7f80, 0x8000]);
});

test('whole numbers stay within their type', () => {
  const through = (dtype: DType, ...values: readonly number[]): readonly number[] => [...fromBytes(dtype, toBytes(dtype, Float64Array.from(values)))];
  expect(through('i8', 127.9, 200, -200, Number.NaN)).toEqual([127, 127, -128, 0]);
  expect(through('u8', -1, 256)).toEqual([0, 255]);
  expect(through('i64', -1, 2 ** 53 - 1, -(2 ** 53) + 1)).toEqual([-1, 2 ** 53 - 1, -(2 ** 53) + 1]);
  expect(Buffer.from(toBytes('i64', Float64Array.of(2 ** 63, -(2 ** 63)))).toString('hex')).toBe('ffffffffffffff7f0000000000000080');
  expect(Buffer.from(toBytes('u64', Float64Array.of(2 ** 64, -1))).toString('hex')).toBe('ffffffffffffffff0000000000000000');
  expect(through('bool', 0, 0.5, -3)).toEqual([0, 1, 1]);
  expect(fromBytes('f32', new Uint8Array([9, 0, 0, 128, 63]).subarray(1))).toEqual(Float64Array.of(1));
});

test('casts of a checkpoint', () => {
  for (const dtype of ['bf16', 'f16', 'f64', 'u8'] as const) expect(sourceArray(cast(stored(dtype, [2, 6, 4], dtype), 'f32'), checkpoint).data).toEqual(ramp([2, 6, 4]));
});

test('bytes that lie as needed are found', () => {
  const a = stored('f32', [2, 6, 4]);
  const start = checkpoint.tensors.get('f32')?.offset ?? 0;
  const where = (source: Source) => {
    const found = located(source, checkpoint);
    return found && [found.offset - start, found.length];
  };
  expect(where(a)).toEqual([0, 192]);
  expect(where(cut(a, 0, 1, 2))).toEqual([96, 96]);
  expect(where(cut(cut(a, 0, 1, 2, true), 0, 2, 5))).toEqual([128, 48]);
  expect(where(reshaped(cut(a, 0, 1, 2), [24]))).toEqual([96, 96]);
  expect(where(cut(reshaped(a, [1, 48]), 1, 3, 5))).toEqual([12, 8]);
  expect(where(turn(reshaped(a, [48, 1])))).toEqual([0, 192]);
  expect(where(cast(a, 'f32'))).toEqual([0, 192]);
  for (const moved of [turn(a), cut(a, 1, 0, 2), cast(a, 'f16'), unzip(a, 0, 0, 2), joined(0, a, a)]) expect(where(moved)).toBe(undefined);
  for (const source of [cut(cut(a, 0, 1, 2, true), 0, 2, 5), cut(reshaped(a, [1, 48]), 1, 3, 5)]) {
    const place = where(source) ?? [];
    const tensor = checkpoint.tensors.get('f32');
    if (!tensor) throw new Error('no f32');
    expect(fromBytes('f32', checkpoint.read(tensor, place[0], (place[0] ?? 0) + (place[1] ?? 0)))).toEqual(expected(source).data);
  }
});

test('random numbers: the same bytes everywhere, by seed and path alone', () => {
  const digest = (path: string, seed: number, dtype: DType = 'f32'): string => {
    const hash = createHash('sha256');
    for (const piece of sourceBytes({ kind: 'random', path, seed, deviation: 0.02, dims: [300, 41], dtype }, undefined)) hash.update(piece);
    return hash.digest('hex').slice(0, 16);
  };
  const all = [
    digest('blocks.3.ffn.gate', 0),
    digest('blocks.3.ffn.gate', 1),
    digest('blocks.3.ffn.up', 0),
    digest('blocks.3.ffn.gate', 2 ** 32),
    digest('blocks.3.ffn.gate', 0, 'bf16'),
  ];
  // Worked out in Python on whole numbers of any size, with xoshiro128++ as published.
  expect(all[0]).toBe('ba2d84da46830e49');
  expect(new Set(all).size).toBe(5);
});

test('random numbers: any stretch alone is the stretch of the whole', () => {
  const whole = randomNumbers('a', 7, 1, 0, 20_000);
  for (const [from, to] of [
    [0, 1],
    [4095, 4097],
    [5000, 17_000],
    [8192, 12_288],
  ] as const)
    expect(randomNumbers('a', 7, 1, from, to)).toEqual(whole.slice(from, to));
});

test('random numbers: moments of a normal distribution, neighbours and blocks not correlated', () => {
  const n = 1_000_000;
  const x = randomNumbers('embed', 0, 0.5, 0, n);
  const y = randomNumbers('embed', 1, 0.5, 0, n);
  const mean = (f: (i: number) => number): number =>
    Array.from({ length: 10 }, (_, k) => k).reduce((sum, k) => {
      for (let i = (k * n) / 10; i < ((k + 1) * n) / 10; i++) sum += f(i);
      return sum;
    }, 0) / n;
  const get = (i: number): number => x[i] ?? 0;
  // Standard errors: mean 5e-4, variance 3.5e-4, the fourth moment 0.01 of 2.9, correlations 1e-3; five of each.
  expect(Math.abs(mean(get))).toBeLessThan(2.5e-3);
  expect(Math.abs(mean((i) => get(i) ** 2) - 0.25)).toBeLessThan(1.75e-3);
  expect(Math.abs(mean((i) => get(i) ** 4) / 0.0625 - 2.9)).toBeLessThan(0.05);
  for (const lag of [1, 2, 4096]) expect(Math.abs(mean((i) => get(i) * (x[i + lag] ?? 0)) / 0.25)).toBeLessThan(5e-3);
  expect(Math.abs(mean((i) => get(i) * (y[i] ?? 0)) / 0.25)).toBeLessThan(5e-3);
  expect([...sourceArray({ kind: 'random', path: 'gain', seed: 0, deviation: 1, value: 1, dims: [3], dtype: 'f32' }, undefined).data]).toEqual([1, 1, 1]);
});

test('streaming needs one tensor of memory, not all of them', () => {
  // 80 tensors of 4.8 MB, every other one transposed, as one source of 384 MB.
  const big = stored('big', [600, 1000], 'f64');
  const source = joined(0, ...Array.from({ length: 80 }, (_, i) => (i % 2 ? big : reshaped(turn(big), [600, 1000]))));
  const before = process.memoryUsage().rss;
  let [most, bytes] = [0, 0];
  for (const piece of sourceBytes(source, checkpoint)) {
    bytes += piece.length;
    most = Math.max(most, process.memoryUsage().rss);
  }
  expect(bytes).toBe(384_000_000);
  expect(most - before).toBeLessThan(160e6);
});
