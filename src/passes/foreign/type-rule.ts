/** What types of results are told by: one node, and sizes that nobody knows. The rules that many ops share. */

import { type Dim, dim, same as isSame, constant as sizeOf } from '../../graph/dim.ts';
import type { DType, TensorType } from '../../graph/type.ts';
import { onnxTypes } from '../../ops/onnx-types.ts';
import { type Call, stay } from './call.ts';

/** A size that nobody knows. */
export type Fresh = () => Dim;

/** The types of a node's results, as far as they are known. */
export type TypeRule = (call: Call, fresh: Fresh) => readonly (TensorType | undefined)[];

/** Whole numbers of these sizes. */
export const i64 = (dims: readonly Dim[]): TensorType => ({ dtype: 'i64', dims });

const dtypes = new Map<number, DType>(Object.entries(onnxTypes).map(([dtype, number]) => [number, dtype as DType]));

/** The element type that an attribute names; `otherwise` where it is left out. */
export function namedType(call: Call, name: string, otherwise?: DType): DType {
  const number = call.int(name, 0);
  return (number === 0 ? otherwise : dtypes.get(number)) ?? stay();
}

/** As input 0, in all or under another element type. */
export const same =
  (dtype?: DType): TypeRule =>
  (call) => [dtype === undefined ? call.type(0) : { dtype, dims: call.type(0).dims }];

/** As far as it is known what sizes broadcast to. */
export function met(all: readonly (readonly Dim[])[], fresh: Fresh): readonly Dim[] {
  const rank = Math.max(...all.map((dims) => dims.length));
  return Array.from({ length: rank }, (_, i) => {
    const sizes = all.flatMap((dims) => dims[i - rank + dims.length] ?? []);
    const large = sizes.filter((size) => sizeOf(size) !== 1);
    const [first = dim(1), ...others] = large;
    const known = large.find((size) => sizeOf(size) !== undefined);
    return known ?? (others.every((size) => isSame(size, first)) ? first : fresh());
  });
}

/** Broadcast; of the element type of the last input, or another. */
export const broadcasted =
  (dtype?: DType): TypeRule =>
  (call, fresh) => {
    const types = call.values().map((_, i) => call.type(i));
    return [
      {
        dtype: dtype ?? types.at(-1)?.dtype ?? stay(),
        dims: met(
          types.map(({ dims }) => dims),
          fresh,
        ),
      },
    ];
  };

/** One rule for several ops, of another domain where that is given with a dot behind it. */
export const rows = (names: string, rule: TypeRule, domain = ''): Readonly<Record<string, TypeRule>> =>
  Object.fromEntries(
    names
      .trim()
      .split(/\s+/)
      .map((name) => [`${domain}${name}`, rule]),
  );
