/** What `moec emerge` calibrates on and what it measures on: text, rows with answers, or inputs from a file. */

import { existsSync, realpathSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Diagnostic, diagnose } from '../diagnostics/diagnostic.ts';
import type { Sample } from '../passes/emergent/calibrate.ts';
import type { Metric, Task } from '../run/bargain.ts';
import type { Found } from '../run/find-model.ts';
import type { Measured } from '../run/measured.ts';
import { must, Refusal } from './exit.ts';
import { textOrRefuse } from './read.ts';
import type { Terminal } from './terminal.ts';

/** Tokens to calibrate on where the call does not say. */
export const usualTokens = 16_384;

/** Which files, and how much of them. */
export interface SamplingOptions {
  readonly calibrate?: string;
  readonly heldOut?: string;
  readonly maskToken?: number;
  readonly tokens: number;
  readonly evaluate: number | 'full' | 'none';
  /** Whether figures of earlier calls are taken. */
  readonly cache: boolean;
}

/** Calibration inputs, the metric, and what was measured before. */
export interface Sampling {
  readonly samples: readonly Sample[] | undefined;
  readonly metric?: Metric;
  readonly measured?: Measured;
  /** Set where there is one calibration input alone, so that layers are judged on what they are fitted to. */
  readonly scarce?: Diagnostic;
  /** Set where what is measured on is what is calibrated on, so that the metric flatters. */
  readonly seen?: Diagnostic;
}

/** Reads the files. Without one that is held out, the rest of the calibration text is measured on. */
export async function sampling(terminal: Terminal, found: Found, given: SamplingOptions): Promise<Sampling> {
  const { measuredIn } = await import('../run/measured.ts');
  const read = await inputsAndMetric(terminal, found, given);
  const scarce = read.samples?.length === 1 ? { scarce: await whyScarce(found, given) } : {};
  const seen = read.metric && sameFile(terminal, given) ? { seen: seenBefore(given) } : {};
  return { ...read, ...scarce, ...seen, ...(given.cache && terminal.cache !== undefined ? { measured: measuredIn(join(terminal.cache, 'measured')) } : {}) };
}

/** Whether the file to measure on is the one to calibrate on. */
function sameFile({ cwd }: Terminal, { calibrate, heldOut }: SamplingOptions): boolean {
  if (calibrate === undefined || heldOut === undefined) return false;
  const [one, other] = [resolve(cwd, calibrate), resolve(cwd, heldOut)];
  return one === other || (existsSync(one) && existsSync(other) && realpathSync(one) === realpathSync(other));
}

/** That a text does better than another would. */
function seenBefore({ heldOut: file = '' }: SamplingOptions): Diagnostic {
  return diagnose('measured-on-calibrated', { file }, { fixes: [{ text: 'leave `--held-out` out: what of the text is not calibrated on is measured' }] });
}

/** That one input makes no second, and what would. */
async function whyScarce(found: Found, { calibrate: file = '', tokens, heldOut }: SamplingOptions): Promise<Diagnostic> {
  const { windowOf } = await import('../run/samples.ts');
  const least = 2 * windowOf(found);
  const text = heldOut === undefined ? `calibrate on a text of ${2 * least} tokens or more: half of it is measured on` : `calibrate on a text of ${least} tokens or more`;
  const enough = file.endsWith('.json') ? 'list two inputs or more' : tokens < least ? `calibrate on more of the text: --tokens ${least}` : text;
  return diagnose('judged-on-fitted', { file }, { fixes: [{ text: enough }] });
}

