/** What an imported file says beyond its graph, kept so that writing it again loses nothing. Rewriting a node drops what was said about it. */

import type { Graph, Value } from '../graph/graph.ts';
import type { GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto } from './messages.ts';
import { typeProto } from './type-proto.ts';

/** Fields of onnx.proto by what they are about. */
export interface Extras {
  readonly model: Partial<ModelProto>;
  readonly graphs: ReadonlyMap<Graph, Partial<GraphProto>>;
  /** By the first result of the node. */
  readonly nodes: ReadonlyMap<Value, Partial<NodeProto>>;
  /** Of inputs, results and inner values. */
  readonly values: ReadonlyMap<Value, Partial<ValueInfoProto>>;
  /** Of initializers. */
  readonly tensors: ReadonlyMap<Value, Partial<TensorProto>>;
}

/** Nothing beyond the graph. */
export const noExtras: Extras = { model: {}, graphs: new Map(), nodes: new Map(), values: new Map(), tensors: new Map() };

/** What was said of a graph, said of what it became: results keep their types, weights what stood beside them. */
export function carried(extras: Extras, before: Graph, after: Graph): Extras {
  const graphs = new Map(extras.graphs);
  const said = graphs.get(before);
  if (said) graphs.set(after, said);
  const values = new Map(extras.values);
  const was = new Map(before.outputs.map((output) => [output.name, output.value]));
  for (const { name, value } of after.outputs) {
    const old = was.get(name);
    if (!old || old === value || value.type || values.has(value)) continue;
    const type = old.type ? typeProto(old.type) : extras.values.get(old)?.type;
    if (type) values.set(value, { type });
  }
  const tensors = new Map(extras.tensors);
  const now = new Map(after.weights.map((weight) => [weight.path, weight.value]));
  for (const { path, value } of before.weights) {
    const [beside, held] = [tensors.get(value), now.get(path)];
    if (beside && held) tensors.set(held, beside);
  }
  return { ...extras, graphs, values, tensors };
}
