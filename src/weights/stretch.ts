/** Views of stored numbers, read a stretch at a time: each kind of source answers for elements `from` to `to` of its row-major order. */

import { Bug } from '../diagnostics/bug.ts';
import { count } from '../graph/nd-array.ts';
import type { Arithmetic, Cast, Concat, Interleaved, Literal, Picked, Random, Slice, Source, Tensor, Transpose } from '../graph/source.ts';
import { bytesOf, type DType } from '../graph/type.ts';
import type { Checkpoint } from './checkpoint.ts';
import { fromBytes, toBytes } from './elements.ts';
import { randomNumbers } from './random.ts';
import { copyRuns, transposeRows } from './strided.ts';

/** Little-endian bytes of the elements `from` to `to`. */
export type Stretch = (from: number, to: number) => Uint8Array;

/** A reader of any stretch of a source. Transposes hold the matrix they turn until its end was read. */
export function stretchOf(source: Source, checkpoint: Checkpoint | undefined): Stretch {
  switch (source.kind) {
    case 'tensor':
      return stored(source, checkpoint);
    case 'reshape':
      return sameCount(source, source.of) && stretchOf(source.of, checkpoint);
    case 'slice':
      return sliced(source, checkpoint);
    case 'interleaved':
      return interleaved(source, checkpoint);
    case 'picked':
      return picked(source, checkpoint);
    case 'transpose':
      return transposed(source, checkpoint);
    case 'concat':
      return concatenated(source, checkpoint);
    case 'arithmetic':
      return calculated(source, checkpoint);
    case 'cast':
      return converted(source, checkpoint);
    case 'random':
      return random(source);
    case 'literal':
      return literal(source);
  }
}

function sameCount(a: Source, b: Source): true {
  if (count(a.dims) !== count(b.dims)) throw new Bug(`[${b.dims.join(', ')}] reshaped to [${a.dims.join(', ')}]`);
  return true;
}

function stored({ name, dtype, dims }: Tensor, checkpoint: Checkpoint | undefined): Stretch {
  const tensor = checkpoint?.tensors.get(name);
  if (!checkpoint || !tensor) throw new Bug(`no tensor ${name} in the checkpoint`);
  if (tensor.dtype !== dtype || count(tensor.dims) !== count(dims)) throw new Bug(`${name} is ${tensor.dtype}[${tensor.dims.join(', ')}], not ${dtype}[${dims.join(', ')}]`);
  const width = bytesOf[dtype];
  return (from, to) => checkpoint.read(tensor, from * width, to * width);
}

/** Elements in front of an axis, along it, and behind it. */
function around(dims: readonly number[], axis: number): readonly [outer: number, size: number, inner: number] {
  const size = dims[axis];
  if (size === undefined) throw new Bug(`no axis ${axis} in [${dims.join(', ')}]`);
  return [count(dims.slice(0, axis)), size, count(dims.slice(axis + 1))];
}

function sliced({ of, axis, from: first, to: last }: Slice, checkpoint: Checkpoint | undefined): Stretch {
  const read = stretchOf(of, checkpoint);
  const [outer, size, inner] = around(of.dims, axis);
  if (outer === 1) return (from, to) => read(first * inner + from, first * inner + to);
  return (from, to) => copyRuns({ read, width: bytesOf[of.dtype], run: (last - first) * inner, startOf: (run) => (run * size + first) * inner }, from, to);
}

function interleaved({ of, axis, from: first, step, dims }: Interleaved, checkpoint: Checkpoint | undefined): Stretch {
  const read = stretchOf(of, checkpoint);
  const [, size, inner] = around(of.dims, axis);
  const rows = dims[axis] ?? 0;
  const startOf = (run: number): number => (Math.floor(run / rows) * size + first + (run % rows) * step) * inner;
  return (from, to) => copyRuns({ read, width: bytesOf[of.dtype], run: inner, startOf }, from, to);
}

/** Rows that follow one another in the source are read together; rows of zeros are not read. */
function picked({ of, axis, order }: Picked, checkpoint: Checkpoint | undefined): Stretch {
  const read = stretchOf(of, checkpoint);
  const width = bytesOf[of.dtype];
  const [, size, inner] = around(of.dims, axis);
  return (from, to) => {
    const result = new Uint8Array((to - from) * width);
    for (let at = from; at < to; ) {
      const run = Math.floor(at / inner);
      const row = order[run % order.length] ?? -1;
      let last = run;
      while (row >= 0 && (last + 1) % order.length > 0 && (last + 1) * inner < to && order[(last + 1) % order.length] === row + last + 1 - run) last++;
      const end = Math.min(to, (last + 1) * inner);
      const start = (Math.floor(run / order.length) * size + row) * inner + at - run * inner;
      if (row >= 0) result.set(read(start, start + end - at), (at - from) * width);
      at = end;
    }
    return result;
  };
}

