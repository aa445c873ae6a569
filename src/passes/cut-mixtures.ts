/** Cuts mixtures into segments: what depends on shared weights alone goes to the graph around, what is per token and per expert becomes segments, what stands between them runs once with an axis of slots. */

import type { Span } from '../../grammar/span.ts';
import { Bug } from '../diagnostics/bug.ts';
import { diagnose } from '../diagnostics/diagnostic.ts';
import type { GraphBuilder } from '../graph/builder.ts';
import { constant, type Dim, dim } from '../graph/dim.ts';
import { TypeFault } from '../graph/fail.ts';
import type { Graph, Node, Unit, Value } from '../graph/graph.ts';
import { rewriteNodes } from '../graph/rewrite.ts';
import { mul } from '../ops/elementwise.ts';
import { sum } from '../ops/reduce.ts';
import { expertNames } from '../ops/routing.ts';
import { permute, unsqueeze } from '../ops/shape.ts';
import { emitSegments, type Routing } from './emit-segments.ts';
import { everyExpert, readsAllTokens } from './every-expert.ts';
import { type ExpertWeights, expertWeights } from './expert-weights.ts';
import type { Pass, PassContext } from './pass.ts';
import { type Expert, expertOf, inSlots, NotPerToken, stagesOf } from './segments.ts';

/** The graph with every mixture cut. What cannot be cut is reported and stays. */
export function cutMixtures(graph: Graph, report: PassContext['report']): Graph {
  const weights = expertWeights(graph);
  const { build: rebuilt, of } = rewriteNodes(graph, (node, build) => {
    if (node.op.name !== 'mixture') return undefined;
    try {
      return [cut(node, build, weights)];
    } catch (fault) {
      if (!(fault instanceof NotPerToken)) throw fault;
      const { span } = fault.node;
      report(
        diagnose(
          'expert-not-per-token',
          { name: node.outputs[0]?.name ?? 'mixture', why: fault.message },
          { ...at(span ?? node.span), related: span && node.span ? [{ span: node.span, text: 'of the mixture that is applied here' }] : [] },
        ),
      );
      return undefined;
    }
  });
  return rebuilt.finish({
    name: graph.name,
    ...(graph.doc === undefined ? {} : { doc: graph.doc }),
    inputs: graph.inputs.map(of),
    outputs: graph.outputs.map(({ name, value }) => ({ name, value: of(value) })),
    weights: [...graph.weights, ...weights.made()],
  });
}

const at = (span: Span | undefined): { readonly at?: Span } => (span ? { at: span } : {});

function cut(node: Node, build: GraphBuilder, weights: ExpertWeights): Value {
  const { router } = node.bodies ?? {};
  const given = (node.attrs['names'] as readonly string[]).length;
  const [result] = node.outputs;
  if (!router || !result?.type) throw new Bug('a mixture without a router');
  const args = node.inputs.slice(0, given).map(present);
  const routed = inline(router, args, build, unitOf(node, router, result.name));
  const experts = routed.get('experts');
  if (!experts?.type) throw new Bug('a router without experts');
  const routing: Routing = {
    experts,
    weights: routed.get('weights'),
    n: constant(node.attrs['n'] as Dim) ?? 0,
    lead: experts.type.dims.slice(0, -1),
    slots: experts.type.dims.at(-1) ?? dim(1),
  };
  const names = expertNames(node.bodies ?? {});
  const made = expertsOf(node, names, args, routed, routing, build);
  const [only] = made;
  if (!only) throw new Bug('a mixture without experts');
  if (made.every(readsAllTokens)) return everyExpert(build, made, routing, weights, result.name);
  const stages = made.map((one) => stagesOf(one, routing.lead));
  const whole = stages.every((one) => one.length === 1 && one[0]?.kind === 'rows');
  if (made.length > 1 && !whole) throw new NotPerToken(node, 'experts of different kinds must treat each token on its own');
  const [first] = stages;
  if (!first) throw new Bug('a mixture without stages');
  if (whole) return emitSegments(build, made, routing, result.name);
  return throughStages(build, only, first, routing, result.name);
}

/** A chain of segments with what stands between them, ending in the sum over slots. */
function throughStages(build: GraphBuilder, expert: Expert, stages: ReturnType<typeof stagesOf>, routing: Routing, name: string): Value {
  const slotted = new Map<Value, Value>(expert.slotted);
  let last: Value | undefined;
  stages.forEach((stage, i) => {
    if (stage.kind === 'between') return inSlots(build, stage.nodes, slotted, expert.outside);
    const results = [...stage.results];
    const ends = results.includes(expert.result);
    if (ends && results.length === 1 && i === stages.length - 1) {
      last = emitSegments(build, [{ ...expert, nodes: stage.nodes, slotted }], routing, name);
      return;
    }
    for (const one of results) slotted.set(one, emitSegments(build, [{ ...expert, nodes: stage.nodes, slotted, result: one }], routing, one.name, false));
  });
  return last ?? weighted(build, slotted.get(expert.result), routing, name);
}

