import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Worker } from 'node:worker_threads';
import { afterAll, describe, expect, it } from 'vitest';
import type { Outcome } from '../src/diagnostics/diagnostic.ts';
import type { Executable, Form } from '../src/run/executable.ts';
import { type GenerateOptions, generate, type Prompt } from '../src/run/generate.ts';
import { openSession, type Session } from '../src/run/session.ts';
import { integers, numbersOf } from '../src/run/tensor.ts';
import { byteTokenizer } from '../src/run/tokenizer.ts';

/** What numpy computed for the same weights; `tiny.py` beside it says how. */
const tiny = JSON.parse(readFileSync(new URL('run/tiny.json', import.meta.url), 'utf8')) as {
  readonly vocabulary: number;
  readonly context: number;
  readonly prompts: readonly (readonly number[])[];
  readonly greedy: readonly (readonly number[])[];
  readonly penalised: readonly (readonly number[])[];
  readonly lastLogits: readonly (readonly number[])[];
};

const pathOf = (name: string): string => fileURLToPath(new URL(`run/${name}`, import.meta.url));

function executable(form: Form, more: Partial<Executable> = {}): Executable {
  return { model: { kind: 'file', path: pathOf(`tiny-${form}.onnx`) }, form, context: tiny.context, vocabulary: tiny.vocabulary, tokenizer: undefined, stop: [], ...more };
}

function expectValue<T>(outcome: Outcome<T>): T {
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
  return outcome.value;
}

const codesOf = (outcome: Outcome<unknown>): readonly string[] => outcome.diagnostics.map(({ code }) => code);

const open: Session[] = [];
async function opened(from: Executable): Promise<Session> {
  const session = expectValue(await openSession(from, { threads: 1 }));
  open.push(session);
  return session;
}
afterAll(async () => void (await Promise.all(open.map((session) => session.close()))));

/** The tokens of every row, and how each ended. */
async function written(session: Session, prompts: readonly Prompt[], options: GenerateOptions): Promise<{ readonly tokens: number[][]; readonly endings: readonly string[] }> {
  const generation = expectValue(generate(session, undefined, prompts, options));
  const tokens: number[][] = prompts.map(() => []);
  for await (const { row, token } of generation) if (token !== undefined) tokens[row]?.push(token);
  return { tokens, endings: expectValue(await generation.result).endings };
}

