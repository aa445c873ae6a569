/** What every way of grouping gives: which expert each neuron of a feed-forward belongs to. */

import { Bug } from '../../diagnostics/bug.ts';

/** Neurons in experts of one size, and those that always run. */
export interface Grouping {
  readonly experts: number;
  /** Neurons of each expert. */
  readonly size: number;
  /** Neurons of the shared expert. */
  readonly shared: number;
  /** [experts · size + shared]: 0 … experts − 1, or −1 for a neuron of the shared expert. */
  readonly labels: Int32Array;
}

/** The grouping of these labels, with −1 for shared neurons. Every expert must have the same number of neurons. */
export function groupingOf(labels: Int32Array, experts: number): Grouping {
  const counts = new Int32Array(experts);
  let shared = 0;
  for (const label of labels) {
    if (label < -1 || label >= experts) throw new Bug(`a neuron is in expert ${label} of ${experts}`);
    if (label === -1) shared++;
    else counts[label] = (counts[label] as number) + 1;
  }
  const size = (labels.length - shared) / experts;
  if (counts.some((count) => count !== size)) throw new Bug('experts differ in size', counts.join(', '));
  return { experts, size, shared, labels };
}

/** The neurons of every expert, each in ascending order, one expert after the other, and the shared ones at the end: [neurons]. */
export function permutationOf({ experts, size, shared, labels }: Grouping): Int32Array {
  const order = new Int32Array(experts * size + shared);
  const next = Int32Array.from({ length: experts + 1 }, (_, expert) => expert * size);
  for (const [neuron, label] of labels.entries()) {
    const expert = label < 0 ? experts : label;
    const place = next[expert] as number;
    order[place] = neuron;
    next[expert] = place + 1;
  }
  return order;
}

/** The neurons of each expert, ascending. */
export function neuronsByExpert(grouping: Grouping): readonly Int32Array[] {
  const { experts, size } = grouping;
  const order = permutationOf(grouping);
  return Array.from({ length: experts }, (_, expert) => order.subarray(expert * size, (expert + 1) * size));
}

/** The neurons with the largest importance, ascending; of equals those with the lower index. */
export function mostImportant(importance: ArrayLike<number>, count: number): Int32Array {
  const order = Array.from(importance, (_, i) => i).sort((a, b) => (importance[b] as number) - (importance[a] as number) || a - b);
  return Int32Array.from(order.slice(0, count)).sort();
}

/** The neurons out of `neurons` that are not in `apart`, ascending. */
export function others(neurons: number, apart: ArrayLike<number>): Int32Array {
  const taken = new Set(Array.from(apart));
  return Int32Array.from({ length: neurons }, (_, i) => i).filter((i) => !taken.has(i));
}

/** Labels of all neurons from labels of some of them (`indices`, ascending): the others are shared. */
export function sharedBeside(neurons: number, indices: Int32Array, labels: Int32Array): Int32Array {
  const all = new Int32Array(neurons).fill(-1);
  for (const [i, neuron] of indices.entries()) all[neuron] = labels[i] as number;
  return all;
}
