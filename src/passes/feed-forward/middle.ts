/** What stands between the products of a feed-forward: walks back from the hidden numbers through elementwise nodes to the products they come from. */

import { constant as sizeOf } from '../../graph/dim.ts';
import type { Node, Value } from '../../graph/graph.ts';
import { count } from '../../graph/nd-array.ts';
import { constantDims } from '../../graph/type.ts';
import { elementwise } from '../stepping.ts';
import { type Linear, linearOf, type Matrices } from './matrices.ts';

/** A node that does more than work on each number by itself. */
export interface Blocker {
  readonly node: Node;
  /** In words: `layer_norm`. */
  readonly what: string;
}

/** All that stands before some hidden numbers. */
export interface Middle {
  /** Elementwise, between the products and the hidden numbers. */
  readonly nodes: ReadonlySet<Node>;
  /** What the nodes read that is a product, by value, in the order met. */
  readonly products: ReadonlyMap<Value, Linear>;
  /** Values that are no products: where there are any, this is no feed-forward. */
  readonly strays: readonly Value[];
  readonly blockers: readonly Blocker[];
}

const linear = ['add', 'sub', 'mul', 'div', 'neg', 'cast'];

/** Ops that stand in the middle of layers that are nearly feed-forwards; the walk goes on behind them, to say what it found. */
const between: ReadonlySet<string> = new Set([
  ...[
    'layer_norm',
    'rms_norm',
    'softmax',
    'log_softmax',
    'onnx.LayerNormalization',
    'onnx.RMSNormalization',
    'onnx.BatchNormalization',
    'onnx.Softmax',
    'onnx.Conv',
    'onnx.Dropout',
  ],
  ...['onnx.QuantizeLinear', 'onnx.DynamicQuantizeLinear', 'onnx.DequantizeLinear', 'onnx.Cast', 'onnx.Mul', 'onnx.Add', 'onnx.LeakyRelu', 'onnx.Elu', 'onnx.Selu', 'onnx.Celu'],
  ...['onnx.PRelu', 'onnx.HardSwish', 'onnx.HardSigmoid', 'onnx.Mish', 'onnx.Softsign', 'onnx.Pow', 'onnx.Gelu', 'onnx.Relu', 'onnx.Tanh', 'onnx.Sigmoid', 'onnx.Erf', 'onnx.Clip'],
  ...['onnx.Shrink', 'onnx.Swish', 'onnx.ThresholdedRelu', 'onnx.Round', 'onnx.Sign', 'onnx.Div', 'onnx.Sub', 'onnx.Max', 'onnx.Min', 'onnx.Softplus'],
  ...['BiasGelu', 'FastGelu', 'Gelu', 'QuickGelu'].map((name) => `onnx.com.microsoft.${name}`),
]);

/** Whether a node is an op of somebody's own that one value goes through. */
function isOwn({ op, inputs }: Node, { isFixed }: Matrices): boolean {
  return !['', 'com.microsoft', undefined].includes(op.foreign?.domain) && inputs.filter((one) => one && !isFixed(one)).length === 1;
}

/** The middle before a value. */
export function middleOf(hidden: Value, among: Matrices): Middle {
  const nodes = new Set<Node>();
  const products = new Map<Value, Linear>();
  const strays: Value[] = [];
  const blockers = new Map<Node, Blocker>();
  const visited = new Set<Value>();
  const visit = (one: Value): void => {
    if (visited.has(one)) return;
    visited.add(one);
    const product = linearOf(one, among);
    const node = among.from.any(one);
    if (product) products.set(one, product);
    else if (node && elementwise.has(node.op.name)) walk(node);
    else if (node && (between.has(node.op.name) || isOwn(node, among))) {
      blockers.set(node, { node, what: node.op.name.replace('onnx.', '') });
      if (node.inputs[0]) visit(node.inputs[0]);
    } else strays.push(one);
  };
  const walk = (node: Node): void => {
    nodes.add(node);
    for (const input of node.inputs) {
      if (!input || isNumber(input, among)) continue;
      if (among.seen(input) || isNarrow(input, node)) blockers.set(node, { node, what: `${node.op.name} with ${input.name}` });
      else visit(input);
    }
  };
  visit(hidden);
  return { nodes, products, strays, blockers: [...blockers.values()] };
}

/** Whether the middle bends what it is given: without that, two products in a row are one linear map. */
export function bends({ nodes, products, blockers }: Middle): boolean {
  return products.size > 1 || blockers.length > 0 || [...nodes].some(({ op }) => !linear.includes(op.name));
}

/** A constant or a weight of one element. */
function isNumber(one: Value, { seen }: Matrices): boolean {
  const source = seen(one)?.source;
  return source !== undefined && count(source.dims) === 1;
}

/** Whether a value that is read beside the hidden numbers is one for each row, or one for each neuron of all rows. */
function isNarrow(one: Value, node: Node): boolean {
  const [own, whole] = [one.type?.dims, node.outputs[0]?.type?.dims];
  if (!own || !whole) return false;
  const last = sizeOf(own.at(-1) ?? 1);
  return last === 1 ? constantDims(whole.slice(-1))?.[0] !== 1 : own.length < 2 && whole.length > 1;
}
