/** What stands in for experts that are not picked: their mean output, or a linear map of the input through a few shared directions. */

import type { Compute } from '../../graph/compute.ts';
import { solveLower, solveUpper } from './cholesky.ts';
import { leadingEigen } from './eigen.ts';
import { type Grouping, neuronsByExpert } from './grouping.ts';
import { type Matrix, matrix, pickColumns, pickRows, row, transposed } from './matrix.ts';
import { centred, type Moments, penalised } from './ridge.ts';

/** Stand-ins Lₑ(x) = meansₑ + (x · project) · expandₑ, for inputs x [T, D] of a feed-forward and outputs without its output bias. */
export interface Repair {
  /** [experts, D] */
  readonly means: Matrix;
  /** [D, r]; r is 0 where experts are replaced by their means alone. */
  readonly project: Matrix;
  /** [experts · r, D]: r rows of each expert. */
  readonly expand: Matrix;
}

/** How a low-rank repair is fitted. */
export interface LowRankOptions {
  /** Directions that all experts share; no more than D are used. */
  readonly rank: number;
  /** λ, as a multiple of the mean variance of the inputs. */
  readonly penalty: number;
}

/** Every expert's mean output, from the mean hidden values [F] and `down` [F, D]: [experts, D]. */
function meanOutputs(hidden: Float64Array, down: Matrix, { experts, labels }: Grouping): Matrix {
  const { columns } = down;
  const sums = new Float64Array(experts * columns);
  for (const [neuron, expert] of labels.entries()) {
    if (expert < 0) continue;
    const value = row(down, neuron);
    for (let j = 0; j < columns; j++) sums[expert * columns + j] = (sums[expert * columns + j] as number) + (hidden[neuron] as number) * (value[j] as number);
  }
  return matrix(experts, columns, new Float32Array(sums));
}

/** Means alone, from the moments of inputs [T, D] and hidden values [T, F]. */
export function meansRepair({ features, targets, count, shift, sums }: Moments, down: Matrix, grouping: Grouping): Repair {
  const hidden = Float64Array.from({ length: targets }, (_, i) => (shift[features + i] as number) + (sums[features + i] as number) / count);
  return { means: meanOutputs(hidden, down, grouping), project: matrix(features, 0), expand: matrix(0, down.columns) };
}

/** Sums of hidden values over the tokens that drop their expert. */
export interface Dropped {
  /** [F] */
  readonly sums: Float64Array;
  /** [experts]: tokens that drop it. */
  readonly counts: Float64Array;
}

/** A token that picks an expert counts so much beside one that drops it: an expert that every token picks is left with its plain mean. */
const pickedShare = 1e-3;

/** The sums after one more batch of hidden values [T, F] and picks [T, experts], 1 or 0. Those of `before` are reused. */
export function addDropped(before: Dropped | undefined, hidden: Matrix, picks: Matrix, { experts, labels }: Grouping): Dropped {
  const { sums, counts } = before ?? { sums: new Float64Array(hidden.columns), counts: new Float64Array(experts) };
  const weights = new Float64Array(experts);
  for (let t = 0; t < hidden.rows; t++) {
    for (let expert = 0; expert < experts; expert++) {
      const weight = (picks.data[t * experts + expert] as number) > 0 ? pickedShare : 1;
      weights[expert] = weight;
      counts[expert] = (counts[expert] as number) + weight;
    }
    const line = row(hidden, t);
    for (let i = 0; i < line.length; i++) {
      const expert = labels[i] as number;
      if (expert >= 0) sums[i] = (sums[i] as number) + (weights[expert] as number) * (line[i] as number);
    }
  }
  return { sums, counts };
}

/** The mean output of every expert over the tokens that drop it, which is where it is used. */
export function droppedMeans({ sums, counts }: Dropped, down: Matrix, grouping: Grouping): Repair {
  const hidden = sums.map((sum, i) => sum / Math.max(Number.MIN_VALUE, counts[grouping.labels[i] as number] ?? 1));
  return { means: meanOutputs(hidden, down, grouping), project: matrix(down.columns, 0), expand: matrix(0, down.columns) };
}

