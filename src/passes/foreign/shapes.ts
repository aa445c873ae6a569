/** Rows of the table that raises nodes of ONNX: where numbers stand, how they are picked, and how they are made from sizes. */

import { isArray } from '../../graph/attr.ts';
import { type Dim, dim, multiply, same, constant as sizeOf, subtract, add as sum } from '../../graph/dim.ts';
import type { Value } from '../../graph/graph.ts';
import { type NdArray, ndArray, scalar } from '../../graph/nd-array.ts';
import { sameDims } from '../../graph/type.ts';
import { add } from '../../ops/elementwise.ts';
import { gather } from '../../ops/gather.ts';
import { concat, split } from '../../ops/join.ts';
import { softmax } from '../../ops/reduce.ts';
import { tryBroadcast, wholeRatio } from '../../ops/rules.ts';
import { broadcast, permute, range, repeat_axis, reshape, slice, squeeze, transpose, unsqueeze } from '../../ops/shape.ts';
import { type Call, stay } from './call.ts';
import type { Raise } from './raise.ts';

/** An axis counted from 0. */
export const counted = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);

/** The number of elements. */
export const product = (dims: readonly Dim[]): Dim => dims.reduce((all, size) => multiply(all, size), dim(1));

/** The dims a Reshape asks for: 0 copies a size, -1 takes what is left. Undefined where that is not known. */
export function reshapedDims(from: readonly Dim[], wanted: readonly Dim[], allowZero: boolean): readonly Dim[] | undefined {
  const copied = wanted.map((size, i) => (sizeOf(size) === 0 && !allowZero ? (from[i] ?? size) : size));
  const open = copied.findIndex((size) => sizeOf(size) === -1);
  if (open < 0) return copied;
  const others = product(copied.filter((_, i) => i !== open));
  const rest = wholeRatio(product(from), others);
  return rest && copied.map((size, i) => (i === open ? rest : size));
}

const reshaped: Raise = (call) => {
  const dims = reshapedDims(call.type(0).dims, call.numbers(1).values, call.int('allowzero', 0) !== 0) ?? stay();
  const soft = unflattened(call, dims);
  return [soft ?? call.one(reshape, [call.value(0)], { dims: call.computable(dims) })];
};

/** Softmax of rows, as it was before operator set 13: flattened, softened, and given its shape back. */
function unflattened(call: Call, dims: readonly Dim[]): Value | undefined {
  const soft = call.from.of(call.value(0), 'softmax');
  const flat = soft && (call.from.of(soft.inputs[0], 'onnx.Flatten') ?? call.from.of(soft.inputs[0], 'reshape'));
  const [whole] = flat?.inputs ?? [];
  const [last, kept] = [dims.at(-1), soft?.inputs[0]?.type?.dims.at(-1)];
  const axis = soft?.attrs['axis'];
  if (!soft || !whole?.type || !last || !kept || !same(last, kept) || (axis !== -1 && axis !== 1)) return undefined;
  return sameDims(whole.type.dims, dims) ? call.one(softmax, [whole], { axis: -1 }) : undefined;
}

const flattened: Raise = (call) => {
  const { dims } = call.type(0);
  const axis = counted(call.int('axis', 1), dims.length);
  return [call.one(reshape, [call.value(0)], { dims: call.computable([product(dims.slice(0, axis)), product(dims.slice(axis))]) })];
};

/** The last two axes exchanged, or all in another order. */
const transposed: Raise = (call) => {
  const rank = call.type(0).dims.length;
  const order = call.ints('perm') ?? Array.from({ length: rank }, (_, i) => rank - 1 - i);
  const last = rank - 1;
  const swapped = rank > 1 && order.every((axis, i) => axis === (i === last ? last - 1 : i === last - 1 ? last : i));
  return [swapped ? call.one(transpose, [call.value(0)]) : call.one(permute, [call.value(0)], { order })];
};

const unsqueezed: Raise = (call) => {
  const given = call.integers(1);
  const rank = call.type(0).dims.length + given.length;
  const axes = given.map((axis) => counted(axis, rank)).sort((a, b) => a - b);
  return [axes.reduce((x, axis) => call.one(unsqueeze, [x], { axis }), call.value(0))];
};

const squeezed: Raise = (call) => {
  const { dims } = call.type(0);
  const ones = dims.flatMap((size, i) => (sizeOf(size) === 1 ? [i] : []));
  const known = dims.every((size) => sizeOf(size) !== undefined);
  const axes = call.has(1) ? call.integers(1).map((axis) => counted(axis, dims.length)) : known ? ones : stay();
  return [[...axes].sort((a, b) => b - a).reduce((x, axis) => call.one(squeeze, [x], { axis }), call.value(0))];
};

const expanded: Raise = (call) => {
  const dims = tryBroadcast(call.type(0).dims, call.numbers(1).values) ?? stay();
  return [call.one(broadcast, [call.value(0)], { dims: call.computable(dims) })];
};

const tiled: Raise = (call) =>
  call.computable(call.numbers(1).values).reduce<readonly Value[]>(([x = stay()], n, axis) => [sizeOf(n) === 1 ? x : call.one(repeat_axis, [x], { n, axis })], [call.value(0)]);

/**
 * Where an end of a Slice falls: counted from the end where negative, held within the axis. Undefined where that depends on sizes.
 * An end that is the size of an input, on an axis of constant length, is taken to lie within it: tables are as long as the longest input that a model takes.
 * `least` is the first place that it may have: of an end backwards the one before the first.
 */
