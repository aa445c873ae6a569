/** Thresholds and budgets: how many picks they make, against what can be counted and tried out whole. */

import { afterAll, describe, expect, test } from 'vitest';
import { ndArray } from '../../src/graph/nd-array.ts';
import { allocate, type ErrorCurve, errorCurve } from '../../src/passes/emergent/budget.ts';
import { decideAll } from '../../src/passes/emergent/decide.ts';
import { layerOf } from '../../src/passes/emergent/layer.ts';
import { type Matrix, matrix, row } from '../../src/passes/emergent/matrix.ts';
import { picksOf, thresholdOf } from '../../src/passes/emergent/picking.ts';
import { readSettings } from '../../src/passes/emergent/read-settings.ts';
import { replaceFeedForwards } from '../../src/passes/emergent/replace.ts';
import { feedForwardGraph } from '../../src/passes/emergent/stages.ts';
import { findFeedForwards } from '../../src/passes/feed-forwards.ts';
import { graphCompute } from '../../src/run/graph-compute.ts';
import { randomNumbers } from '../../src/weights/random.ts';
import { defined } from '../definition.ts';
import { zooModel } from '../running.ts';

const noise = (rows: number, columns: number, name = 'noise'): Matrix => matrix(rows, columns, Float32Array.from(randomNumbers(name, 1, 1, 0, rows * columns)));

describe('a threshold', () => {
  const scores = noise(50, 8);
  const counts = (most: number, mean: number): readonly number[] => {
    const picks = picksOf(scores, { kind: 'above', mean, most });
    return Array.from({ length: scores.rows }, (_, t) => row(picks, t).reduce((sum, one) => sum + one, 0));
  };

  test.each([
    [8, 4],
    [5, 4],
    [3, 0.5],
    [6, 5.98],
  ])('with at most %d picks of a token makes %d of them the mean', (most, mean) => {
    const each = counts(most, mean);
    expect(each.reduce((sum, one) => sum + one, 0)).toBe(Math.round(mean * scores.rows));
    expect(Math.max(...each)).toBeLessThanOrEqual(most);
  });

  test('picks everything that a token may have where as much is asked for', () => {
    expect(thresholdOf(scores, { mean: 5, most: 5 })).toBe(Number.NEGATIVE_INFINITY);
    expect(new Set(counts(5, 5))).toEqual(new Set([5]));
  });
});

describe('a budget', () => {
  const curve = (errors: readonly number[], size = 2, shared = 0): ErrorCurve => ({
    size,
    shared,
    neurons: shared + size * (errors.length - 1),
    errors: Float64Array.from(errors),
  });
  const convex: readonly ErrorCurve[] = [curve([9, 4, 2, 1, 0]), curve([30, 12, 3, 2, 0], 3), curve([5, 4.5, 4, 2, 0], 2, 2)];
  const cost = ({ size, shared }: ErrorCurve, k: number): number => shared + size * k;
  const total = (picks: readonly number[]): number => convex.reduce((sum, one, i) => sum + (one.errors[picks[i] as number] as number), 0);
  const all = [1, 2, 3, 4].flatMap((a) => [1, 2, 3, 4].flatMap((b) => [1, 2, 3, 4].map((c) => [a, b, c])));
  const neurons = convex.reduce((sum, one) => sum + one.neurons, 0);
  const spent = (picks: readonly number[]): number => convex.reduce((sum, one, i) => sum + cost(one, picks[i] as number), 0);

  test.each([0.4, 0.5, 0.6, 0.75, 0.9, 1])('of %d is kept, and loses no more than 1.5 × the best of all ways to deal it out', (share) => {
    const picks = allocate(convex, share);
    expect(spent(picks)).toBeLessThanOrEqual(share * neurons);
    const best = Math.min(...all.filter((one) => spent(one) <= share * neurons).map(total));
    expect(total(picks)).toBeLessThanOrEqual(1.5 * best);
  });

  test('buys nothing that loses more, or as much', () => {
    expect(allocate([curve([1, 0.2, 0.3, 0.35, 0])], 0.75)).toEqual([1]);
    expect(allocate([curve([1, 0.2, 0.2, 0.2, 0.2])], 1)).toEqual([1]);
  });

  test('looks beyond a step that saves nothing', () => {
    expect(allocate([curve([9, 8, 8, 0, 0]), curve([9, 8, 7, 6.5, 6])], 0.5)).toEqual([3, 1]);
  });
});

