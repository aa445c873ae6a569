/** Feed-forwards of the zoo: the same are found as a model is built and once it is cleaned, under the author's names. */

import { describe, expect, test } from 'vitest';
import { describeFeedForwards } from '../src/passes/describe-feed-forwards.ts';
import { findFeedForwards } from '../src/passes/feed-forwards.ts';
import { passes } from '../src/passes/index.ts';
import { runPasses } from '../src/passes/run.ts';
import { zooModel } from './running.ts';

describe('models of the zoo', () => {
  test.each([
    ['tiny', {}, { paths: ['blocks.0.ffn', 'blocks.1.ffn'], kind: 'gated', width: 64, neurons: 172 }],
    ['llama', { L: '2', mlp_bias: 'true' }, { paths: ['body.blocks.0.ffn', 'body.blocks.1.ffn'], kind: 'gated', width: 4096, neurons: 11008 }],
    ['gpt2', { L: '2' }, { paths: ['body.blocks.0.ffn', 'body.blocks.1.ffn'], kind: 'plain', width: 768, neurons: 3072 }],
    ['bert', { L: '2' }, { paths: ['body.blocks.0.ffn', 'body.blocks.1.ffn'], kind: 'plain', width: 768, neurons: 3072 }],
  ] as const)('%s, as built and cleaned', async (name, set, { paths, ...rest }) => {
    const { graph } = zooModel(name, { set }).model;
    const cleaned = await runPasses(
      graph,
      ['fold-constants', 'recognise-norms', 'simplify', 'share-duplicates'].flatMap((pass) => passes.get(pass) ?? []).map((pass) => ({ pass })),
    );
    for (const one of [graph, cleaned]) {
      const { found } = findFeedForwards(one);
      expect(found.slice(0, 2)).toMatchObject(paths.map((path) => ({ path, label: path, ...rest })));
      expect(new Set(found.map(({ block }) => block)).size).toBe(found.length);
    }
  });

  test('albert reads one set of weights in every layer', () => {
    const found = findFeedForwards(zooModel('albert', { set: { L: '3' } }).model.graph);
    expect(found.found.map(({ path, block }) => [path, block])).toEqual([
      ['body.blocks.0.ffn', 0],
      ['body.blocks.1.ffn', 0],
      ['body.blocks.2.ffn', 0],
    ]);
    expect(describeFeedForwards(found)).toEqual([
      '3 feed-forwards found, 1 candidate not taken',
      '  body.blocks.0.ffn  plain 4096 → 16384 → 4096, gelu_tanh, with biases',
      '  body.blocks.1.ffn  plain 4096 → 16384 → 4096, gelu_tanh, with biases, the weights of body.blocks.0.ffn',
      '  body.blocks.2.ffn  plain 4096 → 16384 → 4096, gelu_tanh, with biases, the weights of body.blocks.0.ffn',
      '  not taken: logits: it goes from 4096 numbers to 30000; one that ends as wide as it began is taken',
    ]);
  });

  test('mixtures are mixtures already', () => {
    expect(findFeedForwards(zooModel('mixtral', { set: { L: '1' } }).model.graph)).toMatchObject({
      found: [],
      missed: [{ name: 'body.blocks.0.ffn', why: 'it is a mixture of 8 experts already' }],
    });
  });
});
