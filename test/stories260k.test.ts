/** A real decoder of 260,032 parameters against an independent implementation: token ids, perplexities, logits, a greedy continuation. */

import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { generate } from '../src/run/generate.ts';
import type { Session } from '../src/run/session.ts';
import type { Tensor } from '../src/run/tensor.ts';
import { openTokenizer } from '../src/run/tokenizer.ts';
import { fixture } from './fixtures.ts';
import { checkpointModel, must, open } from './running.ts';

interface Text {
  readonly text: string;
  readonly ids: readonly number[];
  readonly perplexity: number;
  readonly last_logits_first8: readonly number[];
  readonly last_argmax: number;
}
interface Greedy {
  readonly greedy_from: readonly number[];
  readonly ids: readonly number[];
  readonly text: string;
}

const folder = fixture('stories260k');
const expected: readonly (Text | Greedy)[] = folder === undefined ? [] : JSON.parse(readFileSync(`${folder}/expected.json`, 'utf8'));
const texts = expected.filter((one): one is Text => 'perplexity' in one);
const greedy = expected.find((one): one is Greedy => 'greedy_from' in one);

describe.skipIf(folder === undefined)('stories260k (skipped where the fixture is absent)', () => {
  const at = folder ?? '';

  test('the tokenizer gives the recorded ids', () => {
    const tokenizer = must(openTokenizer({ kind: 'file', folder: at }));
    for (const { text, ids } of texts) expect(tokenizer.encode(text, true)).toEqual(ids);
  });

  const variants = [
    { name: 'portable, whole', target: 'portable', options: { form: 'whole' } },
    { name: 'portable, with a cache', target: 'portable', options: {} },
    { name: 'ort, whole', target: 'ort', options: { form: 'whole' } },
    { name: 'ort, with a cache', target: 'ort', options: { form: 'step' } },
    { name: 'ort, in the loop', target: 'ort', options: {} },
  ] as const;

  describe.each(variants)('$name', ({ name, target, options }) => {
    let session: Session;
    beforeAll(async () => {
      session = await open(checkpointModel(at), target, options);
    });
    afterAll(() => session.close());

    test('continues greedily as recorded', async () => {
      if (!greedy) throw new Error('the fixture has no greedy continuation');
      const tokenizer = must(openTokenizer({ kind: 'file', folder: at }));
      const generation = must(generate(session, tokenizer, [greedy.greedy_from], { maxTokens: greedy.ids.length - greedy.greedy_from.length }));
      const tokens: number[] = [];
      let text = '';
      for await (const piece of generation) {
        if (piece.token !== undefined) tokens.push(piece.token);
        text += piece.text;
      }
      must(await generation.result);
      expect([...greedy.greedy_from, ...tokens]).toEqual(greedy.ids);
      expect(text.trim()).toBe(greedy.text.trim());
    });

    if (name !== 'ort, in the loop') {
      test.each(texts)('perplexity and logits of "$text"', async ({ ids, perplexity, last_logits_first8, last_argmax }) => {
        const { logits } = must(await session.run({ input_ids: row(ids), ...cacheFeeds(session, ids.length) }));
        if (!logits) throw new Error('no logits');
        const rows = rowsOf(logits);
        const surprise = ids.slice(1).map((id, i) => -logSoftmax(rows[i] ?? [], id));
        const found = Math.exp(surprise.reduce((sum, one) => sum + one, 0) / surprise.length);
        expect(Math.abs(found / perplexity - 1)).toBeLessThan(1e-4);
        const last = rows.at(-1) ?? [];
        last_logits_first8.forEach((logit, i) => expect(last[i]).toBeCloseTo(logit, 3));
        expect(last.indexOf(Math.max(...last))).toBe(last_argmax);
      });
    }
  });
});

function row(ids: readonly number[]): Tensor {
  return { dtype: 'i64', dims: [1, ids.length], data: BigInt64Array.from(ids, BigInt) };
}

/** What a step wants beside the tokens: everything kept, positions from 0, nothing in the cache. */
function cacheFeeds(session: Session, length: number): Record<string, Tensor> {
  const count = Array.from({ length }, (_, i) => i);
  const feeds: Record<string, Tensor> = { attention_mask: row(count.map(() => 1)), position_ids: row(count) };
  for (const { name, dims } of session.inputs)
    if (name.startsWith('past_')) feeds[name] = { dtype: 'f32', dims: [1, Number(dims[1]), 0, Number(dims[3])], data: new Float32Array(0) };
  return Object.fromEntries(session.inputs.flatMap(({ name }) => (feeds[name] ? [[name, feeds[name]]] : [])));
}

function rowsOf({ dims, data }: Tensor): readonly (readonly number[])[] {
  const [, rows = 0, width = 0] = dims;
  const numbers = Array.from(data as Float32Array);
  return Array.from({ length: rows }, (_, i) => numbers.slice(i * width, (i + 1) * width));
}

function logSoftmax(logits: readonly number[], at: number): number {
  const top = Math.max(...logits);
  return (logits[at] ?? 0) - top - Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - top), 0));
}
