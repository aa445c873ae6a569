/** A generation in one Loop, run by onnxruntime, against the whole-sequence graph in f64 and a sampler written out step by step as transformers has it. */

import * as onnxruntime from 'onnxruntime-node';
import { beforeAll, describe, expect, test } from 'vitest';
import { evaluateGraph } from '../src/graph/eval.ts';
import type { Graph } from '../src/graph/graph.ts';
import { count, type NdArray, ndArray } from '../src/graph/nd-array.ts';
import { parseGraph } from '../src/graph/parse-text.ts';
import { exportModel } from '../src/onnx/export.ts';
import { ops } from '../src/ops/index.ts';
import { splitPasts } from '../src/passes/split-caches.ts';
import { ort } from '../src/targets/ort.ts';
import { lowerModel } from '../src/targets/pipeline.ts';
import { generator } from './ops/harness.ts';
import { must } from './running.ts';

const vocabulary = 24;

const text = `graph llama(input_ids: i64[B, S]) -> (logits)
  weight embed: f32[${vocabulary}, 16] = "embed"
  weight frequencies: f32[4] = "frequencies"
  weight q: f32[16, 16] = "q"
  weight kv: f32[16, 16] = "kv"
  weight gain: f32[16] = "gain"
  weight head: f32[16, ${vocabulary}] = "head"
  x = gather(embed, input_ids)
  xq = matmul(x, q)
  xkv = matmul(x, kv)
  xk, xv = split(xkv, count: 2)
  hq = split_heads(xq, heads: 2)
  hk = split_heads(xk, heads: 1)
  hv = split_heads(xv, heads: 1)
  at = positions(n: S)
  qs = rope(hq, frequencies, at)
  ks = rope(hk, frequencies, at)
  y = attend(qs, ks, hv, causal: true)
  m = merge_heads(y)
  h = add(x, m)
  n = rms_norm(h, gain)
  logits = matmul(n, head)
`;
const model = parseGraph(text, ops);

const next = generator(11);
const weights = new Map(
  model.weights.map(({ path, source }) => [
    path,
    ndArray(
      source.dims,
      Float64Array.from({ length: count(source.dims) }, () => Math.fround(2.4 * next() - 1.2)),
    ),
  ]),
);
const weight = (path: string): NdArray => weights.get(path) ?? ndArray([], []);

/** Logits of the last token, by the graph of the whole sequence. */
function logitsAfter(tokens: readonly number[], graph: Graph = model): number[] {
  const logits = evaluateGraph(graph, { input_ids: ndArray([1, tokens.length], tokens, 'i64') }, weight)['logits'];
  return [...(logits?.data.slice(-vocabulary) ?? [])];
}

interface Settings {
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly penalty: number;
}

const greedy: Settings = { temperature: 0, topK: 0, topP: 1, minP: 0, penalty: 1 };

const softmax = (scores: readonly number[]): number[] => {
  const top = Math.max(...scores);
  const powers = scores.map((score) => Math.exp(score - top));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
};

/** The processors of transformers in their order, each on the scores of the whole vocabulary; then the inverse of the cumulative distribution, tokens by falling probability. */
function pick(logits: readonly number[], seen: readonly number[], { temperature, topK, topP, minP, penalty }: Settings, uniform: number): number {
  let scores = logits.map((score, token) => (seen.includes(token) ? (score < 0 ? score * penalty : score / penalty) : score));
  if (temperature === 0) return scores.indexOf(Math.max(...scores));
  scores = scores.map((score) => score / temperature);
  if (topK > 0) {
    const least = [...scores].sort((a, b) => b - a)[Math.min(topK, vocabulary) - 1] ?? 0;
    scores = scores.map((score) => (score < least ? Number.NEGATIVE_INFINITY : score));
  }
  if (topP < 1) {
    const rising = scores.map((_, token) => token).sort((a, b) => (scores[a] ?? 0) - (scores[b] ?? 0));
    const shares = softmax(scores);
    let sum = 0;
    const removed = rising.slice(0, -1).filter((token) => {
      sum += shares[token] ?? 0;
      return sum <= 1 - topP;
    });
    scores = scores.map((score, token) => (removed.includes(token) ? Number.NEGATIVE_INFINITY : score));
  }
  if (minP > 0) {
    const shares = softmax(scores);
    const least = minP * Math.max(...shares);
    scores = scores.map((score, token) => ((shares[token] ?? 0) < least ? Number.NEGATIVE_INFINITY : score));
  }
  const shares = softmax(scores);
  const falling = shares.map((_, token) => token).sort((a, b) => (shares[b] ?? 0) - (shares[a] ?? 0) || a - b);
  let reached = 0;
  for (const token of falling) {
    reached += shares[token] ?? 0;
    if (reached > uniform) return token;
  }
  return -1;
}

