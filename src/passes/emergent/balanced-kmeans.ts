/** k-means with clusters of exact sizes: experts whose neurons have like keys, or fire on the same tokens. */

import { Bug } from '../../diagnostics/bug.ts';
import type { Compute } from '../../graph/compute.ts';
import { randomNumbers } from '../../weights/random.ts';
import { assignBalanced } from './assignment.ts';
import { type Draws, draws } from './draws.ts';
import { exchangeAll, partitionOf } from './exchange.ts';
import { type Matrix, matrix, pickRows, row, squaredNorms, transposed } from './matrix.ts';

/** What is asked of the clusters. */
export interface KmeansOptions {
  /** Points of each cluster; together all points. */
  readonly sizes: readonly number[];
  readonly seed: number;
  /** Starts; the one with the least inertia is kept. */
  readonly restarts: number;
  /** The most steps of one start. */
  readonly iterations: number;
}

/** Clusters of points [n, d]. */
export interface Clusters {
  /** [n], in 0 … k − 1. */
  readonly labels: Int32Array;
  /** Means of the points of each cluster, [k, d]. */
  readonly centres: Matrix;
  /** Σ of squared distances to the own centre. */
  readonly inertia: number;
}

/** A step that lowers the inertia by less than this share of it is the last. */
const settled = 1e-6;

/** Up to so many points of equal clusters, two of them may change places: their products, [n, n], are 64 MB. It matters where clusters are small. */
const exchanged = 4096;

/** More columns than this are projected at random before the starts are drawn: squared distances to within about √(2 / 256) = 9 %. */
const sketchWidth = 256;

/**
 * Clusters of exact sizes with a small sum of squared distances, from points [n, d] (L2-normalised rows for cosines). Lloyd's
 * steps with an exact assignment, so that no step raises the inertia, then exchanges; started by greedy k-means++ (Arthur and
 * Vassilvitskii 2007).
 * The same for the same seed and the same products. One product [n, d] · [d, k] for a step.
 */
export async function balancedKmeans(points: Matrix, options: KmeansOptions, compute: Compute): Promise<Clusters> {
  const norms = squaredNorms(points);
  const sketch = await sketchOf(points, options.seed, compute);
  const equal = options.sizes.every((size) => size === options.sizes[0]);
  const likeness = equal && points.rows <= exchanged ? await compute.product(points, transposed(points)) : undefined;
  let best: Clusters | undefined;
  for (let restart = 0; restart < options.restarts; restart++) {
    const chosen = await seedPoints(sketch, options.sizes.length, draws(options.seed + restart), compute);
    const found = improved(points, norms, await descend(points, norms, pickRows(points, chosen), options, compute), options, likeness);
    if (!best || found.inertia < best.inertia) best = found;
  }
  if (!best) throw new Bug('k-means without a start');
  return best;
}

/** Lloyd's steps from these centres. */
async function descend(points: Matrix, norms: Float64Array, from: Matrix, { sizes, iterations }: KmeansOptions, compute: Compute): Promise<Clusters> {
  let found: Clusters = { labels: new Int32Array(), centres: from, inertia: Number.POSITIVE_INFINITY };
  let prices: Float64Array | undefined;
  for (let step = 0; step < iterations; step++) {
    const assigned = assignBalanced(await distances(points, found.centres, compute), sizes, prices);
    prices = assigned.prices;
    const centres = means(points, assigned.labels, sizes);
    const inertia = inertiaOf(norms, centres, sizes);
    const before = found.inertia;
    if (inertia < before) found = { labels: assigned.labels, centres, inertia };
    if (!(before - inertia > settled * inertia)) break;
  }
  return found;
}

/** Clusters after exchanges of two points. Of equal clusters Σ |x − c|² falls as the products inside clusters grow, so that these are the weights. */
function improved(points: Matrix, norms: Float64Array, found: Clusters, { sizes, iterations }: KmeansOptions, likeness: Matrix | undefined): Clusters {
  if (!likeness) return found;
  const partition = partitionOf(likeness, found.labels.slice(), sizes.length);
  exchangeAll(partition, iterations);
  const { labels } = partition;
  const centres = means(points, labels, sizes);
  const inertia = inertiaOf(norms, centres, sizes);
  return inertia < found.inertia ? { labels, centres, inertia } : found;
}

