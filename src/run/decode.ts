/** Writes continuations inside the worker: picks the way by the model's form, and for forms without a sampler of their own draws the tokens. */

import { type Diagnostic, diagnose } from '../diagnostics/diagnostic.ts';
import { isPast } from '../passes/cache-names.ts';
import { decodeByLoop } from './decode-loop.ts';
import { logitsWanted, stepper } from './decode-step.ts';
import { rerunner } from './decode-whole.ts';
import type { Engine } from './engine.ts';
import type { Form } from './executable.ts';
import type { DecodePlan, Timing } from './protocol.ts';
import { type StatsCollector, statsCollector } from './routing-stats.ts';
import { sample } from './sample.ts';
import type { Port } from './tensor.ts';

/** How far a decode has come, and who listens. */
export interface Control {
  /** Takes the tokens of one or more steps, rows within steps; -1 where a row has ended. */
  emit(tokens: readonly number[]): void;
  /** Whether the listener wants no more of a row. */
  finished(row: number): boolean;
}

/** Gives the logits [V] of the last position of every row. */
export interface Stepper {
  /** After the prompts. */
  start(): Promise<readonly Float32Array[]>;
  /** After one more token for each row; ended rows take the padding token. */
  advance(tokens: readonly number[]): Promise<readonly Float32Array[]>;
  /** Frees what is held. */
  end(): void;
}

/** The way through a decode that went, or the reason why it did not. */
export type Decoded = { readonly ok: true; readonly timing: Timing } | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };

/** Writes the continuations of a plan. */
export async function decode(engine: Engine, form: Form, plan: DecodePlan, control: Control, stats: StatsCollector = statsCollector(engine.outputs)): Promise<Decoded> {
  const unfit = whyNot(engine, form);
  if (unfit) return { ok: false, diagnostics: [diagnose('cannot-generate', { reason: unfit })] };
  const lengths = new Set(plan.rows.map((row) => row.length));
  const maskable = form === 'whole' || engine.inputs.some(({ name }) => name === 'attention_mask');
  if (lengths.size > 1 && !maskable) return rowByRow(engine, form, plan, control, stats);
  if (form === 'loop') return decodeByLoop(engine, plan, control);
  const done = await decodeOnHost((form === 'step' ? stepper : rerunner)(engine, plan, stats), plan, control);
  const routing = stats.all();
  return done.ok && routing.length > 0 ? { ok: true, timing: { ...done.timing, routing } } : done;
}

/** Inputs that decoding fills in, whatever the form. */
export const fillable: ReadonlySet<string> = new Set(['input_ids', 'attention_mask', 'position_ids', 'token_type_ids', 'active', ...logitsWanted]);
const loopInputs = new Set(['max_new_tokens', 'temperature', 'top_k', 'top_p', 'min_p', 'repetition_penalty', 'stop_tokens', 'uniforms', 'seen', 'pad_token', 'finished']);

/** Why a prompt cannot be continued with what a model takes and gives, where it cannot. */
export function whyNot({ inputs, outputs }: Pick<Engine, 'inputs' | 'outputs'>, form: Form): string | undefined {
  const known = ({ name }: Port): boolean => fillable.has(name) || isPast({ name }) || (form === 'loop' && loopInputs.has(name));
  const stranger = inputs.find((input) => !known(input));
  if (stranger) return `it takes \`${stranger.name}\`, which no prompt gives`;
  if (!inputs.some(({ name, dims }) => name === 'input_ids' && dims.length === 2)) return 'it has no input `input_ids` with a row for each prompt';
  const result = form === 'loop' ? 'tokens' : 'logits';
  const rank = form === 'loop' ? 2 : 3;
  if (!outputs.some(({ name, dims }) => name === result && (dims.length === rank || dims.length === 0))) return `it has no result \`${result}\` with ${rank} axes`;
  return undefined;
}

/** Models without a mask see padding as text, so prompts of different lengths go one after the other. */
async function rowByRow(engine: Engine, form: Form, plan: DecodePlan, control: Control, stats: StatsCollector): Promise<Decoded> {
  let prefillMs = 0;
  let decodeMs = 0;
  let steps = 0;
  for (const [row, tokens] of plan.rows.entries()) {
    const done = await decode(
      engine,
      form,
      { ...plan, rows: [tokens] },
      {
        emit: (given) => control.emit(given.flatMap((token) => plan.rows.map((_, other) => (other === row ? token : -1)))),
        finished: () => control.finished(row),
      },
      stats,
    );
    if (!done.ok) return done;
    prefillMs += done.timing.prefillMs;
    decodeMs += done.timing.decodeMs;
    steps += done.timing.steps;
  }
  const routing = stats.all();
  return { ok: true, timing: { prefillMs, decodeMs, steps, ...(routing.length > 0 ? { routing } : {}) } };
}

async function decodeOnHost(step: Stepper, plan: DecodePlan, control: Control): Promise<Decoded> {
  const seen = plan.rows.map((row) => new Set(row));
  const ended = plan.rows.map(() => false);
  const from = performance.now();
  let first = from;
  let count = 0;
  try {
    let logits = await step.start();
    for (;;) {
      const tokens = plan.rows.map((_, row) => (ended[row] ? -1 : sample(logits[row] ?? new Float32Array(), seen[row] ?? new Set(), plan.settings, plan.uniforms[count] ?? 0)));
      if (tokens.some((token, row) => token < 0 && !ended[row])) return { ok: false, diagnostics: [diagnose('logits-not-finite', { count: (plan.rows[0]?.length ?? 0) + count })] };
      control.emit(tokens);
      if (count === 0) first = performance.now();
      count++;
      for (const [row, token] of tokens.entries()) {
        seen[row]?.add(token);
        ended[row] ||= plan.stop.includes(token) || control.finished(row);
      }
      if (count >= plan.maxTokens || ended.every((end) => end)) break;
      logits = await step.advance(tokens.map((token) => (token < 0 ? plan.pad : token)));
    }
  } finally {
    step.end();
  }
  return { ok: true, timing: { prefillMs: first - from, decodeMs: performance.now() - first, steps: count - 1 } };
}