/**
 * Reduced-rank ridge regression (Izenman 1975) of all experts' outputs, side by side, on the inputs: of all maps through r
 * directions the one with the least Σ ‖Eₑ(x) − Lₑ(x)‖² + λ‖map‖². From the moments of inputs [T, D] and hidden values [T, F]
 * alone: outputs are hidden values · down, so that [D, F] and [D, D] are the largest matrices, never [D, experts · D].
 *
 * With C = L·Lᵀ the penalised covariance of x, and Pₑ that of x with the hidden values of expert e: project = L⁻ᵀU for the leading
 * eigenvectors U of L⁻¹·G·L⁻ᵀ, G = Σ Pₑ(VₑVₑᵀ)Pₑᵀ, and expandₑ = projectᵀ·Pₑ·Vₑ. On the calibration text x · project has variance 1 or less.
 */
export async function lowRankRepair(moments: Moments, down: Matrix, grouping: Grouping, { rank, penalty }: LowRankOptions, compute: Compute): Promise<Repair> {
  const [d, f] = [moments.features, moments.targets];
  const { featureMeans, targetMeans, gram, cross } = centred(moments);
  const covariance = matrix(d, f, new Float32Array(cross));
  const spread = Float64Array.from((await compute.product(covariance, await weighted(covariance, down, grouping, compute))).data);
  const l = penalised(gram, d, penalty);
  const { vectors } = leadingEigen((block) => whitened(l, spread, d, block), d, Math.min(rank, d));
  const directions = columnsOf(vectors, d);
  solveUpper(l, d, directions, vectors.length);

  const project = matrix(d, vectors.length, new Float32Array(directions));
  const expand = await expanded(await compute.product(transposed(project), covariance), down, grouping, compute);
  const means = meanOutputs(targetMeans, down, grouping);
  const middle = await compute.product(matrix(1, d, new Float32Array(featureMeans)), project);
  for (let expert = 0; expert < grouping.experts; expert++) {
    const mean = row(means, expert);
    for (let i = 0; i < vectors.length; i++) {
      const direction = row(expand, expert * vectors.length + i);
      for (let j = 0; j < mean.length; j++) mean[j] = (mean[j] as number) - (middle.data[i] as number) * (direction[j] as number);
    }
  }
  return { means, project, expand };
}

/** (VₑVₑᵀ)·Pₑᵀ of all experts, one below the other in the order of their neurons, from P [D, F]: [F, D]. Zero for shared neurons. */
async function weighted(covariance: Matrix, down: Matrix, grouping: Grouping, compute: Compute): Promise<Matrix> {
  const all = matrix(covariance.columns, covariance.rows);
  const byNeuron = transposed(covariance);
  for (const neurons of neuronsByExpert(grouping)) {
    const values = pickRows(down, neurons);
    const products = await compute.product(await compute.product(values, transposed(values)), pickRows(byNeuron, neurons));
    for (const [i, neuron] of neurons.entries()) all.data.set(row(products, i), neuron * all.columns);
  }
  return all;
}

/** L⁻¹·G·L⁻ᵀ of vectors [d]. */
function whitened(l: Float64Array, spread: Float64Array, d: number, vectors: readonly Float64Array[]): readonly Float64Array[] {
  const count = vectors.length;
  const before = columnsOf(vectors, d);
  solveUpper(l, d, before, count);
  const after = new Float64Array(d * count);
  for (let i = 0; i < d; i++) {
    for (let p = 0; p < d; p++) {
      const weight = spread[i * d + p] as number;
      for (let j = 0; j < count; j++) after[i * count + j] = (after[i * count + j] as number) + weight * (before[p * count + j] as number);
    }
  }
  solveLower(l, d, after, count);
  return vectors.map((_, j) => Float64Array.from({ length: d }, (__, i) => after[i * count + j] as number));
}

/** Vectors [d] as the columns of [d, count]. */
function columnsOf(vectors: readonly Float64Array[], d: number): Float64Array {
  const columns = new Float64Array(d * vectors.length);
  for (const [j, vector] of vectors.entries()) for (let i = 0; i < d; i++) columns[i * vectors.length + j] = vector[i] as number;
  return columns;
}

/** From what the directions say of the hidden values [r, F] to what they say of every expert's output: [experts · r, D]. */
async function expanded(hidden: Matrix, down: Matrix, grouping: Grouping, compute: Compute): Promise<Matrix> {
  const all = matrix(grouping.experts * hidden.rows, down.columns);
  for (const [expert, neurons] of neuronsByExpert(grouping).entries()) {
    const outputs = await compute.product(pickColumns(hidden, neurons), pickRows(down, neurons));
    all.data.set(outputs.data, expert * hidden.rows * down.columns);
  }
  return all;
}