describe('a session', () => {
  it('runs a model in its worker and agrees with numpy, 1e-4 of the largest logit', async () => {
    const session = await opened(executable('whole'));
    expect(session.inputs.map(({ name, dtype, dims }) => `${name}: ${dtype}[${dims.join(', ')}]`)).toEqual([
      'input_ids: i64[batch_size, sequence_length]',
      'attention_mask: i64[batch_size, sequence_length]',
      'position_ids: i64[batch_size, sequence_length]',
    ]);
    for (const [i, prompt] of tiny.prompts.entries()) {
      const dims = [1, prompt.length];
      const { logits } = expectValue(
        await session.run({
          input_ids: integers(dims, prompt),
          attention_mask: integers(
            dims,
            prompt.map(() => 1),
          ),
          position_ids: integers(
            dims,
            prompt.map((_, at) => at),
          ),
        }),
      );
      const last = logits ? numbersOf(logits).slice(-tiny.vocabulary) : [];
      const wanted = tiny.lastLogits[i] ?? [];
      const largest = Math.max(...wanted.map(Math.abs));
      expect(Math.max(...wanted.map((value, at) => Math.abs(value - (last[at] ?? Number.NaN)))) / largest).toBeLessThan(1e-4);
    }
  });

  it('leaves the event loop free and takes a model from memory', async () => {
    const session = await opened(executable('whole', { model: { kind: 'bytes', bytes: readFileSync(pathOf('tiny-whole.onnx')), dataFolder: pathOf('.') } }));
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    for (let i = 0; i < 20; i++) await session.run({ input_ids: integers([1, 2], [1, 2]), attention_mask: integers([1, 2], [1, 1]), position_ids: integers([1, 2], [0, 1]) });
    clearInterval(timer);
    expect(ticks).toBeGreaterThan(0);
  });

  it('words every fault of onnxruntime as a diagnostic on one line', async () => {
    const session = await opened(executable('whole'));
    const ids = integers([1, 2], [1, 99]);
    const faults = [
      await session.run({ input_ids: ids }),
      await session.run({ input_ids: ids, attention_mask: integers([1, 2], [1, 1]), position_ids: integers([1, 2], [0, 1]) }),
      await openSession(executable('whole', { model: { kind: 'file', path: '/nowhere/model.onnx' } })),
      await openSession(executable('whole', { model: { kind: 'bytes', bytes: Uint8Array.of(1, 2, 3), dataFolder: '/nowhere' } })),
    ];
    expect(faults.map(({ diagnostics }) => diagnostics.map(({ code, message }) => `${code}: ${message}`))).toEqual([
      ["model-does-not-run: onnxruntime could not run the model: input 'attention_mask' is missing in 'feeds'."],
      ['model-does-not-run: onnxruntime could not run the model: Gather: indices element out of data bounds, idx=99 must be within the inclusive range [-17,16]'],
      ["model-does-not-load: onnxruntime cannot load the model: Load model /nowhere/model.onnx failed. File doesn't exist"],
      ['model-does-not-load: onnxruntime cannot load the model: Failed to load model because protobuf parsing failed.'],
    ]);
  });

  it('fails what is asked after it is closed', async () => {
    const session = expectValue(await openSession(executable('whole')));
    await session.close();
    expect(codesOf(await session.run({}))).toEqual(['session-ended']);
    await session.close();
  });

  it('keeps what is asked after it is closed from the session that has its worker then', async () => {
    const spare: Worker[] = [];
    const first = expectValue(await openSession(executable('whole'), { spare }));
    const closed = first.close();
    expect(codesOf(await first.run({}))).toEqual(['session-ended']);
    await closed;
    expect(spare).toHaveLength(1);
    const second = expectValue(await openSession(executable('whole'), { spare }));
    expect(spare).toHaveLength(0);
    const [late, own] = await Promise.all([first.run({}), second.run({})]);
    expect([codesOf(late), codesOf(own)]).toEqual([['session-ended'], ['model-does-not-run']]);
    await second.close();
    await Promise.all(spare.map((worker) => worker.terminate()));
  });
});

describe.each(['whole', 'step'] as const)('generation, form %s', (form) => {
  it('continues greedily as numpy does, alone and together', async () => {
    const session = await opened(executable(form));
    for (const [i, prompt] of tiny.prompts.entries()) expect((await written(session, [prompt], { maxTokens: 12 })).tokens).toEqual([tiny.greedy[i]]);
    expect(await written(session, tiny.prompts, { maxTokens: 12 })).toEqual({ tokens: tiny.greedy, endings: ['length', 'length', 'length'] });
    expect((await written(session, tiny.prompts, { maxTokens: 12, repeatPenalty: 1.6 })).tokens).toEqual(tiny.penalised);
  });

  it('draws the same tokens together as alone, again with the same seed, others with another', async () => {
    const session = await opened(executable(form));
    const options = { maxTokens: 10, temperature: 8, topK: 9, topP: 0.95, minP: 0.01, seed: 4 };
    const alone = [];
    for (const prompt of tiny.prompts) alone.push(...(await written(session, [prompt], options)).tokens);
    expect((await written(session, tiny.prompts, options)).tokens).toEqual(alone);
    expect((await written(session, tiny.prompts, { ...options, seed: 5 })).tokens).not.toEqual(alone);
  });

  it('ends rows at stop tokens, each by itself', async () => {
    const session = await opened(executable(form));
    const { tokens, endings } = await written(session, tiny.prompts, { maxTokens: 12, stopTokens: [8] });
    expect(endings).toEqual(['token', 'token', 'length']);
    expect(tokens).toEqual(tiny.greedy.map((row) => (row.includes(8) ? row.slice(0, row.indexOf(8) + 1) : row)));
  });
});

