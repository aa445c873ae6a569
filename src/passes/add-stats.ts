/** Adds results that say how each mixture routes: how many tokens each expert got, how much it weighed, how undecided the router was. */

import type { GraphBuilder } from '../graph/builder.ts';
import { type Dim, dim, same, subtract } from '../graph/dim.ts';
import type { Graph, Node, Output, Value } from '../graph/graph.ts';
import { scalar } from '../graph/nd-array.ts';
import { rewriteNodes } from '../graph/rewrite.ts';
import { abs, log } from '../ops/activations.ts';
import { cast, div, maximum, mul, neg } from '../ops/elementwise.ts';
import { one_hot } from '../ops/gather.ts';
import { sum } from '../ops/reduce.ts';
import { size, slice, unsqueeze } from '../ops/shape.ts';
import type { Pass } from './pass.ts';

/** What each mixture says, under its own path: `stats.blocks.3.ffn.tokens`. */
export const statNames = ['tokens', 'weight', 'entropy'] as const;
/** One of the things a mixture says. */
export type StatName = (typeof statNames)[number];

/** The prefix of all of them. */
export const statsPrefix = 'stats.';

/**
 * The graph with statistics of every mixture, from its segments. For n experts, over all tokens that `attention_mask` keeps:
 * `tokens` f32 [n], how often each was picked; `weight` f32 [n], the mean weight where it was, 0 where nobody picked it;
 * `entropy` f32 [], the mean over tokens of −Σ p ln p in nats, p being the weights of the picked divided by their sum (0 is a router that is sure).
 * Experts that give nothing, which stand last for picks that are none, are not among the n.
 */
export function addStats(graph: Graph): Graph {
  const found = new Map<Value, Output[]>();
  const paths = new Set<string>();
  const { build, of } = rewriteNodes(graph, (node, builder) => {
    const [experts, weights] = node.inputs;
    if (node.op.name !== 'segment' || !experts || found.has(experts)) return undefined;
    const path = freshPath(pathOf(experts), paths);
    found.set(experts, statsOf(builder, graph, { experts, weights, n: Number(node.attrs['n']), nothing: nothingsAtEnd(node, graph), path }));
    return undefined;
  });
  return build.finish({
    name: graph.name,
    ...(graph.doc === undefined ? {} : { doc: graph.doc }),
    inputs: graph.inputs,
    outputs: [...graph.outputs.map((output) => ({ name: output.name, value: of(output.value) })), ...[...found.values()].flat()],
    weights: graph.weights,
  });
}

/** `blocks.3.ffn` of `blocks.3.ffn.router.experts`. */
const pathOf = (experts: Value): string => experts.name.replace(/\.router\.[^.]*$/, '');

function freshPath(wanted: string, taken: Set<string>): string {
  let path = wanted;
  for (let n = 2; taken.has(path); n++) path = `${wanted}_${n}`;
  taken.add(path);
  return path;
}

/** How many experts stand last whose output is the token times zeros. */
function nothingsAtEnd({ attrs, bodies, inputs }: Node, graph: Graph): number {
  const counts = attrs['counts'] as readonly number[];
  const [count] = counts.slice(-1);
  const body = counts.length > 1 ? bodies?.[`expert${counts.length - 1}`] : undefined;
  const [only, ...others] = body?.nodes ?? [];
  const source = graph.weights.find(({ value }) => value === inputs.at(-1))?.source;
  const isNothing = only?.op === mul && others.length === 0 && source?.kind === 'literal' && source.array.data.every((one) => one === 0);
  return isNothing ? (count ?? 0) : 0;
}

/** One mixture as its segments have it. */
interface Routed {
  readonly experts: Value;
  readonly weights: Value | undefined;
  readonly n: number;
  /** How many of the n give nothing. */
  readonly nothing: number;
  readonly path: string;
}

function statsOf(build: GraphBuilder, graph: Graph, { experts, weights, n, nothing, path }: Routed): Output[] {
  const lead = experts.type?.dims.slice(0, -1) ?? [];
  const slots = experts.type?.dims.at(-1) ?? dim(1);
  const keep = keptTokens(build, graph, lead);
  const number = (one: number): Value => build.constant(scalar(one));
  /** Σ over the tokens that count, and over whatever stands behind them but `rest` axes. */
  const total = (one: Value, rest: number): Value => {
    let left = one;
    while ((left.type?.dims.length ?? 0) > rest) left = build.one(sum, [left], { axis: 0, keep: false });
    return left;
  };
  const wide = (one: Value): Value => build.one(unsqueeze, [one], { axis: -1 });
  const picks = (of: number): Value => build.one(one_hot, [experts], { n: dim(of) });
  const countedOf = (one: Value): Value => (keep ? build.one(mul, [one, wide(wide(keep))]) : one);
  const picked = picks(n - nothing);
  const counted = countedOf(picked);
  const tokens = total(counted, 1);
  const weighing = weights ? total(build.one(mul, [counted, wide(weights)]), 1) : tokens;
  const slotsTaken = nothing > 0 ? total(countedOf(picks(n)), 0) : total(tokens, 0);
  const all = build.one(div, [slotsTaken, build.one(cast, [build.one(size, [], { n: slots })], { to: 'f32' })]);
  const entropies = entropyOf(build, weights ?? build.one(sum, [picked], { axis: -1, keep: false }), number);
  const kept = keep ? build.one(mul, [entropies, keep]) : entropies;
  const named = (name: StatName, one: Value): Output => ({ name: `${statsPrefix}${path}.${name}`, value: one });
  return [
    named('tokens', tokens),
    named('weight', build.one(div, [weighing, build.one(maximum, [tokens, number(1)])])),
    named('entropy', build.one(div, [total(kept, 0), build.one(maximum, [all, number(1)])])),
  ];
}

/** −Σ p ln p over the last axis, p = |w| / Σ |w|: signs say how an output is added, not how sure the router is. */
function entropyOf(build: GraphBuilder, weights: Value, number: (one: number) => Value): Value {
  const least = number(1e-20);
  const sizes = build.one(abs, [weights]);
  const share = build.one(div, [sizes, build.one(maximum, [build.one(sum, [sizes], { axis: -1, keep: true }), least])]);
  return build.one(neg, [build.one(sum, [build.one(mul, [share, build.one(log, [build.one(maximum, [share, least])])])], { axis: -1, keep: false })]);
}

/** 1 for every token that is no padding, f32 [tokens..]; undefined where the graph has no mask over them. */
function keptTokens(build: GraphBuilder, graph: Graph, lead: readonly Dim[]): Value | undefined {
  const mask = graph.inputs.find(({ name }) => name === 'attention_mask');
  const [all, rows] = [mask?.type?.dims.at(-1), lead.at(-1)];
  const [batch] = lead;
  if (!mask?.type || !all || !rows || lead.length !== 2 || !batch || mask.type.dims.length !== 2 || !same(mask.type.dims[0] ?? -1, batch)) return undefined;
  const own = same(all, rows) ? mask : build.one(slice, [mask], { axis: -1, from: subtract(all, rows), to: all });
  return build.one(cast, [own], { to: 'f32' });
}

export const addStatsPass: Pass = {
  name: 'add-stats',
  summary: 'Adds results that say how each mixture routes: tokens and mean weight of each expert, the entropy of the router.',
  options: {},
  run: addStats,
};
