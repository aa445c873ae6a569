/** Lowers a graph of moec's ops to one of ONNX nodes: each op by its standard lowering, or by what the target does better. */

import { Bug } from '../diagnostics/bug.ts';
import { graphBuilder } from '../graph/builder.ts';
import { constant } from '../graph/constant.ts';
import { type Graph, type Node, type Value, value } from '../graph/graph.ts';
import { removeDead } from '../passes/drop-dead.ts';
import { removeDuplicates } from '../passes/share-duplicates.ts';
import { onnxBuilder } from './onnx-builder.ts';
import { type Storage, storeWeights } from './store.ts';
import type { LoweringContext, Target } from './target.ts';

/** The same meaning in nodes of ONNX alone. */
export function lowerGraph(graph: Graph, target: Target, storage: Storage): Graph {
  const build = graphBuilder();
  let path = '';
  const onnx = onnxBuilder(build, target.opset, graph.inputs, () => path);
  const stored = storeWeights(graph, storage, onnx);
  const became = new Map<Value, Value>(stored.became);
  const transposes = new Map<Value, Value>(stored.transposes);
  const of = (old: Value): Value => became.get(old) ?? old;
  const context: LoweringContext = { onnx, transposeOf: (one) => transposes.get(one) };
  for (const node of graph.nodes) {
    path = node.outputs[0]?.name ?? node.op.name;
    const moved: Node = { ...node, inputs: node.inputs.map((one) => one && of(one)) };
    const results = lowerNode(moved, target, context);
    node.outputs.forEach((old, i) => {
      const now = results[i];
      if (!now) throw new Bug(`${node.op.name} lowers to ${results.length} results`);
      knowType(now, old);
      became.set(old, now);
    });
    const [from] = moved.inputs;
    const [to] = results;
    if (node.op.name === 'transpose' && from && to && node.inputs[0]?.type?.dims.length === 2) transposes.set(to, from);
  }
  const lowered = build.finish({
    name: graph.name,
    ...(graph.doc === undefined ? {} : { doc: graph.doc }),
    inputs: graph.inputs,
    outputs: graph.outputs.map((output) => ({ name: output.name, value: of(output.value) })),
    weights: stored.weights,
  });
  return removeDead(removeDuplicates(typed(lowered, graph)));
}

/** Lowerings read the types of their arguments, so a lowered value has the type of what it stands for: the one place where a value is completed after it was made. */
function knowType(now: Value, old: Value): void {
  if (!now.type && old.type) Object.assign(now, { type: old.type });
}

function lowerNode(node: Node, target: Target, context: LoweringContext): readonly Value[] {
  if (node.op.foreign) {
    const values = context.onnx.all(node.op.foreign.type, node.inputs, node.attrs as never, node.outputs.length, { domain: node.op.foreign.domain, ...(node.bodies ? { bodies: node.bodies } : {}) });
    return values;
  }
  if (node.op === constant) return node.op.lower(node.inputs, context.onnx, node.attrs, node.outputs);
  return target.lowerings.get(node.op.name)?.(node, context) ?? node.op.lower(node.inputs, context.onnx, node.attrs, node.outputs);
}

/** Results carry the types they had: what a loader sees of the graph. A result that is an input or a weight gets a node of its own. */
function typed(lowered: Graph, graph: Graph): Graph {
  const swap = new Map<Value, Value>();
  lowered.outputs.forEach(({ value: held }, i) => {
    const type = graph.outputs[i]?.value.type;
    if (type && !held.type) swap.set(held, value(held.name, type));
  });
  const of = (old: Value): Value => swap.get(old) ?? old;
  return {
    ...lowered,
    nodes: lowered.nodes.map((node) =>
      node.inputs.some((one) => one && swap.has(one)) || node.outputs.some((one) => swap.has(one)) ? { ...node, inputs: node.inputs.map((one) => one && of(one)), outputs: node.outputs.map(of) } : node,
    ),
    outputs: lowered.outputs.map((output) => ({ ...output, value: of(output.value) })),
  };
}
