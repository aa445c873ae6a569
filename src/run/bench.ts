/** One round of `moec bench` for one contender, in a process of its own: loads it, warms it up, and times it. */

import { readFileSync } from 'node:fs';
import { type Diagnostic, diagnose, type Outcome } from '../diagnostics/diagnostic.ts';
import type { Operand } from '../passes/bare-products.ts';
import type { Executable, Provider } from './executable.ts';
import type { Tensors } from './protocol.ts';
import { greedySettings } from './sample.ts';
import { seededInputs } from './seeded-inputs.ts';
import { openSession, type Session } from './session.ts';
import { tensorOf } from './tensor.ts';

/** A model as another process finds it: encoded in a file, with the folder in which its data lie, or as it was compiled. */
export interface Contender extends Omit<Executable, 'model' | 'dispose'> {
  readonly file: string;
  /** Absent for a compiled folder. */
  readonly dataFolder?: string;
}

/** What one process measures. */
export type BenchJob = {
  readonly provider: Provider;
  readonly threads: number;
  readonly contexts: readonly number[];
  /** Tokens to decode at each context. */
  readonly steps: number;
} & (
  | { readonly kind: 'model'; readonly model: Contender; readonly active?: number }
  /** Graphs of bare products, and for how many tokens each is run with which operands. */
  | { readonly kind: 'products'; readonly graphs: readonly { readonly model: Contender; readonly runs: readonly ProductRun[] }[] }
);

/** The products for a number of tokens. */
export interface ProductRun {
  readonly tokens: number;
  readonly operands: readonly Operand[];
}

/** Tokens per second at one context; no decoding for a model that does not continue texts. */
export interface Speed {
  readonly context: number;
  readonly prefill: number;
  readonly decode?: number;
}

/** What one round came to. */
export interface Round {
  /** Seconds until the model could run. */
  readonly load: number;
  readonly speeds: readonly Speed[];
}

/** Measures one round. */
export function benchRound(job: BenchJob): Promise<Outcome<Round>> {
  return job.kind === 'model' ? modelRound(job) : productsRound(job);
}

async function modelRound(job: Extract<BenchJob, { readonly kind: 'model' }>): Promise<Outcome<Round>> {
  const opened = await load(job.model, job);
  if (!opened.ok) return opened;
  const { session, seconds } = opened.value;
  const speeds: Speed[] = [];
  for (const context of job.contexts) {
    const speed = await (continues(job.model) ? decoding(session, context, job) : whole(session, context));
    if (!speed.ok) return speed;
    speeds.push(speed.value);
  }
  await session.close();
  return { ok: true, value: { load: seconds, speeds }, diagnostics: [] };
}

/** Whether a model writes token by token with a cache. */
export function continues({ form, causal }: Pick<Contender, 'form' | 'causal'>): boolean {
  return form !== 'whole' && causal !== false;
}

async function load(model: Contender, { provider, threads }: BenchJob): Promise<Outcome<{ readonly session: Session; readonly seconds: number }>> {
  const { file, dataFolder, ...rest } = model;
  const began = performance.now();
  const place = dataFolder === undefined ? ({ kind: 'file', path: file } as const) : ({ kind: 'bytes', bytes: readFileSync(file), dataFolder } as const);
  const opened = await openSession({ ...rest, model: place }, { provider, threads });
  return opened.ok ? { ...opened, value: { session: opened.value, seconds: (performance.now() - began) / 1000 } } : opened;
}