/** Σ over slots of weight · value, for a result that no segment computes. */
function weighted(build: GraphBuilder, values: Value | undefined, { weights, lead }: Routing, name: string): Value {
  if (!values?.type) throw new Bug('a mixture without a result');
  if (!weights) return build.one(sum, [values], { axis: 0, keep: false }, name);
  const rank = lead.length + 1;
  const front = build.one(permute, [weights], { order: [rank - 1, ...Array.from({ length: rank - 1 }, (_, i) => i)] });
  const wide = Array.from({ length: values.type.dims.length - rank }).reduce<Value>((one) => build.one(unsqueeze, [one], { axis: -1 }), front);
  return build.one(sum, [build.one(mul, [values, wide])], { axis: 0, keep: false }, name);
}

/** Every body with its own inputs named, and what does not depend on an expert already in the graph around. */
function expertsOf(node: Node, names: readonly string[], args: readonly Value[], routed: ReadonlyMap<string, Value>, routing: Routing, build: GraphBuilder): readonly Expert[] {
  const counts = node.attrs['counts'] as readonly number[];
  let [at, before] = [args.length, 0];
  return names.map((name, i) => {
    const body = node.bodies?.[name];
    if (!body) throw new Bug(`no body ${name}`);
    const rest = body.inputs.slice(args.length);
    const extras = rest.filter((one) => routed.has(one.name));
    const weights = rest.slice(extras.length);
    const owned = node.inputs.slice(at, at + weights.length).map(present);
    at += weights.length;
    const count = counts[i] ?? sizeOf(owned[0]) ?? routing.n - before;
    before += count;
    const handed = extras.map((one) => [one, frontSlot(build, present(routed.get(one.name)), routing)] as const);
    try {
      return expertOf(body, { args, extras: new Map(handed), weights: new Map(weights.map((one, j) => [one, present(owned[j])])), count, lead: routing.lead }, build);
    } catch (fault) {
      if (fault instanceof TypeFault) throw new NotPerToken(node, fault.code);
      throw fault;
    }
  });
}

/** How many experts a weight of all of them is for. */
function sizeOf(weight: Value | undefined): number | undefined {
  const [first] = weight?.type?.dims ?? [];
  return first && constant(first);
}

/** [tokens.., k, rest] → [k, tokens.., rest]. */
function frontSlot(build: GraphBuilder, one: Value, { lead }: Routing): Value {
  const rank = one.type?.dims.length ?? 0;
  const slot = lead.length;
  return build.one(permute, [one], { order: [slot, ...Array.from({ length: rank }, (_, i) => i).filter((axis) => axis !== slot)] }, one.name);
}

/** What the router is shown as: one node, under the name of the author's layer. */
function unitOf({ attrs }: Node, { doc }: Graph, place: string): Unit {
  return { name: String(attrs['router']), path: `${place}.router`, ...(doc === undefined ? {} : { doc }) };
}

function inline(body: Graph, args: readonly Value[], build: GraphBuilder, unit: Unit): ReadonlyMap<string, Value> {
  const results = new Map(body.outputs.map(({ name, value }) => [value, name]));
  const became = new Map<Value, Value>(body.inputs.map((input, i) => [input, present(args[i])]));
  const of = (one: Value): Value => became.get(one) ?? one;
  for (const node of body.nodes) {
    const [only] = node.outputs;
    const name = only && results.has(only) ? `${unit.path}.${results.get(only)}` : (only?.name ?? node.op.name);
    const made = build.add(
      node.op,
      node.inputs.map((one) => one && of(one)),
      node.attrs,
      { name, unit, ...(node.span ? { span: node.span } : {}), ...(node.bodies ? { bodies: node.bodies } : {}) },
    );
    node.outputs.forEach((old, i) => became.set(old, present(made[i])));
  }
  return new Map(body.outputs.map(({ name, value }) => [name, of(value)]));
}

function present<T>(one: T | undefined): T {
  if (one === undefined) throw new Bug('a mixture lacks an input');
  return one;
}

export const cutMixturesPass: Pass = {
  name: 'cut-mixtures',
  summary: 'Cuts mixtures into segments of rows for experts; what all experts share is computed once, for all tokens.',
  options: {},
  run: (graph, _, { report }) => cutMixtures(graph, report),
};