function place(at: Dim, size: Dim, step: number, least: number): Dim | undefined {
  const [known, length] = [sizeOf(at), sizeOf(size)];
  const back = step < 0 ? 1 : 0;
  if (back > 0 && (known === undefined || length === undefined)) return undefined;
  if (known === undefined) return same(at, size) || (length !== undefined && length > 1) ? at : undefined;
  if (length !== undefined) return dim(Math.max(least, Math.min(length - back, known < 0 ? known + length : known)));
  if (known === 0) return dim(0);
  return known >= 2 ** 31 - 1 ? size : undefined;
}

/** What a Slice takes of each axis it names; undefined where that depends on sizes. */
export function rangesOf(call: Call): readonly { readonly axis: number; readonly from: Dim; readonly to: Dim; readonly step: number }[] | undefined {
  const { dims } = call.type(0);
  const [starts, ends] = [call.numbers(1).values, call.numbers(2).values];
  const axes = call.has(3) ? call.integers(3) : starts.map((_, i) => i);
  const steps = call.has(4) ? call.integers(4) : starts.map(() => 1);
  const ranges = axes.map((given, i) => {
    const axis = counted(given, dims.length);
    const step = steps[i] ?? 1;
    const [start, end, size] = [starts[i], ends[i], dims[axis] ?? stay()];
    const [from, to] = [start && place(start, size, step, 0), end && place(end, size, step, step < 0 ? -1 : 0)];
    return from && to ? { axis, from, to, step } : undefined;
  });
  return ranges.every((one) => one !== undefined) ? ranges : undefined;
}

const sliced: Raise = (call) => {
  const ranges = rangesOf(call) ?? stay();
  return [
    ranges.reduce((x, { axis, from, to, step }) => {
      call.computable([from, to]);
      return step === 1 ? call.one(slice, [x], { axis, from, to }) : everyOther(call, x, axis, { from, to, step });
    }, call.value(0)),
  ];
};

/** Every step-th of an axis that steps divide: a pair of axes, one of them cut. */
function everyOther(call: Call, x: Value, axis: number, { from, to, step }: { readonly from: Dim; readonly to: Dim; readonly step: number }): Value {
  const dims = x.type?.dims ?? stay();
  const [start, end, size] = [sizeOf(from) ?? stay(), sizeOf(to) ?? stay(), sizeOf(dims[axis] ?? stay()) ?? stay()];
  if (step < 2 || size % step !== 0 || start >= step || end <= size - step + start) return stay();
  const pairs = call.one(reshape, [x], { dims: call.computable([...dims.slice(0, axis), dim(size / step), dim(step), ...dims.slice(axis + 1)]) });
  return call.one(squeeze, [call.one(slice, [pairs], { axis: axis + 1, from: dim(start), to: dim(start + 1) })], { axis: axis + 1 });
}

const parted: Raise = (call) => {
  const { dims } = call.type(0);
  const axis = counted(call.int('axis', 0), dims.length);
  const count = call.node.outputs.length;
  const whole = sizeOf(dims[axis] ?? stay());
  const equal = (): readonly Dim[] => {
    const part = Math.ceil((whole ?? stay()) / count);
    return Array.from({ length: count }, (_, i) => dim(i < count - 1 ? part : (whole ?? 0) - part * (count - 1)));
  };
  const sizes = call.has(1) ? call.computable(call.numbers(1).values) : equal();
  return call.all(split, [call.value(0)], { axis, sizes });
};

/** Rows of a table by axis 0; one number along any axis. */
const gathered: Raise = (call) => {
  const { dims } = call.type(0);
  const axis = counted(call.int('axis', 0), dims.length);
  const index = call.from.number(call.value(1));
  const size = sizeOf(dims[axis] ?? stay());
  if (index !== undefined && call.type(1).dims.length === 0 && (index >= 0 || size !== undefined)) {
    const at = dim(index < 0 ? index + (size ?? 0) : index);
    return [call.one(squeeze, [call.one(slice, [call.value(0)], { axis, from: at, to: sum(at, 1) })], { axis })];
  }
  return axis === 0 ? [call.one(gather, [call.value(0), call.value(1)])] : stay();
};

/** start, start + 1, … below a size. */
const ranged: Raise = (call) => {
  const [start, end, step] = [0, 1, 2].map((i) => call.numbers(i).values[0] ?? stay());
  if (!start || !end || !step || call.type(0).dtype !== 'i64' || sizeOf(step) !== 1) return stay();
  const first = sizeOf(start) ?? stay();
  const [n = stay()] = call.computable([subtract(end, start)]);
  const counts = call.one(range, [], { n });
  return [first === 0 ? counts : call.one(add, [counts, call.like(counts, first)])];
};

const filled: Raise = (call) => {
  const { value } = call.node.attrs;
  const array: NdArray = value === undefined ? scalar(0) : isArray(value) ? value : stay();
  const dims = call.computable(call.numbers(0).values);
  return [call.one(broadcast, [call.constant(ndArray([], [array.data[0] ?? 0], array.dtype))], { dims })];
};

const first: Raise = (call) => [call.value(0)];

/** By the name of the op. */
export const shapeRows: Readonly<Record<string, Raise>> = {
  Concat: (call) => [call.one(concat, call.values(), { axis: call.int('axis', 0) })],
  ConstantOfShape: filled,
  Dropout: (call) => (call.node.outputs.length === 1 && (!call.has(2) || call.number(2) === 0) ? [call.value(0)] : stay()),
  Expand: expanded,
  Flatten: flattened,
  Gather: gathered,
  Identity: first,
  Range: ranged,
  Reshape: reshaped,
  Slice: sliced,
  Split: parted,
  Squeeze: squeezed,
  Tile: tiled,
  Transpose: transposed,
  Unsqueeze: unsqueezed,
};
