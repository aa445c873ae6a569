/** The order of experts against every way to halve them, and what it leaves as it was. */

import { afterAll, expect, test } from 'vitest';
import { decideGrouped, groupLayer } from '../../src/passes/emergent/decide.ts';
import { draws } from '../../src/passes/emergent/draws.ts';
import { groupingOf, neuronsByExpert, permutationOf } from '../../src/passes/emergent/grouping.ts';
import { layerOf } from '../../src/passes/emergent/layer.ts';
import { type Matrix, matrix, row } from '../../src/passes/emergent/matrix.ts';
import { readSettings } from '../../src/passes/emergent/read-settings.ts';
import { spreadOrder, spreadOut } from '../../src/passes/emergent/spread.ts';
import { findFeedForwards } from '../../src/passes/feed-forwards.ts';
import { graphCompute } from '../../src/run/graph-compute.ts';
import { zooModel } from '../running.ts';

const compute = graphCompute({}, { threads: 1 });
afterAll(() => compute.close());

/** Tokens that pick k of n experts: those with the largest of a few common factors' sums, so that some are picked together. [tokens, n] */
function drawnPicks(tokens: number, n: number, k: number, seed: number): Matrix {
  const { unit } = draws(seed);
  const leanings = Array.from({ length: n }, () => [unit() - 0.5, unit() - 0.5, unit() - 0.5]);
  const picks = matrix(tokens, n);
  for (let t = 0; t < tokens; t++) {
    const factors = [unit() - 0.5, unit() - 0.5, 0.3];
    const scores = leanings.map((leaning) => leaning.reduce((sum, one, i) => sum + one * (factors[i] as number), 0.1 * unit()));
    const order = [...scores.keys()].sort((a, b) => (scores[b] as number) - (scores[a] as number));
    for (const expert of order.slice(0, k)) picks.data[t * n + expert] = 1;
  }
  return picks;
}

function togetherIn(picks: Matrix): Matrix {
  const n = picks.columns;
  const together = matrix(n, n);
  for (let t = 0; t < picks.rows; t++)
    for (let i = 0; i < n; i++)
      for (let j = 0; j < n; j++) together.data[i * n + j] = (together.data[i * n + j] as number) + (row(picks, t)[i] as number) * (row(picks, t)[j] as number);
  return together;
}

/** Σ over tokens of the squared difference between the picks inside and outside of some experts. */
function unevenness(picks: Matrix, inside: ReadonlySet<number>): number {
  let sum = 0;
  for (let t = 0; t < picks.rows; t++) sum += row(picks, t).reduce((difference, pick, expert) => difference + (inside.has(expert) ? pick : -pick), 0) ** 2;
  return sum;
}

function subsets(n: number, size: number, from = 0): readonly (readonly number[])[] {
  if (size === 0) return [[]];
  return Array.from({ length: n - from }, (_, i) => from + i).flatMap((first) => subsets(n, size - 1, first + 1).map((rest) => [first, ...rest]));
}

test.each([
  [8, 4],
  [9, 3],
  [10, 5],
])('%i experts of which %i are picked: halves at most 1.2 × as uneven as the best there are, 1.02 × on average', (n, k) => {
  const half = Math.ceil(n / 2);
  const shares = Array.from({ length: 20 }, (_, seed) => {
    const picks = drawnPicks(200, n, k, seed);
    const order = spreadOrder(togetherIn(picks));
    expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: n }, (_, i) => i));
    const least = Math.min(...subsets(n, half).map((inside) => unevenness(picks, new Set(inside))));
    return unevenness(picks, new Set(order.slice(0, half))) / least;
  });
  expect(Math.max(...shares)).toBeLessThan(1.2);
  expect(shares.reduce((sum, one) => sum + one, 0) / shares.length).toBeLessThan(1.02);
});

test('experts that come in fours are parted, down to quarters', () => {
  // Tokens pick experts 4 i … 4 i + 3 of 16.
  const picks = matrix(4, 16);
  for (let t = 0; t < 4; t++) picks.data.fill(1, t * 16 + 4 * t, t * 16 + 4 * t + 4);
  const order = spreadOrder(togetherIn(picks));
  for (let t = 0; t < 4; t++)
    for (let quarter = 0; quarter < 4; quarter++) expect([...order.slice(4 * quarter, 4 * quarter + 4)].filter((expert) => Math.floor(expert / 4) === t)).toHaveLength(1);
});

test('where all are picked alike, the order stays', () => {
  expect([...spreadOrder(matrix(6, 6, new Float32Array(36).fill(5)))]).toEqual([0, 1, 2, 3, 4, 5]);
});

test('experts keep their neurons, shared neurons stay shared, and who stands for an expert is in it', async () => {
  const { unit } = draws(5);
  const grouping = groupingOf(
    Int32Array.from({ length: 27 }, (_, i) => (i < 3 ? -1 : (i * 7) % 8)),
    8,
  );
  const hidden = [matrix(40, 27, Float32Array.from({ length: 40 * 27 }, unit))];
  const representatives = Int32Array.from(neuronsByExpert(grouping), (neurons) => neurons[1] as number);
  const spread = await spreadOut({ hidden, lengths: new Float64Array(27).fill(1) }, { grouping, representatives }, { kind: 'top', k: 3 }, compute);
  const before = neuronsByExpert(grouping).map(String);
  const after = neuronsByExpert(spread.grouping).map(String);
  expect(after).not.toEqual(before);
  expect(after.toSorted()).toEqual(before.toSorted());
  expect(spread.grouping.labels.slice(0, 3)).toEqual(Int32Array.of(-1, -1, -1));
  for (const [expert, neurons] of neuronsByExpert(spread.grouping).entries()) expect(neurons[1]).toBe(spread.representatives?.[expert]);
});

test('a conversion has its experts in that order, and without tokens as they were grouped', async () => {
  const { graph } = zooModel('llama', { model: 'Llama', set: { V: '32', D: '16', H: '48', L: '1', N: '4', G: '2' } }).model;
  const [feedForward] = findFeedForwards(graph).found;
  if (!feedForward) throw new Error('no feed-forward');
  const read = readSettings({
    experts: { kind: 'number', value: 8 },
    pick: { kind: 'word', name: 'top', args: { '': { kind: 'number', value: 3 } } },
    text: { kind: 'text', value: 'x.txt' },
  });
  if (!('settings' in read)) throw new Error('settings');
  const { unit } = draws(7);
  const inputs = [
    matrix(
      60,
      16,
      Float32Array.from({ length: 60 * 16 }, () => unit() - 0.5),
    ),
  ];
  const given = await groupLayer(await layerOf(graph, feedForward, inputs, undefined, compute), read.settings, compute);
  const { conversion } = await decideGrouped(given, read.settings, compute);
  const spread = await spreadOut(given.layer, given.grouped, { kind: 'top', k: 3 }, compute);
  expect(conversion.order).toEqual([...permutationOf(spread.grouping)]);
  expect(conversion.order).not.toEqual([...permutationOf(given.grouped.grouping)]);
  const { lengths } = given.layer;
  expect(await spreadOut({ hidden: [], lengths }, given.grouped, { kind: 'top', k: 3 }, compute)).toBe(given.grouped);
});
