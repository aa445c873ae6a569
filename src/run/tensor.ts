/** Tensors as they cross the border of a session: typed arrays with an element type and sizes. */

import { Bug } from '../diagnostics/bug.ts';
import { constant, show } from '../graph/dim.ts';
import { count, type NdArray } from '../graph/nd-array.ts';
import type { DType, TensorType } from '../graph/type.ts';
import { fromBf16, fromF16, toBf16, toF16 } from '../weights/elements.ts';

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
  /** Set where not even the number of sizes is known; `dims` is empty then. */
  readonly open?: true;
}

/** The port of a value of that type. */
export function typedPort(name: string, { dtype, dims }: TensorType): Port {
  return { name, dtype, dims: dims.map((size) => constant(size) ?? show(size)) };
}

/** How each element type is made of numbers in f64. */
const makers = {
  f32: (values) => new Float32Array(values),
  f64: (values) => new Float64Array(values),
  f16: (values) => Uint16Array.from(values, toF16),
  bf16: (values) => Uint16Array.from(values, toBf16),
  i64: (values) => BigInt64Array.from(values, whole),
  u64: (values) => BigUint64Array.from(values, whole),
  i32: (values) => new Int32Array(values),
  u32: (values) => new Uint32Array(values),
  i16: (values) => new Int16Array(values),
  u16: (values) => new Uint16Array(values),
  i8: (values) => new Int8Array(values),
  u8: (values) => new Uint8Array(values),
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
  if (dtype === 'f16') return Float64Array.from(data as Uint16Array, fromF16);
  if (dtype === 'bf16') return Float64Array.from(data as Uint16Array, fromBf16);
  // The constructor copies between arrays of numbers at once; `from` goes through an iterator.
  if (ArrayBuffer.isView(data) && !(data instanceof BigInt64Array) && !(data instanceof BigUint64Array)) return new Float64Array(data);
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
