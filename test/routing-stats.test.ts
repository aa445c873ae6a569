/** What mixtures say of their routing, against a count by hand of what their routers computed. */

import { describe, expect, test } from 'vitest';
import type { Graph } from '../src/graph/graph.ts';
import { type NdArray, ndArray } from '../src/graph/nd-array.ts';
import { addStats } from '../src/passes/add-stats.ts';
import { cutMixtures } from '../src/passes/cut-mixtures.ts';
import { modelOfSource } from '../src/run/find-model.ts';
import { generate, type Statistics } from '../src/run/generate.ts';
import { balanceOf, statsCollector } from '../src/run/routing-stats.ts';
import { defined } from './definition.ts';
import { repository, repositoryReader } from './repository.ts';
import { must, open } from './running.ts';

const modelOf = (file: string) => must(modelOfSource(`test/mixtures/${file}`, { reader: repositoryReader, zoo: repository, seed: 3 }));
const ids = Array.from({ length: 10 }, (_, i) => (i * 7 + 3) % 32);

const results = (graph: Graph): Readonly<Record<string, NdArray>> => defined(graph, { input_ids: ndArray([2, 5], ids, 'i64') });

/** Statistics counted one pick at a time. */
function counted(experts: NdArray, weights: NdArray | undefined, n: number): { readonly tokens: number[]; readonly weight: number[]; readonly entropy: number } {
  const k = experts.dims.at(-1) ?? 1;
  const tokens = new Array<number>(n).fill(0);
  const weight = new Array<number>(n).fill(0);
  let entropy = 0;
  for (let t = 0; t < experts.data.length / k; t++) {
    const of = Array.from({ length: k }, (_, slot) => (weights ? (weights.data[t * k + slot] ?? 0) : 1));
    const all = of.reduce((sum, one) => sum + one, 0);
    for (const [slot, one] of of.entries()) {
      const e = experts.data[t * k + slot] ?? -1;
      tokens[e] = (tokens[e] ?? 0) + 1;
      weight[e] = (weight[e] ?? 0) + one;
      entropy -= (one / all) * Math.log(one / all);
    }
  }
  return { tokens, weight: weight.map((sum, e) => sum / Math.max(1, tokens[e] ?? 0)), entropy: entropy / (experts.data.length / k) };
}

describe.each(['moe.moe', 'moa.moe', 'routed.moe'])('%s', (file) => {
  const found = modelOf(file);
  const cut = cutMixtures(found.model.graph, () => {
    throw new Error('it cannot be cut');
  });
  /** Experts and weights of every mixture as results, by its path. */
  const segments = new Map(cut.nodes.flatMap(({ op, inputs: [experts, weights] }) => (op.name === 'segment' && experts ? [[experts, weights] as const] : [])));
  const routed = results({ ...cut, outputs: [...segments].flatMap(([e, w], i) => [{ name: `e${i}`, value: e }, ...(w ? [{ name: `w${i}`, value: w }] : [])]) });
  const wanted = [...segments.keys()].map((experts, i) => ({
    path: experts.name.replace('.router.experts', ''),
    ...counted(routed[`e${i}`] ?? ndArray([0], []), routed[`w${i}`], 4),
  }));

  test('the pass counts what was picked, to 1e-12', () => {
    const told = results(addStats(cut));
    expect(wanted.length).toBeGreaterThan(1);
    for (const { path, tokens, weight, entropy } of wanted) {
      expect([...(told[`stats.${path}.tokens`]?.data ?? [])]).toEqual(tokens);
      weight.forEach((one, e) => expect(told[`stats.${path}.weight`]?.data[e]).toBeCloseTo(one, 12));
      expect(told[`stats.${path}.entropy`]?.data[0]).toBeCloseTo(entropy, 12);
    }
  });

  test.each(['portable', 'ort'] as const)('on %s it is the same to 1e-5', async (target) => {
    const session = await open(found, target, { form: 'whole', stats: true });
    const told = statsCollector(session.outputs);
    told.add(must(await session.run({ input_ids: { dtype: 'i64', dims: [2, 5], data: BigInt64Array.from(ids, BigInt) } })));
    await session.close();
    expect(told.all().map(({ path, tokens }) => ({ path, tokens }))).toEqual(wanted.map(({ path, tokens }) => ({ path, tokens })));
    told.all().forEach(({ weights, entropy }, i) => {
      weights.forEach((one, e) => expect(one).toBeCloseTo(wanted[i]?.weight[e] ?? Number.NaN, 5));
      expect(entropy).toBeCloseTo(wanted[i]?.entropy ?? Number.NaN, 5);
    });
  });
});

test('a continuation in steps counts every token once, padding not; as one of the whole sequence does', async () => {
  const found = modelOf('moa.moe');
  const told: (Statistics['routing'] | undefined)[] = [];
  for (const [target, form, prompts] of [
    ['ort', 'step', [ids.slice(0, 3), ids.slice(3, 8)]],
    ['portable', 'step', [ids.slice(0, 3), ids.slice(3, 8)]],
    ['ort', 'step', [ids.slice(0, 3)]],
    ['portable', 'whole', [ids.slice(0, 3)]],
  ] as const) {
    const session = await open(found, target, { form, stats: true });
    const generation = must(generate(session, undefined, prompts, { maxTokens: 6 }));
    const result = must(await generation.result);
    await session.close();
    told.push(result.routing);
  }
  const sums = told.map((one) => one?.map(({ tokens }) => tokens.reduce((sum, count) => sum + count, 0)));
  // Two picks for 3 + 5 tokens of prompts and 5 further ones of each row; the last token is never read.
  expect(sums[0]).toEqual(new Array(4).fill(2 * (3 + 5 + 2 * 5)));
  expect(sums[2]).toEqual(new Array(4).fill(2 * (3 + 5)));
  expect(told[1]?.map(({ tokens }) => tokens)).toEqual(told[0]?.map(({ tokens }) => tokens));
  expect(told[3]?.map(({ tokens }) => tokens)).toEqual(told[2]?.map(({ tokens }) => tokens));
  told[3]?.forEach(({ entropy, weights }, i) => {
    expect(entropy).toBeCloseTo(told[2]?.[i]?.entropy ?? Number.NaN, 5);
    weights.forEach((one, e) => expect(one).toBeCloseTo(told[2]?.[i]?.weights[e] ?? Number.NaN, 5));
  });
});

test('balance is 1 where tokens are spread evenly, 0 where one expert has all', () => {
  const of = (tokens: readonly number[]): number => balanceOf({ path: '', tokens, weights: [], entropy: 0 });
  expect(of([5, 5, 5, 5])).toBeCloseTo(1, 12);
  expect(of([9, 0, 0])).toBe(0);
  expect(of([3, 1])).toBeCloseTo(-(0.75 * Math.log(0.75) + 0.25 * Math.log(0.25)) / Math.log(2), 12);
});
