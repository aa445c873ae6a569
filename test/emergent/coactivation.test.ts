/** The partition of co-activations against all partitions there are, and against planted ones. */

import { afterAll, expect, test } from 'vitest';
import { Bug } from '../../src/diagnostics/bug.ts';
import { coactivation, coactivations } from '../../src/passes/emergent/coactivation.ts';
import { random } from '../../src/passes/emergent/controls.ts';
import { draws } from '../../src/passes/emergent/draws.ts';
import { groupingOf } from '../../src/passes/emergent/grouping.ts';
import { type Matrix, matrix, row } from '../../src/passes/emergent/matrix.ts';
import { portableCompute } from '../running.ts';

const compute = portableCompute();
afterAll(() => compute.close());

function symmetric(n: number, weight: (i: number, j: number) => number): Matrix {
  const weights = matrix(n, n);
  for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) weights.data[i * n + j] = weights.data[j * n + i] = weight(i, j);
  return weights;
}

/** Weight inside experts, each pair once. */
function weightInside(weights: Matrix, labels: Int32Array): number {
  let inside = 0;
  for (let i = 0; i < weights.rows; i++) for (let j = 0; j < i; j++) if (labels[i] === labels[j]) inside += weights.data[i * weights.columns + j] as number;
  return inside;
}

/** The most weight inside of all partitions into experts of that size. */
function best(weights: Matrix, experts: number, labels: readonly number[] = []): number {
  const n = weights.rows;
  if (labels.length === n) return weightInside(weights, Int32Array.from(labels));
  let most = Number.NEGATIVE_INFINITY;
  const opened = labels.length === 0 ? 0 : Math.max(...labels) + 1;
  for (let expert = 0; expert <= Math.min(opened, experts - 1); expert++) {
    if (labels.filter((label) => label === expert).length < n / experts) most = Math.max(most, best(weights, experts, [...labels, expert]));
  }
  return most;
}

test.each([
  [8, 2],
  [9, 3],
  [10, 5],
])('%i neurons in %i experts: at least 0.9 of the most weight there is, 0.97 on average', (n, experts) => {
  const shares = Array.from({ length: 20 }, (_, seed) => {
    const { unit } = draws(seed);
    const weights = symmetric(n, unit);
    const labels = coactivation(weights, experts, 20);
    expect(groupingOf(labels, experts).size).toBe(n / experts);
    return weightInside(weights, labels) / best(weights, experts);
  });
  expect(Math.max(...shares)).toBeLessThanOrEqual(1 + 1e-6);
  expect(Math.min(...shares)).toBeGreaterThan(0.9);
  expect(shares.reduce((sum, one) => sum + one, 0) / shares.length).toBeGreaterThan(0.97);
});

test('planted experts are found', async () => {
  const { unit } = draws(3);
  const truth = random(60, 6, 8);
  const activity = matrix(
    60,
    90,
    Float32Array.from({ length: 60 * 90 }, (_, at) => (unit() < (truth[Math.floor(at / 90)] === at % 6 ? 0.7 : 0.15) ? 1 : 0)),
  );
  const weights = await coactivations(activity, compute);
  const together = (i: number, j: number): number => row(activity, i).filter((mark, t) => mark * (row(activity, j)[t] as number) > 0).length;
  for (const [i, j] of [
    [0, 1],
    [7, 31],
    [59, 59],
  ] as const)
    expect(row(weights, i)[j]).toBe(together(i, j));
  const labels = coactivation(weights, 6, 20);
  expect(new Set(Array.from(labels, (label, i) => `${label} ${truth[i]}`)).size).toBe(6);
  expect(coactivation(weights, 6, 20)).toEqual(labels);
});

test('neurons that never fire, and experts that do not divide', () => {
  expect(groupingOf(coactivation(matrix(6, 6), 3, 5), 3).size).toBe(2);
  expect(() => coactivation(matrix(6, 6), 4, 5)).toThrow(Bug);
});
