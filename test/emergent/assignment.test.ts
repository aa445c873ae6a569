/** Balanced assignment against an exact solver on the costs with each cluster repeated as often as it has places. */

import { expect, test } from 'vitest';
import { Bug } from '../../src/diagnostics/bug.ts';
import { assign } from '../../src/inspect/assignment.ts';
import { type Assignment, assignBalanced } from '../../src/passes/emergent/assignment.ts';
import { draws } from '../../src/passes/emergent/draws.ts';
import { type Matrix, matrix } from '../../src/passes/emergent/matrix.ts';

const total = (costs: Matrix, labels: Int32Array): number => labels.reduce((sum, label, i) => sum + (costs.data[i * costs.columns + label] ?? Number.NaN), 0);
const counts = (labels: Int32Array, k: number): readonly number[] => Array.from({ length: k }, (_, c) => labels.filter((label) => label === c).length);

/** The least total by Jonker and Volgenant on [n, n]. */
function exact(costs: Matrix, sizes: readonly number[]): number {
  const places = sizes.flatMap((size, c) => new Array<number>(size).fill(c));
  const gain = Float64Array.from({ length: costs.rows ** 2 }, (_, at) => -(costs.data[Math.floor(at / costs.rows) * costs.columns + (places[at % costs.rows] ?? 0)] ?? 0));
  return total(
    costs,
    assign(gain, costs.rows).map((place) => places[place] ?? -1),
  );
}

/** No point is cheaper elsewhere by the prices: what makes an assignment of exact sizes an optimal one. */
function loss(costs: Matrix, { labels, prices }: Assignment): number {
  const reduced = (i: number, c: number): number => (costs.data[i * costs.columns + c] ?? 0) - (prices[c] ?? 0);
  return Math.max(...Array.from(labels, (label, i) => reduced(i, label) - Math.min(...Array.from(prices, (_, c) => reduced(i, c)))));
}

const kinds: Readonly<Record<string, (unit: () => number, i: number, c: number) => number>> = {
  even: (unit) => unit(),
  'of few values': (unit) => Math.floor(unit() * 3),
  'that favour one cluster': (unit, _, c) => unit() + c * 2,
  'all equal': () => 1,
  negative: (unit, i) => -10 * unit() - i,
};
const shapes: readonly (readonly number[])[] = [[8, 8, 8, 8, 8, 8], [20, 1, 0, 12, 7], [5], [1, 1, 1, 1, 1, 1, 1, 1, 1]];

test.each(Object.keys(kinds))('costs %s: exact sizes and the least total', (kind) => {
  for (const [round, sizes] of shapes.entries()) {
    const { unit } = draws(round + 1);
    const [n, k] = [sizes.reduce((sum, size) => sum + size, 0), sizes.length];
    const costs = matrix(
      n,
      k,
      Float32Array.from({ length: n * k }, (_, at) => kinds[kind]?.(unit, Math.floor(at / k), at % k) ?? Number.NaN),
    );
    const found = assignBalanced(costs, sizes);
    expect(counts(found.labels, k)).toEqual(sizes);
    // Both add f32 costs in f64; 1e-9 of the total is far above what rounding can do to prices.
    expect(Math.abs(total(costs, found.labels) - exact(costs, sizes))).toBeLessThan(1e-9 * n * 20);
    expect(loss(costs, found)).toBeLessThan(1e-9);
    expect(assignBalanced(costs, sizes)).toEqual(found);
  }
});

test('prices of other costs are a start, and change nothing of the total', () => {
  const { unit } = draws(4);
  const costs = matrix(
    60,
    5,
    Float32Array.from({ length: 300 }, () => unit()),
  );
  const sizes = [12, 12, 12, 12, 12];
  const { labels } = assignBalanced(costs, sizes, Float64Array.of(3, -1, 0, 0.5, 100));
  expect(counts(labels, 5)).toEqual(sizes);
  expect(total(costs, labels)).toBeCloseTo(exact(costs, sizes), 9);
});

test('a thousand points in 32 clusters are optimal by their prices', () => {
  const { unit } = draws(9);
  const costs = matrix(
    1024,
    32,
    Float32Array.from({ length: 1024 * 32 }, (_, at) => unit() + (at % 32) / 40),
  );
  const found = assignBalanced(costs, new Array<number>(32).fill(32));
  expect(counts(found.labels, 32)).toEqual(new Array<number>(32).fill(32));
  expect(loss(costs, found)).toBeLessThan(1e-9);
});

test('sizes that do not hold the points, and costs that are no numbers, are faults of the caller', () => {
  expect(() => assignBalanced(matrix(4, 2), [2, 1])).toThrow(Bug);
  expect(() => assignBalanced(matrix(4, 2), [4])).toThrow(Bug);
  expect(() => assignBalanced(matrix(4, 2, new Float32Array(8).fill(Number.NaN)), [2, 2])).toThrow(Bug);
});
