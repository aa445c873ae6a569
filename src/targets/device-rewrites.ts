/** What a device of WebGPU computes in place of nodes that onnxruntime would leave to the CPU: the kernels that are missing, by measurement of onnxruntime 1.30 at opset 21. */

import { constant, type Dim, dim, same, subtract } from '../graph/dim.ts';
import type { Value } from '../graph/graph.ts';
import type { DType, TensorType } from '../graph/type.ts';
import { onnxTypes } from '../ops/onnx-types.ts';
import type { Call, DeviceTools } from './device-builder.ts';

/** Other nodes for a node; undefined where it stands as it is. */
export type DeviceRewrite = (call: Call, tools: DeviceTools) => readonly Value[] | undefined;

/** Element types that an op has no kernel for; they pass through f32. */
const throughFloat =
  (dtypes: readonly DType[], data: (inputs: Call['inputs']) => number = () => 1): DeviceRewrite =>
  (call, { onnx, typeOf, write }) => {
    const dtype = typeOf(call.inputs[0])?.dtype;
    const own = dtype === 'i64' ? 'i32' : dtype;
    if (!own || !dtypes.includes(own)) return undefined;
    const ports = data(call.inputs);
    const results = write({ ...call, inputs: call.inputs.map((one, port) => (one && port < ports ? onnx.Cast(one, { to: onnxTypes.f32 }) : one)) });
    return call.op === 'Equal' ? results : results.map((one) => onnx.Cast(one, { to: onnxTypes[own] }));
  };

const or: DeviceRewrite = ({ inputs: [a, b] }, { onnx }) => [onnx.Not(onnx.And(onnx.Not(a), onnx.Not(b)))];

const xor: DeviceRewrite = ({ inputs: [a, b] }, { onnx }) => [onnx.Not(onnx.Equal(a, b))];

const sum: DeviceRewrite = ({ inputs: [first, ...rest] }, { onnx }) => (first ? [rest.reduce<Value>((all, one) => onnx.Add(all, one), first)] : undefined);

/** With the sign of the divisor, as ONNX has it for integers. */
const mod: DeviceRewrite = ({ inputs: [a, b] }, { onnx }) => {
  const rest = (x: Value | undefined): Value => onnx.Sub(x, onnx.Mul(onnx.Div(x, b), b));
  return [rest(onnx.Add(rest(a), b))];
};

const logSoftmax: DeviceRewrite = ({ inputs: [x], attrs }, { onnx }) => [
  onnx.Sub(x, onnx.all('ReduceLogSumExp', [x, onnx.ints([Number(attrs['axis'] ?? -1)])], { keepdims: 1 }, 1)[0]),
];

const cast: DeviceRewrite = (call, { typeOf, narrow, write }) => {
  const [x] = call.inputs;
  if (!x) return undefined;
  const to = call.attrs['to'] === onnxTypes.i64 ? onnxTypes.i32 : call.attrs['to'];
  const given = typeOf(x)?.dtype === 'i64' ? narrow(x) : x;
  const dtype = typeOf(given)?.dtype;
  return dtype && onnxTypes[dtype] === to ? [given] : write({ ...call, inputs: [given], attrs: { to } });
};

const range: DeviceRewrite = ({ inputs: [, limit] }, { sizes, countedBy }) => {
  const size = countedBy(limit);
  const found = size && sizes.numbers(size);
  return found && [found];
};

/** Parts of one node: a shader binds 16 buffers at most, of which the input is one. */
const mostParts = 8;

/** Many parts one by one. */
const split: DeviceRewrite = (call, tools) => {
  const [x, sizes] = call.inputs;
  if (call.outputs <= mostParts) return noBool(call, tools);
  const { onnx } = tools;
  const axis = Number(call.attrs['axis'] ?? 0);
  const each = tools.sizesOf(sizes)?.map(constant) ?? equalParts(tools.typeOf(x)?.dims.at(axis), call.outputs);
  if (!each || each.some((size) => size === undefined)) return undefined;
  let from = 0;
  return each.map((size) => {
    const part = onnx.Slice(x, onnx.ints([from]), onnx.ints([from + (size ?? 0)]), onnx.ints([axis]), onnx.ints([1]));
    from += size ?? 0;
    return part;
  });
};

function equalParts(whole: Dim | undefined, count: number): readonly (number | undefined)[] | undefined {
  const size = whole && constant(whole);
  return size === undefined || size % count !== 0 ? undefined : Array<number>(count).fill(size / count);
}

/** To sizes that are known at most for one axis, or that the axis had before: 0 keeps it, -1 is the rest. */
const reshape: DeviceRewrite = (call, { onnx, typeOf, sizesOf, write, assume }) => {
  const [x, to] = call.inputs;
  const wanted = sizesOf(to);
  if (!wanted || wanted.every((size) => constant(size) !== undefined)) return undefined;
  const from = typeOf(x)?.dims ?? [];
  const sizes = wanted.map((size, i) => constant(size) ?? (from[i] && same(from[i], size) ? 0 : undefined));
  if (sizes.filter((size) => size === undefined).length > 1) return undefined;
  const results = write({ ...call, inputs: [x, onnx.ints(sizes.map((size) => size ?? -1))] });
  const dtype = typeOf(x)?.dtype;
  for (const one of results) if (dtype) assume(one, { dtype, dims: wanted });
  return results;
};

