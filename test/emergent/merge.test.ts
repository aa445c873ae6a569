/** `merge-experts` undoes a conversion: the weights have their original bits, the graph computes what the dense one does, to the last bit. */

import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { Graph } from '../../src/graph/graph.ts';
import { ndArray } from '../../src/graph/nd-array.ts';
import type { Source } from '../../src/graph/source.ts';
import { verifyGraph } from '../../src/graph/verify.ts';
import { mergeExperts } from '../../src/passes/emergent/merge.ts';
import { replaceFeedForwards } from '../../src/passes/emergent/replace.ts';
import { type FeedForward, findFeedForwards } from '../../src/passes/feed-forwards.ts';
import type { Checkpoint } from '../../src/weights/checkpoint.ts';
import { sourceBytes } from '../../src/weights/source.ts';
import { defined } from '../definition.ts';
import { fixture } from '../fixtures.ts';
import { checkpointModel, zooModel } from '../running.ts';
import { cases, conversionOf, models } from './dealt.ts';

const parts = ['gate', 'gateBias', 'up', 'upBias', 'down', 'outBias'] as const;

/** The bytes of a feed-forward's numbers, part by part, as digests. */
function bytesOf(feedForward: FeedForward, checkpoint?: Checkpoint): Readonly<Record<string, string | undefined>> {
  const read = (source: Source): string => {
    const hash = createHash('sha256');
    for (const piece of sourceBytes(source, checkpoint)) hash.update(piece);
    return hash.digest('hex');
  };
  return Object.fromEntries(parts.map((part) => [part, feedForward[part] && read(feedForward[part])]));
}

const mixtures = ({ nodes }: Graph): number => nodes.filter(({ op }) => op.name === 'mixture').length;

describe.each(models)('%s', (_, found) => {
  const { graph } = found.model;
  const { found: dense } = findFeedForwards(graph);

  test.each(cases)('%o', (asked) => {
    const converted = replaceFeedForwards(
      graph,
      dense.map((feedForward) => ({ feedForward, conversion: conversionOf(feedForward, asked) })),
    );
    expect(mixtures(converted)).toBe(2);
    const merged = mergeExperts(converted);
    verifyGraph(merged);
    const again = findFeedForwards(merged).found;
    expect(again.map(({ kind, neurons }) => [kind, neurons])).toEqual(dense.map(({ kind, neurons }) => [kind, neurons]));
    again.forEach((one, i) => expect(bytesOf(one)).toEqual(bytesOf(dense[i] as FeedForward)));
    expect(merged.weights.length).toBe(graph.weights.length);
    const ids = { input_ids: ndArray([2, 5], [3, 10, 17, 24, 31, 6, 13, 20, 27, 2], 'i64') };
    expect(defined(merged, ids)).toEqual(defined(graph, ids));
  });
});

test.each(['stories260k', 'rxn-albert'])('%s has the bits of its checkpoint again', (name) => {
  const folder = fixture(name);
  if (folder === undefined) return void console.warn(`no ${name} beside the project: its merge is not tested`);
  const { model, checkpoint } = checkpointModel(folder);
  const { found: dense } = findFeedForwards(model.graph);
  const converted = replaceFeedForwards(
    model.graph,
    dense.map((feedForward) => ({ feedForward, conversion: conversionOf(feedForward, { experts: 16, picks: 8, shared: 12 }) })),
  );
  const { found: again } = findFeedForwards(mergeExperts(converted));
  expect(again.length).toBe(dense.length);
  again.forEach((one, i) => expect(bytesOf(one, checkpoint)).toEqual(bytesOf(dense[i] as FeedForward, checkpoint)));
  expect(new Set(again.map(({ block }) => block)).size).toBe(new Set(dense.map(({ block }) => block)).size);
  checkpoint?.close();
});

test('mixtures that an author wrote are left alone', () => {
  const { graph } = zooModel('mixtral', { set: { V: '32', D: '16', H: '24', L: '2', N: '4', G: '2', E: '4', k: '2' } }).model;
  expect(mixtures(graph)).toBe(2);
  expect(mergeExperts(graph)).toBe(graph);
});
