/** Writes continuations of prompts: text to tokens, tokens through the model, tokens to text, as they come. */

import { type Diagnostic, diagnose, type Outcome } from '../diagnostics/diagnostic.ts';
import { optionOf } from '../diagnostics/option.ts';
import { channel } from './channel.ts';
import type { Executable } from './executable.ts';
import type { Timing } from './protocol.ts';
import type { MixtureStats } from './routing-stats.ts';
import { greedySettings, type SampleSettings } from './sample.ts';
import type { Session } from './session.ts';
import { type StopFilter, stopFilter } from './stop-text.ts';
import type { TextStream } from './stream-text.ts';
import { strangeToken } from './text-feeds.ts';
import type { Tokenizer } from './tokenizer.ts';
import { uniforms } from './uniforms.ts';

/** How a continuation is written. What is left out is greedy, without limits but the context. */
export interface GenerateOptions extends Partial<SampleSettings> {
  /** Draws the same text again; 0 where left out. */
  readonly seed?: number;
  /** The most tokens of a continuation; 256 where left out, or what the context allows. */
  readonly maxTokens?: number;
  /** Texts that end a continuation; they are not part of it. */
  readonly stop?: readonly string[];
  /** Tokens that end a continuation, in place of those that the model and its tokenizer name. */
  readonly stopTokens?: readonly number[];
  /** How many experts a token picks, for models that take it; the author's number where left out. */
  readonly active?: number;
  /** Whether the tokenizer adds the tokens that begin a text; so unless the prompt already has them, as a chat template's text does. */
  readonly special?: boolean;
}

/** A piece of a continuation. `text` is empty while a character or a stop text may not be complete; `token` is absent for text that was held back to the end. `last` stands on the last piece of a row. */
export interface Piece {
  readonly row: number;
  readonly text: string;
  readonly token?: number;
  readonly last?: boolean;
}

/** Why a continuation ended: a stop token, a stop text, or its length. */
export type Ending = 'token' | 'text' | 'length';

/** What was written, and how fast. */
export interface Statistics {
  readonly promptTokens: number;
  readonly generatedTokens: number;
  readonly prefillMs: number;
  readonly decodeMs: number;
  /** Tokens of the prompts per second, until the first new token. */
  readonly prefillRate: number;
  /** New tokens per second after the first of each row, all rows together. */
  readonly decodeRate: number;
  /** For each row. */
  readonly endings: readonly Ending[];
  /** How mixtures routed, where the model says so. */
  readonly routing?: readonly MixtureStats[];
}

/** A continuation in the making: iterate for its pieces, then ask for the result. */
export interface Generation extends AsyncIterable<Piece> {
  readonly result: Promise<Outcome<Statistics>>;
  /** Stops writing; the result comes after the step that is running. */
  cancel(): void;
}

/** A prompt: text, or tokens. */
export type Prompt = string | readonly number[];

const defaultLength = 256;

/** Prompts as a model takes them: their tokens, and the most that may follow. */
export interface Planned {
  readonly rows: readonly (readonly number[])[];
  readonly maxTokens: number;
}

/** Begins to continue every prompt, all at once. Prompts as tokens need no tokenizer; their continuations then have no text. */
export function generate(session: Session, tokenizer: Tokenizer | undefined, prompts: readonly Prompt[], options: GenerateOptions = {}): Outcome<Generation> {
  const planned = planGeneration(session.executable, tokenizer, prompts, options);
  if (!planned.ok) return planned;
  const { rows, maxTokens } = planned.value;
  return { ok: true, value: start(session, tokenizer, rows, { ...options, maxTokens }), diagnostics: planned.diagnostics };
}

/** What is wrong with prompts and options, found without loading the model; else the tokens of the prompts. */
export function planGeneration(executable: Executable, tokenizer: Tokenizer | undefined, prompts: readonly Prompt[], options: GenerateOptions = {}): Outcome<Planned> {
  if (executable.causal === false) return { ok: false, diagnostics: [diagnose('cannot-generate', { reason: 'it has no causal attention' })] };
  const rows = prompts.map((prompt) => tokensOf(prompt, tokenizer, options, executable.bos ?? tokenizer?.bos));
  const asked = options.maxTokens ?? defaultLength;
  const longest = Math.max(0, ...rows.map((row) => row.length));
  const faults: Diagnostic[] = [...optionFaults(options), ...picksFaults(options.active, executable)];
  for (const row of rows) faults.push(...promptFaults(row, executable));
  if (prompts.some((prompt) => typeof prompt === 'string') && !tokenizer) faults.push(diagnose('tokenizer-missing', { place: 'with this model' }));
  if (faults.length > 0) return { ok: false, diagnostics: faults };
  const maxTokens = Math.min(asked, executable.context === undefined ? asked : executable.context - longest);
  const notes =
    maxTokens < asked && options.maxTokens !== undefined ? [diagnose('fewer-tokens', { tokens: maxTokens, asked, prompt: longest, context: executable.context ?? 0 })] : [];
  return { ok: true, value: { rows, maxTokens }, diagnostics: notes };
}

function tokensOf(prompt: Prompt, tokenizer: Tokenizer | undefined, options: GenerateOptions, bos: number | undefined): readonly number[] {
  const tokens = typeof prompt === 'string' ? (tokenizer?.encode(prompt, options.special ?? true) ?? []) : prompt;
  return tokens.length === 0 && bos !== undefined ? [bos] : tokens;
}

function promptFaults(row: readonly number[], executable: Executable): readonly Diagnostic[] {
  const { context } = executable;
  if (row.length === 0) return [diagnose('prompt-is-empty', {})];
  if (context !== undefined && row.length >= context) return [diagnose('prompt-too-long', { tokens: row.length, context })];
  const wrong = strangeToken(executable, row);
  return wrong ? [wrong] : [];
}

