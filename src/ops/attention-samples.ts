/** Shapes and masks that `attend` is tried with: grouped heads, steps, padding, windows, chunks, caps, biases, sinks. */

import { type NdArray, ndArray } from '../graph/nd-array.ts';
import type { Sample } from '../graph/op.ts';

const bools = (dims: readonly number[], words: string): NdArray => ndArray(dims, Array.from(words.replaceAll(' ', ''), Number), 'bool');

const square = { q: [2, 4, 3, 2], k: [2, 2, 3, 2], v: [2, 2, 3, 5] } as const;
const step = { q: [2, 2, 2, 4], k: [2, 1, 5, 4], v: [2, 1, 5, 4] } as const;

/** Inputs and settings of `attend`: every mask, shared keys, a step. */
export const attendSamples: readonly Sample[] = [
  { inputs: { q: [2, 2, 3, 4], k: [2, 2, 3, 4], v: [2, 2, 3, 4] } },
  { inputs: square, attrs: { causal: true } },
  { inputs: step, attrs: { causal: true } },
  { inputs: { q: [2, 5, 2], k: [2, 5, 2], v: [2, 5, 2] }, attrs: { causal: true, window: 2 } },
  { inputs: step, attrs: { causal: true, window: 3 } },
  { inputs: { q: [1, 2, 6, 2], k: [1, 1, 6, 2], v: [1, 1, 6, 2] }, attrs: { causal: true, chunk: 4 } },
  { inputs: { ...square, keep: bools([2, 3], '111 011') } },
  { inputs: { ...square, keep: bools([2, 3], '111 001') }, attrs: { causal: true } },
  { inputs: { ...square, keep: bools([3, 3], '110 000 011') } },
  { inputs: { ...square, keep: bools([2, 3, 3], '110 011 111 000 100 101') }, attrs: { scale: 0.3 } },
  { inputs: { ...square, bias: [4, 3, 3] }, attrs: { softcap: 1.5 } },
  { inputs: { ...square, sinks: [4] }, attrs: { causal: true } },
  { inputs: { ...square, sinks: [4], keep: bools([2, 3], '000 110') } },
  { inputs: { q: [2, 3, 1, 2, 4], k: [2, 1, 1, 3, 4], v: [2, 1, 1, 3, 4] }, attrs: { causal: true } },
  { inputs: { q: [1, 1, 3, 2], k: [1, 1, 2, 2], v: [1, 1, 2, 2] }, attrs: { causal: true } },
];
