/** Expands segments into plain ops: every expert on every token, weighted by zero where it was not picked. The oracle of the other lowerings, and what runtimes without control flow get. */

import { Bug } from '../diagnostics/bug.ts';
import type { GraphBuilder } from '../graph/builder.ts';
import { dim } from '../graph/dim.ts';
import type { Graph, Node, Value, Weight } from '../graph/graph.ts';
import { rewriteNodes } from '../graph/rewrite.ts';
import { add, mul } from '../ops/elementwise.ts';
import { one_hot } from '../ops/gather.ts';
import { split } from '../ops/join.ts';
import { sum } from '../ops/reduce.ts';
import { expertNames } from '../ops/routing.ts';
import { permute, unsqueeze } from '../ops/shape.ts';
import { type ExpertWeights, expertWeights } from './expert-weights.ts';
import type { Pass } from './pass.ts';

/** The graph with every segment that `wanted` picks expanded. */
export function batchSegments(graph: Graph, wanted: (node: Node) => boolean = () => true): Graph {
  const weights = expertWeights(graph);
  const { build, of } = rewriteNodes(graph, (node, builder) => (node.op.name === 'segment' && wanted(node) ? [expand(node, builder, weights)] : undefined));
  return build.finish({
    name: graph.name,
    ...(graph.doc === undefined ? {} : { doc: graph.doc }),
    inputs: graph.inputs.map(of),
    outputs: graph.outputs.map(({ name, value }) => ({ name, value: of(value) })),
    weights: [...graph.weights, ...weights.made()] satisfies readonly Weight[],
  });
}

function expand(node: Node, build: GraphBuilder, weights: ExpertWeights): Value {
  const { rows, slotted, summed } = node.attrs as { readonly rows: number; readonly slotted: readonly number[]; readonly summed: boolean };
  const [experts, weighting, ...args] = node.inputs;
  const [result] = node.outputs;
  if (!experts || !result?.type) throw new Bug('a segment without experts');
  const inSlots = !summed || slotted.includes(1);
  const shares = sharesOf(build, experts, summed ? weighting : undefined, Number(node.attrs['n']), inSlots, result.name);
  let total: Value | undefined;
  let [at, from] = [rows, 0];
  for (const [i, name] of expertNames(node.bodies ?? {}).entries()) {
    const body = node.bodies?.[name];
    if (!body) throw new Bug(`no body ${name}`);
    const owned = args.slice(at, at + body.inputs.length - rows);
    at += owned.length;
    const size = (node.attrs['counts'] as readonly number[])[i] ?? 0;
    for (let e = from; e < from + size; e++) {
      const given = [...args.slice(0, rows), ...owned.map((one) => one && weights.of(one, e - from, build))];
      const y = inline(body, given, build, `${result.name}.${e}`);
      const share = shares[e];
      if (!share) throw new Bug(`no share for expert ${e}`);
      const part = build.one(mul, [y, wide(build, share, y)], {}, `${result.name}.${e}`);
      total = total ? build.one(add, [total, part], {}, result.name) : part;
    }
    from += size;
  }
  if (!total) throw new Bug('a segment of no experts');
  return summed && inSlots ? build.one(sum, [total], { axis: 0, keep: false }, result.name) : total;
}

/** For each expert the weight of every token: [tokens.., 1], or [k, tokens.., 1] where slots stay apart. */
export function sharesOf(build: GraphBuilder, experts: Value, weighting: Value | undefined, n: number, inSlots: boolean, path: string): readonly Value[] {
  const name = `${path}.shares`;
  const picked = build.one(one_hot, [experts], { n: dim(n) }, name);
  const weighted = weighting ? build.one(mul, [picked, build.one(unsqueeze, [weighting], { axis: -1 })], {}, name) : picked;
  const rank = experts.type?.dims.length ?? 1;
  const order = [rank - 1, ...Array.from({ length: rank - 1 }, (_, i) => i), rank];
  const each = inSlots ? build.one(permute, [weighted], { order }, name) : build.one(sum, [weighted], { axis: -2, keep: false }, name);
  return n === 1 ? [each] : build.add(split, [each], { count: n, axis: -1 }, { name });
}

/** The share with as many axes as the result of an expert has. */
export function wide(build: GraphBuilder, share: Value, y: Value): Value {
  const missing = (y.type?.dims.length ?? 0) - (share.type?.dims.length ?? 0);
  return Array.from({ length: Math.max(0, missing) }).reduce<Value>((one) => build.one(unsqueeze, [one], { axis: -1 }), share);
}

function inline(body: Graph, given: readonly (Value | undefined)[], build: GraphBuilder, name: string): Value {
  const became = new Map<Value, Value>();
  body.inputs.forEach((input, i) => {
    const one = given[i];
    if (one) became.set(input, one);
  });
  replay(body.nodes, became, build, name);
  const [output] = body.outputs;
  if (!output) throw new Bug('a body without a result');
  return became.get(output.value) ?? output.value;
}

/** Computes nodes again on what their inputs have become; `became` learns their results. */
export function replay(nodes: readonly Node[], became: Map<Value, Value>, build: GraphBuilder, name: string): void {
  const of = (one: Value): Value => became.get(one) ?? one;
  for (const node of nodes) {
    const results = build.add(
      node.op,
      node.inputs.map((one) => one && of(one)),
      node.attrs,
      { name: `${name}/${node.op.name}`, ...(node.span ? { span: node.span } : {}) },
    );
    node.outputs.forEach((old, i) => became.set(old, results[i] ?? old));
  }
}

export const batchSegmentsPass: Pass = {
  name: 'batch-segments',
  summary: 'Expands mixtures into plain ops: every expert for every token, weighted by zero where it was not picked.',
  options: {},
  run: (graph) => batchSegments(graph),
};