test('the error of a layer at each number of picks is that of the graph with as many', async () => {
  const compute = graphCompute({}, { threads: 1 });
  afterAll(() => compute.close());
  const { graph } = zooModel('llama', { model: 'Llama', set: { V: '32', D: '16', H: '24', L: '1', N: '4', G: '2' } }).model;
  const [feedForward] = findFeedForwards(graph).found;
  if (!feedForward) throw new Error('no feed-forward');
  const words = { experts: 6, k: 3 };
  const read = readSettings({
    experts: { kind: 'number', value: words.experts },
    pick: { kind: 'word', name: 'top', args: { '': { kind: 'number', value: words.k } } },
    text: { kind: 'text', value: 'x.txt' },
    repair: { kind: 'word', name: 'low_rank', args: { '': { kind: 'number', value: 2 } } },
  });
  if (!('settings' in read)) throw new Error('settings');
  const x = noise(40, feedForward.width, 'x');
  const decided = await decideAll(await layerOf(graph, feedForward, [x], undefined, compute), read.settings, compute);
  const { errors } = await errorCurve(decided, 1, compute);
  const dense = feedForwardGraph(graph, feedForward);
  const feeds = { [feedForward.x.name]: ndArray([1, x.rows, x.columns], Float64Array.from(x.data)) };
  const y = defined(dense, feeds)['y']?.data ?? [];
  const squares = (of: ArrayLike<number>): number => Array.from(of).reduce((sum, one) => sum + one * one, 0);
  for (let k = 1; k <= words.experts; k++) {
    const converted = replaceFeedForwards(dense, [{ feedForward, conversion: { ...decided.conversion, picks: k } }]);
    const made = defined(converted, feeds)['y']?.data ?? [];
    expect(errors[k]).toBeCloseTo(squares(Array.from(made, (one, i) => one - (y[i] ?? 0))) / squares(y), 5);
  }
  expect(errors[words.experts]).toBe(0);
  expect(errors[1]).toBeGreaterThan(0.01);
});

describe('the settings', () => {
  const number = (value: number) => ({ kind: 'number', value }) as const;
  const word = (name: string, args: Readonly<Record<string, number>> = {}) =>
    ({ kind: 'word', name, args: Object.fromEntries(Object.entries(args).map(([key, value]) => [key, number(value)])) }) as const;

  test.each([
    [word('budget', { '': 0.5 }), { picks: 4, varying: { kind: 'budget', share: 0.5 } }],
    [word('threshold', { '': 0.5 }), { picks: 4, varying: { kind: 'threshold', share: 0.5, most: 6 } }],
    [word('threshold', { '': 0.75 }), { picks: 6, varying: { kind: 'threshold', share: 0.75, most: 8 } }],
    [word('threshold', { '': 0.3, most: 4 }), { picks: 2, varying: { kind: 'threshold', share: 0.3, most: 4 } }],
  ])('of %j', (pick, wanted) => expect(readSettings({ experts: number(8), pick })).toMatchObject({ settings: wanted }));

  test.each([
    [{ experts: number(8), pick: word('budget', { '': 0.1 }) }, 'setting-out-of-range'],
    [{ experts: number(8), shared: number(4), pick: word('budget', { '': 0.5 }) }, 'setting-out-of-range'],
    [{ experts: number(8), pick: word('threshold', { '': 1.5 }) }, 'setting-out-of-range'],
    [{ experts: number(8), pick: word('threshold', { '': 0.5, most: 9 }) }, 'picks-out-of-range'],
    [{ experts: number(8), pick: word('threshold', { '': 0.5 }), score: word('oracle') }, 'setting-invalid'],
    [{ pick: word('budget', { '': 0.5 }), group: { kind: 'word', name: 'stored', args: { '': { kind: 'text', value: 'a' } } } }, 'setting-invalid'],
  ] as const)('%j is refused', (written, code) => {
    const read = readSettings(written);
    expect('faults' in read && read.faults.map(({ diagnostic }) => diagnostic.code)).toEqual([code]);
  });
});