/** What one prompt becomes, alone: the reference. */
function continued(prompt: readonly number[], steps: number, settings: Settings, uniforms: readonly number[], stops: readonly number[] = []): number[] {
  const tokens = [...prompt];
  for (let i = 0; i < steps && !(i > 0 && stops.includes(tokens.at(-1) ?? -1)); i++) tokens.push(pick(logitsAfter(tokens), tokens, settings, uniforms[i] ?? 0));
  return tokens.slice(prompt.length);
}

const sessions = new Map<'loop' | 'chunk', onnxruntime.InferenceSession>();

async function sessionOf(form: 'loop' | 'chunk', graph: Graph = model): Promise<onnxruntime.InferenceSession> {
  const { graph: lowered } = must(await lowerModel(graph, { target: ort, form, storage: 'written' }));
  const bytes = exportModel(lowered, {
    opset: ort.opset,
    ir: ort.ir,
    place: ({ path }) => ({ kind: 'inline', bytes: new Uint8Array(Float32Array.from(weight(path).data).buffer) }),
  });
  return onnxruntime.InferenceSession.create(bytes, { intraOpNumThreads: 1, logSeverityLevel: 3 });
}

beforeAll(async () => {
  for (const form of ['loop', 'chunk'] as const) sessions.set(form, await sessionOf(form));
});

const i64 = (dims: readonly number[], data: readonly number[]): onnxruntime.Tensor => new onnxruntime.Tensor('int64', BigInt64Array.from(data, BigInt), dims);
const f32 = (dims: readonly number[], data: readonly number[]): onnxruntime.Tensor => new onnxruntime.Tensor('float32', Float32Array.from(data), dims);

/** Prompts side by side, padded in front with token 0. */
function feedsOf(
  prompts: readonly (readonly number[])[],
  steps: number,
  settings: Settings,
  uniforms: readonly number[],
  stops: readonly number[],
): Record<string, onnxruntime.Tensor> {
  const width = Math.max(...prompts.map(({ length }) => length));
  const rows = prompts.length;
  return {
    input_ids: i64(
      [rows, width],
      prompts.flatMap((prompt) => [...Array<number>(width - prompt.length).fill(0), ...prompt]),
    ),
    attention_mask: i64(
      [rows, width],
      prompts.flatMap((prompt) => [...Array<number>(width - prompt.length).fill(0), ...prompt.map(() => 1)]),
    ),
    max_new_tokens: i64([], [steps]),
    temperature: f32([], [settings.temperature]),
    top_k: i64([], [settings.topK]),
    top_p: f32([], [settings.topP]),
    min_p: f32([], [settings.minP]),
    repetition_penalty: f32([], [settings.penalty]),
    stop_tokens: i64([stops.length], stops),
    pad_token: i64([], [23]),
    uniforms: f32(
      [steps, rows],
      uniforms.slice(0, steps).flatMap((one) => prompts.map(() => one)),
    ),
  };
}

const numbers = (tensor: onnxruntime.Tensor | undefined): number[] => Array.from((tensor?.data ?? []) as BigInt64Array, Number);

async function run(form: 'loop' | 'chunk', feeds: Record<string, onnxruntime.Tensor>): Promise<onnxruntime.InferenceSession.OnnxValueMapType> {
  const session = sessions.get(form);
  if (!session) throw new Error(`no session for ${form}`);
  return (await session.run(feeds)) as onnxruntime.InferenceSession.OnnxValueMapType;
}

