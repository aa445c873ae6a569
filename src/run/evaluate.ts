/** How well a model of text predicts one: the likelihood of its tokens, window by window, with the logits of one window in memory at a time. */

import { diagnose, type Outcome, refuse } from '../diagnostics/diagnostic.ts';
import type { Session } from './session.ts';
import { floatsOf, type Tensor } from './tensor.ts';
import { logitsOf, strangeToken, textFeeds, whyNoText } from './text-feeds.ts';

/** A stretch of text. The model reads `inputs`; `targets` are scored, the last of them after all of `inputs`, the others each after one token less. */
export interface TextWindow {
  readonly inputs: readonly number[];
  readonly targets: readonly number[];
}

/** How a text is cut. */
export interface WindowOptions {
  /** The most tokens the model reads at once. */
  readonly context: number;
  /** How far each window begins after the one before it, `context` at most. */
  readonly stride: number;
}

/** Cuts a text so that every token but the first is scored once: windows of `context` tokens begin at 0, `stride`, 2 · `stride` …, and each scores the tokens after its own that no window before it has scored. So a token is scored after `context` - `stride` + 1 tokens at least, once so many have come. */
export function windowsOf(tokens: readonly number[], { context, stride }: WindowOptions): readonly TextWindow[] {
  const windows: TextWindow[] = [];
  for (let start = 0, scored = 1; scored < tokens.length; start += stride) {
    const end = Math.min(start + context, tokens.length - 1);
    windows.push({ inputs: tokens.slice(start, end), targets: tokens.slice(scored, end + 1) });
    scored = end + 1;
  }
  return windows;
}

/** What the tokens of a text came to. */
export interface Likelihood {
  /** The sum of -ln p over the scored tokens. */
  readonly nats: number;
  /** Tokens that were scored. */
  readonly tokens: number;
}

/** What a measurement is told besides the texts. */
export interface MeasureOptions {
  readonly signal?: AbortSignal;
  readonly progress?: (done: number, total: number) => void;
}

/** exp of the mean of -ln p. */
export function perplexityOf({ nats, tokens }: Likelihood): number {
  return Math.exp(nats / tokens);
}

/** Runs a causal model over windows and sums -ln p of their targets: softmax by log-sum-exp in f64 over the model's f32 logits. */
export async function likelihood(session: Session, windows: readonly TextWindow[], { signal, progress }: MeasureOptions = {}): Promise<Outcome<Likelihood>> {
  const unfit =
    whyNoText(session) ??
    windows.map(({ inputs, targets }) => strangeToken(session.executable, inputs) ?? strangeToken(session.executable, targets)).find((one) => one !== undefined);
  const port = logitsOf(session);
  if (unfit || !port) return refuse(unfit ?? diagnose('cannot-evaluate', { reason: 'it has no result `logits`' }));
  const total = windows.reduce((sum, { targets }) => sum + targets.length, 0);
  let [nats, tokens] = [0, 0];
  for (const { inputs, targets } of windows) {
    signal?.throwIfAborted();
    const results = await session.run(textFeeds(session, [inputs]), [port.name]);
    if (!results.ok) return results;
    const logits = results.value[port.name];
    if (logits?.dims.length !== 3 || logits.dims[1] !== inputs.length) return refuse(diagnose('cannot-evaluate', { reason: `\`${port.name}\` has no row for each token` }));
    const found = surpriseOf(logits, targets);
    if (!Number.isFinite(found)) return refuse(diagnose('logits-not-finite', { count: tokens }));
    nats += found;
    tokens += targets.length;
    progress?.(tokens, total);
  }
  return { ok: true, value: { nats, tokens }, diagnostics: [] };
}

/** The sum of -ln p of `targets`, by the last rows of `logits` [1, S, V]. */
function surpriseOf(logits: Tensor, targets: readonly number[]): number {
  const size = logits.dims[2] ?? 0;
  const numbers = floatsOf(logits);
  const first = numbers.length - targets.length * size;
  let sum = 0;
  for (const [i, target] of targets.entries()) {
    const row = numbers.subarray(first + i * size, first + (i + 1) * size);
    sum += logSumExp(row) - (row[target] ?? Number.NaN);
  }
  return sum;
}

/** ln Σ exp, in f64, with the largest taken out first. */
function logSumExp(row: Float32Array): number {
  let top = Number.NEGATIVE_INFINITY;
  for (const logit of row) if (logit > top) top = logit;
  let sum = 0;
  for (const logit of row) sum += Math.exp(logit - top);
  return top + Math.log(sum);
}
