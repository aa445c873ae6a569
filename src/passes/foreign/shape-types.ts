/** Types behind nodes of ONNX that move, pick, join and count numbers. */

import { isArray } from '../../graph/attr.ts';
import { type Dim, dim, divide, multiply, constant as sizeOf, subtract, add as sum } from '../../graph/dim.ts';
import type { DType } from '../../graph/type.ts';
import { tryBroadcast } from '../../ops/rules.ts';
import { type Call, stay } from './call.ts';
import { tried } from './raise.ts';
import { counted, product, rangesOf, reshapedDims } from './shapes.ts';
import { i64, met, rows, same, type TypeRule } from './type-rule.ts';

const joined: TypeRule = (call, fresh) => {
  const types = call.values().map((_, i) => call.type(i));
  const [first = stay()] = types;
  const axis = counted(call.int('axis', 0), first.dims.length);
  const dims = first.dims.map((_, i) =>
    i === axis
      ? types.reduce((total, one) => sum(total, one.dims[i] ?? 0), dim(0))
      : (met(
          types.map((one) => [one.dims[i] ?? dim(1)]),
          fresh,
        )[0] ?? fresh()),
  );
  return [{ dtype: first.dtype, dims }];
};

const gathered: TypeRule = (call) => {
  const [data, at] = [call.type(0), call.type(1)];
  const axis = counted(call.int('axis', 0), data.dims.length);
  return [{ dtype: data.dtype, dims: [...data.dims.slice(0, axis), ...at.dims, ...data.dims.slice(axis + 1)] }];
};

const gatheredByRows: TypeRule = (call) => {
  const [data, at] = [call.type(0), call.type(1)];
  const depth = sizeOf(at.dims.at(-1) ?? stay()) ?? stay();
  const lead = call.int('batch_dims', 0);
  return [{ dtype: data.dtype, dims: [...at.dims.slice(0, -1), ...data.dims.slice(lead + depth)] }];
};

/** Sizes that are not known are fresh; how many there are must be. */
const reshaped: TypeRule = (call, fresh) => {
  const { dtype, dims } = call.type(0);
  const wanted = call.from.any(call.value(1)) && call.has(1) ? maybeNumbers(call) : undefined;
  if (wanted) {
    const exact = reshapedDims(dims, wanted, call.int('allowzero', 0) !== 0);
    return [{ dtype, dims: exact ?? wanted.map((size, i) => (sizeOf(size) === -1 ? fresh() : sizeOf(size) === 0 ? (dims[i] ?? fresh()) : size)) }];
  }
  const rank = sizeOf(call.type(1).dims[0] ?? stay()) ?? stay();
  return [{ dtype, dims: Array.from({ length: rank }, fresh) }];
};

const maybeNumbers = (call: Call): readonly Dim[] | undefined => tried(() => call.numbers(1).values);

const expanded: TypeRule = (call, fresh) => {
  const { dtype, dims } = call.type(0);
  const wanted = maybeNumbers(call);
  const exact = wanted && tryBroadcast(dims, wanted);
  if (exact) return [{ dtype, dims: exact }];
  const rank = Math.max(dims.length, wanted?.length ?? sizeOf(call.type(1).dims[0] ?? stay()) ?? stay());
  return [{ dtype, dims: Array.from({ length: rank }, fresh) }];
};

const sliced: TypeRule = (call, fresh) => {
  const { dtype, dims } = call.type(0);
  const ranges = tried(() => rangesOf(call));
  if (!ranges) {
    const axes = call.has(3) ? call.integers(3).map((axis) => counted(axis, dims.length)) : dims.map((_, i) => i);
    return [{ dtype, dims: dims.map((size, i) => (axes.includes(i) ? fresh() : size)) }];
  }
  const taken = new Map(ranges.map((range) => [range.axis, range]));
  return [
    {
      dtype,
      dims: dims.map((size, i) => {
        const range = taken.get(i);
        if (!range) return size;
        const length = subtract(range.to, range.from);
        const known = sizeOf(length);
        if (known === undefined) return range.step === 1 ? length : fresh();
        return dim(Math.max(0, Math.ceil(known / range.step)));
      }),
    },
  ];
};

const padded: TypeRule = (call, fresh) => {
  const { dtype, dims } = call.type(0);
  const pads = tried(() => call.integers(1));
  if (!pads) return [{ dtype, dims: dims.map(fresh) }];
  const axes = call.has(3) ? call.integers(3).map((axis) => counted(axis, dims.length)) : dims.map((_, i) => i);
  const by = new Map(axes.map((axis, i) => [axis, (pads[i] ?? 0) + (pads[i + axes.length] ?? 0)]));
  return [{ dtype, dims: dims.map((size, i) => sum(size, by.get(i) ?? 0)) }];
};

