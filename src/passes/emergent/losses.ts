/** What a feed-forward loses, token by token, when one of its experts is not picked: the target of scores that look at errors. */

import { Bug } from '../../diagnostics/bug.ts';
import { graphBuilder } from '../../graph/builder.ts';
import type { Compute, Numbers } from '../../graph/compute.ts';
import { symbol } from '../../graph/dim.ts';
import { type Graph, value } from '../../graph/graph.ts';
import { scalar } from '../../graph/nd-array.ts';
import { tensor } from '../../graph/type.ts';
import { sqrt } from '../../ops/activations.ts';
import { maximum, mul } from '../../ops/elementwise.ts';
import { matmul } from '../../ops/matmul.ts';
import { sum } from '../../ops/reduce.ts';
import { transpose } from '../../ops/shape.ts';
import { type Grouping, neuronsByExpert, permutationOf } from './grouping.ts';
import { below as belowAll, everyRow, type Matrix, matrix, pickColumns, pickRows, row, transposed } from './matrix.ts';
import type { Repair } from './repair.ts';

/**
 * ‖Eₑ(x) − Lₑ(x)‖ for inputs x [T, D], hidden values h [T, F] in the same batches and down [F, D], with Lₑ = 0 where there is no repair: [T, experts].
 * Of each batch only every `every`-th row counts.
 * The squared length of l·R is l·(R·Rᵀ)·lᵀ, for a row l = [h, x · project, 1] and R = [down; −expand; −means] of each expert: one product
 * [T, m + r + 1] · [m + r + 1, m + r + 1], which is small beside the expert itself. In f32, and one batch at a time.
 */
export async function lossesWithout(
  x: readonly Matrix[],
  h: readonly Matrix[],
  down: Matrix,
  grouping: Grouping,
  repair: Repair | undefined,
  compute: Compute,
  every = 1,
): Promise<Matrix> {
  const { experts, size } = grouping;
  const order = permutationOf(grouping);
  const rights = Array.from({ length: experts }, (_, expert) => {
    const own = pickRows(down, order.subarray(expert * size, (expert + 1) * size));
    return repair ? below(own, repair, expert) : own;
  });
  const m = rights[0]?.rows ?? 0;
  const { grams } = await compute.run(gramsGraph, { rights: numbers([experts, m, down.columns], stacked(rights)) });
  if (!grams) throw new Bug('losses without products');
  const parts: Matrix[] = [];
  let lefts = new Float32Array();
  for (const [i, batch] of h.entries()) {
    const tokens = everyRow(batch.rows, every);
    const places = repair && repair.project.columns > 0 ? await compute.product(pickRows(x[i] as Matrix, tokens), repair.project) : matrix(tokens.length, 0);
    const length = experts * tokens.length * m;
    if (lefts.length !== length) lefts = new Float32Array(length);
    fillLefts(lefts, batch, tokens, order, { experts, size, places, m });
    const { losses } = await compute.run(lossesGraph, { lefts: numbers([experts, tokens.length, m], lefts), grams });
    if (!losses) throw new Bug('losses without a result');
    parts.push(transposed(matrix(experts, tokens.length, Float32Array.from(losses.data))));
  }
  return belowAll(parts);
}

const numbers = (dims: readonly number[], data: Float32Array): Numbers => ({ dtype: 'f32', dims, data });

const stacked = (parts: readonly Matrix[]): Float32Array => belowAll(parts).data;

/** Makes `lefts` the rows [h, x · project, 1] of some tokens, expert by expert, as far as they have `m` numbers: [experts, T, m]. */
function fillLefts(
  lefts: Float32Array,
  h: Matrix,
  tokens: Int32Array,
  order: Int32Array,
  { experts, size, places, m }: { readonly experts: number; readonly size: number; readonly places: Matrix; readonly m: number },
): void {
  const rank = places.columns;
  for (let t = 0; t < tokens.length; t++) {
    const from = (tokens[t] as number) * h.columns;
    for (let expert = 0; expert < experts; expert++) {
      const at = (expert * tokens.length + t) * m;
      for (let i = 0; i < size; i++) lefts[at + i] = h.data[from + (order[expert * size + i] as number)] as number;
      for (let i = 0; i < rank; i++) lefts[at + size + i] = places.data[t * rank + i] as number;
      if (m > size) lefts[at + m - 1] = 1;
    }
  }
}

