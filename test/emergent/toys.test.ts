/** The toy of EMoE with numbers computed elsewhere: the dense layer, keys averaged by expert, the scores, and what one of two experts gives. */

import { expect, test } from 'vitest';
import { graphBuilder } from '../../src/graph/builder.ts';
import { dim, symbol } from '../../src/graph/dim.ts';
import { type Graph, type Value, value, type Weight } from '../../src/graph/graph.ts';
import { ndArray } from '../../src/graph/nd-array.ts';
import { tensor } from '../../src/graph/type.ts';
import { gelu, silu } from '../../src/ops/activations.ts';
import { add, mul } from '../../src/ops/elementwise.ts';
import { matmul } from '../../src/ops/matmul.ts';
import { layerOf } from '../../src/passes/emergent/layer.ts';
import { mergeExperts } from '../../src/passes/emergent/merge.ts';
import { replaceFeedForwards } from '../../src/passes/emergent/replace.ts';
import { routerOf } from '../../src/passes/emergent/routing.ts';
import type { EmergentSettings } from '../../src/passes/emergent/settings.ts';
import { type FeedForward, findFeedForwards } from '../../src/passes/feed-forwards.ts';
import { defined } from '../definition.ts';
import { orderOf } from './dealt.ts';

// `systems.md` §9, in its letters: K and Ku hold the keys as rows, V the values.
const K = [1, 0, 0, 1, 2, 0.2, -0.1, 3];
const Ku = [0.5, 1, 1, 0, 0, 2, 1, 1];
const V = [1, 0, 0, 1, 1, 1, -1, 2];
const b1 = [0.1, -0.1, 0, 0.2];
const b2 = [0.5, -0.5];
const labels = Int32Array.from([0, 1, 0, 1]);
const feeds = { x: ndArray([1, 2], [1, 0.5]) };

const columnsOf = (rows: readonly number[]): readonly number[] => [0, 1].flatMap((column) => rows.filter((_, i) => i % 2 === column));

function toy(kind: 'plain' | 'gated'): Graph {
  const build = graphBuilder();
  const weights: Weight[] = [];
  const weight = (name: string, dims: readonly number[], numbers: readonly number[]): Value => {
    const array = ndArray(dims, numbers);
    const held = value(name, { dtype: 'f32', dims: dims.map((size) => dim(size)) });
    weights.push({ value: held, path: name, source: { kind: 'literal', array, dims, dtype: 'f32' }, storage: 'constant' });
    return held;
  };
  const x = value('x', tensor('f32', [symbol('T'), 2]));
  const gate = build.one(matmul, [x, weight('gate', [2, 4], columnsOf(K))], {}, 'g');
  const hidden =
    kind === 'plain'
      ? build.one(gelu, [build.one(add, [gate, weight('gate_bias', [4], b1)], {}, 'gb')], {}, 'h')
      : build.one(mul, [build.one(silu, [gate], {}, 's'), build.one(matmul, [x, weight('up', [2, 4], columnsOf(Ku))], {}, 'u')], {}, 'h');
  const down = build.one(matmul, [hidden, weight('down', [4, 2], V)], {}, 'd');
  const y = kind === 'plain' ? build.one(add, [down, weight('out_bias', [2], b2)], {}, 'y') : down;
  return build.finish({ name: 'toy', inputs: [x], outputs: [{ name: 'y', value: y }], weights });
}

/** Numbers of the reference have six decimals. */
const near = (found: Iterable<number>, wanted: readonly number[]): void => {
  const list = [...found];
  expect(list.length).toBe(wanted.length);
  list.forEach((one, i) => expect(Math.abs(one - (wanted[i] ?? Number.NaN))).toBeLessThan(1e-6));
};

const unused = (): never => {
  throw new Error('mean keys take no products');
};
const settings = { score: { kind: 'mean_key' }, picks: 1, experts: 2, seed: 0 } as EmergentSettings;

test.each([
  ['plain', [2.000931, 4.849296], [3.513252, 1.562485]],
  ['gated', [0.917369, 5.551299], [2.601955, 1.870897]],
] as const)('%s: dense, scored, and with one expert', async (kind, dense, one) => {
  const graph = toy(kind);
  const [feedForward] = findFeedForwards(graph).found as readonly [FeedForward];
  near(defined(graph, feeds)['y']?.data ?? [], dense);
  const compute = { run: unused, release: unused, matmul: unused, product: unused };
  const layer = await layerOf(graph, feedForward, [], undefined, compute);
  const router = await routerOf(layer, { grouping: { experts: 2, size: 2, shared: 0, labels } }, undefined, settings, compute);
  if (router.kind !== 'linear') throw new Error('mean keys are a matrix');
  // G, with a column for each expert.
  near(router.weight.data, columnsOf([1.5, 0.1, -0.05, 2]));
  const scores = [0, 1].map((e) => (router.weight.data[e] ?? 0) + 0.5 * (router.weight.data[2 + e] ?? 0));
  near(scores, [1.55, 0.95]);
  const conversion = { path: feedForward.path, experts: 2, size: 2, ...orderOf(labels, 2, 2), router };
  const run = (picks: number): Graph => replaceFeedForwards(graph, [{ feedForward, conversion: { ...conversion, picks } }]);
  near(defined(run(1), feeds)['y']?.data ?? [], one);
  near(defined(run(2), feeds)['y']?.data ?? [], dense);
  near(defined(mergeExperts(run(1)), feeds)['y']?.data ?? [], dense);
});
