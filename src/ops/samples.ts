/** Shapes that many ops are tried with. */

import { ndArray } from '../graph/nd-array.ts';
import type { Sample } from '../graph/op.ts';

/** One argument: a vector, a matrix, four axes, a scalar. */
export function axesSamples(range?: readonly [number, number]): readonly Sample[] {
  return [[5], [2, 3], [2, 1, 3, 2], []].map((x) => ({ inputs: { x }, ...(range ? { range } : {}) }));
}

/** Two arguments a and b: equal, broadcast on either side, against a scalar. */
export function binarySamples(range?: readonly [number, number]): readonly Sample[] {
  const pairs: readonly (readonly [readonly number[], readonly number[]])[] = [
    [
      [2, 3],
      [2, 3],
    ],
    [[2, 3, 4], [4]],
    [
      [2, 1, 4],
      [3, 1],
    ],
    [[], [2, 2]],
  ];
  return pairs.map(([a, b]) => ({ inputs: { a, b }, ...(range ? { range } : {}) }));
}

/** Two arguments a and b of whole numbers, b never 0. */
export const integerSamples: readonly Sample[] = [{ inputs: { a: ndArray([2, 3], [7, -7, 3, 0, 5, -1], 'i64'), b: ndArray([3], [2, 3, -2], 'i64') } }];
