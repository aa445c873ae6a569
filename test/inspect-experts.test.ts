/** The parts of inspecting experts: assignments against every permutation, Kendall's τ against its definition, experts made of each other's neurons. */

import { describe, expect, test } from 'vitest';
import type { Graph } from '../src/graph/graph.ts';
import { ndArray } from '../src/graph/nd-array.ts';
import { assign, kendallTau } from '../src/inspect/assignment.ts';
import { mixturesOf } from '../src/inspect/expert-matrices.ts';
import { correlationOf, inspectExperts, lower } from '../src/inspect/experts.ts';
import { cosinesOf } from '../src/inspect/similarity.ts';
import { modelOfSource } from '../src/run/find-model.ts';
import { randomNumbers } from '../src/weights/random.ts';
import { repository, repositoryReader } from './repository.ts';
import { must } from './running.ts';

function* permutations(n: number, taken: readonly number[] = []): Generator<readonly number[]> {
  if (taken.length === n) yield taken;
  else for (let i = 0; i < n; i++) if (!taken.includes(i)) yield* permutations(n, [...taken, i]);
}

describe('an assignment', () => {
  test.each([1, 2, 3, 4, 5, 6])('of %i is the best of all', (n) => {
    for (let seed = 0; seed < 20; seed++) {
      const gain = randomNumbers(`gain ${n}`, seed, 1, 0, n * n);
      const worth = (order: ArrayLike<number>): number => Array.from(order).reduce((sum, column, row) => sum + (gain[row * n + column] ?? 0), 0);
      const found = assign(gain, n);
      expect(Array.from(found).sort()).toEqual(Array.from({ length: n }, (_, i) => i));
      expect(worth(found)).toBeCloseTo(Math.max(...[...permutations(n)].map(worth)), 12);
    }
  });

  test('finds a hidden order among 200', () => {
    const n = 200;
    const order = Array.from({ length: n }, (_, i) => (i * 77 + 13) % n);
    const gain = randomNumbers('noise', 1, 0.01, 0, n * n);
    for (const [row, column] of order.entries()) gain[row * n + column] = 1;
    expect(Array.from(assign(gain, n))).toEqual(order);
  });
});

test('Kendall’s τ counts pairs in order less pairs out of order', () => {
  for (const order of permutations(5)) {
    let [score, pairs] = [0, 0];
    for (let i = 0; i < 5; i++) for (let j = 0; j < i; j++, pairs++) score += Math.sign((order[i] ?? 0) - (order[j] ?? 0));
    expect(kendallTau(Int32Array.from(order))).toBeCloseTo(score / pairs, 12);
  }
  expect(kendallTau(Int32Array.of(0))).toBe(1);
});

test('a correlation is of three pairs at least, and of lists that vary', () => {
  expect(correlationOf([1, 2, 3], [2, 4, 6])).toBeCloseTo(1, 12);
  expect(correlationOf([1, 2, 3], [1, 0, 0])).toBeCloseTo(-Math.sqrt(3) / 2, 12);
  expect(correlationOf([1, 2], [2, 4])).toBe(undefined);
  expect(correlationOf([1, 1, 1], [2, 4, 5])).toBe(undefined);
});

test('cosines are of directions; of nothing they are 0', () => {
  const found = cosinesOf([Float64Array.of(1, 0), Float64Array.of(5, 5), Float64Array.of(0, 0)]);
  expect(lower(found).map((one) => one.toFixed(6))).toEqual(['0.707107', '0.000000', '0.000000']);
});

describe('a model', () => {
  const { graph } = must(modelOfSource('test/mixtures/moa.moe', { reader: repositoryReader, zoo: repository, seed: 3 })).model;

  test('has its matrices by neurons: heads own queries and outputs', () => {
    expect(
      mixturesOf(graph).map(({ path, experts, gate, matrices }) => [
        path,
        experts,
        gate?.dims,
        ...matrices.map(({ name, role, neurons, width, axis }) => [name, role, neurons, width, axis].join(' ')),
      ]),
    ).toEqual([
      ['blocks.0.attn', 4, [8, 4], 'q keys 8 8 1', 'o values 8 8 0'],
      ['blocks.0.ffn', 4, [8, 4], 'gate keys 12 8 1', 'up keys 12 8 1', 'down values 12 8 0'],
      ['blocks.1.attn', 4, [8, 4], 'q keys 8 8 1', 'o values 8 8 0'],
      ['blocks.1.ffn', 4, [8, 4], 'gate keys 12 8 1', 'up keys 12 8 1', 'down values 12 8 0'],
    ]);
  });

  /** The model with each expert made of the first one's neurons, in another order: three to the right for each. */
  function rotated(whole: Graph): Graph {
    const [n, D, H] = [4, 8, 12];
    const numbers = randomNumbers('neurons', 5, 1, 0, D * H);
    const weights = whole.weights.map((weight) => {
      if (!/^blocks\.0\.ffn\.(gate|up|down)$/.test(weight.path)) return weight;
      const isDown = weight.path.endsWith('down');
      const neuron = (e: number, k: number): number => (k + 3 * e) % H;
      const data = Float64Array.from({ length: n * D * H }, (_, i) => {
        const [e, rest] = [Math.floor(i / (D * H)), i % (D * H)];
        const [k, d] = isDown ? [Math.floor(rest / D), rest % D] : [rest % H, Math.floor(rest / H)];
        return numbers[neuron(e, k) * D + d] ?? 0;
      });
      return { ...weight, source: { kind: 'literal', array: ndArray(weight.source.dims, data), dims: weight.source.dims, dtype: 'f32' } as const };
    });
    return { ...whole, weights };
  }

  test('of experts with the same neurons in another order finds the order', () => {
    const [report] = [...inspectExperts(rotated(graph), undefined, { which: [1] })];
    expect(report?.path).toBe('blocks.0.ffn');
    expect(report?.matrices.length).toBe(3);
    for (const { whole, averaged, reordered } of report?.matrices ?? []) {
      expect(Math.max(...lower(whole).map(Math.abs))).toBeLessThan(0.9);
      for (const one of lower(averaged)) expect(one).toBeCloseTo(1, 12);
      for (const one of lower(reordered?.similarity ?? [])) expect(one).toBeCloseTo(1, 12);
      // A turn by three of twelve puts 3 · 9 of 66 pairs out of order.
      expect(reordered?.tau[1]?.[0]).toBeCloseTo(1 - (2 * 27) / 66, 12);
    }
    expect([...inspectExperts(graph, undefined, { which: [1], neurons: false })][0]?.matrices.every(({ reordered }) => reordered === undefined)).toBe(true);
  });
});
