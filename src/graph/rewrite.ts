/** Rebuilds a graph node by node: the frame every pass is written in. */

import { Bug } from '../diagnostics/bug.ts';
import { type GraphBuilder, graphBuilder } from './builder.ts';
import type { Graph, Node, Value } from './graph.ts';

/** What a rule does with a node whose inputs are already those of the new graph: new results, or undefined to keep the node. `of` says what an old value has become. */
export type Rule = (node: Node, build: GraphBuilder, of: Rewriting['of']) => readonly Value[] | undefined;

/** What a rewrite may bring along. */
export interface RewriteOptions {
  /** Stand-ins for values of the old graph (inputs, weights), known before the first node. */
  readonly replace?: ReadonlyMap<Value, Value>;
  /** Infer types again: needed where inputs change shape. Foreign nodes keep theirs. */
  readonly retype?: boolean;
}

/** The state of a rewrite: the builder, and what each old value has become. */
export interface Rewriting {
  readonly build: GraphBuilder;
  of(old: Value): Value;
}

/** Applies `rule` to every node in order. Nodes the rule keeps are the same objects where nothing about them changed. */
export function rewrite(graph: Graph, rule: Rule, options: RewriteOptions = {}): Graph {
  const { build, of } = rewriteNodes(graph, rule, options);
  return build.finish({
    name: graph.name,
    ...(graph.doc === undefined ? {} : { doc: graph.doc }),
    inputs: graph.inputs.map(of),
    outputs: graph.outputs.map(({ name, value }) => ({ name, value: of(value) })),
    weights: graph.weights.map((weight) => (of(weight.value) === weight.value ? weight : { ...weight, value: of(weight.value) })),
  });
}

/** The same, leaving the end to the caller: for passes that add inputs or results. */
export function rewriteNodes(graph: Graph, rule: Rule, options: RewriteOptions = {}): Rewriting {
  const build = graphBuilder();
  const became = new Map<Value, Value>(options.replace);
  const of = (old: Value): Value => became.get(old) ?? old;
  for (const node of graph.nodes) {
    const moved = move(node, of);
    const results = rule(moved, build, of) ?? keep(moved, build, options.retype ?? false);
    if (results.length !== node.outputs.length) throw new Bug(`${node.op.name} had ${node.outputs.length} results, its replacement has ${results.length}`);
    node.outputs.forEach((old, i) => {
      const now = results[i];
      if (now && now !== old) became.set(old, now);
    });
  }
  return { build, of };
}

function move(node: Node, of: (old: Value) => Value): Node {
  const inputs = node.inputs.map((one) => one && of(one));
  const bodies = node.bodies && Object.fromEntries(Object.entries(node.bodies).map(([name, body]) => [name, replaceOuter(body, of)]));
  if (inputs.every((one, i) => one === node.inputs[i]) && (!bodies || Object.keys(bodies).every((name) => bodies[name] === node.bodies?.[name]))) return node;
  return { ...node, inputs, ...(bodies ? { bodies } : {}) };
}

/** A body with the values it reads from the graph around it replaced. */
export function replaceOuter(body: Graph, of: (old: Value) => Value): Graph {
  let changed = false;
  const swap = (old: Value): Value => {
    const now = of(old);
    if (now !== old) changed = true;
    return now;
  };
  const nodes = body.nodes.map((node) => move(node, swap));
  const outputs = body.outputs.map(({ name, value }) => ({ name, value: swap(value) }));
  return changed || nodes.some((node, i) => node !== body.nodes[i]) ? { ...body, nodes, outputs } : body;
}

function keep(node: Node, build: GraphBuilder, retype: boolean): readonly Value[] {
  if (!retype || node.op.foreign) {
    build.push(node);
    return node.outputs;
  }
  const [first] = node.outputs;
  const results = build.add(node.op, node.inputs, node.attrs, {
    ...(first ? { name: first.name } : {}),
    ...(node.span ? { span: node.span } : {}),
    ...(node.bodies ? { bodies: node.bodies } : {}),
    ...(node.unit ? { unit: node.unit } : {}),
  });
  return results;
}
