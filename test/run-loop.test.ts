/** The loop in the graph, played by a model made of arithmetic: it checks that every chunk takes up where the one before it stopped. */
import { describe, expect, it } from 'vitest';
import { decode } from '../src/run/decode.ts';
import type { Engine, Feed, Held } from '../src/run/engine.ts';
import type { DecodePlan } from '../src/run/protocol.ts';
import { greedySettings } from '../src/run/sample.ts';
import { integers, numbersOf, type Port, tensorOf } from '../src/run/tensor.ts';

const vocabulary = 23;
const stopToken = 22;

/** The next token: a mix of all tokens so far that are not padding, their positions, and the number drawn. */
function nextToken(tokens: readonly number[], uniform: number): number {
  return (tokens.reduce((sum, token, position) => (sum * 7 + token * (position + 3)) % 1009, 5) + Math.round(uniform * 2 ** 24)) % vocabulary;
}

function continued(prompt: readonly number[], { maxTokens, stop, uniforms }: DecodePlan): readonly number[] {
  const tokens = [...prompt];
  const out: number[] = [];
  while (out.length < maxTokens && !stop.includes(out.at(-1) ?? -1)) {
    const token = nextToken(tokens, uniforms[out.length] ?? 0);
    tokens.push(token);
    out.push(token);
  }
  return out;
}

const port = (name: string, dims: Port['dims'], dtype: Port['dtype'] = 'i64'): Port => ({ name, dtype, dims });
const inputs = [
  port('input_ids', ['batch_size', 'sequence_length']),
  port('attention_mask', ['batch_size', 'T']),
  ...['max_new_tokens', 'top_k', 'pad_token'].map((name) => port(name, [])),
  ...['temperature', 'top_p', 'min_p', 'repetition_penalty'].map((name) => port(name, [], 'f32')),
  port('stop_tokens', ['n']),
  port('uniforms', ['steps', 'batch_size'], 'f32'),
];
const resumed = [
  port('seen', ['batch_size', 'past_sequence_length']),
  port('finished', ['batch_size'], 'bool'),
  port('past_key_values.0.key', ['batch_size', 1, 'past_sequence_length', 1], 'f32'),
];

/** A cache of one number a token: the token itself. */
interface Cache extends Held {
  readonly value: readonly (readonly number[])[];
}

function engine(resume: boolean): { readonly engine: Engine; readonly limits: number[]; readonly alive: () => number } {
  const limits: number[] = [];
  let alive = 0;
  const numbers = (feed: Feed | undefined): number[] => (feed && 'dtype' in feed ? [...numbersOf(feed)] : []);
  return {
    limits,
    alive: () => alive,
    engine: {
      inputs: [...inputs, ...(resume ? resumed : [])],
      outputs: [port('tokens', ['steps', 'batch_size']), ...(resume ? [port('present.0.key', ['batch_size', 1, 'T', 1], 'f32')] : [])],
      async run(feeds, _read, hold = []) {
        const ids = feeds['input_ids'];
        if (!ids || !('dtype' in ids)) throw new Error('no ids');
        const [rows = 0, width = 0] = ids.dims;
        const past = feeds['past_key_values.0.key'];
        const given = (i: number): readonly number[] => (past && 'kind' in past ? ((past as Cache).value[i] ?? []) : []);
        const before = given(0).length;
        const mask = numbers(feeds['attention_mask']);
        expect(mask.length).toBe(rows * (before + width));
        expect(numbers(feeds['seen'])).toEqual(resume ? Array.from({ length: rows }, (_, i) => given(i)).flat() : []);
        const cached = Array.from({ length: rows }, (_, i) => [...given(i), ...numbers(ids).slice(i * width, (i + 1) * width)]);
        const real = cached.map((row, i) => row.filter((_, at) => mask[i * (before + width) + at] === 1));
        const finished = resume ? numbers(feeds['finished']) : cached.map(() => 0);
        const [limit = 0] = numbers(feeds['max_new_tokens']);
        limits.push(limit);
        const uniforms = numbers(feeds['uniforms']);
        const [pad = 0] = numbers(feeds['pad_token']);
        const tokens: number[] = [];
        for (let step = 0; step < limit; step++) {
          if (step > 0 && finished.every((end) => end === 1)) break;
          for (let i = 0; i < rows; i++) {
            const token = finished[i] ? pad : nextToken(real[i] ?? [], uniforms[step * rows + i] ?? 0);
            if (numbers(feeds['stop_tokens']).includes(token)) finished[i] = 1;
            if (step > 0) cached[i]?.push(tokens[(step - 1) * rows + i] ?? 0);
            real[i]?.push(token);
            tokens.push(token);
          }
        }
        alive += hold.length;
        const held: Cache = { kind: 'held', value: cached, release: () => alive-- };
        const kept: Readonly<Record<string, Held>> = hold.length > 0 ? { 'present.0.key': held } : {};
        return { read: { tokens: integers([tokens.length / rows, rows], tokens) }, held: kept };
      },
    },
  };
}