function picksFaults(active: number | undefined, { active: picks }: Executable): readonly Diagnostic[] {
  if (active === undefined) return [];
  if (!picks) return [diagnose('picks-not-asked', {})];
  return Number.isInteger(active) && active >= 1 && active <= picks.most
    ? []
    : [diagnose('option-out-of-range', { option: '--active', range: `1 to ${picks.most}`, found: active })];
}

/** What every option must be. */
const ranges: readonly (readonly [
  keyof GenerateOptions & ('temperature' | 'topK' | 'topP' | 'minP' | 'repeatPenalty' | 'maxTokens' | 'seed'),
  string,
  (value: number) => boolean,
])[] = [
  ['temperature', '0 or more', (value) => value >= 0 && Number.isFinite(value)],
  ['topK', 'a whole number, 0 for all', (value) => Number.isInteger(value) && value >= 0],
  ['topP', 'above 0, up to 1', (value) => value > 0 && value <= 1],
  ['minP', 'from 0 to 1', (value) => value >= 0 && value <= 1],
  ['repeatPenalty', 'above 0', (value) => value > 0 && Number.isFinite(value)],
  ['maxTokens', 'a whole number, 1 or more', (value) => Number.isInteger(value) && value >= 1],
  ['seed', 'a whole number', (value) => Number.isSafeInteger(value)],
];

function optionFaults(options: GenerateOptions): readonly Diagnostic[] {
  return ranges.flatMap(([name, range, fits]) => {
    const value = options[name];
    const option = optionOf(name);
    return value === undefined || fits(value) ? [] : [diagnose('option-out-of-range', { option, range, found: value })];
  });
}

/** One row while it is written. */
interface Row {
  readonly text: TextStream | undefined;
  readonly stop: StopFilter;
  ending: Ending | undefined;
  count: number;
}

function start(session: Session, tokenizer: Tokenizer | undefined, prompts: readonly (readonly number[])[], options: GenerateOptions & { readonly maxTokens: number }): Generation {
  const stopTokens = options.stopTokens ?? [...new Set([...session.executable.stop, ...(tokenizer?.eos === undefined ? [] : [tokenizer.eos])])];
  const rows = prompts.map((prompt): Row => ({ text: tokenizer?.stream(prompt), stop: stopFilter(options.stop ?? []), ending: undefined, count: 0 }));
  const pieces = channel<Piece>();

  /** Takes one token of a row that is still being written. */
  const take = (index: number, row: Row, token: number): void => {
    row.count++;
    if (stopTokens.includes(token)) {
      end(index, row, 'token', token);
      return;
    }
    const { text, stopped } = row.stop.push(row.text?.push(token) ?? '');
    if (stopped) {
      row.ending = 'text';
      decoding.finish(index);
    }
    pieces.push({ row: index, text, token, last: stopped });
    if (row.count >= options.maxTokens && !stopped) end(index, row, 'length');
  };
  const end = (index: number, row: Row, ending: Ending, token?: number): void => {
    const { text, stopped } = row.stop.push(row.text?.end() ?? '');
    row.ending = stopped ? 'text' : ending;
    pieces.push({ row: index, text: text + (stopped ? '' : row.stop.end()), last: true, ...(token === undefined ? {} : { token }) });
  };
  const decoding = session.decode(
    {
      rows: prompts,
      maxTokens: options.maxTokens,
      settings: settingsOf(options),
      uniforms: uniforms(options.seed ?? 0, options.maxTokens),
      stop: stopTokens,
      pad: session.executable.pad ?? 0,
      ...(session.executable.active ? { active: options.active ?? session.executable.active.usual } : {}),
    },
    (tokens) => {
      for (const [i, token] of tokens.entries()) {
        const row = rows[i % rows.length];
        if (row && row.ending === undefined && token >= 0) take(i % rows.length, row, token);
      }
    },
  );
  const result = decoding.done.then((outcome): Outcome<Statistics> => {
    for (const [index, row] of rows.entries()) if (row.ending === undefined) end(index, row, 'length');
    pieces.close();
    return outcome.ok ? { ...outcome, value: statistics(prompts, rows, outcome.value) } : outcome;
  });
  const cancel = (): void => {
    for (const index of rows.keys()) decoding.finish(index);
  };
  return {
    async *[Symbol.asyncIterator]() {
      try {
        yield* { [Symbol.asyncIterator]: pieces.iterate };
      } finally {
        cancel();
      }
    },
    result,
    cancel,
  };
}

function settingsOf(options: GenerateOptions): SampleSettings {
  const { temperature, topK, topP, minP, repeatPenalty } = options;
  const given = Object.entries({ temperature, topK, topP, minP, repeatPenalty }).filter(([, value]) => value !== undefined);
  return { ...greedySettings, ...Object.fromEntries(given) };
}

function statistics(prompts: readonly (readonly number[])[], rows: readonly Row[], { prefillMs, decodeMs, routing }: Timing): Statistics {
  const promptTokens = prompts.reduce((sum, prompt) => sum + prompt.length, 0);
  const generatedTokens = rows.reduce((sum, row) => sum + row.count, 0);
  const later = rows.reduce((sum, row) => sum + Math.max(0, row.count - 1), 0);
  const rate = (tokens: number, ms: number): number => (ms > 0 ? (tokens * 1000) / ms : 0);
  return {
    promptTokens,
    generatedTokens,
    prefillMs,
    decodeMs,
    prefillRate: rate(promptTokens, prefillMs),
    decodeRate: rate(later, decodeMs),
    endings: rows.map((row) => row.ending ?? 'length'),
    ...(routing ? { routing } : {}),
  };
}
