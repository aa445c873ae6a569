/** The numbers 0, 1, … n - 1: as an array, and in ONNX. */

import { constant, type Dim } from '../graph/dim.ts';
import type { Value } from '../graph/graph.ts';
import { type NdArray, ndArray } from '../graph/nd-array.ts';
import type { Onnx } from '../graph/onnx.ts';

/** 0, 1, … n - 1 as i64[n]. */
export const counted = (n: number): NdArray =>
  ndArray(
    [n],
    Float64Array.from({ length: n }, (_, i) => i),
    'i64',
  );

/** The same in ONNX: an array where n is known, else a `Range`. */
export function numbersBelow(onnx: Onnx, n: Dim): Value {
  const known = constant(n);
  return known === undefined ? onnx.Range(onnx.scalar(0, 'i64'), onnx.size(n), onnx.scalar(1, 'i64')) : onnx.array(counted(known));
}
