/** Decodes with the loop inside the graph: each run of the model writes a chunk of tokens, sampling included, and the next one takes up its keys and values. */

import { diagnose } from '../diagnostics/diagnostic.ts';
import type { Control, Decoded } from './decode.ts';
import { activeFeed, asPast, emptyPast, leftPadded, presentNames } from './decode-step.ts';
import type { Engine, Held } from './engine.ts';
import type { DecodePlan } from './protocol.ts';
import { integers, numbersOf, type Tensor, tensorOf } from './tensor.ts';

/** Tokens of a chunk at most; past that, longer chunks are no faster. */
const longestChunk = 32;
/** The chunk after the first one, which is a single token so that it comes as soon as the prompt is read. */
const secondChunk = 4;
/** Milliseconds between two chunks that a reader does not mind. */
const patience = 500;

/** What a chunk takes up from the one before it. */
interface State {
  /** Tokens to run: the prompts, then the newest token of each row. */
  readonly ids: readonly (readonly number[])[];
  /** Tokens in the cache, padding included. */
  readonly past: readonly (readonly number[])[];
  readonly cache: Readonly<Record<string, Tensor | Held>>;
  readonly finished: readonly boolean[];
}

/** Writes a plan in chunks; in one where the graph cannot take up a cache. */
export async function decodeByLoop(engine: Engine, plan: DecodePlan, control: Control): Promise<Decoded> {
  const chunked = engine.inputs.some(({ name }) => name === 'finished');
  const { ids, width } = leftPadded(plan.rows, plan.pad);
  let state: State = {
    ids: plan.rows.map((_, row) => ids.slice(row * width, (row + 1) * width)),
    past: plan.rows.map(() => []),
    cache: emptyPast(engine.inputs, plan.rows.length),
    finished: plan.rows.map(() => false),
  };
  let done = 0;
  let chunk = chunked ? 1 : plan.maxTokens;
  const from = performance.now();
  let first = from;
  try {
    for (;;) {
      const began = performance.now();
      const { steps, next, lost } = await runChunk(engine, plan, state, done, Math.min(chunk, plan.maxTokens - done), control);
      state = next;
      if (lost) return { ok: false, diagnostics: [diagnose('logits-not-finite', { count: (plan.rows[0]?.length ?? 0) + done + steps })] };
      if (done === 0) first = performance.now();
      const pace = (performance.now() - began) / Math.max(1, steps);
      chunk = done === 0 ? secondChunk : Math.min(longestChunk, Math.max(1, Math.floor(patience / pace)));
      done += steps;
      state = { ...next, finished: next.finished.map((end, row) => end || control.finished(row)) };
      if (steps === 0 || done >= plan.maxTokens || state.finished.every((end) => end)) break;
    }
  } finally {
    release(state.cache);
  }
  return { ok: true, timing: { prefillMs: first - from, decodeMs: performance.now() - first, steps: done - 1 } };
}

/** The steps of a chunk, and what the next one takes up; with `lost`, the step after them found no number among the logits of some row. */
interface Chunk {
  readonly steps: number;
  readonly next: State;
  readonly lost: boolean;
}

async function runChunk(engine: Engine, plan: DecodePlan, state: State, done: number, limit: number, control: Control): Promise<Chunk> {
  const { read, held } = await engine.run(feedsOf(engine, plan, state, done, limit), ['tokens'], presentNames(engine.inputs));
  release(state.cache);
  const rows = plan.rows.length;
  const tokens = read['tokens'] ? [...numbersOf(read['tokens'])] : [];
  const bad = tokens.findIndex((token) => token < 0);
  const lost = bad >= 0;
  const steps = Math.floor((lost ? bad : tokens.length) / rows);
  const written = tokens.slice(0, steps * rows);
  const finished = [...state.finished];
  control.emit(
    written.map((token, i) => {
      const row = i % rows;
      if (finished[row]) return -1;
      finished[row] = plan.stop.includes(token);
      return token;
    }),
  );
  const column = (row: number): readonly number[] => Array.from({ length: steps }, (_, step) => written[step * rows + row] ?? plan.pad);
  const past = state.past.map((before, row) => [...before, ...(state.ids[row] ?? []), ...column(row).slice(0, -1)]);
  return { steps, lost, next: { ids: plan.rows.map((_, row) => column(row).slice(-1)), past, cache: asPast(held), finished } };
}

function feedsOf({ inputs }: Engine, plan: DecodePlan, { ids, past, cache, finished }: State, done: number, limit: number): Readonly<Record<string, Tensor | Held>> {
  const rows = ids.length;
  const width = ids[0]?.length ?? 0;
  const before = past[0]?.length ?? 0;
  const padding = Math.max(...plan.rows.map((row) => row.length));
  const mask = plan.rows.flatMap((row) => Array.from({ length: before + width }, (_, i) => (i < padding - row.length ? 0 : 1)));
  const { temperature, topK, topP, minP, repeatPenalty } = plan.settings;
  const drawn = Array.from({ length: limit * rows }, (_, i) => plan.uniforms[done + Math.floor(i / rows)] ?? 0);
  const feeds: Readonly<Record<string, Tensor | Held>> = {
    input_ids: integers([rows, width], ids.flat()),
    attention_mask: integers([rows, before + width], mask),
    max_new_tokens: integers([], [limit]),
    temperature: tensorOf('f32', [], [temperature]),
    top_k: integers([], [topK]),
    top_p: tensorOf('f32', [], [topP]),
    min_p: tensorOf('f32', [], [minP]),
    repetition_penalty: tensorOf('f32', [], [repeatPenalty]),
    stop_tokens: integers([plan.stop.length], plan.stop),
    pad_token: integers([], [plan.pad]),
    uniforms: tensorOf('f32', [limit, rows], drawn),
    seen: integers([rows, before], past.flat()),
    finished: tensorOf('bool', [rows], finished.map(Number)),
    ...activeFeed(plan),
    ...cache,
  };
  return Object.fromEntries(inputs.flatMap(({ name }) => (feeds[name] ? [[name, feeds[name]]] : [])));
}

function release(cache: Readonly<Record<string, Tensor | Held>>): void {
  for (const one of Object.values(cache)) if ('kind' in one) one.release();
}