async function inputsAndMetric(terminal: Terminal, found: Found, given: SamplingOptions): Promise<Sampling> {
  const { calibrate, heldOut, evaluate } = given;
  const { continues } = await import('../run/continues.ts');
  const measures = evaluate !== 'none';
  const own = measures && heldOut !== undefined ? { metric: await metricOn(terminal, found, heldOut, given) } : {};
  if (calibrate === undefined) return { samples: undefined, ...own };
  const { readSamples, readText, samplesOfTokens, tokensOf, windowOf } = await import('../run/samples.ts');
  const file = { name: calibrate, file: resolve(terminal.cwd, calibrate) };
  if (calibrate.endsWith('.json')) return { samples: must(readSamples(found, file, given.tokens)), ...own };
  const wanted = evaluate === 'full' ? undefined : Math.max(2 * given.tokens, given.tokens + (evaluate === 'none' ? 0 : evaluate) + 1);
  const ids = must(tokensOf(found, must(readText(file)), wanted));
  const cut = heldOut === undefined ? Math.min(given.tokens, Math.floor(ids.length / 2)) : given.tokens;
  const samples = must(samplesOfTokens(found.model.graph, ids.slice(0, cut), calibrate, windowOf(found)));
  if (heldOut !== undefined || !measures || !continues(found)) return { samples, ...own };
  const rest = ids.slice(cut, evaluate === 'full' ? undefined : cut + evaluate + 1);
  if (rest.length < 2) return { samples };
  const { perplexityOn } = await import('../run/bargain.ts');
  return { samples, metric: perplexityOn(rest, windowOf(found), `${rest.length - 1} tokens of ${calibrate}, after the ${cut} that were calibrated on`) };
}

/** The metric on a file of its own: perplexity of its text, or the answers to its rows where the model does not continue texts. */
async function metricOn(terminal: Terminal, found: Found, name: string, given: SamplingOptions): Promise<Metric> {
  const { evaluate, maskToken } = given;
  const { accuracyOn, perplexityOn } = await import('../run/bargain.ts');
  const { tokensOf, windowOf } = await import('../run/samples.ts');
  const { continues } = await import('../run/continues.ts');
  const text = textOrRefuse(terminal, name);
  const of = sameFile(terminal, given) ? `${name}, which was calibrated on` : name;
  const most = evaluate === 'full' || evaluate === 'none' ? undefined : evaluate;
  if (!continues(found)) {
    const task = await taskOf(found, text, name, maskToken, most);
    const answers = task.kind === 'masked' ? task.texts.reduce((sum, { masked }) => sum + masked.length, 0) : task.texts.length;
    return accuracyOn(task, `${answers} ${task.kind === 'masked' ? 'masked tokens' : 'texts'} of ${of}`);
  }
  const ids = must(tokensOf(found, text, most === undefined ? undefined : most + 1));
  if (ids.length < 2) throw new Refusal(diagnose('text-too-short', { file: name, tokens: ids.length, least: 2 }));
  return perplexityOn(ids, windowOf(found), `${ids.length - 1} tokens of ${of}`);
}

/** Classes where there is one answer for each text, masked tokens otherwise. */
async function taskOf(found: Found, text: string, name: string, maskToken: number | undefined, most: number | undefined): Promise<Task> {
  const { factsOf } = await import('../run/prepare.ts');
  const { labelledTexts, maskedTexts, tokenRows } = await import('../run/task-rows.ts');
  const { constant } = await import('../graph/dim.ts');
  const rows = must(tokenRows(text, name, must(factsOf(found)), most));
  const { outputs } = found.model.graph;
  const dims = (outputs.find((output) => output.name === 'logits') ?? outputs[0])?.value.type?.dims ?? [];
  const last = dims.at(-1);
  if (dims.length === 2) return { kind: 'classes', texts: must(labelledTexts(rows, name, last && constant(last))) };
  const { maskTokenOf } = await import('../run/mask-token.ts');
  const mask = maskToken ?? (found.folder === undefined ? undefined : maskTokenOf(found.folder));
  if (mask === undefined) throw new Refusal(diagnose('mask-token-missing', { place: found.folder ?? 'the model' }));
  return { kind: 'masked', texts: must(maskedTexts(rows, name)), mask };
}