/** Σ |x − c|² = Σ |x|² − Σ size · |c|², as c are the means. */
function inertiaOf(norms: Float64Array, centres: Matrix, sizes: readonly number[]): number {
  const total = norms.reduce((sum, norm) => sum + norm, 0);
  return Math.max(0, total - squaredNorms(centres).reduce((sum, norm, c) => sum + norm * (sizes[c] as number), 0));
}

/** Squared distances of points [n, d] to centres [k, d] less |x|², which is the same for all centres of a point: [n, k]. */
async function distances(points: Matrix, centres: Matrix, compute: Compute): Promise<Matrix> {
  const costs = await compute.product(points, transposed(centres));
  const norms = squaredNorms(centres);
  const { data, columns } = costs;
  for (let i = 0; i < data.length; i++) data[i] = (norms[i % columns] as number) - 2 * (data[i] as number);
  return costs;
}

/** Means of the points of each cluster, summed in f64. */
function means(points: Matrix, labels: Int32Array, sizes: readonly number[]): Matrix {
  const { columns } = points;
  const sums = Array.from(sizes, () => new Float64Array(columns));
  for (let i = 0; i < points.rows; i++) {
    const [sum, line] = [sums[labels[i] as number] as Float64Array, row(points, i)];
    for (let j = 0; j < line.length; j++) sum[j] = (sum[j] as number) + (line[j] as number);
  }
  const found = matrix(sizes.length, columns);
  for (const [c, sum] of sums.entries()) {
    const size = Math.max(1, sizes[c] as number);
    for (let j = 0; j < columns; j++) found.data[c * columns + j] = (sum[j] as number) / size;
  }
  return found;
}

/** The points, projected to fewer columns where they have many. */
async function sketchOf(points: Matrix, seed: number, compute: Compute): Promise<Matrix> {
  const { columns } = points;
  if (columns <= sketchWidth) return points;
  const directions = randomNumbers('k-means', seed, 1 / Math.sqrt(sketchWidth), 0, columns * sketchWidth);
  return compute.product(points, matrix(columns, sketchWidth, new Float32Array(directions)));
}

/** k points far from each other: each drawn in proportion to its squared distance from those before it, the best of a few draws. */
async function seedPoints(points: Matrix, k: number, { unit, below }: Draws, compute: Compute): Promise<readonly number[]> {
  const norms = squaredNorms(points);
  const tries = 2 + Math.floor(Math.log(k));
  const chosen: number[] = [];
  let far = new Float64Array(points.rows).fill(Number.POSITIVE_INFINITY);
  while (chosen.length < k) {
    const drawn = chosen.length === 0 ? [below(points.rows)] : Array.from({ length: tries }, () => indexAt(far, unit()));
    const products = await compute.product(points, transposed(pickRows(points, drawn)));
    let [least, nearer, best] = [Number.POSITIVE_INFINITY, far, 0];
    for (const [t, candidate] of drawn.entries()) {
      const reach = far.map((distance, i) =>
        Math.min(distance, Math.max(0, (norms[i] as number) + (norms[candidate] as number) - 2 * (products.data[i * drawn.length + t] as number))),
      );
      const sum = reach.reduce((all, one) => all + one, 0);
      if (sum < least) [least, nearer, best] = [sum, reach, candidate];
    }
    far = nearer;
    chosen.push(best);
  }
  return chosen;
}

/** An index in proportion to its weight, at `share` of their sum; the first index where all weights are 0. */
function indexAt(weights: Float64Array, share: number): number {
  let left = share * weights.reduce((sum, weight) => sum + weight, 0);
  for (const [i, weight] of weights.entries()) {
    left -= weight;
    if (left < 0) return i;
  }
  return 0;
}
