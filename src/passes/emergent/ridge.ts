/** Ridge regression over more tokens than fit in memory: sums of products grow batch by batch, and are solved at the end. */

import { Bug } from '../../diagnostics/bug.ts';
import type { Compute } from '../../graph/compute.ts';
import { factorise, solveFactorised } from './cholesky.ts';
import { columnMeans, type Matrix, matrix, row, transposed } from './matrix.ts';

/** What batches of features Φ [T, P] and targets M [T, E] have added up to, in f64. */
export interface Moments {
  readonly features: number;
  readonly targets: number;
  readonly count: number;
  /** The first batch's means of [Φ | M], taken from every row: what is left is small where the numbers are far from zero, so that no digits are lost. [P + E] */
  readonly shift: Float64Array;
  /** Σ of shifted rows, [P + E]. */
  readonly sums: Float64Array;
  /** Shifted Φᵀ·[Φ | M], [P, P + E]. */
  readonly products: Float64Array;
}

/** A linear map with an intercept: M ≈ Φ·weights + intercept. */
export interface Fit {
  /** [P, E] */
  readonly weights: Matrix;
  /** [E] */
  readonly intercept: Float32Array;
}

/** The moments after one more batch; `undefined` stands for none so far. One product [P, T] · [T, P + E]; memory P · (P + E) and one batch. The sums of `before` are reused. */
export async function addMoments(before: Moments | undefined, features: Matrix, targets: Matrix, compute: Compute): Promise<Moments> {
  const [count, p, e] = [features.rows, features.columns, targets.columns];
  if (targets.rows !== count || (before && (before.features !== p || before.targets !== e))) throw new Bug('features and targets do not fit together');
  const both = beside(features, targets);
  const into = before ?? { features: p, targets: e, count: 0, shift: columnMeans(both), sums: new Float64Array(p + e), products: new Float64Array(p * (p + e)) };
  for (let t = 0; t < count; t++) {
    const line = row(both, t);
    for (let j = 0; j < p + e; j++) {
      const rest = (line[j] as number) - (into.shift[j] as number);
      line[j] = rest;
      into.sums[j] = (into.sums[j] as number) + rest;
    }
  }
  const products = await compute.product(transposed(leftColumns(both, p)), both);
  for (let i = 0; i < products.data.length; i++) into.products[i] = (into.products[i] as number) + (products.data[i] as number);
  return { ...into, count: into.count + count };
}

/** What is left of moments once the means are taken out. */
export interface Centred {
  /** [P] */
  readonly featureMeans: Float64Array;
  /** [E] */
  readonly targetMeans: Float64Array;
  /** Mean of ΦᵀΦ less the means, [P, P]. */
  readonly gram: Float64Array;
  /** Mean of ΦᵀM less the means, [P, E]. */
  readonly cross: Float64Array;
}

/** Means, covariances of the features and of features with targets. */
export function centred({ features: p, targets: e, count, shift, sums, products }: Moments): Centred {
  const gram = new Float64Array(p * p);
  const cross = new Float64Array(p * e);
  const rest = sums.map((sum) => sum / count);
  const covariance = (i: number, j: number): number => (products[i * (p + e) + j] as number) / count - (rest[i] as number) * (rest[j] as number);
  for (let i = 0; i < p; i++) {
    for (let j = 0; j < p; j++) gram[i * p + j] = covariance(i, j);
    for (let j = 0; j < e; j++) cross[i * e + j] = covariance(i, p + j);
  }
  const all = rest.map((mean, i) => mean + (shift[i] as number));
  return { featureMeans: all.slice(0, p), targetMeans: all.slice(p), gram, cross };
}

/** Replaces the covariance of P features by the L of Cholesky, with `penalty` times its mean diagonal added to the diagonal. */
export function penalised(gram: Float64Array, p: number, penalty: number): Float64Array {
  let trace = 0;
  for (let i = 0; i < p; i++) trace += gram[i * p + i] as number;
  // Features that never change leave nothing to fit; any λ above 0 then gives weights of 0.
  const lambda = trace > 0 ? (penalty * trace) / p : 1;
  for (let i = 0; i < p; i++) gram[i * p + i] = (gram[i * p + i] as number) + lambda;
  if (!factorise(gram, p)) throw new Bug(`${p} features depend on each other, and the penalty ${penalty} does not help`);
  return gram;
}

/**
 * The ridge regression W = (ΦᵀΦ + λI)⁻¹ΦᵀM of centred features and targets, so that the intercept is not penalised.
 * λ is `penalty` times the mean diagonal of the centred ΦᵀΦ.
 */
export function fitRidge(moments: Moments, penalty: number): Fit {
  const [p, e] = [moments.features, moments.targets];
  const { featureMeans, targetMeans: intercept, gram, cross: weights } = centred(moments);
  solveFactorised(penalised(gram, p, penalty), p, weights, e);
  for (let i = 0; i < p; i++) {
    for (let j = 0; j < e; j++) intercept[j] = (intercept[j] as number) - (featureMeans[i] as number) * (weights[i * e + j] as number);
  }
  return { weights: matrix(p, e, new Float32Array(weights)), intercept: new Float32Array(intercept) };
}

/** [A | B] for matrices of as many rows. */
function beside(a: Matrix, b: Matrix): Matrix {
  const both = matrix(a.rows, a.columns + b.columns);
  for (let i = 0; i < a.rows; i++) {
    both.data.set(row(a, i), i * both.columns);
    both.data.set(row(b, i), i * both.columns + a.columns);
  }
  return both;
}

function leftColumns(of: Matrix, columns: number): Matrix {
  const left = matrix(of.rows, columns);
  for (let i = 0; i < of.rows; i++) left.data.set(row(of, i).subarray(0, columns), i * columns);
  return left;
}