/** A prompt of `context` tokens, then `steps` more, after two tokens of the same as a warm-up. */
async function decoding(session: Session, context: number, { steps, active }: BenchJob & { readonly active?: number }): Promise<Outcome<Speed>> {
  const { vocabulary = 64, active: picks } = session.executable;
  const prompt = Array.from({ length: context }, (_, i) => (i * 7_919 + 11) % vocabulary);
  const write = (count: number): ReturnType<Session['decode']>['done'] =>
    session.decode(
      {
        rows: [prompt],
        maxTokens: count,
        settings: greedySettings,
        uniforms: new Float32Array(count),
        stop: [],
        pad: session.executable.pad ?? 0,
        ...(picks ? { active: active ?? picks.usual } : {}),
      },
      () => {},
    ).done;
  const warm = await write(2);
  if (!warm.ok) return warm;
  const done = await write(steps + 1);
  if (!done.ok) return done;
  const { prefillMs, decodeMs, steps: written } = done.value;
  return { ok: true, value: { context, prefill: (context * 1000) / prefillMs, decode: (written * 1000) / decodeMs }, diagnostics: [] };
}

/** Runs of a whole sequence after a warm-up, on numbers from a seed. */
const wholeRuns = 3;

async function whole(session: Session, context: number): Promise<Outcome<Speed>> {
  const feeds = seededInputs(session, { seed: 0, rows: 1, length: context });
  const timed = await times(session, feeds, wholeRuns);
  return timed.ok ? { ...timed, value: { context, prefill: (context * 1000) / median(timed.value) } } : timed;
}

/** Milliseconds of some runs after a warm-up. */
async function times(session: Session, feeds: Tensors, count: number): Promise<Outcome<readonly number[]>> {
  const all: number[] = [];
  for (let i = -1; i < count; i++) {
    const began = performance.now();
    const done = await session.run(feeds);
    if (!done.ok) return done;
    if (i >= 0) all.push(performance.now() - began);
  }
  return { ok: true, value: all, diagnostics: [] };
}

async function productsRound(job: Extract<BenchJob, { readonly kind: 'products' }>): Promise<Outcome<Round>> {
  const rates = new Map<number, number>();
  let loading = 0;
  for (const { model, runs } of job.graphs) {
    const opened = await load(model, job);
    if (!opened.ok) return opened;
    const { session, seconds } = opened.value;
    loading += seconds;
    for (const { tokens, operands } of runs) {
      const feeds = Object.fromEntries(operands.map(({ name, width, rows }) => [name, tensorOf('f32', [rows, width], new Float64Array(rows * width).fill(0.5))]));
      const timed = await times(session, feeds, tokens === 1 ? job.steps : wholeRuns);
      if (!timed.ok) return timed;
      const mean = timed.value.reduce((sum, one) => sum + one, 0) / timed.value.length;
      rates.set(tokens, (tokens * 1000) / (tokens === 1 ? mean : median(timed.value)));
    }
    await session.close();
  }
  const decode = rates.get(1);
  return {
    ok: true,
    value: { load: loading, speeds: job.contexts.map((context) => ({ context, prefill: rates.get(context) ?? Number.NaN, ...(decode === undefined ? {} : { decode }) })) },
    diagnostics: [],
  };
}

/** The middle number; of two middle ones the lower. */
export function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor((numbers.length - 1) / 2)] ?? Number.NaN;
}

/** The middle of several rounds, figure by figure. */
export function middleOf(rounds: readonly Round[]): Round {
  const [first] = rounds;
  return {
    load: median(rounds.map(({ load: seconds }) => seconds)),
    speeds: (first?.speeds ?? []).map(({ context, decode }, i) => ({
      context,
      prefill: median(rounds.map(({ speeds }) => speeds[i]?.prefill ?? Number.NaN)),
      ...(decode === undefined ? {} : { decode: median(rounds.map(({ speeds }) => speeds[i]?.decode ?? Number.NaN)) }),
    })),
  };
}

/** What cannot be timed: contexts beyond the model's. */
export function contextFault({ context: most }: Pick<Contender, 'context'>, contexts: readonly number[], steps: number): Diagnostic | undefined {
  const wrong = most === undefined ? undefined : contexts.find((context) => context + steps + 1 > most);
  return wrong === undefined
    ? undefined
    : diagnose('option-out-of-range', { option: '--contexts', range: `${(most ?? 0) - steps - 1} at most with --steps ${steps}`, found: wrong });
}
