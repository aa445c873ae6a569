/** One round of `moec bench` for one contender, in a process of its own: loads it, warms it up, and times it. */

import { readFileSync } from 'node:fs';
import { type Diagnostic, diagnose, type Outcome, refuse } from '../diagnostics/diagnostic.ts';
import type { Operand } from '../passes/bare-products.ts';
import { whyNot } from './decode.ts';
import type { Executable, Provider } from './executable.ts';
import type { Tensors } from './protocol.ts';
import { greedySettings } from './sample.ts';
import { extentOf, seededInputs, whyNoSeed } from './seeded-inputs.ts';
import { inSession, type Session } from './session.ts';
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
  | {
      readonly kind: 'model';
      readonly model: Contender;
      /** What is read, where it is long enough, in place of tokens that say nothing: experts may vary with the text. */
      readonly prompt?: readonly number[];
    }
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

type ModelJob = Extract<BenchJob, { readonly kind: 'model' }>;

function modelRound(job: ModelJob): Promise<Outcome<Round>> {
  return loaded(job.model, job, async (session, seconds) => {
    const speeds: Speed[] = [];
    for (const context of job.contexts) {
      const writes = continues(job.model) && whyNot(session, job.model.form) === undefined;
      const speed = await (writes ? decoding(session, context, job) : whole(session, context));
      if (!speed.ok) return speed;
      speeds.push(speed.value);
    }
    return { ok: true, value: { load: seconds, speeds }, diagnostics: [] };
  });
}

/** Whether a model writes token by token with a cache. */
export function continues({ form, causal }: Pick<Contender, 'form' | 'causal'>): boolean {
  return form !== 'whole' && causal !== false;
}

/** Loads a contender, and hands it on with the seconds that took. */
async function loaded<T>(model: Contender, { provider, threads }: BenchJob, use: (session: Session, seconds: number) => Promise<Outcome<T>>): Promise<Outcome<T>> {
  const { file, dataFolder, ...rest } = model;
  const began = performance.now();
  const place = dataFolder === undefined ? ({ kind: 'file', path: file } as const) : ({ kind: 'bytes', bytes: readFileSync(file), dataFolder } as const);
  return inSession({ ...rest, model: place }, { provider, threads }, (session) => use(session, (performance.now() - began) / 1000));
}

/** Milliseconds that a measurement goes on for: what is over sooner is repeated, and the least of it counts, since everything else on the machine only adds to it. */
const patience = 1_500;

/** The least of each figure of a measurement that is repeated until time is up. */
async function least<T extends readonly number[]>(measure: () => Promise<Outcome<T>>): Promise<Outcome<readonly number[]>> {
  let best: readonly number[] | undefined;
  const until = performance.now() + patience;
  for (;;) {
    const found = await measure();
    if (!found.ok) return found;
    const before = best;
    best = found.value.map((one, i) => Math.min(one, before?.[i] ?? Number.POSITIVE_INFINITY));
    if (performance.now() >= until) return { ...found, value: best };
  }
}

/** A prompt of `context` tokens, then `steps` more, after two tokens of the same as a warm-up. */
async function decoding(session: Session, context: number, { steps, prompt: given = [] }: ModelJob): Promise<Outcome<Speed>> {
  const { vocabulary = 64, active } = session.executable;
  const prompt = given.length >= context ? given.slice(0, context) : Array.from({ length: context }, (_, i) => (i * 7_919 + 11) % vocabulary);
  const write = async (count: number): Promise<Outcome<readonly [number, number]>> => {
    const plan = { rows: [prompt], maxTokens: count, settings: greedySettings, uniforms: new Float32Array(count), stop: [], pad: session.executable.pad ?? 0 };
    const done = await session.decode({ ...plan, ...(active ? { active: active.usual } : {}) }, () => {}).done;
    return done.ok ? { ...done, value: [done.value.prefillMs / context, done.value.decodeMs / done.value.steps] } : done;
  };
  const warm = await write(2);
  if (!warm.ok) return warm;
  const done = await least(() => write(steps + 1));
  return done.ok ? { ...done, value: { context, prefill: rate(done.value[0]), decode: rate(done.value[1]) } } : done;
}

/** Tokens a second, from milliseconds a token. */
const rate = (milliseconds = Number.NaN): number => 1000 / milliseconds;

