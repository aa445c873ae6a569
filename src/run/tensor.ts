/** Tensors as they cross the border of a session: typed arrays with an element type and sizes. */

import { Bug } from '../diagnostics/bug.ts';
import { count, type NdArray } from '../graph/nd-array.ts';
import type { DType } from '../graph/type.ts';

/** Typed arrays by element type. f16 and bf16 are raw bits; bool is 0 or 1. */
interface Arrays {
  readonly f32: Float32Array;
  readonly f64: Float64Array;
  readonly f16: Uint16Array;
  readonly bf16: Uint16Array;
  readonly i64: BigInt64Array;
  readonly u64: BigUint64Array;
  readonly i32: Int32Array;
  readonly u32: Uint32Array;
  readonly i16: Int16Array;
  readonly u16: Uint16Array;
  readonly i8: Int8Array;
  readonly u8: Uint8Array;
  readonly bool: Uint8Array;
  readonly string: readonly string[];
}

/** The numbers of a tensor. */
export type TensorData = Arrays[DType];

/** Numbers with an element type and sizes, row-major. `data` has the array type of `dtype`. */
export interface Tensor {
  readonly dtype: DType;
  readonly dims: readonly number[];
  readonly data: TensorData;
}

/** An input or an output of a model: a size is a number, or the name of one that is known only at run time. */
export interface Port {
  readonly name: string;
  readonly dtype: DType;
  readonly dims: readonly (number | string)[];
}

/** How each element type is made of numbers in f64. */
const makers = {
  f32: (values) => Float32Array.from(values),
  f64: (values) => Float64Array.from(values),
  f16: (values) => Uint16Array.from(values, halfBits),
  bf16: (values) => Uint16Array.from(values, brainBits),
  i64: (values) => BigInt64Array.from(values, whole),
  u64: (values) => BigUint64Array.from(values, whole),
  i32: (values) => Int32Array.from(values),
  u32: (values) => Uint32Array.from(values),
  i16: (values) => Int16Array.from(values),
  u16: (values) => Uint16Array.from(values),
  i8: (values) => Int8Array.from(values),
  u8: (values) => Uint8Array.from(values),
  bool: (values) => Uint8Array.from(values, (value) => (value === 0 ? 0 : 1)),
  string: (values) => Array.from(values, String),
} as const satisfies { readonly [T in DType]: (values: ArrayLike<number>) => Arrays[T] };

function whole(value: number): bigint {
  return BigInt(Math.trunc(value));
}

/** A tensor of these numbers, converted to `dtype`. */
export function tensorOf(dtype: DType, dims: readonly number[], values: ArrayLike<number>): Tensor {
  if (values.length !== count(dims)) throw new Bug(`${values.length} numbers do not fill [${dims.join(', ')}]`);
  return { dtype, dims, data: makers[dtype](values) };
}

/** An i64 tensor. */
export function integers(dims: readonly number[], values: ArrayLike<number>): Tensor {
  return tensorOf('i64', dims, values);
}

/** The numbers of a tensor in f64; integers beyond 2^53 lose their last digits. */
export function numbersOf({ dtype, data }: Tensor): Float64Array {
  if (dtype === 'f16') return Float64Array.from(data as Uint16Array, halfValue);
  if (dtype === 'bf16') return Float64Array.from(data as Uint16Array, brainValue);
  return Float64Array.from<number | bigint | string>(data as ArrayLike<number | bigint | string>, Number);
}

/** The numbers of a tensor as f32, without a copy where they are f32 already. */
export function floatsOf(tensor: Tensor): Float32Array {
  return tensor.data instanceof Float32Array ? tensor.data : Float32Array.from(numbersOf(tensor));
}

/** The same numbers as a plain array in f64. */
export function toNdArray(tensor: Tensor): NdArray {
  return { dtype: tensor.dtype, dims: tensor.dims, data: numbersOf(tensor) };
}

/** The same numbers as a tensor of the array's element type. */
export function fromNdArray(array: NdArray): Tensor {
  return tensorOf(array.dtype, array.dims, array.data);
}

/** The number that sixteen bits of IEEE 754 binary16 stand for. */
export function halfValue(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** The binary16 bits nearest to a number, ties to even; too large is infinity. */
export function halfBits(value: number): number {
  if (Number.isNaN(value)) return 0x7e00;
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (size >= 65520) return sign | 0x7c00;
  const exponent = Math.max(-14, Math.floor(Math.log2(size || Number.MIN_VALUE)));
  const units = roundToEven(size / 2 ** (exponent - 10));
  return sign | (exponent === -14 ? units : ((exponent + 14) << 10) + units);
}

function roundToEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below;
}

const scratch = new DataView(new ArrayBuffer(4));

function brainValue(bits: number): number {
  scratch.setUint32(0, bits << 16);
  return scratch.getFloat32(0);
}

function brainBits(value: number): number {
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  return Number.isNaN(value) ? 0x7fc0 : (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}
