/** Mixtures by their definition (every expert on every token, in f64) against what they are cut into and what runs. */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ndArray } from '../src/graph/nd-array.ts';
import { verifyGraph } from '../src/graph/verify.ts';
import { cutMixtures } from '../src/passes/cut-mixtures.ts';
import { modelOfSource } from '../src/run/find-model.ts';
import { generate } from '../src/run/generate.ts';
import type { Wish } from '../src/targets/mixture/choose.ts';
import { loweringNames } from '../src/targets/target.ts';
import { defined, distance } from './definition.ts';
import { repository, repositoryReader } from './repository.ts';
import { must, open } from './running.ts';

const folder = join(repository, 'test/mixtures');
const files = readdirSync(folder).filter((name) => name.endsWith('.moe'));
/** Ways to continue a text; the first is the model as it was written. */
const ways: readonly (readonly ['portable' | 'ort', 'whole' | 'step' | 'chunk', Wish?])[] = [
  ['portable', 'whole'],
  ['portable', 'step'],
  ['ort', 'step'],
  ['ort', 'chunk'],
  ...loweringNames.map((name) => ['ort', 'chunk', { few: name, many: name }] as const),
  ['ort', 'chunk', { few: 'gathered', many: 'guarded' }],
  ['ort', 'step', { few: 'gathered', many: 'looped' }],
];
const ids = Array.from({ length: 10 }, (_, i) => (i * 7 + 3) % 32);

describe.each(files)('%s', (file) => {
  const found = must(modelOfSource(`test/mixtures/${file}`, { reader: repositoryReader, zoo: folder, seed: 3 }));
  const { graph } = found.model;
  const logits = (of = graph): Float64Array => defined(of, { input_ids: ndArray([2, 5], ids, 'i64') })['logits']?.data ?? new Float64Array();

  test('cut into segments it is the same to 1e-12', () => {
    const cut = cutMixtures(graph, () => {
      throw new Error('it cannot be cut');
    });
    verifyGraph(cut);
    expect(distance(logits(cut), logits())).toBeLessThan(1e-12);
  });

  test.each(['portable', 'ort'] as const)('on %s it is the same to 1e-5', async (target) => {
    const session = await open(found, target, { form: 'whole' });
    const results = must(await session.run({ input_ids: { dtype: 'i64', dims: [2, 5], data: BigInt64Array.from(ids, BigInt) } }));
    await session.close();
    expect(distance(results['logits']?.data as Float32Array, logits())).toBeLessThan(1e-5);
  });

  if (graph.nodes.some((node) => Object.values(node.bodies ?? {}).some((body) => body.nodes.some(({ op }) => op.name === 'attend')))) {
    test('continues the same whole, in steps and in the loop', async () => {
      const texts = [];
      for (const [target, form, lowering] of ways) {
        const session = await open(found, target, { form, ...(lowering ? { lowering } : {}) });
        const tokens: number[][] = [[], []];
        const generation = must(generate(session, undefined, [ids.slice(0, 3), ids.slice(3, 8)], { maxTokens: 8 }));
        for await (const { row, token } of generation) if (token !== undefined) tokens[row]?.push(token);
        must(await generation.result);
        await session.close();
        texts.push(tokens);
      }
      expect(texts[0]?.every((row) => row.length === 8)).toBe(true);
      for (const text of texts) expect(text).toEqual(texts[0]);
    }, 60_000);
  }
});