async function generate(
  prompts: readonly (readonly number[])[],
  steps: number,
  settings: Settings,
  uniforms: readonly number[],
  stops: readonly number[] = [],
): Promise<number[][]> {
  const { tokens } = await run('loop', feedsOf(prompts, steps, settings, uniforms, stops));
  const all = numbers(tokens as onnxruntime.Tensor);
  return prompts.map((_, row) => all.filter((_, i) => i % prompts.length === row));
}

const prompt = [3, 14, 1, 5];
const draws = Array.from({ length: 40 }, () => Math.fround(next()));

const settings: Readonly<Record<string, Settings>> = {
  greedy,
  'greedy with a penalty': { ...greedy, penalty: 1.4 },
  'plain sampling': { ...greedy, temperature: 1 },
  cooled: { ...greedy, temperature: 0.6 },
  'top 1': { ...greedy, temperature: 2, topK: 1 },
  'top 5': { ...greedy, temperature: 1.5, topK: 5 },
  'top more than there are': { ...greedy, temperature: 1, topK: 1000 },
  'top-p': { ...greedy, temperature: 1.2, topP: 0.7 },
  'a top-p that leaves one': { ...greedy, temperature: 1, topP: 0.000001 },
  'top-p of 0': { ...greedy, temperature: 1, topP: 0 },
  'min-p': { ...greedy, temperature: 1.5, minP: 0.1 },
  'min-p of 1': { ...greedy, temperature: 1.5, minP: 1 },
  'all at once': { temperature: 1.4, topK: 12, topP: 0.9, minP: 0.02, penalty: 1.2 },
  'a penalty below 1': { ...greedy, temperature: 0.8, penalty: 0.7 },
};

describe('a loop writes what the sampler picks on whole sequences', () => {
  for (const [name, chosen] of Object.entries(settings)) {
    test(name, async () => {
      expect(await generate([prompt], 40, chosen, draws)).toEqual([continued(prompt, 40, chosen, draws)]);
    });
  }

  test('settings make a difference: those that keep one token or all agree, the others do not', () => {
    const texts = Object.values(settings).map((chosen) => continued(prompt, 40, chosen, draws).join(' '));
    expect(new Set(texts).size).toBe(texts.length - 5);
  });
});

test('a padded batch writes what its prompts write alone', async () => {
  const prompts = [[3, 14, 1, 5], [7], [2, 6, 5, 3, 5, 8, 9], [0, 0]];
  for (const chosen of [greedy, settings['all at once'] ?? greedy]) {
    expect(await generate(prompts, 12, chosen, draws)).toEqual(prompts.map((one) => continued(one, 12, chosen, draws)));
  }
});

test('a row ends with its stop token and pads from there; the run ends with its last row', async () => {
  const prompts = [[3, 14, 1, 5], [7], [2, 6]];
  const chosen = settings['plain sampling'] ?? greedy;
  const stops = [0, 1, 2].map((row) => continued(prompts[row] ?? [], 9 + 5 * row, chosen, draws).at(-1) ?? 0);
  const texts = prompts.map((one) => continued(one, 40, chosen, draws, stops));
  const longest = Math.max(...texts.map(({ length }) => length));
  expect(longest).toBeLessThan(40);
  expect(new Set(texts.map(({ length }) => length)).size).toBeGreaterThan(1);
  expect(await generate(prompts, 40, chosen, draws, stops)).toEqual(texts.map((text) => [...text, ...Array<number>(longest - text.length).fill(23)]));
});

test('a draw at the ends of [0, 1) picks the first and the last of those kept', async () => {
  const chosen = { ...greedy, temperature: 1, topK: 3 };
  const falling = logitsAfter(prompt)
    .map((score, token) => ({ score, token }))
    .sort((a, b) => b.score - a.score);
  expect(await generate([prompt], 1, chosen, [0])).toEqual([[falling[0]?.token]]);
  expect(await generate([prompt], 1, chosen, [1 - 2 ** -24])).toEqual([[falling[2]?.token]]);
});

