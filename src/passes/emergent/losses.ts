/** What a feed-forward loses, token by token, when one of its experts is not picked: the target of scores that look at errors. */

import type { Compute } from '../../graph/compute.ts';
import { type Grouping, neuronsOf } from './grouping.ts';
import { type Matrix, matrix, pickColumns, pickRows, row, transposed } from './matrix.ts';
import type { Repair } from './repair.ts';

/**
 * ‖Eₑ(x) − Lₑ(x)‖ for inputs x [T, D], hidden values h [T, F] and down [F, D], with Lₑ = 0 where there is no repair: [T, experts].
 * The squared length of l·R is l·(R·Rᵀ)·lᵀ, for a row l = [h, x · project, 1] and R = [down; −expand; −means] of each expert: one product
 * [T, m + r + 1] · [m + r + 1, m + r + 1], which is small beside the expert itself.
 */
export async function lossesWithout(x: Matrix, h: Matrix, down: Matrix, grouping: Grouping, repair: Repair | undefined, compute: Compute): Promise<Matrix> {
  const losses = matrix(h.rows, grouping.experts);
  let expert = 0;
  for await (const [left, right] of factorsOf(x, h, down, grouping, repair, compute)) {
    const turned = await compute.product(left, await compute.product(right, transposed(right)));
    for (let t = 0; t < h.rows; t++) losses.data[t * grouping.experts + expert] = Math.sqrt(Math.max(0, dot(row(left, t), row(turned, t))));
    expert++;
  }
  return losses;
}

/** Eₑ(x) − Lₑ(x), [T, D], expert by expert: one product each. */
export async function* restsWithout(x: Matrix, h: Matrix, down: Matrix, grouping: Grouping, repair: Repair | undefined, compute: Compute): AsyncGenerator<Matrix> {
  for await (const [left, right] of factorsOf(x, h, down, grouping, repair, compute)) yield await compute.product(left, right);
}

/** [h, x · project, 1], [T, m + r + 1], and [down; −expand; −means], [m + r + 1, D], expert by expert. */
async function* factorsOf(x: Matrix, h: Matrix, down: Matrix, grouping: Grouping, repair: Repair | undefined, compute: Compute): AsyncGenerator<readonly [Matrix, Matrix]> {
  const rank = repair?.project.columns ?? 0;
  const places = repair && rank > 0 ? await compute.product(x, repair.project) : matrix(h.rows, 0);
  for (let expert = 0; expert < grouping.experts; expert++) {
    const neurons = neuronsOf(grouping, expert);
    const own = pickRows(down, neurons);
    yield repair ? [beside(pickColumns(h, neurons), places), below(own, repair, expert)] : [pickColumns(h, neurons), own];
  }
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number);
  return sum;
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