const parted: TypeRule = (call, fresh) => {
  const { dtype, dims } = call.type(0);
  const axis = counted(call.int('axis', 0), dims.length);
  const whole = dims[axis] ?? stay();
  const part = divide(whole, call.node.outputs.length);
  return call.node.outputs.map(() => ({ dtype, dims: dims.map((size, i) => (i === axis ? (call.has(1) ? fresh() : (part ?? fresh())) : size)) }));
};

const best: TypeRule = (call, fresh) => {
  const { dtype, dims } = call.type(0);
  const axis = counted(call.int('axis', -1), dims.length);
  const cut = dims.map((size, i) => (i === axis ? fresh() : size));
  return [{ dtype, dims: cut }, i64(cut)];
};

const filled: TypeRule = (call, fresh) => {
  const { value } = call.node.attrs;
  const dtype: DType = value === undefined ? 'f32' : isArray(value) ? value.dtype : stay();
  const rank = sizeOf(call.type(0).dims[0] ?? stay()) ?? stay();
  return [{ dtype, dims: Array.from({ length: rank }, fresh) }];
};

const transposed: TypeRule = (call) => {
  const { dtype, dims } = call.type(0);
  const order = call.ints('perm') ?? dims.map((_, i) => dims.length - 1 - i);
  return [{ dtype, dims: order.map((axis) => dims[axis] ?? stay()) }];
};

const unsqueezed: TypeRule = (call) => {
  const { dtype, dims } = call.type(0);
  const given = call.integers(1);
  const rank = dims.length + given.length;
  const added = new Set(given.map((axis) => counted(axis, rank)));
  const left = [...dims];
  return [{ dtype, dims: Array.from({ length: rank }, (_, i) => (added.has(i) ? dim(1) : (left.shift() ?? stay()))) }];
};

const squeezed: TypeRule = (call) => {
  const { dtype, dims } = call.type(0);
  if (!call.has(1)) return stay();
  const dropped = new Set(call.integers(1).map((axis) => counted(axis, dims.length)));
  return [{ dtype, dims: dims.filter((_, i) => !dropped.has(i)) }];
};

const tiled: TypeRule = (call, fresh) => {
  const { dtype, dims } = call.type(0);
  const times = maybeNumbers(call);
  return [{ dtype, dims: dims.map((size, i) => (times ? multiply(size, times[i] ?? stay()) : fresh())) }];
};

const flattened: TypeRule = (call) => {
  const { dtype, dims } = call.type(0);
  const axis = counted(call.int('axis', 1), dims.length);
  return [{ dtype, dims: [product(dims.slice(0, axis)), product(dims.slice(axis))] }];
};

/** Of rank one more, as deep as a run says. */
const oneHot: TypeRule = (call, fresh) => {
  const { dims } = call.type(0);
  const axis = counted(call.int('axis', -1), dims.length + 1);
  return [{ dtype: call.type(2).dtype, dims: [...dims.slice(0, axis), fresh(), ...dims.slice(axis)] }];
};

/** What a condition leaves of an axis, or of all numbers in a row. */
const compressed: TypeRule = (call, fresh) => {
  const { dtype, dims } = call.type(0);
  if (call.node.attrs['axis'] === undefined) return [{ dtype, dims: [fresh()] }];
  const axis = counted(call.int('axis', 0), dims.length);
  return [{ dtype, dims: dims.map((size, i) => (i === axis ? fresh() : size)) }];
};

const shapeOf: TypeRule = (call) => {
  const rank = call.type(0).dims.length;
  const place = (at: number): number => Math.max(0, Math.min(rank, counted(at, rank)));
  return [i64([dim(Math.max(0, place(call.int('end', rank)) - place(call.int('start', 0))))])];
};

/** By the name of the op. */
export const shapeTypes: Readonly<Record<string, TypeRule>> = {
  ...rows('ReverseSequence Scatter ScatterElements ScatterND TensorScatter Trilu', same()),
  Compress: compressed,
  Concat: joined,
  ConstantOfShape: filled,
  Expand: expanded,
  Flatten: flattened,
  Gather: gathered,
  GatherElements: (call) => [{ dtype: call.type(0).dtype, dims: call.type(1).dims }],
  GatherND: gatheredByRows,
  NonZero: (call, fresh) => [i64([dim(call.type(0).dims.length), fresh()])],
  OneHot: oneHot,
  Pad: padded,
  Range: (call, fresh) => [{ dtype: call.type(0).dtype, dims: [fresh()] }],
  Reshape: reshaped,
  Shape: shapeOf,
  Size: () => [i64([])],
  Slice: sliced,
  Split: parted,
  Squeeze: squeezed,
  Tile: tiled,
  TopK: best,
  Transpose: transposed,
  Unsqueeze: unsqueezed,
};
