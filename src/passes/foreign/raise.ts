/** Raises nodes of ONNX to ops of moec: the tables, and how one node goes through them. */

import { type GraphBuilder, graphBuilder } from '../../graph/builder.ts';
import { TypeFault } from '../../graph/fail.ts';
import { type Node, type Value, value } from '../../graph/graph.ts';
import { type Call, callOf, Stays, type Surroundings } from './call.ts';
import { elementwiseRows } from './elementwise.ts';
import { linearRows } from './linear.ts';
import { shapeRows } from './shapes.ts';

/** What a node means in ops: its results. `stay` where it means none. */
export type Raise = (call: Call) => readonly Value[];

const rows: ReadonlyMap<string, Raise> = new Map([...Object.entries(elementwiseRows), ...Object.entries(shapeRows), ...Object.entries(linearRows)]);

/** The results of the node in ops, added to `build`; undefined, and nothing added, where it has to stay. */
export function raised(node: Node, build: GraphBuilder, around: Surroundings): readonly Value[] | undefined {
  const { domain = '', type = '' } = node.op.foreign ?? {};
  const raise = node.bodies ? undefined : rows.get(domain === '' ? type : `${domain}.${type}`);
  if (!raise) return undefined;
  const own = graphBuilder(`${node.outputs[0]?.name ?? type}/`);
  const results = tried(() => raise(callOf(node, own, around)));
  if (!results || results.length < node.outputs.length) return undefined;
  return adopt(own.nodes, results, node, build);
}

/** What f gives; undefined where the node stays, or where the op's own rule says that the types do not fit. */
export function tried<T>(f: () => T): T | undefined {
  try {
    return f();
  } catch (fault) {
    if (fault instanceof Stays || fault instanceof TypeFault) return undefined;
    throw fault;
  }
}

/** The nodes under the names that the results had. */
function adopt(nodes: readonly Node[], results: readonly Value[], { outputs }: Node, build: GraphBuilder): readonly Value[] {
  const made = new Set(nodes.flatMap((one) => one.outputs));
  const renamed = new Map<Value, Value>();
  results.forEach((result, i) => {
    const name = outputs[i]?.name;
    if (name && made.has(result) && !renamed.has(result)) renamed.set(result, value(name, result.type));
  });
  const of = (one: Value): Value => renamed.get(one) ?? one;
  for (const node of nodes) build.push({ ...node, inputs: node.inputs.map((one) => one && of(one)), outputs: node.outputs.map(of) });
  return results.slice(0, outputs.length).map(of);
}
