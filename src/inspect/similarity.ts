/** Cosines between experts: of whole matrices, of their mean neurons, and neuron by neuron once these are put in the same order. */

import { Bug } from '../diagnostics/bug.ts';
import type { DType } from '../graph/type.ts';
import type { Checkpoint } from '../weights/checkpoint.ts';
import { fromBytes } from '../weights/elements.ts';
import { sourceArray, sourceBytes } from '../weights/source.ts';
import { assign, kendallTau } from './assignment.ts';
import type { ExpertMatrix } from './expert-matrices.ts';

/** Numbers for pairs of experts, [experts][experts]. */
export type Pairs = readonly (readonly number[])[];

/** Cosines of one matrix between all experts. */
export interface Likeness {
  /** cos(vec Wᵢ, vec Wⱼ): matrix level. */
  readonly whole: Pairs;
  /** The same of the mean over neurons: neuron level, averaging. */
  readonly averaged: Pairs;
}

/** Reads every expert once, side by side in pieces of a few MB: memory is bounded by experts × piece. */
export function likenessOf(matrix: ExpertMatrix, experts: number, checkpoint: Checkpoint | undefined): Likeness {
  const sources = Array.from({ length: experts }, (_, e) => matrix.source(e));
  const streams = sources.map((source) => sourceBytes(source, checkpoint));
  const products = square(experts);
  const means = sources.map(() => new Float64Array(matrix.width));
  const columns = matrix.axis === 0 ? matrix.width : matrix.neurons;
  for (let from = 0; from < matrix.neurons * matrix.width; ) {
    const pieces = streams.map((stream, e) => piece(stream.next(), sources[e]?.dtype ?? 'f32'));
    addProducts(products, pieces);
    pieces.forEach((numbers, e) => addNeurons(means[e] ?? new Float64Array(), numbers, from, columns, matrix.axis));
    from += pieces[0]?.length ?? 0;
  }
  return { whole: cosines(products), averaged: cosinesOf(means) };
}

function piece(step: IteratorResult<Uint8Array, void>, dtype: DType): Float64Array {
  if (step.done) throw new Bug('the matrix of an expert is shorter than it says');
  return fromBytes(dtype, step.value);
}

/** Adds up neurons; a mean would have the same direction. Elements from `from` of a matrix with `columns` columns. */
function addNeurons(sum: Float64Array, numbers: Float64Array, from: number, columns: number, axis: 0 | 1): void {
  for (let i = 0; i < numbers.length; i++) {
    const place = axis === 0 ? (from + i) % columns : Math.floor((from + i) / columns);
    sum[place] = (sum[place] ?? 0) + (numbers[i] ?? 0);
  }
}

const square = (n: number): Float64Array[] => Array.from({ length: n }, () => new Float64Array(n));

function addProducts(products: readonly Float64Array[], rows: readonly Float64Array[]): void {
  for (const [i, a] of rows.entries()) {
    const row = products[i];
    for (let j = 0; row && j <= i; j++) row[j] = (row[j] ?? 0) + dot(a, rows[j] ?? a);
  }
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] ?? 0) * (b[i] ?? 0);
  return sum;
}

/** Cosines between vectors, each [width]; 0 where one of them is zero. */
export function cosinesOf(vectors: readonly Float64Array[]): Pairs {
  const products = square(vectors.length);
  addProducts(products, vectors);
  return cosines(products);
}

/** From dot products, the lower triangle filled. */
function cosines(products: readonly Float64Array[]): Pairs {
  const of = (i: number, j: number): number => products[Math.max(i, j)]?.[Math.min(i, j)] ?? 0;
  return products.map((_, i) =>
    products.map((__, j) => {
      const length = Math.sqrt(of(i, i) * of(j, j));
      return i === j ? 1 : length > 0 ? of(i, j) / length : 0;
    }),
  );
}

/** Experts once the neurons of one are put in the order that makes them most alike. */
export interface Reordered {
  /** Cosine of the matrices after that. */
  readonly similarity: Pairs;
  /** Kendall's τ between that order and the one they had: 1 means the experts kept their neurons' order. */
  readonly tau: Pairs;
}

/** Neuron level, reordering. Memory: the neurons of all experts, and one [neurons, neurons]. */
export function reorderedOf(matrix: ExpertMatrix, experts: number, checkpoint: Checkpoint | undefined): Reordered {
  const { neurons } = matrix;
  const all = Array.from({ length: experts }, (_, e) => neuronsOf(matrix, e, checkpoint));
  const [similarity, tau] = [all.map(() => new Array<number>(experts).fill(1)), all.map(() => new Array<number>(experts).fill(1))];
  const set = (table: number[][], i: number, j: number, to: number): void => {
    for (const [a, b] of [
      [i, j],
      [j, i],
    ] as const)
      (table[a] ?? [])[b] = to;
  };
  for (const [i, a] of all.entries()) {
    for (const [j, b] of all.entries()) {
      if (j <= i) continue;
      const order = assign(neuronCosines(a, b), neurons);
      const product = a.rows.reduce((sum, row, k) => sum + dot(row, b.rows[order[k] ?? 0] ?? row), 0);
      const length = Math.sqrt(squares(a) * squares(b));
      set(similarity, i, j, length > 0 ? product / length : 0);
      set(tau, i, j, kendallTau(order));
    }
  }
  return { similarity, tau };
}

/** The neurons of one expert with their lengths. */
interface Neurons {
  readonly rows: readonly Float64Array[];
  readonly lengths: readonly number[];
}

const squares = ({ lengths }: Neurons): number => lengths.reduce((sum, one) => sum + one * one, 0);

function neuronsOf({ source, neurons, width, axis }: ExpertMatrix, expert: number, checkpoint: Checkpoint | undefined): Neurons {
  const { data } = sourceArray(source(expert), checkpoint);
  const rows = Array.from({ length: neurons }, (_, k) =>
    axis === 0 ? data.subarray(k * width, (k + 1) * width) : Float64Array.from({ length: width }, (__, d) => data[d * neurons + k] ?? 0),
  );
  return { rows, lengths: rows.map((row) => Math.sqrt(dot(row, row))) };
}

function neuronCosines(a: Neurons, b: Neurons): Float64Array {
  const n = a.rows.length;
  const found = new Float64Array(n * n);
  for (const [i, row] of a.rows.entries()) {
    for (const [j, other] of b.rows.entries()) {
      const length = (a.lengths[i] ?? 0) * (b.lengths[j] ?? 0);
      found[i * n + j] = length > 0 ? dot(row, other) / length : 0;
    }
  }
  return found;
}