/** R [E, M, D] → R·Rᵀ, [E, M, M]. */
const gramsGraph = ((): Graph => {
  const build = graphBuilder();
  const rights = value('rights', tensor('f32', [symbol('E'), symbol('M'), symbol('D')]));
  const grams = build.one(matmul, [rights, build.one(transpose, [rights])], {}, 'grams');
  return build.finish({ name: 'grams', inputs: [rights], outputs: [{ name: 'grams', value: grams }], weights: [] });
})();

/** l [E, T, M] and R·Rᵀ [E, M, M] → ‖l·R‖, [E, T]. */
const lossesGraph = ((): Graph => {
  const build = graphBuilder();
  const lefts = value('lefts', tensor('f32', [symbol('E'), symbol('T'), symbol('M')]));
  const grams = value('grams', tensor('f32', [symbol('E'), symbol('M'), symbol('M')]));
  const squares = build.one(sum, [build.one(mul, [lefts, build.one(matmul, [lefts, grams])])], { axis: -1 }, 'squares');
  // Rounding may leave a square a little below 0.
  const losses = build.one(sqrt, [build.one(maximum, [squares, build.constant(scalar(0))])], {}, 'losses');
  return build.finish({ name: 'losses', inputs: [lefts, grams], outputs: [{ name: 'losses', value: losses }], weights: [] });
})();

/** Eₑ(x) − Lₑ(x), [T, D], expert by expert: one product each. */
export async function* restsWithout(x: Matrix, h: Matrix, down: Matrix, grouping: Grouping, repair: Repair | undefined, compute: Compute): AsyncGenerator<Matrix> {
  for await (const [left, right] of factorsOf(x, h, down, grouping, repair, compute)) yield await compute.product(left, right);
}

/** [h, x · project, 1], [T, m + r + 1], and [down; −expand; −means], [m + r + 1, D], expert by expert. */
async function* factorsOf(x: Matrix, h: Matrix, down: Matrix, grouping: Grouping, repair: Repair | undefined, compute: Compute): AsyncGenerator<readonly [Matrix, Matrix]> {
  const rank = repair?.project.columns ?? 0;
  const places = repair && rank > 0 ? await compute.product(x, repair.project) : matrix(h.rows, 0);
  for (const [expert, neurons] of neuronsByExpert(grouping).entries()) {
    const own = pickRows(down, neurons);
    yield repair ? [beside(pickColumns(h, neurons), places), below(own, repair, expert)] : [pickColumns(h, neurons), own];
  }
}

/** [h, z, 1] */
function beside(h: Matrix, z: Matrix): Matrix {
  const all = matrix(h.rows, h.columns + z.columns + 1);
  for (let t = 0; t < h.rows; t++) {
    const line = row(all, t);
    line.set(row(h, t));
    line.set(row(z, t), h.columns);
    line[line.length - 1] = 1;
  }
  return all;
}

/** The rows of `down`, and with the other sign those of the stand-in. */
function below(own: Matrix, { means, project, expand }: Repair, expert: number): Matrix {
  const rank = project.columns;
  const all = matrix(own.rows + rank + 1, own.columns);
  all.data.set(own.data);
  for (let i = 0; i < rank; i++) all.data.set(negative(row(expand, expert * rank + i)), (own.rows + i) * own.columns);
  all.data.set(negative(row(means, expert)), (own.rows + rank) * own.columns);
  return all;
}

const negative = (line: Float32Array): Float32Array => line.map((one) => -one);