test.each(['causal: true, window: 6', 'causal: true, softcap: 2.0', 'causal: true, scale: 0.9'])('over several chunks, the cache in two parts: %s', async (wanted) => {
  const graph = parseGraph(text.replace('causal: true', wanted), ops);
  const step = must(await lowerModel(graph, { target: ort, form: 'step', storage: 'written' })).graph;
  expect(splitPasts(step).size).toBe(2);
  const tokens = [...prompt];
  for (let i = 0; i < 70; i++) tokens.push(pick(logitsAfter(tokens, graph), tokens, greedy, 0));
  const session = await sessionOf('loop', graph);
  const padded = await session.run(feedsOf([prompt, [9, ...prompt, 2]], 70, greedy, Array<number>(70).fill(0), []));
  const written = numbers(padded['tokens'] as onnxruntime.Tensor).filter((_, i) => i % 2 === 0);
  expect(written).toEqual(tokens.slice(prompt.length));
});

test('logits that are no numbers are no token', async () => {
  const session = await sessionOf('loop', parseGraph(text.replace('x = gather(embed, input_ids)', 'e = gather(embed, input_ids)\n  x = rsqrt(e)'), ops));
  for (const chosen of Object.values(settings)) {
    const { tokens } = await session.run(feedsOf([prompt, [7]], 3, chosen, draws, []));
    expect(numbers(tokens as onnxruntime.Tensor)).toEqual(Array<number>(6).fill(-1));
  }
});

test('no steps, no tokens', async () => {
  const { tokens } = await run('loop', feedsOf([prompt], 0, greedy, [], []));
  expect((tokens as onnxruntime.Tensor).size).toBe(0);
});

test('chunks write what one run writes', async () => {
  const prompts = [[3, 14, 1, 5], [7], [2, 6, 1]];
  const chosen = settings['all at once'] ?? greedy;
  const stops = [4];
  const whole = await generate(prompts, 30, chosen, draws, stops);
  const first = feedsOf(prompts, 1, chosen, draws, stops);
  let state = {
    ids: numbers(first['input_ids']),
    mask: numbers(first['attention_mask']),
    seen: [[], [], []] as number[][],
    finished: [0, 0, 0],
    past: { key: f32([3, 1, 0, 8], []), value: f32([3, 1, 0, 8], []) },
  };
  const texts: number[][] = [[], [], []];
  for (const steps of [1, 4, 10, 15]) {
    const done = texts[0]?.length ?? 0;
    if (done >= (whole[0]?.length ?? 0)) break;
    const [width, before] = [state.ids.length / 3, state.seen[0]?.length ?? 0];
    const mask = state.seen.flatMap((_, row) => Array.from({ length: before + width }, (_, i) => state.mask[row * 4 + i] ?? 1).map((one, i) => (i < 4 ? one : 1)));
    const results = await run('chunk', {
      ...first,
      input_ids: i64([3, width], state.ids),
      attention_mask: i64([3, before + width], mask),
      max_new_tokens: i64([], [steps]),
      uniforms: f32(
        [steps, 3],
        draws.slice(done, done + steps).flatMap((one) => [one, one, one]),
      ),
      seen: i64([3, before], state.seen.flat()),
      finished: new onnxruntime.Tensor('bool', Uint8Array.from(state.finished), [3]),
      'past_key_values.0.key': state.past.key,
      'past_key_values.0.value': state.past.value,
    });
    const tokens = numbers(results['tokens'] as onnxruntime.Tensor);
    const written = texts.map((_, row) => tokens.filter((_, i) => i % 3 === row));
    written.forEach((text, row) => texts[row]?.push(...text));
    state = {
      ...state,
      ids: written.map((text) => text.at(-1) ?? 0),
      seen: state.seen.map((row, i) => [...row, ...state.ids.slice(i * width, (i + 1) * width), ...(written[i] ?? []).slice(0, -1)]),
      finished: [...((results['now_finished'] as onnxruntime.Tensor).data as Uint8Array)],
      past: { key: results['present.0.key'] as onnxruntime.Tensor, value: results['present.0.value'] as onnxruntime.Tensor },
    };
  }
  expect(texts).toEqual(whole);
});
