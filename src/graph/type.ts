/** Types of values in a graph: an element type and symbolic dims. */

import { constant, type Dim, type DimLike, dim, same, show } from './dim.ts';

/** Element types, by their names in the language. */
export const dtypes = ['f32', 'f16', 'bf16', 'f64', 'i64', 'i32', 'i16', 'i8', 'u8', 'u16', 'u32', 'u64', 'bool', 'string'] as const;
/** The name of an element type. */
export type DType = (typeof dtypes)[number];

/** A tensor's element type and shape. */
export interface TensorType {
  readonly dtype: DType;
  readonly dims: readonly Dim[];
}

/** The type with these dims; numbers stand for constant sizes. */
export function tensor(dtype: DType, dims: readonly DimLike[]): TensorType {
  return { dtype, dims: dims.map((one) => (typeof one === 'number' ? dim(one) : one)) };
}

/** Whether element type, rank and every size agree. */
export function sameType(a: TensorType, b: TensorType): boolean {
  return a.dtype === b.dtype && sameDims(a.dims, b.dims);
}

/** Whether rank and every size agree. */
export function sameDims(a: readonly Dim[], b: readonly Dim[]): boolean {
  return a.length === b.length && a.every((one, i) => same(one, b[i] ?? -1));
}

/** How a dim is written in messages: the author's spelling where there is one. */
export function spell(size: Dim): string {
  return size.label ?? show(size);
}

/** The type as authors write it, `[B, S, D]` or `i64[..]`; a run of dims labelled `..` is one `..`. */
export function spellType({ dtype, dims }: TensorType): string {
  const words = dims.map(spell).filter((word, i, all) => word !== '..' || all[i - 1] !== '..');
  return `${dtype === 'f32' ? '' : dtype}[${words.join(', ')}]`;
}

/** The type by its meaning alone, for the graph text: `f32[B, S, 576]`. */
export function showType({ dtype, dims }: TensorType): string {
  return `${dtype}[${dims.map(show).join(', ')}]`;
}

/** The sizes as numbers where all are constant. */
export function constantDims(dims: readonly Dim[]): readonly number[] | undefined {
  const sizes = dims.map(constant);
  return sizes.every((size) => size !== undefined) ? sizes : undefined;
}

/** Bytes of one element; 0 for strings. */
export const bytesOf: Readonly<Record<DType, number>> = {
  f32: 4,
  f16: 2,
  bf16: 2,
  f64: 8,
  i64: 8,
  i32: 4,
  i16: 2,
  i8: 1,
  u8: 1,
  u16: 2,
  u32: 4,
  u64: 8,
  bool: 1,
  string: 0,
};
