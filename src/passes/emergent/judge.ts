/** What a conversion keeps and loses, layer by layer: whether all experts are the dense layer again, whom the router picks, how much of the activation that catches. */

import { Bug } from '../../diagnostics/bug.ts';
import { graphBuilder } from '../../graph/builder.ts';
import type { Compute, Numbers } from '../../graph/compute.ts';
import { symbol } from '../../graph/dim.ts';
import { type Graph, value, type Weight } from '../../graph/graph.ts';
import { tensor } from '../../graph/type.ts';
import type { FeedForward } from '../feed-forwards.ts';
import { type Alone, rowsOf, type Seen } from './calibrate.ts';
import { type Conversion, labelsOf, withEveryExpert } from './conversion.ts';
import { declareInto } from './hidden.ts';
import type { Layer } from './layer.ts';
import { type Matrix, row } from './matrix.ts';
import { routerBody } from './routers.ts';
import { outputMass } from './scores.ts';
import { neededBy, readBy } from './stages.ts';
import { computedIn } from './views.ts';

/** One converted layer on some tokens. */
export interface Judged {
  readonly path: string;
  /** max|a − b| / max|b| between the layer with every expert picked and the dense layer. */
  readonly identity: number;
  /** The same with the picks asked for, by lengths: ‖a − b‖ / ‖b‖ over all tokens. */
  readonly error: number;
  /** Experts that a token picks in the mean, of those that are routed. */
  readonly picked: number;
  /** Share of Σ |h| · ‖v‖ that runs, and what the best picks of as many experts would catch. */
  readonly captured: number;
  readonly best: number;
  /** Share of tokens that pick each expert, [E]. */
  readonly load: readonly number[];
  /** Share of tokens that pick both of two experts, [E][E]. */
  readonly together: readonly (readonly number[])[];
}

/** Judges a conversion on the last batch of its layer. */
export async function judge(graph: Graph, layer: Layer, conversion: Conversion, { last, counted }: Seen, alone: Alone, compute: Compute): Promise<Judged> {
  const { feedForward } = layer;
  const x = layer.inputs.at(-1);
  const hidden = layer.hidden.at(-1);
  if (!x || !hidden) throw new Bug('nothing to judge on');
  const on = async (one: Graph): Promise<Matrix> => rowsOf(await resultOf(one, last, compute), counted);
  const expected = await on(alone.dense);
  const whole = await on(alone.converted(withEveryExpert(conversion)));
  const given = await on(alone.converted(conversion));
  const picks = await picksOf(graph, feedForward, conversion, x, compute);
  return {
    path: conversion.path,
    identity: relative(largest(whole, expected), largest(expected)),
    error: Math.sqrt(relative(squares(given, expected), squares(expected))),
    ...caught(hidden, layer, conversion, picks),
    ...shares(picks, conversion.experts),
  };
}

/** How far the layer with every expert is from the dense layer, as in `Judged`, on random inputs. */
export async function identityOn(random: Numbers, conversion: Conversion, alone: Alone, compute: Compute): Promise<number> {
  const expected = await resultOf(alone.dense, random, compute);
  const whole = await resultOf(alone.converted(withEveryExpert(conversion)), random, compute);
  return relative(largest(whole, expected), largest(expected));
}

async function resultOf(graph: Graph, x: Numbers, compute: Compute): Promise<Numbers> {
  const { y } = await compute.run(graph, { [graph.inputs[0]?.name ?? 'x']: x });
  if (!y) throw new Bug('a feed-forward without a result');
  return y;
}

/** A difference as a share of what it is measured against; as it is where that is nothing, as in a layer that gives zeros. */
const relative = (difference: number, whole: number): number => (whole > 0 ? difference / whole : difference);

type Data = Pick<Numbers, 'data'>;

const largest = (a: Data, b?: Data): number => (a.data as Float64Array).reduce((most, one, i) => Math.max(most, Math.abs(one - (b?.data[i] ?? 0))), 0);

const squares = (a: Data, b?: Data): number => (a.data as Float64Array).reduce((sum, one, i) => sum + (one - (b?.data[i] ?? 0)) ** 2, 0);

/** The experts that each token picks. */
async function picksOf(
  around: Graph,
  feedForward: FeedForward,
  conversion: Conversion,
  { rows, columns, data }: Matrix,
  compute: Compute,
): Promise<readonly (readonly number[])[]> {
  const graph = routerGraph(around, feedForward, conversion);
  const { experts } = await compute.run(graph, { x: { dtype: computedIn, dims: [rows, columns], data } });
  await compute.release(graph);
  if (!experts) throw new Bug('a router without experts');
  const { picks, experts: nothing } = conversion;
  return Array.from({ length: rows }, (_, t) => [...experts.data.subarray(t * picks, (t + 1) * picks)].filter((e) => e < nothing));
}

function routerGraph(around: Graph, feedForward: FeedForward, conversion: Conversion): Graph {
  const weights: Weight[] = [];
  const declare = declareInto(weights, feedForward.path);
  const { graph } = routerBody(feedForward, conversion, [value('x', tensor(computedIn, [symbol('tokens'), feedForward.width]))], declare);
  const made = new Set([...graph.inputs, ...graph.nodes.flatMap((node) => node.outputs), ...weights.map((weight) => weight.value)]);
  const numbers = neededBy(around, graph.nodes.flatMap(readBy), made);
  const build = graphBuilder();
  for (const node of [...numbers.nodes, ...graph.nodes]) build.push(node);
  return build.finish({ name: graph.name, inputs: graph.inputs, outputs: graph.outputs, weights: [...numbers.weights, ...weights] });
}

/** How much of the mass the picks catch, and the best picks; shared neurons always do. */
function caught(hidden: Matrix, { lengths }: Layer, conversion: Conversion, picks: readonly (readonly number[])[]): Pick<Judged, 'captured' | 'best'> {
  const { experts, size } = conversion;
  const labels = labelsOf(conversion, lengths.length, experts);
  const masses = outputMass(hidden, lengths, { experts: experts + 1, size, shared: 0, labels });
  let [total, found, most] = [0, 0, 0];
  for (let t = 0; t < masses.rows; t++) {
    const each = row(masses, t);
    const always = each[experts] as number;
    const routed = each.subarray(0, experts);
    total += each.reduce((sum, mass) => sum + mass, 0);
    const own = picks[t] ?? [];
    found += own.reduce((sum, e) => sum + (routed[e] as number), always);
    most += routed
      .slice()
      .sort()
      .slice(experts - own.length)
      .reduce((sum, mass) => sum + mass, always);
  }
  return { captured: total > 0 ? found / total : 1, best: total > 0 ? most / total : 1 };
}

function shares(picks: readonly (readonly number[])[], experts: number): Pick<Judged, 'picked' | 'load' | 'together'> {
  const counts = Array.from({ length: experts }, () => new Float64Array(experts));
  for (const each of picks) for (const a of each) for (const b of each) (counts[a] as Float64Array)[b] = ((counts[a] as Float64Array)[b] as number) + 1 / picks.length;
  const together = counts.map((line) => [...line]);
  const load = together.map((line, e) => line[e] ?? 0);
  return { picked: load.reduce((sum, one) => sum + one, 0), load, together };
}
