/** Element types of the language and those of onnx.proto. */

import type { DType } from '../graph/type.ts';

/** The number onnx.proto gives each element type, in TensorProto.DataType. */
export const dataTypes = {
  f32: 1,
  u8: 2,
  i8: 3,
  u16: 4,
  i16: 5,
  i32: 6,
  i64: 7,
  string: 8,
  bool: 9,
  f16: 10,
  f64: 11,
  u32: 12,
  u64: 13,
  bf16: 16,
} as const satisfies Record<DType, number>;

const byNumber = new Map<number, DType>(Object.entries(dataTypes).map(([dtype, number]) => [number, dtype as DType]));

/** The element type of a number of onnx.proto; undefined for complex numbers, 8-bit floats and what is smaller. */
export function dtypeOf(dataType: number): DType | undefined {
  return byNumber.get(dataType);
}