function transposed({ of }: Transpose, checkpoint: Checkpoint | undefined): Stretch {
  const read = stretchOf(of, checkpoint);
  const width = bytesOf[of.dtype];
  const [columns = 0, rows = 0] = [of.dims.at(-1), of.dims.at(-2)];
  const area = rows * columns;
  if (rows === 1 || columns === 1) return read;
  let held: { readonly matrix: number; readonly bytes: Uint8Array } | undefined;
  const matrixAt = (matrix: number): Uint8Array => {
    if (held?.matrix !== matrix) held = { matrix, bytes: inPieces(read, matrix * area, (matrix + 1) * area, width) };
    return held.bytes;
  };
  return (from, to) => {
    const result = new Uint8Array((to - from) * width);
    for (let at = from; at < to; ) {
      const matrix = Math.floor(at / area);
      const end = Math.min(to, (matrix + 1) * area);
      // Whole rows of the result (columns of the matrix), then the part asked for.
      const first = Math.floor((at - matrix * area) / rows);
      const last = Math.ceil((end - matrix * area) / rows);
      const turned = transposeRows(matrixAt(matrix), { rows, columns, width }, first, last);
      const skipped = matrix * area + first * rows;
      result.set(turned.subarray((at - skipped) * width, (end - skipped) * width), (at - from) * width);
      // Read in order, a matrix is done with at its end; sources joined of many would otherwise hold them all.
      if (end === (matrix + 1) * area) held = undefined;
      at = end;
    }
    return result;
  };
}

/** A stretch read piece by piece, so that what is computed on the way does not need its own copy of all. */
function inPieces(read: Stretch, from: number, to: number, width: number): Uint8Array {
  const whole = new Uint8Array((to - from) * width);
  for (let at = from; at < to; at += 2 ** 20) whole.set(read(at, Math.min(to, at + 2 ** 20)), (at - from) * width);
  return whole;
}

function concatenated({ of, axis, dims, dtype }: Concat, checkpoint: Checkpoint | undefined): Stretch {
  const width = bytesOf[dtype];
  const [, size, inner] = around(dims, axis);
  let start = 0;
  const parts = of.map((part) => {
    const [, rows, behind] = around(part.dims, axis);
    const run = rows * behind;
    start += run;
    return { read: stretchOf(part, checkpoint), run, start: start - run };
  });
  const row = size * inner;
  if (start !== row) throw new Bug(`parts of [${dims.join(', ')}] do not fill it`);
  return (from, to) => {
    const result = new Uint8Array((to - from) * width);
    for (let outer = Math.floor(from / row); outer * row < to; outer++) {
      for (const part of parts) {
        const begin = outer * row + part.start;
        const [a, b] = [Math.max(from, begin), Math.min(to, begin + part.run)];
        if (a < b) result.set(part.read(outer * part.run + a - begin, outer * part.run + b - begin), (a - from) * width);
      }
    }
    return result;
  };
}

/** One step on every number, in f64 and rounded once: for f32 the same as the step in f32. */
function calculated(source: Arithmetic, checkpoint: Checkpoint | undefined): Stretch {
  const { of, dtype } = source;
  const read = stretchOf(of, checkpoint);
  const step = stepOf(source);
  return (from, to) => {
    const numbers = fromBytes(of.dtype, read(from, to));
    for (let i = 0; i < numbers.length; i++) numbers[i] = step(numbers[i] ?? 0);
    return toBytes(dtype, numbers);
  };
}

function stepOf({ operator, operand = 0, left = false }: Arithmetic): (x: number) => number {
  switch (operator) {
    case '+':
      return (x) => x + operand;
    case '-':
      return left ? (x) => operand - x : (x) => x - operand;
    case '*':
      return (x) => x * operand;
    case '/':
      return left ? (x) => operand / x : (x) => x / operand;
    case 'negate':
      return (x) => -x;
    case 'exp':
      return Math.exp;
    case 'log':
      return Math.log;
    case 'sqrt':
      return Math.sqrt;
    case 'rsqrt':
      return (x) => 1 / Math.sqrt(x);
  }
}

function converted({ of, dtype }: Cast, checkpoint: Checkpoint | undefined): Stretch {
  const read = stretchOf(of, checkpoint);
  return of.dtype === dtype ? read : (from, to) => convert(read(from, to), of.dtype, dtype);
}

/** The same numbers in another element type. */
function convert(bytes: Uint8Array, given: DType, wanted: DType): Uint8Array {
  return toBytes(wanted, fromBytes(given, bytes));
}

function random({ path, seed, deviation, value, dtype }: Random): Stretch {
  if (value === undefined) return (from, to) => toBytes(dtype, randomNumbers(path, seed, deviation, from, to));
  return (from, to) => toBytes(dtype, new Float64Array(to - from).fill(value));
}

function literal({ array, dtype }: Literal): Stretch {
  return (from, to) => toBytes(dtype, array.data.subarray(from, to));
}
