/** Lowers a graph of moec's ops to one of ONNX nodes: each op by its standard lowering, or by what the target does better. */

import { Bug } from '../diagnostics/bug.ts';
import { graphBuilder } from '../graph/builder.ts';
import { constant } from '../graph/constant.ts';
import { type Graph, type Node, type Value, value } from '../graph/graph.ts';
import { removeDead } from '../passes/drop-dead.ts';
import { removeDuplicates } from '../passes/share-duplicates.ts';
import type { TensorType } from '../graph/type.ts';
import { onnxBuilder } from './onnx-builder.ts';
import { type Storage, storeWeights } from './store.ts';
import type { LoweringContext, Target } from './target.ts';

/** The same meaning in nodes of ONNX alone. */
export function lowerGraph(graph: Graph, target: Target, storage: Storage): Graph {
  const build = graphBuilder();
  let path = '';
  const plain = onnxBuilder(build, target.opset, graph.inputs, () => path);
  const device = target.device?.(plain, graph.inputs);
  const onnx = device?.onnx ?? plain;
  const typed = new Map<Value, Value>();
  const withType = (lowered: Value, type: TensorType | undefined): Value => {
    if (lowered.type || !type) return lowered;
    const known = typed.get(lowered) ?? value(lowered.name, type);
    typed.set(lowered, known);
    device?.alias(known, lowered);
    return known;
  };
  const stored = storeWeights(graph, storage, plain);
  const became = new Map<Value, Value>();
  const transposes = new Map<Value, Value>();
  for (const { value: held } of graph.weights) {
    const now = stored.became.get(held) ?? held;
    const turned = stored.transposes.get(now);
    const one = withType(now, held.type);
    became.set(held, one);
    if (turned) transposes.set(one, turned);
  }
  const of = (old: Value): Value => became.get(old) ?? old;
  const context: LoweringContext = { onnx, transposeOf: (one) => transposes.get(one) };
  for (const node of graph.nodes) {
    path = node.outputs[0]?.name ?? node.op.name;
    const moved: Node = { ...node, inputs: node.inputs.map((one) => one && of(one)) };
    const results = lowerNode(moved, target, context);
    node.outputs.forEach((old, i) => {
      const now = results[i];
      if (!now) throw new Bug(`${node.op.name} lowers to ${results.length} results`);
      became.set(old, withType(now, old.type && device ? device.typeOn(old.type) : old.type));
    });
    const [from] = moved.inputs;
    const [to] = node.outputs;
    if (node.op.name === 'transpose' && from && to && to.type?.dims.length === 2) transposes.set(of(to), from);
  }
  const lowered = build.finish({
    name: graph.name,
    ...(graph.doc === undefined ? {} : { doc: graph.doc }),
    inputs: graph.inputs,
    outputs: graph.outputs.map((output) => ({ name: output.name, value: device?.result(of(output.value), output.value.type) ?? of(output.value) })),
    weights: stored.weights,
  });
  return removeDead(removeDuplicates(replaceValues(lowered, typed)));
}

/** The graph with values replaced wherever they stand. */
function replaceValues(graph: Graph, by: ReadonlyMap<Value, Value>): Graph {
  const of = (old: Value): Value => by.get(old) ?? old;
  return {
    ...graph,
    nodes: graph.nodes.map((node) => ({ ...node, inputs: node.inputs.map((one) => one && of(one)), outputs: node.outputs.map(of) })),
    outputs: graph.outputs.map((output) => ({ ...output, value: of(output.value) })),
  };
}

function lowerNode(node: Node, target: Target, context: LoweringContext): readonly Value[] {
  if (node.op.foreign) {
    const values = context.onnx.all(node.op.foreign.type, node.inputs, node.attrs as never, node.outputs.length, { domain: node.op.foreign.domain, ...(node.bodies ? { bodies: node.bodies } : {}) });
    return values;
  }
  if (node.op === constant) return node.op.lower(node.inputs, context.onnx, node.attrs, node.outputs);
  return target.lowerings.get(node.op.name)?.(node, context) ?? node.op.lower(node.inputs, context.onnx, node.attrs, node.outputs);
}