/** By broadcasting over what has the wanted sizes. */
const expand: DeviceRewrite = ({ inputs: [x, to] }, { onnx, typeOf, sizesOf, sizes }) => {
  const wanted = sizesOf(to);
  const from = typeOf(x)?.dims;
  if (!x || !wanted || !from || wanted.every((size) => constant(size) !== undefined)) return undefined;
  const ones = wanted.flatMap((size, i) => {
    const own = from[i - (wanted.length - from.length)];
    if (constant(size) === 1 || (own && same(own, size))) return [];
    const along = sizes.ones(size);
    const others = wanted.map((_, axis) => axis).filter((axis) => axis !== i);
    return [along && others.length > 0 ? onnx.Unsqueeze(along, onnx.ints(others)) : along];
  });
  if (ones.some((one) => one === undefined)) return undefined;
  const front = wanted.length - from.length;
  const all = ones.reduce<Value | undefined>((sum, one) => (sum ? onnx.Add(sum, one) : one), undefined);
  if (!all) return [front > 0 ? onnx.Unsqueeze(x, onnx.ints(Array.from({ length: front }, (_, i) => i))) : x];
  return [onnx.Where(onnx.Greater(all, onnx.scalar(0)), x, x)];
};

/** The end of an axis, past which no slice reaches. */
const end = 2 ** 31 - 1;

/** Between bounds that are counted from either end. */
const slice: DeviceRewrite = (call, tools) => {
  const { onnx, typeOf, sizesOf } = tools;
  const [x, from, to, axes, ...rest] = call.inputs;
  const dims = typeOf(x)?.dims ?? [];
  const at = (sizesOf(axes) ?? dims.map((_, i) => dim(i))).map((axis) => constant(axis) ?? 0);
  const place = (bound: Dim, axis: number, isEnd: boolean): number | undefined => {
    const size = dims.at(axis);
    const known = constant(bound);
    if (known !== undefined || !size) return known;
    const before = constant(subtract(size, bound));
    return before === undefined || before < 0 ? undefined : before > 0 ? -before : isEnd ? end : undefined;
  };
  const bounds = (given: Value | undefined, isEnd: boolean): readonly (number | undefined)[] => (sizesOf(given) ?? []).map((bound, i) => place(bound, at[i] ?? 0, isEnd));
  const [starts, ends] = [bounds(from, false), bounds(to, true)];
  const fixed = [...starts, ...ends].every((one) => one !== undefined) && starts.length === at.length;
  const bounded = fixed ? { ...call, inputs: [x, onnx.ints(starts.map((one) => one ?? 0)), onnx.ints(ends.map((one) => one ?? end)), axes, ...rest] } : call;
  const results = throughFloat(['bool', 'i32'])(bounded, tools) ?? tools.write(bounded);
  const type = rest.length === 0 ? slicedType(typeOf(x), at, sizesOf(from), sizesOf(to)) : undefined;
  for (const one of results) if (type) tools.assume(one, type);
  return results;
};

/** The type after cuts of one step each; undefined where a bound counts from the end. */
function slicedType(type: TensorType | undefined, axes: readonly number[], from: readonly Dim[] | undefined, to: readonly Dim[] | undefined): TensorType | undefined {
  if (!type || !from || !to) return undefined;
  const dims = [...type.dims];
  for (const [i, axis] of axes.entries()) {
    const place = axis < 0 ? axis + dims.length : axis;
    const [start, stop, size] = [from[i], to[i], dims[place]];
    if (!start || !stop || !size || (constant(start) ?? 0) < 0 || (constant(stop) ?? 0) < 0) return undefined;
    const [known, whole] = [constant(stop), constant(size)];
    dims[place] = subtract(known !== undefined && whole !== undefined && known > whole ? size : stop, start);
  }
  return { ...type, dims };
}

const noBool = throughFloat(['bool']);

/** Rewrites by the name of the op. */
export const rewrites: Readonly<Record<string, DeviceRewrite>> = {
  Or: or,
  Xor: xor,
  Sum: sum,
  Mod: mod,
  LogSoftmax: logSoftmax,
  Cast: cast,
  Range: range,
  Reshape: reshape,
  Expand: expand,
  Slice: slice,
  Concat: throughFloat(['bool'], (inputs) => inputs.length),
  Equal: throughFloat(['bool'], () => 2),
  Transpose: noBool,
  Split: split,
  Squeeze: noBool,
  Trilu: noBool,
  Tile: noBool,
  Pad: noBool,
  Identity: noBool,
  GatherND: noBool,
  Neg: throughFloat(['i32']),
  Abs: throughFloat(['i32']),
  GatherElements: throughFloat(['bool', 'i32']),
};
