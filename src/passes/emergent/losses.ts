/** What a feed-forward loses, token by token, when one of its experts is not picked: the target of scores that look at errors. */

import type { Compute } from '../../graph/compute.ts';
import { type Grouping, neuronsOf } from './grouping.ts';
import { type Matrix, matrix, pickColumns, pickRows, row, squaredNorms } from './matrix.ts';
import type { Repair } from './repair.ts';

/** ‖Eₑ(x) − Lₑ(x)‖ for inputs x [T, D], hidden values h [T, F] and down [F, D], with Lₑ = 0 where there is no repair: [T, experts]. */
export async function lossesWithout(x: Matrix, h: Matrix, down: Matrix, grouping: Grouping, repair: Repair | undefined, compute: Compute): Promise<Matrix> {
  const losses = matrix(h.rows, grouping.experts);
  let expert = 0;
  for await (const rest of restsWithout(x, h, down, grouping, repair, compute)) {
    for (const [t, squared] of squaredNorms(rest).entries()) losses.data[t * grouping.experts + expert] = Math.sqrt(squared);
    expert++;
  }
  return losses;
}

/**
 * Eₑ(x) − Lₑ(x), [T, D], expert by expert: one product each, [T, m + r + 1] · [m + r + 1, D] of [h, x · project, 1] and
 * [down; −expand; −means].
 */
export async function* restsWithout(x: Matrix, h: Matrix, down: Matrix, grouping: Grouping, repair: Repair | undefined, compute: Compute): AsyncGenerator<Matrix> {
  const rank = repair?.project.columns ?? 0;
  const places = repair && rank > 0 ? await compute.product(x, repair.project) : matrix(h.rows, 0);
  for (let expert = 0; expert < grouping.experts; expert++) {
    const neurons = neuronsOf(grouping, expert);
    const own = pickRows(down, neurons);
    const [left, right] = repair ? [beside(pickColumns(h, neurons), places), below(own, repair, expert)] : [pickColumns(h, neurons), own];
    yield await compute.product(left, right);
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
