/** Which neurons fire most for each token of a calibration text, as CMoE marks them: sparse, as only a few of thousands do. */

import { Bug } from '../../diagnostics/bug.ts';
import type { Compute } from '../../graph/compute.ts';
import { type Matrix, matrix, row, rowsNormalised, transposed } from './matrix.ts';

/** The marks of neurons × tokens that are 1. */
export interface Profile {
  readonly tokens: number;
  /** For each neuron the tokens that mark it, ascending. */
  readonly hits: readonly (readonly number[])[];
}

/**
 * Marks the `most` neurons with the largest |h| of every token of h [T, F]; of equals those with the lower index. Tokens follow
 * those of `before`, whose lists are reused.
 */
export function addProfile(before: Profile | undefined, h: Matrix, most: number): Profile {
  if (before && before.hits.length !== h.columns) throw new Bug('a profile of other neurons');
  const hits = (before?.hits ?? Array.from({ length: h.columns }, () => [])) as readonly number[][];
  const first = before?.tokens ?? 0;
  for (let t = 0; t < h.rows; t++) for (const neuron of largest(row(h, t), Math.min(most, h.columns))) hits[neuron]?.push(first + t);
  return { tokens: first + h.rows, hits };
}

/** Indices of the largest absolute values. */
function largest(values: Float32Array, count: number): readonly number[] {
  const kept: number[] = [];
  const size = (i: number): number => Math.abs(values[kept[i] as number] as number);
  for (let neuron = 0; neuron < values.length; neuron++) {
    const one = Math.abs(values[neuron] as number);
    if (kept.length === count && (count === 0 || one <= size(count - 1))) continue;
    let place = kept.length;
    while (place > 0 && one > size(place - 1)) place--;
    kept.splice(place, 0, neuron);
    if (kept.length > count) kept.pop();
  }
  return kept;
}

/** Each neuron's share of the tokens that mark it: μ of CMoE, [F]. */
export function rates({ tokens, hits }: Profile): Float64Array {
  return Float64Array.from(hits, (list) => list.length / Math.max(1, tokens));
}

/** The same marks of some of the neurons. */
export function pickNeurons({ tokens, hits }: Profile, indices: ArrayLike<number>): Profile {
  return { tokens, hits: Array.from(indices, (i) => hits[i] ?? []) };
}

/**
 * What CMoE profiles: silu(x̂·ĝᵢ) · (x̂·ûᵢ) for tokens x [T, D] and rows of gate and up [F, D], all of length 1: [T, F].
 * A plain feed-forward has no `up`; its hidden values are silu(x̂·ĝᵢ), as a marking looks at their order alone.
 */
export async function cosineHidden(x: Matrix, gate: Matrix, up: Matrix | undefined, compute: Compute): Promise<Matrix> {
  const unit = rowsNormalised(x);
  const hidden = await compute.product(unit, transposed(rowsNormalised(gate)));
  const lifted = up && (await compute.product(unit, transposed(rowsNormalised(up))));
  const silu = (g: number): number => g / (1 + Math.exp(-g));
  return matrix(
    hidden.rows,
    hidden.columns,
    hidden.data.map((g, i) => silu(g) * (lifted ? (lifted.data[i] as number) : 1)),
  );
}