/** A whole sequence at once, on numbers from a seed. */
async function whole(session: Session, context: number): Promise<Outcome<Speed>> {
  const unfit = whyNoSeed(session);
  if (unfit) return refuse(unfit);
  const { rows, tokens } = extentOf(session.inputs, context);
  const timed = await timePerToken(session, seededInputs(session, { seed: 0, rows, length: context }), tokens, 1);
  return timed.ok ? { ...timed, value: { context, prefill: rate(timed.value) } } : timed;
}

/** Milliseconds a token, of `runs` runs on so many tokens each, after a warm-up. */
async function timePerToken(session: Session, feeds: Tensors, tokens: number, runs: number): Promise<Outcome<number>> {
  const several = async (count: number): Promise<Outcome<readonly [number]>> => {
    const began = performance.now();
    for (let i = 0; i < count; i++) {
      const done = await session.run(feeds);
      if (!done.ok) return done;
    }
    return { ok: true, value: [(performance.now() - began) / (count * tokens)], diagnostics: [] };
  };
  const warm = await several(2);
  if (!warm.ok) return warm;
  const found = await least(() => several(runs));
  return found.ok ? { ...found, value: found.value[0] ?? Number.NaN } : found;
}

async function productsRound(job: Extract<BenchJob, { readonly kind: 'products' }>): Promise<Outcome<Round>> {
  const rates = new Map<number, number>();
  let loading = 0;
  for (const { model, runs } of job.graphs) {
    const done = await loaded(model, job, async (session, seconds) => {
      loading += seconds;
      for (const { tokens, operands } of runs) {
        const feeds = Object.fromEntries(operands.map(({ name, width, rows }) => [name, tensorOf('f32', [rows, width], new Float64Array(rows * width).fill(0.5))]));
        const timed = await timePerToken(session, feeds, tokens, tokens === 1 ? job.steps : 1);
        if (!timed.ok) return timed;
        rates.set(tokens, rate(timed.value));
      }
      return { ok: true, value: undefined, diagnostics: [] };
    });
    if (!done.ok) return done;
  }
  const decode = rates.get(1);
  const speeds = job.contexts.map((context) => ({ context, prefill: rates.get(context) ?? Number.NaN, ...(decode === undefined ? {} : { decode }) }));
  return { ok: true, value: { load: loading, speeds }, diagnostics: [] };
}

/** The middle number; of two middle ones the lower. */
export function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor((numbers.length - 1) / 2)] ?? Number.NaN;
}

/** Figures by what they measure, such as `read 128`. */
export type Figures = Readonly<Record<string, number>>;

/** The figures of a round: seconds to load, then tokens a second, read and written, context by context. */
function figuresOf({ load: seconds, speeds }: Round): Figures {
  const rates = speeds.flatMap(({ context, prefill, decode }) => [[`read ${context}`, prefill], ...(decode === undefined ? [] : [[`write at ${context}`, decode]])]);
  return { load: seconds, ...(Object.fromEntries(rates) as Figures) };
}

/** The medians of the figures of several rounds. */
export function middleOf(rounds: readonly Round[]): Figures {
  return mediansOf(rounds.map(figuresOf));
}

/** The medians of the quotients of figures that both have, round by round: what slows a whole round down leaves them. */
export function quotientsOf(rounds: readonly Round[], others: readonly Round[]): Figures {
  return mediansOf(
    rounds.map((round, i) => {
      const other = others[i] ? figuresOf(others[i]) : {};
      return Object.fromEntries(Object.entries(figuresOf(round)).flatMap(([name, one]) => (other[name] === undefined ? [] : [[name, one / other[name]]])));
    }),
  );
}

function mediansOf(rounds: readonly Figures[]): Figures {
  return Object.fromEntries(Object.keys(rounds[0] ?? {}).map((name) => [name, median(rounds.flatMap((one) => one[name] ?? []))]));
}

/** What cannot be timed: contexts beyond the model's. */
export function contextFault({ context: most }: Pick<Contender, 'context'>, contexts: readonly number[], steps: number): Diagnostic | undefined {
  const wrong = most === undefined ? undefined : contexts.find((context) => context + steps + 1 > most);
  return wrong === undefined
    ? undefined
    : diagnose('option-out-of-range', { option: '--contexts', range: `${(most ?? 0) - steps - 1} at most with --steps ${steps}`, found: wrong });
}
