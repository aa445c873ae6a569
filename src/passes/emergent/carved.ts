/** Experts as CMoE carves them: those neurons that fire most are shared, the others are assigned to experts by which tokens they fire on. */

import { assignBalanced } from './assignment.ts';
import { type Grouping, groupingOf, mostImportant, others, sharedBeside } from './grouping.ts';
import { matrix } from './matrix.ts';
import { type Profile, pickNeurons, rates } from './profile.ts';

/** How a feed-forward is carved. */
export interface CarveOptions {
  /** Experts besides the shared one. */
  readonly experts: number;
  /** Neurons of the shared expert. */
  readonly shared: number;
  /** Rounds of assignment and means; CMoE's own code makes one. */
  readonly rounds: number;
}

/** A grouping, and the neuron that stands for each expert in the router. */
export interface Carved {
  readonly grouping: Grouping;
  /** [experts], indices of neurons. */
  readonly representatives: Int32Array;
}

/**
 * CMoE's construction (`construct_moe` and `construct_experts_k_means` of its code): the shared expert has the neurons with the
 * highest rates; centroids start as the marks of the next highest; balanced assignment by L1 distance; centroids are means; the
 * representative is the member nearest to the centroid. The assignment is exact. O(marks · experts) a round.
 */
export function carve(profile: Profile, { experts, shared, rounds }: CarveOptions): Carved {
  const neurons = profile.hits.length;
  const rest = others(neurons, mostImportant(rates(profile), shared));
  const routed = pickNeurons(profile, rest);
  const sizes = new Array<number>(experts).fill(rest.length / experts);
  let centroids = Array.from(byRate(routed).slice(0, experts), (i) => centroidOf(pickNeurons(routed, [i])));
  let labels: Int32Array = new Int32Array(rest.length);
  for (let round = 0; round < rounds; round++) {
    const costs = matrix(rest.length, experts, distances(routed, centroids));
    labels = assignBalanced(costs, sizes).labels;
    centroids = centroids.map((_, expert) => centroidOf(pickNeurons(routed, membersOf(labels, expert))));
  }
  const final = distances(routed, centroids);
  const representatives = Int32Array.from(centroids, (_, expert) => {
    const far = (i: number): number => final[i * experts + expert] as number;
    return rest[membersOf(labels, expert).reduce((best, i) => (far(i) < far(best) ? i : best))] as number;
  });
  return { grouping: groupingOf(sharedBeside(neurons, rest, labels), experts), representatives };
}

/** Neurons from the highest rate to the lowest; of equals the lower index first. */
function byRate({ hits }: Profile): readonly number[] {
  return hits.map((_, i) => i).sort((a, b) => (hits[b]?.length ?? 0) - (hits[a]?.length ?? 0) || a - b);
}

const membersOf = (labels: Int32Array, expert: number): readonly number[] => Array.from(labels.keys()).filter((i) => labels[i] === expert);

/** The mean of the marks of neurons: for each token the share of them that it marks. */
function centroidOf({ tokens, hits }: Profile): Float64Array {
  const centroid = new Float64Array(tokens);
  for (const list of hits) for (const token of list) centroid[token] = (centroid[token] as number) + 1 / hits.length;
  return centroid;
}

/** L1 distances [neurons, centroids]: Σ c over all tokens, and 1 − 2c more for every token that marks the neuron, as marks are 0 or 1 and c lies between. */
function distances({ hits }: Profile, centroids: readonly Float64Array[]): Float32Array {
  const far = new Float32Array(hits.length * centroids.length);
  for (const [c, centroid] of centroids.entries()) {
    const all = centroid.reduce((sum, one) => sum + one, 0);
    for (const [i, list] of hits.entries()) far[i * centroids.length + c] = list.reduce((sum, token) => sum + 1 - 2 * (centroid[token] as number), all);
  }
  return far;
}
