/** What a conversion gains and costs: the perplexity (or the accuracy) of the dense model, of all experts, of the picks asked for and of the controls, on tokens that were not calibrated on. */

import type { Outcome } from '../diagnostics/diagnostic.ts';
import type { Graph } from '../graph/graph.ts';
import { count } from '../graph/nd-array.ts';
import { type Conversion, meanPicks, withEveryExpert } from '../passes/emergent/conversion.ts';
import { type Replacement, replaceFeedForwards } from '../passes/emergent/replace.ts';
import type { FeedForward } from '../passes/feed-forwards.ts';
import { ort } from '../targets/ort.ts';
import { classAccuracy, type LabelledText, type MaskedText, maskedAccuracy } from './accuracy.ts';
import { likelihood, perplexityOf, windowsOf } from './evaluate.ts';
import type { Found } from './find-model.ts';
import { computedBy, type Measured, measuredKey, tensorDigests } from './measured.ts';
import { prepare } from './prepare.ts';
import { inSession, type Session } from './session.ts';

/** What is measured of a model on held-out text. */
export interface Metric {
  readonly kind: 'perplexity' | 'accuracy';
  /** `4096 tokens of wiki.txt`. */
  readonly on: string;
  /** The text as tokens, where it is one. */
  readonly tokens?: readonly number[];
  /** All that it depends on beside the model. */
  readonly key: string;
  of(session: Session, watch: Pick<MeasureOptions, 'progress' | 'signal'>): Promise<Outcome<number>>;
}

/** The perplexity of tokens in windows that begin where the one before ends. */
export function perplexityOn(tokens: readonly number[], window: number, on: string): Metric {
  return {
    kind: 'perplexity',
    on,
    tokens,
    key: JSON.stringify(['perplexity', window, tokens]),
    async of(session, watch) {
      const found = await likelihood(session, windowsOf(tokens, { context: window, stride: window }), watch);
      return found.ok ? { ...found, value: perplexityOf(found.value) } : found;
    },
  };
}

/** Rows with answers: masked tokens to be guessed, or texts to be put in classes. */
export type Task =
  | { readonly kind: 'masked'; readonly texts: readonly MaskedText[]; readonly mask: number }
  | { readonly kind: 'classes'; readonly texts: readonly LabelledText[] };

/** The share of answers that are right. */
export function accuracyOn(task: Task, on: string): Metric {
  return {
    kind: 'accuracy',
    on,
    key: JSON.stringify(task),
    async of(session, watch) {
      const found = await (task.kind === 'masked' ? maskedAccuracy(session, task.texts, task.mask, watch) : classAccuracy(session, task.texts, watch));
      if (!found.ok) return found;
      const sum = (of: 'right' | 'total'): number => found.value.reduce((all, one) => all + one[of], 0);
      return { ...found, value: sum('right') / sum('total') };
    },
  };
}

/** One line of the table. */
export interface Line {
  readonly name: string;
  readonly value: number;
  /** Whether it was measured in an earlier call. */
  readonly cached: boolean;
}

/** How lines are measured. */
export interface MeasureOptions {
  readonly threads?: number;
  readonly version: string;
  /** What was measured before; nothing is looked up where left out. */
  readonly measured?: Measured;
  readonly signal?: AbortSignal;
  readonly progress?: (done: number, total: number) => void;
}

/** The metric of each graph, one session after the other. */
export async function measureLines(
  found: Found,
  graphs: readonly (readonly [name: string, graph: Graph])[],
  metric: Metric,
  options: MeasureOptions,
): Promise<Outcome<readonly Line[]>> {
  const { threads, version, signal, progress } = options;
  // Functions of an imported file stand outside the graph, and so outside its digest.
  const known = found.imported?.functions.length ? undefined : options.measured;
  const digests = tensorDigests(found.checkpoint);
  const by = known ? computedBy() : '';
  const lines: Line[] = [];
  for (const [name, graph] of graphs) {
    const key = known && measuredKey(graph, digests, metric.key, by);
    const before = key === undefined ? undefined : known?.get(key);
    if (before !== undefined) {
      lines.push({ name, value: before, cached: true });
      continue;
    }
    const ready = await prepare({ ...found, model: { ...found.model, graph } }, { target: ort, form: 'whole', version });
    if (!ready.ok) return ready;
    const at = (done: number, total: number): void => progress?.(lines.length + done / total, graphs.length);
    const watch = { progress: at, ...(signal ? { signal } : {}) };
    const measured = await inSession(ready.value, threads === undefined ? {} : { threads }, (session) => metric.of(session, watch));
    if (!measured.ok) return measured;
    if (key !== undefined) known?.put(key, measured.value);
    lines.push({ name, value: measured.value, cached: false });
  }
  return { ok: true, value: lines, diagnostics: [] };
}

/** The graphs of the table: the dense one, the conversion with every expert and with the picks asked for, then the controls. */
export function variants(
  graph: Graph,
  replacements: readonly Replacement[],
  controls: Readonly<Record<string, readonly Replacement[]>> = {},
): readonly (readonly [string, Graph])[] {
  const all = replacements.map(({ feedForward, conversion }) => ({ feedForward, conversion: withEveryExpert(conversion) }));
  return [
    ['dense', graph],
    ['all experts', replaceFeedForwards(graph, all)],
    ['asked', replaceFeedForwards(graph, replacements)],
    ...Object.entries(controls).map(([name, each]) => [name, replaceFeedForwards(graph, each)] as const),
  ];
}

/** Parameters that a token meets, of how many. */
export interface Active {
  readonly active: number;
  readonly total: number;
}

/** What runs of the converted feed-forwards for one token, routers and stand-ins counted. */
export function activeParameters(replacements: readonly Replacement[]): Active {
  let [active, total] = [0, 0];
  for (const { feedForward, conversion } of replacements) {
    const neuron = parametersOfNeuron(feedForward);
    total += neuron * feedForward.neurons;
    active += neuron * (conversion.shared.length + meanPicks(conversion) * conversion.size) + routerParameters(conversion, feedForward);
  }
  return { active, total };
}

const parametersOfNeuron = ({ width, up }: FeedForward): number => width * (up ? 3 : 2);

function routerParameters(conversion: Conversion, { width }: FeedForward): number {
  const { router, repair, experts } = conversion;
  const { kind: _, ...arrays } = router;
  const scores = Object.values(arrays).reduce((sum: number, array) => sum + count(array.dims), 0);
  // What stands in for all experts and for each of those that run, and what it reads, where it reads anything.
  const rows = repair?.maps.dims[1] ?? 0;
  return Math.max(scores, experts) + width * rows * ((rows > 1 ? 1 : 0) + 1 + meanPicks(conversion));
}
