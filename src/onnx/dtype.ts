/** Element types of the language and those of onnx.proto. */

import type { DType } from '../graph/type.ts';
import { onnxTypes } from '../ops/onnx-types.ts';

const byNumber = new Map<number, DType>(Object.entries(onnxTypes).map(([dtype, number]) => [number, dtype as DType]));

/** The element type of a number of onnx.proto; undefined for complex numbers, 8-bit floats and what is smaller. */
export function dtypeOf(dataType: number): DType | undefined {
  return byNumber.get(dataType);
}
