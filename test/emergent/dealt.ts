/** Small models and conversions of their feed-forwards that deal the neurons out by number, for tests of what is made of them. */

import { ndArray } from '../../src/graph/nd-array.ts';
import type { Conversion } from '../../src/passes/emergent/conversion.ts';
import type { FeedForward } from '../../src/passes/feed-forwards.ts';
import type { Found } from '../../src/run/find-model.ts';
import { zooModel } from '../running.ts';

/** Gated, with biases, plain. */
export const models: readonly (readonly [string, Found])[] = [
  ['llama', zooModel('llama', { model: 'Llama', set: { V: '32', D: '16', H: '24', L: '2', N: '4', G: '2' } })],
  ['llama with biases', zooModel('llama', { model: 'Llama', set: { V: '32', D: '16', H: '24', L: '2', N: '4', G: '2', mlp_bias: 'true' } })],
  ['gpt2', zooModel('gpt2', { set: { V: '32', P: '16', D: '16', H: '24', L: '2', N: '4' } })],
];

/** Numbers without a pattern that experts could share, whose sums are exact in f32. */
export const wave = (n: number, speed: number): Float64Array => Float64Array.from({ length: n }, (_, i) => Math.round(Math.sin((i + 1) * speed) * 64) / 64);

/** What is asked of a conversion. */
export interface Asked {
  readonly experts: number;
  readonly picks: number;
  readonly shared?: number;
  /** Of what stands in for experts; means alone are of rank 0. Nothing stands in where it is left out. */
  readonly rank?: number;
  /** Experts with scores up to it are not picked. */
  readonly above?: number;
}

/** The order that lays the neurons of each expert side by side; labels are expert numbers, -1 for shared neurons. Experts keep the order of their neurons and are filled up with zeros. */
export function orderOf(labels: ArrayLike<number>, experts: number, size: number): { readonly order: readonly number[]; readonly shared: readonly number[] } {
  const members: number[][] = Array.from({ length: experts }, () => []);
  const shared: number[] = [];
  for (let i = 0; i < labels.length; i++) (members[labels[i] ?? -1] ?? shared).push(i);
  return { order: members.flatMap((list) => [...list, ...Array.from({ length: size - list.length }, () => -1)]), shared };
}

/** The first neurons are shared, the others dealt in steps of seven; the last expert may be filled up. */
export function conversionOf({ path, width, neurons }: FeedForward, { experts, picks, shared = 0, rank, above }: Asked): Conversion {
  const size = Math.ceil((neurons - shared) / experts);
  const labels = Array.from({ length: neurons }, (_, i) => (i < shared ? -1 : Math.floor((((i - shared) * 7) % (neurons - shared)) / size)));
  return {
    path,
    experts,
    size,
    ...orderOf(labels, experts, size),
    picks,
    ...(above === undefined ? {} : { threshold: { score: above, mean: picks } }),
    router: { kind: 'linear', weight: ndArray([width, experts], wave(width * experts, 12.9898)), bias: ndArray([experts], wave(experts, 4.1)) },
    ...(rank === undefined
      ? {}
      : { repair: { projection: ndArray([width, rank], wave(width * rank, 7.7)), maps: ndArray([experts, rank + 1, width], wave(experts * (rank + 1) * width, 3.3)) } }),
  };
}

/** With neurons that always run, experts that are filled up, stand-ins, thresholds. */
export const cases: readonly Asked[] = [
  { experts: 4, picks: 2 },
  { experts: 5, picks: 2 },
  { experts: 4, picks: 1, shared: 4 },
  { experts: 3, picks: 2, rank: 3 },
  { experts: 5, picks: 3, shared: 2, rank: 3 },
  { experts: 4, picks: 2, rank: 0 },
  { experts: 5, picks: 3, shared: 2, rank: 0 },
  { experts: 5, picks: 4, above: 0 },
  { experts: 5, picks: 4, shared: 2, rank: 3, above: 0.25 },
  { experts: 5, picks: 4, shared: 2, rank: 0, above: 0.25 },
];
