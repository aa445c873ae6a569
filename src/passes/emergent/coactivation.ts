/** Experts of neurons that fire together: a balanced partition of the graph of co-activations, as MoEfication makes with METIS. */

import { Bug } from '../../diagnostics/bug.ts';
import type { Compute } from '../../graph/compute.ts';
import { addPulls, exchangeAll, type Partition } from './exchange.ts';
import { type Matrix, matrix, row, transposed } from './matrix.ts';

/** How often, or how strongly, pairs of neurons fire on the same tokens: Σ aᵢ·aⱼ over the tokens of activity a [F, T] ≥ 0 (marks, or |h|), [F, F]. */
export async function coactivations(activity: Matrix, compute: Compute): Promise<Matrix> {
  return compute.product(activity, transposed(activity));
}

/** A partition on the way, its neurons in no expert (−1) at first. */
interface Growing extends Partition {
  /** [F]: weight between a neuron and those in no expert yet. */
  readonly free: Float64Array;
}

/**
 * Experts of equal size with much weight inside, from symmetric weights [F, F]: labels [F]. Experts grow one after the other by
 * the neuron that is pulled most, then neurons of two experts change places as long as that adds weight inside (Kernighan and Lin
 * 1970, each exchange kept as it is found), at most `passes` times over all neurons. O(F²) a pass and O(F) an exchange.
 */
export function coactivation(weights: Matrix, experts: number, passes: number): Int32Array {
  const n = weights.rows;
  if (weights.columns !== n || n % experts !== 0) throw new Bug(`${experts} experts of weights [${n}, ${weights.columns}]`);
  const partition: Growing = {
    weights,
    labels: new Int32Array(n).fill(-1),
    pulls: matrix(n, experts),
    free: Float64Array.from({ length: n }, (_, i) => row(weights, i).reduce((sum, weight) => sum + weight, 0)),
  };
  for (let expert = 0; expert < experts; expert++) grow(partition, expert, n / experts);
  exchangeAll(partition, passes);
  return partition.labels;
}

function grow(partition: Growing, expert: number, size: number): void {
  const { weights, labels, pulls, free } = partition;
  for (let count = 0; count < size; count++) {
    let [best, most] = [-1, Number.NEGATIVE_INFINITY];
    for (const [i, label] of labels.entries()) {
      if (label !== -1) continue;
      const pull = (count === 0 ? free[i] : pulls.data[i * pulls.columns + expert]) as number;
      if (pull > most) [best, most] = [i, pull];
    }
    labels[best] = expert;
    for (const [i, weight] of row(weights, best).entries()) free[i] = (free[i] as number) - weight;
    addPulls(partition, best, expert, 1);
  }
}