const prompts = [[3, 1, 4, 1, 5], [9], [2, 6, 5]];

function planOf(maxTokens: number, stop: readonly number[] = []): DecodePlan {
  const uniforms = Float32Array.from({ length: maxTokens }, (_, i) => ((i * 37) % 64) / 64);
  return { rows: prompts, maxTokens, settings: greedySettings, uniforms, stop, pad: 0 };
}

async function written(of: Engine, plan: DecodePlan, finished: (row: number, count: number) => boolean = () => false): Promise<readonly (readonly number[])[]> {
  const rows = plan.rows.map((): number[] => []);
  const outcome = await decode(of, 'loop', plan, {
    emit: (tokens) => {
      for (const [i, token] of tokens.entries()) if (token >= 0) rows[i % rows.length]?.push(token);
    },
    finished: (row) => finished(row, rows[row]?.length ?? 0),
  });
  expect(outcome.ok).toBe(true);
  return rows;
}

describe.each([true, false])('decoding by the loop, resuming %s', (resume) => {
  it('writes every row as if it were alone', async () => {
    const plan = planOf(90);
    const { engine: model, limits, alive } = engine(resume);
    expect(await written(model, plan)).toEqual(prompts.map((prompt) => continued(prompt, plan)));
    expect(limits.reduce((sum, limit) => sum + limit)).toBe(90);
    expect(limits.slice(0, 2)).toEqual(resume ? [1, 4] : [90]);
    expect(alive()).toBe(0);
  });

  it('ends each row at its stop token', async () => {
    const plan = planOf(60, [stopToken]);
    const rows = await written(engine(resume).engine, plan);
    expect(rows).toEqual(prompts.map((prompt) => continued(prompt, plan)));
    expect(rows.some((row) => row.at(-1) === stopToken && row.length < 60)).toBe(true);
  });
});

it('writes no further once every text is complete', async () => {
  const { engine: model, limits, alive } = engine(true);
  const rows = await written(model, planOf(90), (_, count) => count >= 5);
  expect(rows.map((row) => row.length)).toEqual([5, 5, 5]);
  expect(limits).toEqual([1, 4]);
  expect(alive()).toBe(0);
});

it.each([1, 4, 30])('hands on what was written before step %i, whose logits are no numbers, and says so', async (step) => {
  const { engine: model, alive } = engine(true);
  const plan = planOf(90);
  const given: number[] = [];
  let steps = 0;
  const broken: Engine = {
    ...model,
    async run(...words) {
      const { read, held } = await model.run(...words);
      const tokens = [...numbersOf(read['tokens'] ?? integers([0, 3], []))];
      const from = steps * prompts.length;
      steps += tokens.length / prompts.length;
      return {
        read: {
          tokens: integers(
            [tokens.length / prompts.length, prompts.length],
            tokens.map((token, i) => (from + i >= step * prompts.length ? -1 : token)),
          ),
        },
        held,
      };
    },
  };
  const outcome = await decode(broken, 'loop', plan, { emit: (tokens) => void given.push(...tokens), finished: () => false });
  expect(outcome).toMatchObject({ ok: false, diagnostics: [{ code: 'logits-not-finite', message: `the model gave no number as a logit after ${5 + step} tokens` }] });
  expect(given).toEqual(Array.from({ length: step }, (_, i) => prompts.map((prompt) => continued(prompt, plan)[i])).flat());
  expect(alive()).toBe(0);
});

it('refuses a model that takes what no prompt gives', async () => {
  const { engine: model } = engine(true);
  const outcome = await decode({ ...model, inputs: [...model.inputs, port('pixels', [3])] }, 'loop', planOf(4), { emit: () => {}, finished: () => false });
  expect(outcome.ok ? [] : outcome.diagnostics.map(({ message }) => message)).toEqual(['this model does not continue text: it takes `pixels`, which no prompt gives']);
  expect(tensorOf('bool', [2], [0, 5]).data).toEqual(Uint8Array.of(0, 1));
});
