/** Types of inputs and results as the generated client writes them in TypeScript. */

import type { DType } from '../graph/type.ts';
import { typeOf } from '../run/inputs.ts';
import type { Port } from '../run/tensor.ts';

/** Element types by onnxruntime's names. */
export const tensorTypes = {
  f32: 'float32',
  f64: 'float64',
  f16: 'float16',
  bf16: 'float16',
  i64: 'int64',
  u64: 'uint64',
  i32: 'int32',
  u32: 'uint32',
  i16: 'int16',
  u16: 'uint16',
  i8: 'int8',
  u8: 'uint8',
  bool: 'bool',
  string: 'string',
} as const satisfies Readonly<Record<DType, string>>;

/** What a list for an input is made of; nothing where only tensors will do. */
const leaves = {
  f32: 'number',
  f64: 'number',
  f16: undefined,
  bf16: undefined,
  i64: 'number | bigint',
  u64: 'number | bigint',
  i32: 'number',
  u32: 'number',
  i16: 'number',
  u16: 'number',
  i8: 'number',
  u8: 'number',
  bool: 'boolean',
  string: 'string',
} as const satisfies Readonly<Record<DType, string | undefined>>;

/** A property name, quoted where it is no identifier. */
export function propertyName(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : quotedText(name);
}

/** A text as a literal in single quotes. */
export function quotedText(text: string): string {
  return `'${JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'")}'`;
}

/** What may be given for an input: a tensor, or lists in lists. */
export function inputType({ dtype, dims, open }: Port): string {
  const tensor = `TypedTensor<'${tensorTypes[dtype]}'>`;
  const leaf = leaves[dtype];
  if (leaf === undefined || open || dims.some((size) => size === 0)) return tensor;
  return `${tensor} | ${dims.reduce<string>((inner) => `readonly ${inner.includes(' ') ? `(${inner})` : inner}[]`, leaf)}`;
}

/** The type of a result: its elements, and its sizes by name. */
export function outputType({ dtype, dims, open }: Port): string {
  if (open) return `TypedTensor<'${tensorTypes[dtype]}'>`;
  const tensor = `TypedTensor<'${tensorTypes[dtype]}'>`;
  return `${tensor} & { readonly dims: readonly [${dims.map(sizeType).join(', ')}] }`;
}

/** A size in a tuple: the number, or its name where it is known at run time. */
function sizeType(size: number | string, axis: number): string {
  const label = typeof size === 'string' && /^[A-Za-z_]\w*$/.test(size) ? size : `size_${axis}`;
  return `${label}: ${typeof size === 'number' ? size : 'number'}`;
}

/** The type in words, for doc comments: `i64[batch_size, sequence_length]`. */
export function spelled(port: Port): string {
  return `\`${typeOf(port)}\``;
}
