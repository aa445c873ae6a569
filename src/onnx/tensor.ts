/** Arrays to TensorProto and back. */

import { type NdArray, ndArray } from '../graph/nd-array.ts';
import { bytesOf, type DType } from '../graph/type.ts';
import { onnxTypes } from '../ops/onnx-types.ts';
import { fromBytes, toBytes } from '../weights/elements.ts';
import { dtypeOf } from './dtype.ts';
import type { Int, TensorProto } from './messages.ts';

/** The array as a tensor with its numbers in it. */
export function tensorOf(array: NdArray, name?: string): TensorProto {
  return tensorOfBytes(array, toBytes(array.dtype, array.data), name);
}

/** A tensor with these little-endian bytes. */
export function tensorOfBytes({ dtype, dims }: { readonly dtype: DType; readonly dims: readonly number[] }, bytes: Uint8Array, name?: string): TensorProto {
  return { dims, dataType: onnxTypes[dtype], ...(name === undefined ? {} : { name }), rawData: bytes };
}

/** The array a tensor holds; undefined where an `NdArray` cannot hold it exactly: text, numbers elsewhere, types the language lacks, whole numbers beyond 2^53. */
export function arrayOf(tensor: TensorProto): NdArray | undefined {
  const dtype = dtypeOf(tensor.dataType ?? 0);
  const dims = sizesOf(tensor.dims ?? []);
  if (!dtype || !dims || dtype === 'string' || tensor.dataLocation === 1 || tensor.segment) return undefined;
  const data = numbersOf(tensor, dtype);
  if (!data || data.length !== dims.reduce((product, size) => product * size, 1)) return undefined;
  const exact = (dtype !== 'i64' && dtype !== 'u64') || data.every(Number.isSafeInteger);
  return exact ? ndArray(dims, data, dtype) : undefined;
}

/** The array of a tensor of whole numbers, those beyond 2^53 rounded; undefined for what is none. */
export function roundedArray(tensor: TensorProto): NdArray | undefined {
  const dims = sizesOf(tensor.dims ?? []);
  if (dtypeOf(tensor.dataType ?? 0) !== 'i64' || !dims || tensor.dataLocation === 1 || tensor.segment) return undefined;
  const data = tensor.rawData
    ? numbersOf(tensor, 'i64')
    : Float64Array.from(tensor.int64Data ?? [], (one) => (typeof one === 'number' ? one : one.high * 2 ** 32 + (one.low >>> 0)));
  return data?.length === dims.reduce((product, size) => product * size, 1) ? ndArray(dims, data, 'i64') : undefined;
}

/** The sizes as numbers; undefined where one is beyond 2^53 or negative. */
export function sizesOf(dims: readonly Int[]): readonly number[] | undefined {
  return dims.every((size): size is number => typeof size === 'number' && size >= 0) ? dims : undefined;
}

function numbersOf(tensor: TensorProto, dtype: DType): Float64Array | undefined {
  const { rawData } = tensor;
  if (rawData) return rawData.length % bytesOf[dtype] === 0 ? fromBytes(dtype, rawData) : undefined;
  switch (dtype) {
    case 'f32':
      return Float64Array.from(tensor.floatData ?? []);
    case 'f64':
      return Float64Array.from(tensor.doubleData ?? []);
    case 'i64':
      return exactly(tensor.int64Data ?? []);
    case 'u32':
    case 'u64':
      return exactly(tensor.uint64Data ?? []);
    case 'f16':
    case 'bf16':
      return fromBytes(dtype, toBytes('u16', Float64Array.from(tensor.int32Data ?? [])));
    default:
      return Float64Array.from(tensor.int32Data ?? []);
  }
}

function exactly(values: readonly Int[]): Float64Array | undefined {
  return values.every((value): value is number => typeof value === 'number') ? Float64Array.from(values) : undefined;
}
