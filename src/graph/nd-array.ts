/** Plain arrays in f64, row-major: what the reference evaluator computes on. */

import { Bug } from '../diagnostics/bug.ts';
import type { DType } from './type.ts';

/** Numbers with a shape. Every element type is held as f64: i64 is exact to 2^53, bool is 0 or 1. `dtype` says what they stand for. */
export interface NdArray {
  readonly dtype: DType;
  readonly dims: readonly number[];
  readonly data: Float64Array;
}

/** The number of elements of a shape. */
export function count(dims: readonly number[]): number {
  return dims.reduce((product, size) => product * size, 1);
}

/** An array of these numbers. */
export function ndArray(dims: readonly number[], data: Float64Array | readonly number[], dtype: DType = 'f32'): NdArray {
  const values = data instanceof Float64Array ? data : Float64Array.from(data);
  if (values.length !== count(dims)) throw new Bug(`${values.length} numbers do not fill [${dims.join(', ')}]`);
  return { dtype, dims, data: values };
}

/** An array with no axis. */
export function scalar(value: number, dtype: DType = 'f32'): NdArray {
  return ndArray([], [value], dtype);
}

/** Elements between neighbours along each axis. */
export function stridesOf(dims: readonly number[]): readonly number[] {
  const strides = new Array<number>(dims.length).fill(1);
  for (let i = dims.length - 2; i >= 0; i--) strides[i] = (strides[i + 1] ?? 1) * (dims[i + 1] ?? 1);
  return strides;
}
