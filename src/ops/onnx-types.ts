/** Element types as ONNX numbers them (TensorProto.DataType). */

import type { DType } from '../graph/type.ts';

/** The number ONNX has for an element type. */
export const onnxTypes: Readonly<Record<DType, number>> = {
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
};

/** The lowest finite number: what a masked score is, so that a row without any is still no NaN. */
export const lowest = (dtype: DType): number => (dtype === 'f16' ? -65504 : -3.4028234663852886e38);
