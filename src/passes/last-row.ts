/** Computes only the last row of the logits: picks it as early as nothing else needs the others, so that a prompt multiplies one row by the vocabulary, and one by the last block's feed-forward. */

import { Bug } from '../diagnostics/bug.ts';
import type { GraphBuilder } from '../graph/builder.ts';
import { type Dim, same, subtract, symbol, symbolsOf } from '../graph/dim.ts';
import type { Graph, Node, Value } from '../graph/graph.ts';
import { rewriteNodes } from '../graph/rewrite.ts';
import { slice } from '../ops/shape.ts';
import { isCausal } from './caches.ts';
import { rebuild } from './rebuild.ts';
import { elementwise } from './stepping.ts';

/** The graph with `logits` (or its first output) cut to the last of `rows`. Other outputs keep all of theirs. */
export function lastRow(graph: Graph, rows: string): Graph {
  const s = symbol(rows);
  const cut = graph.outputs.find(({ name }) => name === 'logits') ?? graph.outputs[0];
  if (!cut || rowAxisOf(cut.value, s) === undefined) return graph;
  const narrowed = narrowable(graph, cut.value, s);
  const lasts = new Map<Value, Value>();
  const last = (one: Value, build: GraphBuilder): Value => {
    const axis = rowAxisOf(one, s);
    if (axis === undefined) return one;
    const picked = lasts.get(one) ?? build.one(slice, [one], { axis, from: subtract(s, 1), to: s }, `${one.name}.last`);
    lasts.set(one, picked);
    return picked;
  };
  let at = 0;
  const { build, of } = rewriteNodes(graph, (node, builder) => {
    const old = graph.nodes[at++];
    const ports = old && narrowed.get(old);
    if (!ports) return undefined;
    const inputs = node.inputs.map((one, port) => (one && ports.has(port) ? last(one, builder) : one));
    return rebuild(builder, node, { inputs });
  });
  const outputs = graph.outputs.map((output) => ({ name: output.name, value: output === cut ? last(of(output.value), build) : of(output.value) }));
  return build.finish({ name: graph.name, ...(graph.doc === undefined ? {} : { doc: graph.doc }), inputs: graph.inputs, outputs, weights: graph.weights });
}

/** The axis of the rows, where there is exactly one and it is no product. */
function rowAxisOf(one: Value, rows: Dim): number | undefined {
  const [name = ''] = symbolsOf(rows);
  const dims = one.type?.dims ?? [];
  const axes = dims.flatMap((size, i) => (symbolsOf(size).includes(name) && !symbolsOf(size).some((other) => other !== name) ? [i] : []));
  const [axis] = axes;
  const size = axis === undefined ? undefined : dims[axis];
  return axes.length === 1 && size && same(size, rows) ? axis : undefined;
}

/** The nodes of which only the last row is ever used, with the inputs of which they then need only the last row. */
function narrowable(graph: Graph, logits: Value, rows: Dim): ReadonlyMap<Node, ReadonlySet<number>> {
  const uses = new Map<Value, number>();
  const use = (one: Value, by: number): void => void uses.set(one, (uses.get(one) ?? 0) + by);
  for (const { value } of graph.outputs) use(value, 1);
  for (const node of graph.nodes) for (const one of readsOf(node)) use(one, 1);
  use(logits, -1);
  const narrowed = new Map<Node, ReadonlySet<number>>();
  for (const node of graph.nodes.toReversed()) {
    const [output, ...others] = node.outputs;
    const ports = output && others.length === 0 && uses.get(output) === 0 && rowAxisOf(output, rows) !== undefined ? rowPorts(node, rows) : undefined;
    if (!ports) continue;
    narrowed.set(node, ports);
    for (const port of ports) {
      const input = node.inputs[port];
      if (!input) throw new Bug(`${node.op.name} has no input ${port}`);
      use(input, -1);
    }
  }
  return narrowed;
}

/** Every value a node reads, once for each time. */
function readsOf(node: Node): readonly Value[] {
  const inner = Object.values(node.bodies ?? {}).flatMap((body) => [...body.outputs.map(({ value }) => value), ...body.nodes.flatMap(readsOf)]);
  return [...node.inputs.filter((one) => one !== undefined), ...inner];
}

const first: ReadonlySet<string> = new Set(['rms_norm', 'layer_norm', 'merge_heads', 'split_heads', 'softmax', 'log_softmax']);

/** The inputs that have rows where the result has them; undefined where the last row of the result needs more than the last of theirs. */
function rowPorts(node: Node, rows: Dim): ReadonlySet<number> | undefined {
  const carrying = node.inputs.flatMap((one, port) => (one && rowAxisOf(one, rows) !== undefined ? [port] : []));
  const only = (...allowed: readonly number[]): ReadonlySet<number> | undefined =>
    carrying.every((port) => allowed.includes(port)) && carrying.length > 0 ? new Set(carrying) : undefined;
  const { name } = node.op;
  if (elementwise.has(name)) return sameFromEnd(node, rows) ? new Set(carrying) : undefined;
  if (first.has(name) || name === 'matmul') return only(0);
  if (name === 'gather') return only(1);
  if (name === 'rope') return only(0, 2);
  // Keys and values keep all rows; a row of queries stands at the end of the columns, as the last one did.
  if (isCausal(node) && !node.inputs[4]) return carrying.includes(0) && !carrying.includes(3) ? new Set([0]) : undefined;
  return undefined;
}

/** Whether every input that has rows has them, counted from the end, where the result has them. */
function sameFromEnd(node: Node, rows: Dim): boolean {
  const place = (one: Value | undefined): number | undefined => {
    const axis = one && rowAxisOf(one, rows);
    return axis === undefined ? undefined : (one?.type?.dims.length ?? 0) - axis;
  };
  const result = place(node.outputs[0]);
  return result !== undefined && node.inputs.every((one) => !one || place(one) === undefined || place(one) === result);
}
