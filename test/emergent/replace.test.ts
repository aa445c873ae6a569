/** Feed-forwards replaced by mixtures: with every expert picked they are the dense layer again, with some of them what masks on its neurons give, written out here. */

import { describe, expect, test } from 'vitest';
import type { Graph } from '../../src/graph/graph.ts';
import { type NdArray, ndArray } from '../../src/graph/nd-array.ts';
import { verifyGraph } from '../../src/graph/verify.ts';
import { type Conversion, withEveryExpert } from '../../src/passes/emergent/conversion.ts';
import { replaceFeedForwards } from '../../src/passes/emergent/replace.ts';
import { feedForwardGraph } from '../../src/passes/emergent/stages.ts';
import { type FeedForward, findFeedForwards } from '../../src/passes/feed-forwards.ts';
import { picksOf as setPicksOf } from '../../src/passes/set-picks.ts';
import { loweringNames } from '../../src/targets/target.ts';
import { sourceArray } from '../../src/weights/source.ts';
import { defined, distance } from '../definition.ts';
import { must, open } from '../running.ts';
import { type Asked, cases, conversionOf, models, wave } from './dealt.ts';

const tokens = 7;

/** The feed-forward by its definition: neurons of experts that are not picked are masked, their stand-ins added. */
function expected(graph: Graph, feedForward: FeedForward, conversion: Conversion, x: NdArray): Float64Array {
  const { neurons, width } = feedForward;
  const dense = feedForwardGraph(graph, feedForward);
  const { h } = defined({ ...dense, outputs: [{ name: 'h', value: feedForward.inner.hidden }] }, { [feedForward.x.name]: x });
  const [down, bias] = [sourceArray(feedForward.down, undefined), feedForward.outBias && sourceArray(feedForward.outBias, undefined)];
  const y = new Float64Array(tokens * width);
  const { router, repair, experts, order, size, picks, threshold } = conversion;
  if (!h || router.kind !== 'linear') throw new Error('no hidden values');
  for (let t = 0; t < tokens; t++) {
    const token = x.data.subarray(t * width, (t + 1) * width);
    const times = (matrix: NdArray, columns: number): number[] =>
      Array.from({ length: columns }, (_, j) => token.reduce((sum, one, d) => sum + one * (matrix.data[d * columns + j] ?? 0), 0));
    const scores = times(router.weight, experts).map((score, e) => score + (router.bias?.data[e] ?? 0));
    const best = [...scores.keys()].sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0)).slice(0, picks);
    const picked = new Set(best.filter((e) => (scores[e] ?? 0) > (threshold?.score ?? Number.NEGATIVE_INFINITY)));
    const runs = (i: number): boolean => !order.includes(i) || picked.has(Math.floor(order.indexOf(i) / size));
    for (let d = 0; d < width; d++) {
      let sum = bias?.data[d] ?? 0;
      for (let i = 0; i < neurons; i++) if (runs(i)) sum += (h.data[t * neurons + i] ?? 0) * (down.data[i * width + d] ?? 0);
      if (repair) {
        const z = [...times(repair.projection, repair.projection.dims[1] ?? 0), 1];
        for (let e = 0; e < experts; e++) if (!picked.has(e)) z.forEach((one, j) => (sum += one * (repair.maps.data[(e * z.length + j) * width + d] ?? 0)));
      }
      y[t * width + d] = sum;
    }
  }
  return y;
}

describe.each(models)('%s', (_, found) => {
  const { graph } = found.model;
  const { found: feedForwards } = findFeedForwards(graph);
  const [first] = feedForwards;
  if (!first) throw new Error('no feed-forward');
  const x = ndArray([1, tokens, first.width], wave(tokens * first.width, 2.1));

  test('has a feed-forward in each of its layers', () => expect(feedForwards).toHaveLength(2));

  test.each(cases)('%o: with every expert it is the dense layer to 1e-12', (asked) => {
    const conversion = withEveryExpert(conversionOf(first, asked));
    const dense = feedForwardGraph(graph, first);
    const replaced = replaceFeedForwards(dense, [{ feedForward: first, conversion }]);
    verifyGraph(replaced);
    const feeds = { [first.x.name]: x };
    expect(distance(defined(replaced, feeds)['y']?.data ?? [], defined(dense, feeds)['y']?.data ?? new Float64Array())).toBeLessThan(1e-12);
  });

  test.each(cases)('%o: with some of them it is what masked neurons give, to 1e-12', (asked) => {
    const conversion = conversionOf(first, asked);
    const replaced = replaceFeedForwards(feedForwardGraph(graph, first), [{ feedForward: first, conversion }]);
    expect(distance(defined(replaced, { [first.x.name]: x })['y']?.data ?? [], expected(graph, first, conversion, x))).toBeLessThan(1e-12);
  });

  test.each(loweringNames.filter((name) => name !== 'fused'))('whole models run %s as they are defined, to 1e-5', async (name) => {
    const ids = ndArray([2, 5], [3, 10, 17, 24, 31, 6, 13, 20, 27, 2], 'i64');
    for (const asked of cases) {
      const converted = replaceFeedForwards(
        graph,
        feedForwards.map((feedForward) => ({ feedForward, conversion: conversionOf(feedForward, asked) })),
      );
      const session = await open({ ...found, model: { ...found.model, graph: converted } }, 'ort', { form: 'whole', lowering: { few: name, many: name } });
      const results = must(await session.run({ input_ids: { dtype: 'i64', dims: [2, 5], data: BigInt64Array.from(ids.data, BigInt) } }));
      await session.close();
      expect(distance(results['logits']?.data as Float32Array, defined(converted, { input_ids: ids })['logits']?.data ?? new Float64Array())).toBeLessThan(1e-5);
    }
  });

  test('the number of picks may be given at run time: any is what the graph with as many is, all are the dense model, to 1e-5', async () => {
    const ids = ndArray([1, 6], [3, 10, 17, 24, 31, 6], 'i64');
    const asked: Asked = { experts: 4, picks: 2, shared: 4, rank: 3 };
    const converted = (picks: number): Graph =>
      replaceFeedForwards(
        graph,
        feedForwards.map((feedForward) => ({ feedForward, conversion: conversionOf(feedForward, { ...asked, picks }) })),
      );
    const session = await open({ ...found, model: { ...found.model, graph: converted(2) } }, 'ort', { form: 'whole', active: 'input' });
    const logitsOf = (of: Graph): Float64Array => defined(of, { input_ids: ids })['logits']?.data ?? new Float64Array();
    const given = async (k: number): Promise<Float32Array> => {
      const feeds = {
        input_ids: { dtype: 'i64', dims: [1, 6], data: BigInt64Array.from(ids.data, BigInt) },
        active: { dtype: 'i64', dims: [], data: BigInt64Array.of(BigInt(k)) },
      } as const;
      return must(await session.run(feeds))['logits']?.data as Float32Array;
    };
    for (const k of [1, 2, 3]) expect(distance(await given(k), logitsOf(converted(k)))).toBeLessThan(1e-5);
    expect(distance(await given(4), logitsOf(graph))).toBeLessThan(1e-5);
    expect(distance(await given(1), logitsOf(graph))).toBeGreaterThan(1e-3);
    await session.close();
  });

  test('with a threshold the number of picks is fixed', () => {
    const conversion = conversionOf(first, { experts: 5, picks: 4, above: 0 });
    expect(setPicksOf(replaceFeedForwards(graph, [{ feedForward: first, conversion }]))).toBeUndefined();
  });
});
