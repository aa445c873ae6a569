/** Groupings that look at nothing: what the others have to beat. */

import { draws, shuffled } from './draws.ts';

/** Neurons 0 … m − 1 to expert 0, the next m to expert 1 and so on: [neurons]. What EMoE's own code calls random. */
export function contiguous(neurons: number, experts: number): Int32Array {
  return Int32Array.from({ length: neurons }, (_, i) => Math.floor((i * experts) / neurons));
}

/** Experts of equal size drawn at random: [neurons]. */
export function random(neurons: number, experts: number, seed: number): Int32Array {
  const labels = new Int32Array(neurons);
  for (const [place, neuron] of shuffled(neurons, draws(seed)).entries()) labels[neuron] = Math.floor((place * experts) / neurons);
  return labels;
}
