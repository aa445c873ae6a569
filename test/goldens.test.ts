/** Routers, experts and attention of the published systems, written in the language, against numbers worked out elsewhere. */

import { describe, expect, test } from 'vitest';
import { evaluateGraph } from '../src/graph/eval.ts';
import { type NdArray, ndArray } from '../src/graph/nd-array.ts';
import { modelOfSource } from '../src/run/find-model.ts';
import { repositoryReader } from './repository.ts';
import { must } from './running.ts';

/** The numbers are given to six places. */
const golden = 1e-6;
const logits = [2, 1, 0.5, -1, 1.9, 0, -0.5, 1.2];
const bias = [-0.3, 0.2, 0, 0, 0, 0, 0, 0.1];
const identity = ndArray(
  [8, 8],
  Array.from({ length: 64 }, (_, i) => (i % 9 === 0 ? 1 : 0)),
);

/** The results of a model of `test/goldens` with these weights, by the last word of their path, in f64. */
function results(
  file: string,
  model: string,
  feeds: Readonly<Record<string, NdArray>>,
  weights: Readonly<Record<string, NdArray>> = {},
  set: Readonly<Record<string, string>> = {},
): Readonly<Record<string, NdArray>> {
  const { graph } = must(modelOfSource(`test/goldens/${file}.moe`, { reader: repositoryReader, zoo: 'models', model, set })).model;
  return evaluateGraph(graph, feeds, (path) => {
    const found = weights[path.split('.').at(-1) ?? ''];
    if (!found) throw new Error(`no numbers for ${path}`);
    return found;
  });
}

function expectNumbers(found: NdArray | undefined, numbers: readonly number[]): void {
  expect(found?.data).toHaveLength(numbers.length);
  numbers.forEach((number, i) => expect(Math.abs((found?.data[i] ?? Number.NaN) - number), `number ${i}: ${found?.data[i]}`).toBeLessThan(golden));
}

describe('routers', () => {
  test.each([
    ['Raw', [0, 4], [0.311295, 0.281672]],
    ['Normalised', [0, 4], [0.524979, 0.475021]],
    ['NormalisedAfter', [0, 4], [0.524979, 0.475021]],
    ['Biased', [1, 4], [1.141601, 1.358399]],
    ['DeepSeekV2', [0, 1], [0.311295, 0.114519]],
    ['DeepSeekV3', [1, 4], [1.141601, 1.358399]],
    ['DeepSeekV3InGroups', [1, 4], [1.141601, 1.358399]],
    ['DeepSeekV4', [4, 1], [0.832194, 0.667806]],
    ['Phi', [0, 4], [1, 1]],
    ['Llama4', [0], [0.880797]],
  ])('%s', (model, experts, weights) => {
    const found = results('routers', model, { x: ndArray([1, 8], logits) }, { gate: identity, bias: ndArray([8], bias) });
    expect([...(found['experts']?.data ?? [])]).toEqual(experts);
    expectNumbers(found['weights'], weights);
  });

  test('a table from tokens to experts', () => {
    const table = ndArray([3, 2], [7, 6, 4, 1, 0, 2], 'i64');
    const found = results('routers', 'ByToken', { x: ndArray([2, 8], [...logits, ...logits]), ids: ndArray([2], [1, 2], 'i64') }, { gate: identity, table });
    expect([...(found['experts']?.data ?? [])]).toEqual([4, 1, 0, 2]);
    const roots = [1.9, 1, 2, 0.5].map((logit) => Math.sqrt(Math.log1p(Math.exp(logit))));
    const [a = 0, b = 0, c = 0, d = 0] = roots;
    expectNumbers(found['weights'], [a / (a + b), b / (a + b), c / (c + d), d / (c + d)]);
  });

  test('SparseMixer shares where two scores are near', () => {
    const near = logits.with(4, 1.98);
    const found = results('routers', 'Phi', { x: ndArray([1, 8], near) }, { gate: identity });
    expect([...(found['experts']?.data ?? [])]).toEqual([0, 4]);
    expectNumbers(found['weights'], [0.505, 1]);
  });

  test('softmax over all, picked and divided by their sum, is softmax over the picked', () => {
    const x = ndArray(
      [5, 8],
      Array.from({ length: 40 }, (_, i) => Math.sin(i * 7.3) * 3),
    );
    const [one, other] = ['Normalised', 'NormalisedAfter'].map((model) => results('routers', model, { x }, { gate: identity }));
    expect(other?.['experts']).toEqual(one?.['experts']);
    expectNumbers(other?.['weights'], [...(one?.['weights']?.data ?? [])]);
  });
});

test.each([
  [1, 0.5, 1.268694],
  [10, -9, -41.999719],
  [-2, 3, -0.257366],
  [0, 5, 0],
])('the gated unit of gpt-oss at gate %d, up %d', (gate, up, wanted) => {
  const zero = ndArray([1], [0]);
  const weights = { gate: ndArray([2, 1], [1, 0]), up: ndArray([2, 1], [0, 1]), gate_bias: zero, up_bias: zero, down: ndArray([1, 2], [1, 0]), down_bias: ndArray([2], [0, 0]) };
  expectNumbers(results('attention', 'Glu', { x: ndArray([1, 2], [gate, up]) }, weights, { D: '2', I: '1' })['y'], [wanted, 0]);
});

test.each([
  ['HeadsRaw', 0.365529],
  ['HeadsNormalised', 0.5],
])('a mixture of attention heads, %s', (model, wanted) => {
  const weights = {
    k: ndArray([2, 1], [1, 0.5]),
    v: ndArray([2, 1], [0, 1]),
    q: ndArray([2, 2, 1], [1, 0, 0, 2]),
    o: ndArray([2, 1, 2], [1, 0, 0, 1]),
    gate: ndArray([2, 2], [1, 0, 0, 1.5]),
  };
  expectNumbers(results('attention', model, { y: ndArray([1, 2, 2], [1, 0, 0.5, 1]) }, weights, { D: '2', W: '1' })['z'], [0, 0, 0, wanted]);
});

test('a sink takes a share and gives nothing', () => {
  const feeds = { q: ndArray([1, 1, 1], [1]), k: ndArray([1, 2, 1], [1, 0]), v: ndArray([1, 2, 2], [1, 0, 0, 1]), sink: ndArray([1], [0.5]) };
  expectNumbers(results('attention', 'Sink', feeds)['y'], [0.50648, 0.186324]);
});

test('a stick is broken from the last key', () => {
  expectNumbers(results('attention', 'StickBreaking', { scores: ndArray([1, 3], [0.2, -0.5, 1]) })['shares'], [0.092045, 0.101536, 0.731059]);
});
