/** Balanced k-means: exact sizes, planted clusters found, and an inertia that is what it says. */

import { afterAll, expect, test } from 'vitest';
import { balancedKmeans, type Clusters, type KmeansOptions } from '../../src/passes/emergent/balanced-kmeans.ts';
import { draws, shuffled } from '../../src/passes/emergent/draws.ts';
import { type Matrix, matrix, rowsNormalised } from '../../src/passes/emergent/matrix.ts';
import { randomNumbers } from '../../src/weights/random.ts';
import { portableCompute } from '../running.ts';

const compute = portableCompute();
afterAll(() => compute.close());

const equal = (n: number, k: number): readonly number[] => new Array<number>(k).fill(n / k);
const cluster = (points: Matrix, options: Partial<KmeansOptions> & Pick<KmeansOptions, 'sizes'>): Promise<Clusters> =>
  balancedKmeans(points, { seed: 1, restarts: 2, iterations: 50, ...options }, compute);
const counts = (labels: Int32Array, k: number): readonly number[] => Array.from({ length: k }, (_, c) => labels.filter((label) => label === c).length);

/** n unit vectors around k directions, in random order, and the direction of each. */
function planted(n: number, d: number, k: number, noise: number): { readonly points: Matrix; readonly truth: Int32Array } {
  const centres = randomNumbers('centres', 3, 1, 0, k * d);
  const spread = randomNumbers('spread', 3, noise, 0, n * d);
  const truth = shuffled(n, draws(3)).map((i) => i % k);
  const data = Float32Array.from(spread, (x, at) => x + (centres[(truth[Math.floor(at / d)] ?? 0) * d + (at % d)] ?? 0));
  return { points: rowsNormalised(matrix(n, d, data)), truth };
}

/** Σ of squared distances to the means of the clusters, in f64 by the definition. */
function inertiaOf({ rows, columns, data }: Matrix, labels: Int32Array, k: number): number {
  const sums = Array.from({ length: k }, () => new Float64Array(columns));
  const sizes = counts(labels, k);
  const x = (i: number, j: number): number => data[i * columns + j] ?? Number.NaN;
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) (sums[labels[i] ?? 0] ?? new Float64Array())[j] = (sums[labels[i] ?? 0]?.[j] ?? 0) + x(i, j);
  let inertia = 0;
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) inertia += (x(i, j) - (sums[labels[i] ?? 0]?.[j] ?? 0) / (sizes[labels[i] ?? 0] ?? 0)) ** 2;
  return inertia;
}

test('planted clusters are found, also where points are projected to draw the starts', async () => {
  for (const d of [24, 300]) {
    const { points, truth } = planted(240, d, 8, 0.2);
    const { labels, inertia } = await cluster(points, { sizes: equal(240, 8) });
    expect(new Set(Array.from(labels, (label, i) => `${label} ${truth[i]}`)).size).toBe(8);
    expect(counts(labels, 8)).toEqual(equal(240, 8));
    // Points and means in f32: 1e-6 of the squared lengths, which add up to 240.
    expect(Math.abs(inertia - inertiaOf(points, labels, 8))).toBeLessThan(240 * 1e-6);
  }
});

test('of points without structure the inertia is below that of random clusters, and more starts never raise it', async () => {
  const points = rowsNormalised(matrix(128, 10, Float32Array.from(randomNumbers('points', 1, 1, 0, 1280))));
  const one = await cluster(points, { sizes: equal(128, 16), restarts: 1 });
  const many = await cluster(points, { sizes: equal(128, 16), restarts: 6 });
  const random = shuffled(128, draws(1)).map((i) => i % 16);
  expect(one.inertia).toBeLessThan(0.8 * inertiaOf(points, random, 16));
  expect(many.inertia).toBeLessThanOrEqual(one.inertia);
  const short = await cluster(points, { sizes: equal(128, 16), restarts: 1, iterations: 1 });
  expect(one.inertia).toBeLessThan(short.inertia);
});

test('the same seed gives the same clusters, sizes may differ from each other', async () => {
  const { points } = planted(100, 6, 4, 1);
  const sizes = [40, 30, 20, 10];
  const first = await cluster(points, { sizes });
  expect(await cluster(points, { sizes })).toEqual(first);
  expect(counts(first.labels, 4)).toEqual(sizes);
});

test('points that are all the same, all zero, or as many as clusters', async () => {
  const same = await cluster(matrix(12, 3, new Float32Array(36).fill(0.5)), { sizes: equal(12, 4) });
  expect(counts(same.labels, 4)).toEqual(equal(12, 4));
  expect(same.inertia).toBeLessThan(1e-5);
  expect(counts((await cluster(matrix(12, 3), { sizes: equal(12, 4) })).labels, 4)).toEqual(equal(12, 4));
  const single = await cluster(planted(6, 4, 6, 1).points, { sizes: equal(6, 6) });
  expect([...single.labels].sort()).toEqual([0, 1, 2, 3, 4, 5]);
  expect(single.inertia).toBeLessThan(1e-5);
});
