/** What an imported file says beyond its graph, kept so that writing it again loses nothing. Rewriting a node drops what was said about it. */

import type { Graph, Value } from '../graph/graph.ts';
import type { GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto } from './messages.ts';

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
