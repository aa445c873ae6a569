/** Runs a model over calibration inputs, feed-forward by feed-forward, so that each can be decided on what it really reads. What is in memory is what one layer reads and what later layers need. */

import type { Compute, Numbers } from '../../graph/compute.ts';
import type { Graph, Value } from '../../graph/graph.ts';
import type { FeedForward } from '../feed-forwards.ts';
import type { Conversion } from './conversion.ts';
import { present } from './hidden.ts';
import { type Matrix, matrix } from './matrix.ts';
import { replaceFeedForwards } from './replace.ts';
import { cutStages, feedForwardGraph, type Stage } from './stages.ts';

/** Inputs of the model for one run: a text of some tokens, a batch of images. */
export interface Sample {
  readonly feeds: Readonly<Record<string, Numbers>>;
  /** Which tokens count, 0 or 1 in the order of the input's rows; all where left out. Padding does not. */
  readonly counted?: Numbers;
}

/** What is calibrated, and how. */
export interface Calibration {
  readonly graph: Graph;
  readonly feedForwards: readonly FeedForward[];
  readonly samples: readonly Sample[];
  readonly compute: Compute;
  /** Whether a layer sees the outputs of the converted layers before it, in place of those of the dense model. */
  readonly inOrder: boolean;
  readonly progress?: (done: number, total: number) => void;
}

/** A feed-forward as graphs of its own: each is made once and stays loaded while the feed-forward is decided, so that it can be run in between. */
export interface Alone {
  readonly dense: Graph;
  /** With experts in its place. */
  converted(conversion: Conversion): Graph;
}

/** What a feed-forward reads in all its places. */
export interface Seen {
  /** [tokens, D] for each sample of each place, without tokens that do not count. The last is the last sample at the last place; at other places that sample is left out where there are several. */
  readonly inputs: readonly Matrix[];
  /** How many of them, from the first, may be fitted to: all but the last where there are several samples. */
  readonly fitted: number;
  /** The last as the model has it. */
  readonly last: Numbers;
  /** As in its sample. */
  readonly counted?: Numbers;
}

/**
 * Decides about each feed-forward in turn. Feed-forwards of one block are decided once, on the inputs of all its places, when the last
 * was seen; till then they stay dense.
 */
export async function calibrate(
  { graph, feedForwards, samples, compute, inOrder, progress }: Calibration,
  decide: (feedForward: FeedForward, seen: Seen, alone: Alone) => Promise<Conversion>,
): Promise<readonly Conversion[]> {
  const stages = cutStages(graph, feedForwards);
  const held = samples.map(({ feeds }) => new Map<Value, Numbers>(graph.inputs.flatMap((input) => (feeds[input.name] ? [[input, feeds[input.name] as Numbers] as const] : []))));
  const blocks = blocksOf(feedForwards);
  const before = new Map<number, readonly Matrix[]>();
  const counted = samples.at(-1)?.counted;
  const decided: Conversion[] = [];
  for (const [i, stage] of stages.entries()) {
    const { feedForward } = stage;
    await inTurn(held, (values) => advance(stage, values, compute));
    await compute.release(stage.graph);
    const inputs = held.map((values, s) => rowsOf(present(values.get(feedForward.x)), samples[s]?.counted));
    const places = present(blocks.get(feedForward.block));
    const fitted = [...(before.get(feedForward.block) ?? []), ...inputs.slice(0, Math.max(1, inputs.length - 1))];
    before.set(feedForward.block, fitted);
    const complete = places.at(-1) === feedForward;
    const { alone, graphs } = aloneOf(graph, feedForward);
    const last = present(held.at(-1)?.get(feedForward.x));
    const seen: Seen = { inputs: [...fitted, ...inputs.slice(1).slice(-1)], fitted: fitted.length, last, ...(counted ? { counted } : {}) };
    const conversion = complete ? await decide(feedForward, seen, alone) : undefined;
    if (conversion) decided.push(...places.map(({ path }) => ({ ...conversion, path })));
    if (complete) before.delete(feedForward.block);
    progress?.(i + 1, stages.length);
    if (i < stages.length - 1) {
      const next = inOrder && conversion && places.length === 1 ? alone.converted(conversion) : alone.dense;
      await inTurn(held, async (values) => {
        const { y } = await compute.run(next, { [feedForward.x.name]: present(values.get(feedForward.x)) });
        values.set(feedForward.y, present(y));
      });
    }
    for (const one of graphs()) await compute.release(one);
    dropRead(held, stages.slice(i + 1));
  }
  return decided;
}

/** The graphs of a feed-forward, and those that were made. */
export function aloneOf(graph: Graph, feedForward: FeedForward): { readonly alone: Alone; graphs(): readonly Graph[] } {
  const dense = feedForwardGraph(graph, feedForward);
  const made = new Map<Conversion, Graph>();
  const converted = (conversion: Conversion): Graph => {
    const known = made.get(conversion) ?? replaceFeedForwards(dense, [{ feedForward, conversion }]);
    made.set(conversion, known);
    return known;
  };
  return { alone: { dense, converted }, graphs: () => [dense, ...made.values()] };
}

/** The feed-forwards of each block, in the order of the model. */
function blocksOf(feedForwards: readonly FeedForward[]): ReadonlyMap<number, readonly FeedForward[]> {
  const blocks = new Map<number, FeedForward[]>();
  for (const one of feedForwards) blocks.set(one.block, [...(blocks.get(one.block) ?? []), one]);
  return blocks;
}

async function inTurn<T>(items: readonly T[], each: (item: T) => Promise<void>): Promise<void> {
  for (const item of items) await each(item);
}

async function advance({ graph, reads, gives }: Stage, values: Map<Value, Numbers>, compute: Compute): Promise<void> {
  if (graph.nodes.length === 0) return;
  const results = await compute.run(graph, Object.fromEntries(reads.map((one, i) => [`in.${i}`, present(values.get(one))])));
  gives.forEach((one, i) => values.set(one, present(results[`out.${i}`])));
}

/** Forgets what no later stage reads. */
function dropRead(held: readonly Map<Value, Numbers>[], later: readonly Stage[]): void {
  const read = new Set(later.flatMap(({ reads }) => reads));
  for (const values of held) for (const one of values.keys()) if (!read.has(one)) values.delete(one);
}

/** [.., D] → [tokens, D], without tokens that do not count. */
export function rowsOf({ dims, data }: Numbers, counted: Numbers | undefined): Matrix {
  const width = dims.at(-1) ?? 1;
  if (!counted && data instanceof Float32Array) return matrix(data.length / width, width, data);
  const rows = Array.from({ length: data.length / width }, (_, t) => t).filter((t) => counted?.data[t] !== 0);
  const kept = matrix(rows.length, width);
  rows.forEach((t, i) => kept.data.set(data.subarray(t * width, (t + 1) * width), i * width));
  return kept;
}