it('both forms draw the same tokens', async () => {
  const options = { maxTokens: 14, temperature: 6, topP: 0.9, repeatPenalty: 1.2, seed: 11 };
  const [whole, step] = await Promise.all([opened(executable('whole')), opened(executable('step'))]);
  expect((await written(whole, tiny.prompts, options)).tokens).toEqual((await written(step, tiny.prompts, options)).tokens);
});

describe('a generation', () => {
  it('stops at a stop text, and does not say it', async () => {
    const session = await opened(executable('step', { tokenizer: { kind: 'bytes' } }));
    const stop = String.fromCharCode(13, 10);
    const generation = expectValue(generate(session, byteTokenizer, [tiny.prompts[0] ?? []], { maxTokens: 12, stop: [stop, ''] }));
    let text = '';
    for await (const piece of generation) text += piece.text;
    expect(text).toBe(String.fromCharCode(1, 4, 4, 8).concat());
    expect(expectValue(await generation.result)).toMatchObject({ promptTokens: 5, endings: ['text'] });
  });

  it('ends at the token that its tokenizer says ends a text', async () => {
    const session = await opened(executable('step'));
    const generation = expectValue(generate(session, { ...byteTokenizer, eos: 8 }, [tiny.prompts[0] ?? []], { maxTokens: 12 }));
    let text = '';
    for await (const piece of generation) text += piece.text;
    expect(text).toBe(String.fromCharCode(1, 4, 4));
    expect(expectValue(await generation.result)).toMatchObject({ generatedTokens: 4, endings: ['token'] });
  });

  it('gives what it held back for a stop text that did not come', async () => {
    const session = await opened(executable('step'));
    const generation = expectValue(generate(session, byteTokenizer, [tiny.prompts[0] ?? []], { maxTokens: 3, stop: [`${String.fromCharCode(4)}Z`] }));
    let text = '';
    for await (const piece of generation) text += piece.text;
    expect(text).toBe(String.fromCharCode(1, 4, 4));
  });

  it('ends when it is cancelled or nobody listens any more', async () => {
    const session = await opened(executable('whole'));
    const generation = expectValue(generate(session, undefined, [tiny.prompts[1] ?? []], { maxTokens: 20 }));
    for await (const _ of generation) break;
    expect(expectValue(await generation.result).generatedTokens).toBeLessThanOrEqual(20);
    expect((await written(session, [tiny.prompts[1] ?? []], { maxTokens: 3 })).tokens).toEqual([tiny.greedy[1]?.slice(0, 3)]);
  });

  it('refuses what cannot be continued, before anything runs', async () => {
    const session = await opened(executable('step'));
    const refused = (prompts: readonly Prompt[], options: GenerateOptions = {}, tokenizer = byteTokenizer): readonly string[] =>
      generate(session, tokenizer, prompts, options).diagnostics.map(({ message }) => message);
    expect(refused([new Array<number>(24).fill(1)])).toEqual(['the prompt has 24 tokens; the model looks at 24 at most']);
    expect(refused([[3, 17]])).toEqual(['token 17 does not exist: the vocabulary has 17']);
    expect(refused([''])).toEqual(['the prompt has no tokens, and the model has no token that begins a text']);
    expect(refused([[1]], { topP: 0, temperature: -1, seed: 0.5 })).toEqual([
      '--temperature must be 0 or more, not -1',
      '--top-p must be above 0, up to 1, not 0',
      '--seed must be a whole number, not 0.5',
    ]);
    expect(refused([tiny.prompts[0] ?? []], { maxTokens: 100 })).toEqual(['writing 19 tokens at most, not 100: the prompt has 5 and the context is 24']);
  });

  it('fills the context to its last token', async () => {
    const session = await opened(executable('step'));
    expect((await written(session, [tiny.prompts[0] ?? []], { maxTokens: 100 })).tokens.map((row) => row.length)).toEqual([19]);
  });

  it('says which execution provider is missing, and how to install it', async () => {
    const outcome = await openSession(executable('step'), { provider: 'cuda' });
    expect(outcome.diagnostics.map(({ code, fixes }) => [code, fixes.length])).toEqual([['provider-missing', 2]]);
  });
});
