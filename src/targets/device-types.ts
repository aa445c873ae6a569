/** Types of the values between ONNX nodes, as far as a device's builder needs them: enough of the standard's shape inference for what lowerings write. */

import { add, constant, type Dim, dim, divide, product } from '../graph/dim.ts';
import type { ForeignAttr, ForeignAttrs } from '../graph/onnx.ts';
import { type DType, dtypes, type TensorType } from '../graph/type.ts';
import { onnxTypes } from '../ops/onnx-types.ts';
import { tryBroadcast } from '../ops/rules.ts';

/** What is known of an input: its type, and its numbers where it is a vector of sizes or axes. */
export interface Known {
  readonly type: TensorType | undefined;
  readonly sizes: readonly Dim[] | undefined;
}

type Rule = (inputs: readonly (Known | undefined)[], attrs: ForeignAttrs, outputs: number) => readonly (TensorType | undefined)[];

/** The types of the results of a node; undefined where they are not known. */
export function resultTypes(op: string, inputs: readonly (Known | undefined)[], attrs: ForeignAttrs, outputs: number): readonly (TensorType | undefined)[] {
  return rules[op]?.(inputs, attrs, outputs) ?? [];
}

const number = (attr: ForeignAttr, otherwise: number): number => (typeof attr === 'number' ? attr : typeof attr === 'boolean' ? Number(attr) : otherwise);
const numbers = (known: Known | undefined): readonly number[] | undefined => {
  const values = known?.sizes?.map(constant);
  return values?.every((one) => one !== undefined) ? values : undefined;
};
const from = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);

const first: Rule = ([x]) => [x?.type];

/** Inputs `ports` broadcast together, with the element type of port `like`, or `dtype`. */
const broadcast =
  (ports: readonly number[], like: number, dtype?: DType): Rule =>
  (inputs) => {
    const types = ports.map((port) => inputs[port]?.type);
    const dims = types.reduce<readonly Dim[] | undefined>((all, type) => all && type && tryBroadcast(all, type.dims), []);
    const element = dtype ?? inputs[like]?.type?.dtype;
    return [dims && element && { dtype: element, dims }];
  };

const reduce: Rule = ([x, axes], attrs) => {
  const dropped = numbers(axes);
  if (!x?.type || !dropped) return [];
  const { dtype, dims } = x.type;
  const at = dropped.map((axis) => from(axis, dims.length));
  return [{ dtype, dims: number(attrs['keepdims'], 1) ? dims.map((size, i) => (at.includes(i) ? dim(1) : size)) : dims.filter((_, i) => !at.includes(i)) }];
};

const matmul: Rule = ([a, b]) => {
  if (!a?.type || !b?.type || a.type.dims.length < 2 || b.type.dims.length < 2) return [];
  const lead = tryBroadcast(a.type.dims.slice(0, -2), b.type.dims.slice(0, -2));
  return [lead && { dtype: a.type.dtype, dims: [...lead, ...a.type.dims.slice(-2, -1), ...b.type.dims.slice(-1)] }];
};

const reshape: Rule = ([x, to]) => {
  if (!x?.type || !to?.sizes) return [];
  const { dtype, dims } = x.type;
  const kept = to.sizes.map((size, i) => (constant(size) === 0 ? (dims[i] ?? dim(0)) : size));
  const open = kept.findIndex((size) => constant(size) === -1);
  const rest = open < 0 ? undefined : divide(product(dims), product(kept.filter((_, i) => i !== open)));
  return open >= 0 && !rest ? [] : [{ dtype, dims: kept.map((size, i) => (i === open && rest ? rest : size)) }];
};

const unsqueeze: Rule = ([x, axes]) => {
  const given = numbers(axes);
  if (!x?.type || !given) return [];
  const rank = x.type.dims.length + given.length;
  const at = given.map((axis) => from(axis, rank));
  const rest = [...x.type.dims];
  return [{ dtype: x.type.dtype, dims: Array.from({ length: rank }, (_, i) => (at.includes(i) ? dim(1) : (rest.shift() ?? dim(1)))) }];
};

const squeeze: Rule = ([x, axes]) => {
  const given = numbers(axes);
  if (!x?.type || !given) return [];
  const { dtype, dims } = x.type;
  return [{ dtype, dims: dims.filter((_, i) => !given.some((axis) => from(axis, dims.length) === i)) }];
};

