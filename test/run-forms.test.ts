/** One model in every form: the sampler in the graph and the one on the host pick the same tokens, alone and together. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type GenerateOptions, generate, type Prompt } from '../src/run/generate.ts';
import type { Tensors } from '../src/run/protocol.ts';
import type { Session } from '../src/run/session.ts';
import { integers, tensorOf } from '../src/run/tensor.ts';
import { byteTokenizer } from '../src/run/tokenizer.ts';
import { must, open, zooModel } from './running.ts';

const prompts = ['Once upon a time', 'A', 'the sea, the sea, the'];

const sessions = new Map<string, Session>();
beforeAll(async () => {
  const model = zooModel('tiny', { seed: 3 });
  sessions.set('loop', await open(model, 'ort'));
  sessions.set('step', await open(model, 'portable'));
  sessions.set('whole', await open(model, 'portable', { form: 'whole' }));
}, 60_000);
afterAll(async () => void (await Promise.all([...sessions.values()].map((session) => session.close()))));

async function written(form: string, texts: readonly Prompt[], options: GenerateOptions): Promise<readonly (readonly number[])[]> {
  const session = sessions.get(form);
  if (!session) throw new Error(`no session for ${form}`);
  expect(session.executable.form).toBe(form);
  const generation = must(generate(session, byteTokenizer, texts, options));
  const rows = texts.map((): number[] => []);
  for await (const { row, token } of generation) if (token !== undefined) rows[row]?.push(token);
  must(await generation.result);
  return rows;
}

const settings: readonly (readonly [string, GenerateOptions])[] = [
  ['greedy', {}],
  ['greedy with a penalty', { repeatPenalty: 1.4 }],
  ['temperature', { temperature: 1.3, seed: 1 }],
  ['top-k', { temperature: 2, topK: 7, seed: 2 }],
  ['top-p', { temperature: 1, topP: 0.6, seed: 3 }],
  ['min-p', { temperature: 1.5, minP: 0.2, seed: 4 }],
  ['all of them', { temperature: 1.2, topK: 40, topP: 0.8, minP: 0.05, repeatPenalty: 1.2, seed: 5 }],
];

describe.each(settings)('%s', (_, options) => {
  const asked = { maxTokens: 40, ...options };

  it('gives the same tokens in the loop, by steps and by the whole', async () => {
    const whole = await written('whole', prompts, asked);
    expect(whole.map((row) => row.length)).toEqual([40, 40, 40]);
    expect(await written('step', prompts, asked)).toEqual(whole);
    expect(await written('loop', prompts, asked)).toEqual(whole);
  });

  it('gives the same tokens together and alone', async () => {
    const together = await written('loop', prompts, asked);
    for (const [i, prompt] of prompts.entries()) expect(await written('loop', [prompt], asked)).toEqual([together[i]]);
  });
});

it('stop tokens end rows of the loop, each by itself', async () => {
  const free = await written('loop', prompts, { maxTokens: 40 });
  const stop = free[0]?.[5] ?? 0;
  const cut = free.map((row) => (row.includes(stop) ? row.slice(0, row.indexOf(stop) + 1) : row));
  expect(await written('loop', prompts, { maxTokens: 40, stopTokens: [stop] })).toEqual(cut);
  expect(await written('step', prompts, { maxTokens: 40, stopTokens: [stop] })).toEqual(cut);
});

it('a stop text ends the loop early', async () => {
  const session = sessions.get('loop');
  if (!session) throw new Error('no session');
  const run = async (stop: readonly string[]): Promise<{ readonly text: string; readonly count: number; readonly endings: readonly string[] }> => {
    const generation = must(generate(session, byteTokenizer, ['abc'], { maxTokens: 120, temperature: 3, seed: 9, stop }));
    let text = '';
    for await (const piece of generation) text += piece.text;
    const { generatedTokens, endings } = must(await generation.result);
    return { text, count: generatedTokens, endings };
  };
  const free = await run([]);
  const stop = [...free.text.slice(10)].find((one) => /[a-z]/.test(one)) ?? '';
  const stopped = await run(['never', stop]);
  expect(stopped).toEqual({ text: free.text.slice(0, free.text.indexOf(stop)), count: expect.any(Number), endings: ['text'] });
  expect([free.count, free.endings, stopped.count < 120]).toEqual([120, ['length'], true]);
});

it('a loop with experts in one operator runs without a token that stops it, and not without a prompt', async () => {
  const found = zooModel('mixtral', { set: { V: '32', D: '16', H: '24', L: '1', N: '4', G: '2', E: '4', k: '2' } });
  const session = await open(found, 'ort', { form: 'loop', lowering: { few: 'fused', many: 'fused' } });
  expect(session.executable).toMatchObject({ form: 'loop', fused: true });
  const feeds = (ids: readonly number[]): Tensors => ({
    input_ids: integers([1, ids.length], ids),
    attention_mask: integers(
      [1, ids.length],
      ids.map(() => 1),
    ),
    ...Object.fromEntries(Object.entries({ max_new_tokens: 3, top_k: 0, pad_token: 0 }).map(([name, number]) => [name, integers([], [number])])),
    ...Object.fromEntries(Object.entries({ temperature: 0, top_p: 1, min_p: 0, repetition_penalty: 1 }).map(([name, number]) => [name, tensorOf('f32', [], [number])])),
    stop_tokens: integers([0], []),
    uniforms: tensorOf('f32', [3, 1], [0, 0, 0]),
  });
  expect(must(await session.run(feeds([1, 2, 3])))['tokens']?.dims).toEqual([3, 1]);
  expect(await session.run(feeds([]))).toMatchObject({ ok: false, diagnostics: [{ code: 'model-does-not-run' }] });
  await session.close();
});
