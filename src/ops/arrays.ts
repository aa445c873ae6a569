/** Kernels on plain arrays that the reference evaluation of several ops shares: mapping, broadcasting, lanes, reordering. */

import { Bug } from '../diagnostics/bug.ts';
import { count, type NdArray, ndArray, stridesOf } from '../graph/nd-array.ts';
import type { DType } from '../graph/type.ts';

/** f of every element. */
export function map(x: NdArray, f: (value: number) => number, dtype: DType = x.dtype): NdArray {
  return ndArray(x.dims, x.data.map(f), dtype);
}

/** The dims both broadcast to, by numpy's rules. */
export function broadcastSizes(a: readonly number[], b: readonly number[]): readonly number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const x = a[i - rank + a.length] ?? 1;
    const y = b[i - rank + b.length] ?? 1;
    if (x !== y && x !== 1 && y !== 1) throw new Bug(`[${a.join(', ')}] does not broadcast with [${b.join(', ')}]`);
    return x === 1 ? y : x;
  });
}

/** x with axes of size 1 repeated, and axes added in front, to `dims`. */
export function expand(x: NdArray, dims: readonly number[]): NdArray {
  if (dims.length === x.dims.length && dims.every((size, i) => size === x.dims[i])) return x;
  const front = dims.length - x.dims.length;
  const strides = stridesOf(x.dims);
  return gatherBy(
    x,
    dims,
    dims.map((_, i) => (i < front || x.dims[i - front] === 1 ? 0 : (strides[i - front] ?? 0))),
  );
}

/** The array of `dims` whose element at i is x at Σ i·stride (+ start). */
function gatherBy(x: NdArray, dims: readonly number[], strides: readonly number[], start = 0): NdArray {
  const data = new Float64Array(count(dims));
  const at = new Array<number>(dims.length).fill(0);
  let from = start;
  for (let i = 0; i < data.length; i++) {
    data[i] = x.data[from] ?? 0;
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      const [size, stride] = [dims[axis] ?? 1, strides[axis] ?? 0];
      const next = (at[axis] ?? 0) + 1;
      if (next < size) {
        at[axis] = next;
        from += stride;
        break;
      }
      at[axis] = 0;
      from -= stride * (size - 1);
    }
  }
  return ndArray(dims, data, x.dtype);
}

/** f of elements that meet. */
export function zip(a: NdArray, b: NdArray, f: (x: number, y: number) => number, dtype: DType = a.dtype): NdArray {
  const dims = broadcastSizes(a.dims, b.dims);
  const [left, right] = [expand(a, dims), expand(b, dims)];
  return ndArray(
    dims,
    left.data.map((x, i) => f(x, right.data[i] ?? 0)),
    dtype,
  );
}

/** The same elements under other dims. */
export function reshaped(x: NdArray, dims: readonly number[]): NdArray {
  return ndArray(dims, x.data, x.dtype);
}

/** Axis i of the result is axis order[i] of x. */
export function permuted(x: NdArray, order: readonly number[]): NdArray {
  const strides = stridesOf(x.dims);
  return gatherBy(
    x,
    order.map((axis) => x.dims[axis] ?? 1),
    order.map((axis) => strides[axis] ?? 0),
  );
}

/** The last two axes exchanged. */
export function transposed(x: NdArray): NdArray {
  const order = x.dims.map((_, i) => i);
  return permuted(x, [...order.slice(0, -2), order.length - 1, order.length - 2]);
}

/** Elements from..to of an axis. */
export function sliced(x: NdArray, axis: number, from: number, to: number): NdArray {
  const strides = stridesOf(x.dims);
  return gatherBy(
    x,
    x.dims.map((size, i) => (i === axis ? to - from : size)),
    strides,
    from * (strides[axis] ?? 1),
  );
}

/** An axis taken apart: element i of lane (o, n) stands at (o·size + i)·inner + n. */
interface Lanes {
  readonly outer: number;
  readonly size: number;
  readonly inner: number;
}

/** The lanes along an axis, which may be counted from the end. */
function lanesOf(dims: readonly number[], axis: number): Lanes {
  const at = axis < 0 ? axis + dims.length : axis;
  return { outer: count(dims.slice(0, at)), size: dims[at] ?? 1, inner: count(dims.slice(at + 1)) };
}

/** f of every lane along an axis; it returns as many numbers as `size` says. */
export function mapLanes(x: NdArray, axis: number, size: number, f: (lane: Float64Array) => ArrayLike<number>, dtype: DType = x.dtype): NdArray {
  const at = axis < 0 ? axis + x.dims.length : axis;
  const { outer, size: length, inner } = lanesOf(x.dims, at);
  const data = new Float64Array(outer * size * inner);
  const lane = new Float64Array(length);
  for (let o = 0; o < outer; o++) {
    for (let n = 0; n < inner; n++) {
      for (let i = 0; i < length; i++) lane[i] = x.data[(o * length + i) * inner + n] ?? 0;
      const result = f(lane);
      for (let i = 0; i < size; i++) data[(o * size + i) * inner + n] = result[i] ?? 0;
    }
  }
  return ndArray(
    x.dims.map((old, i) => (i === at ? size : old)),
    data,
    dtype,
  );
}

/** Parts joined along an axis counted from 0. */
export function joined(parts: readonly NdArray[], axis: number): NdArray {
  const [first] = parts;
  if (!first) throw new Bug('nothing to join');
  const total = parts.reduce((sum, part) => sum + (part.dims[axis] ?? 0), 0);
  const dims = first.dims.map((size, i) => (i === axis ? total : size));
  const { outer, inner } = lanesOf(dims, axis);
  const data = new Float64Array(count(dims));
  let start = 0;
  for (const part of parts) {
    const run = (part.dims[axis] ?? 0) * inner;
    for (let o = 0; o < outer; o++) data.set(part.data.subarray(o * run, (o + 1) * run), o * total * inner + start);
    start += run;
  }
  return ndArray(dims, data, first.dtype);
}

/** e^x over its sum, along the last axis. */
export function softmaxOf(lane: ArrayLike<number>): number[] {
  const values = Array.from(lane);
  const top = Math.max(...values);
  const powers = values.map((value) => Math.exp(value - top));
  const sum = powers.reduce((total, value) => total + value, 0);
  return powers.map((value) => value / sum);
}

/** a [.., m, k] · b [.., k, n], leading axes broadcast. */
export function matmulOf(a: NdArray, b: NdArray): NdArray {
  const [m, k, n] = [a.dims.at(-2) ?? 1, a.dims.at(-1) ?? 1, b.dims.at(-1) ?? 1];
  const lead = broadcastSizes(a.dims.slice(0, -2), b.dims.slice(0, -2));
  const [left, right] = [expand(a, [...lead, m, k]).data, expand(b, [...lead, k, n]).data];
  const data = new Float64Array(count(lead) * m * n);
  for (let batch = 0; batch < count(lead); batch++) {
    for (let i = 0; i < m; i++) {
      const row = (batch * m + i) * n;
      for (let j = 0; j < k; j++) {
        const factor = left[(batch * m + i) * k + j] ?? 0;
        const from = (batch * k + j) * n;
        for (let c = 0; c < n; c++) data[row + c] = (data[row + c] ?? 0) + factor * (right[from + c] ?? 0);
      }
    }
  }
  return ndArray([...lead, m, n], data, a.dtype);
}