const concat: Rule = (inputs, attrs) => {
  const [head] = inputs;
  if (!head?.type) return [];
  const { dtype, dims } = head.type;
  const at = from(number(attrs['axis'], 0), dims.length);
  const sizes = inputs.map((one) => one?.type?.dims[at]);
  const total = sizes.reduce<Dim | undefined>((sum, size) => sum && size && add(sum, size), dim(0));
  return [total && { dtype, dims: dims.map((size, i) => (i === at ? total : size)) }];
};

const split: Rule = ([x, sizes], attrs, outputs) => {
  if (!x?.type) return [];
  const { dtype, dims } = x.type;
  const at = from(number(attrs['axis'], 0), dims.length);
  return Array.from({ length: outputs }, (_, i) => {
    const part = sizes?.sizes ? sizes.sizes[i] : divide(dims[at] ?? dim(0), dim(outputs));
    return part && { dtype, dims: dims.map((size, axis) => (axis === at ? part : size)) };
  });
};

const gather: Rule = ([x, ids], attrs) => {
  if (!x?.type || !ids?.type) return [];
  const { dtype, dims } = x.type;
  const at = from(number(attrs['axis'], 0), dims.length);
  return [{ dtype, dims: [...dims.slice(0, at), ...ids.type.dims, ...dims.slice(at + 1)] }];
};

const transpose: Rule = ([x], attrs) => {
  const order = attrs['perm'];
  if (!x?.type || !Array.isArray(order)) return [];
  const { dtype, dims } = x.type;
  return [{ dtype, dims: order.flatMap((axis: unknown) => (typeof axis === 'number' ? (dims[axis] ?? []) : [])) }];
};

const top: Rule = ([x, k]) => {
  const [count] = k?.sizes ?? [];
  if (!x?.type || !count) return [];
  const dims = [...x.type.dims.slice(0, -1), count];
  return [
    { dtype: x.type.dtype, dims },
    { dtype: 'i64', dims },
  ];
};

const largest: Rule = ([x], attrs) => {
  if (!x?.type) return [];
  const at = from(number(attrs['axis'], 0), x.type.dims.length);
  return [{ dtype: 'i64', dims: number(attrs['keepdims'], 1) ? x.type.dims.map((size, i) => (i === at ? dim(1) : size)) : x.type.dims.filter((_, i) => i !== at) }];
};

const cast: Rule = ([x], attrs) => {
  const dtype = dtypes.find((one) => onnxTypes[one] === attrs['to']);
  return [x?.type && dtype && { dtype, dims: x.type.dims }];
};

const rules: Readonly<Record<string, Rule>> = {
  ...each(['Add', 'Sub', 'Mul', 'Div', 'Max', 'Min', 'Pow', 'And'], broadcast([0, 1], 0)),
  ...each(['Equal', 'Less', 'LessOrEqual', 'Greater', 'GreaterOrEqual'], broadcast([0, 1], 0, 'bool')),
  Where: broadcast([0, 1, 2], 1),
  ...each(['Abs', 'Ceil', 'Clip', 'Cos', 'CumSum', 'Erf', 'Exp', 'FastGelu', 'Floor', 'Gelu', 'Identity', 'LayerNormalization', 'Log', 'Neg', 'Not', 'QuickGelu'], first),
  ...each(
    ['Reciprocal', 'Relu', 'RotaryEmbedding', 'ScatterElements', 'ScatterND', 'Sigmoid', 'SimplifiedLayerNormalization', 'Sin', 'Softmax', 'Softplus', 'Sqrt', 'Tanh', 'Trilu'],
    first,
  ),
  ...each(['ReduceMax', 'ReduceMean', 'ReduceMin', 'ReduceProd', 'ReduceSum', 'ReduceLogSumExp'], reduce),
  MatMul: matmul,
  Reshape: reshape,
  Unsqueeze: unsqueeze,
  Squeeze: squeeze,
  Concat: concat,
  Split: split,
  Gather: gather,
  GatherElements: ([x, ids]) => [x?.type && ids?.type && { dtype: x.type.dtype, dims: ids.type.dims }],
  Transpose: transpose,
  TopK: top,
  ArgMax: largest,
  Cast: cast,
  Expand: ([x, to]) => {
    const dims = x?.type && to?.sizes && tryBroadcast(x.type.dims, to.sizes);
    return [x?.type && dims && { dtype: x.type.dtype, dims }];
  },
};

function each(names: readonly string[], rule: Rule): Readonly<Record<string, Rule>> {
  return Object.fromEntries(names.map((name) => [name, rule]));
}
