/** The inside of a feed-forward over some of its neurons: what experts, routers and the neurons that always run have in common. */

import { Bug } from '../../diagnostics/bug.ts';
import type { GraphBuilder } from '../../graph/builder.ts';
import { dim } from '../../graph/dim.ts';
import { type Node, type Value, value, type Weight } from '../../graph/graph.ts';
import type { NdArray } from '../../graph/nd-array.ts';
import type { Source } from '../../graph/source.ts';
import type { DType } from '../../graph/type.ts';
import { add, cast } from '../../ops/elementwise.ts';
import { matmul } from '../../ops/matmul.ts';
import { isFloat } from '../../ops/rules.ts';
import type { FeedForward } from '../feed-forwards.ts';
import type { NeuronViews } from './views.ts';

/** Declares weights under one path. */
export type Declare = (name: string, source: Source) => Value;

/** Declares weights of a small graph, under `path`, and adds them to `weights`. */
export function declareInto(weights: Weight[], path: string): Declare {
  return (name, source) => {
    const held = value(name, { dtype: source.dtype, dims: source.dims.map((size) => dim(size)) });
    weights.push({ value: held, path: `${path}.${name}`, source, storage: 'constant' });
    return held;
  };
}

/** A weight whose numbers a pass made. */
export function literal(array: NdArray): Source {
  return { kind: 'literal', array, dims: array.dims, dtype: array.dtype };
}

/** The weights of some neurons, as values. */
export type NeuronValues = Readonly<Partial<Record<keyof NeuronViews, Value>>>;

/** What meets `down`: the products with their biases, and the inner nodes again over as many neurons as the weights have. */
export function hiddenOf(build: GraphBuilder, { inner, path, x: { type } }: FeedForward, x: Value, by: NeuronValues): Value {
  const product = (matrix: Value | undefined, bias: Value | undefined, name: string): Value => {
    const plain = build.one(matmul, [x, present(matrix)], {}, `${path}.${name}`);
    return bias ? build.one(add, [plain, bias], {}, `${path}.${name}`) : plain;
  };
  const became = new Map<Value, Value>([[inner.gate, product(by.gate, by.gateBias, 'gate')]]);
  if (inner.up) became.set(inner.up, product(by.up, by.upBias, 'up'));
  const dtype = x.type?.dtype === type?.dtype ? undefined : x.type?.dtype;
  for (const node of inner.nodes) again(build, node, became, dtype);
  return present(became.get(inner.hidden));
}

/** Adds a node again, over what its inputs have become. Numbers that it reads beside them follow into `dtype`, where it is given. */
export function again(build: GraphBuilder, node: Node, became: Map<Value, Value>, dtype?: DType): void {
  const made = build.add(
    node.op,
    node.inputs.map((one) => one && (became.get(one) ?? (dtype ? inType(build, one, dtype) : one))),
    node.attrs,
    { name: node.outputs[0]?.name ?? node.op.name, ...(node.span ? { span: node.span } : {}) },
  );
  node.outputs.forEach((old, i) => became.set(old, present(made[i])));
}

/** A value of floats in another element type; what has no floats stays as it is. */
export function inType(build: GraphBuilder, one: Value, dtype: DType): Value {
  const own = one.type?.dtype;
  return own === undefined || own === dtype || !isFloat(own) ? one : build.one(cast, [one], { to: dtype }, one.name);
}

/** What must be there. */
export function present<T>(one: T | undefined): T {
  if (one === undefined) throw new Bug('a feed-forward lacks a part');
  return one;
}
