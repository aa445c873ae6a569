/** Ops along one axis: sums, means, extremes, running sums, softmax. */

import { dim } from '../graph/dim.ts';
import type { Value } from '../graph/graph.ts';
import { ndArray } from '../graph/nd-array.ts';
import type { Onnx } from '../graph/onnx.ts';
import { type Builder, defineOp, type Op, type Sample } from '../graph/op.ts';
import type { TensorType } from '../graph/type.ts';
import { exp } from './activations.ts';
import { mapLanes, reshaped, softmaxOf } from './arrays.ts';
import { add, cast, div, eq, mul, sub } from './elementwise.ts';
import { nth, only, sizeAs, typeOf } from './gradients.ts';
import { axisOf, needAxes, needFloat, needNumber } from './rules.ts';
import { broadcast, unsqueeze } from './shape.ts';

const alongAxis = { axis: { kind: 'int', default: -1 }, keep: { kind: 'bool', default: false } } as const;

function reducedType(x: TensorType, axis: number, keep: boolean): TensorType {
  const at = axisOf(x, axis);
  return { dtype: x.dtype, dims: keep ? x.dims.map((size, i) => (i === at ? dim(1) : size)) : x.dims.filter((_, i) => i !== at) };
}

const without = (dims: readonly number[], axis: number): readonly number[] => dims.filter((_, i) => i !== (axis < 0 ? axis + dims.length : axis));

interface Reduction {
  readonly name: string;
  readonly doc: string;
  readonly f: (lane: Float64Array) => number;
  /** From x, y and dy with the axis kept. */
  readonly grad: (x: Value, y: Value, dy: Value, axis: number, build: Builder) => Value;
  readonly lower: (x: Value, axes: Value, keep: boolean, onnx: Onnx) => Value;
}

const samples: readonly Sample[] = [
  { inputs: { x: [2, 3] } },
  { inputs: { x: [2, 3, 4] }, attrs: { axis: 1, keep: true } },
  { inputs: { x: [2, 3, 4] }, attrs: { axis: -3 } },
  { inputs: { x: [5] }, attrs: { axis: 0 } },
];

function reduction({ name, doc, f, grad, lower }: Reduction): Op {
  return defineOp({
    name,
    doc,
    inputs: ['x'],
    attrs: alongAxis,
    type: ({ x }, { axis, keep }) => {
      if (name === 'mean') needFloat(name, x);
      else needNumber(name, x);
      needAxes(name, x, 1);
      return reducedType(x, axis, keep);
    },
    eval: ({ x }, { axis, keep }) => {
      const y = mapLanes(x, axis, 1, (lane) => [f(lane)]);
      return keep ? y : reshaped(y, without(x.dims, axis));
    },
    grad: ({ x }, { axis, keep }, { y, dy }, build) => {
      const at = axisOf(typeOf(x), axis);
      const kept = (value: Value): Value => (keep ? value : build.one(unsqueeze, [value], { axis: at }));
      return { x: grad(x, kept(nth(y, 0)), kept(only(dy)), at, build) };
    },
    lower: ({ x }, onnx, { axis, keep }) => lower(x, onnx.ints([axis]), keep, onnx),
    samples,
  });
}

const spreadBack = (x: Value, dy: Value, build: Builder): Value => build.one(broadcast, [dy], { dims: typeOf(x).dims });

/** dy shared equally by the elements that reach the extreme. */
function toExtreme(x: Value, y: Value, dy: Value, axis: number, build: Builder): Value {
  const hits = build.one(cast, [build.one(eq, [x, y])], { to: typeOf(x).dtype });
  return build.one(div, [build.one(mul, [hits, dy]), build.one(sum, [hits], { axis, keep: true })]);
}

export const sum = reduction({
  name: 'sum',
  doc: 'The sum along an axis, the last where none is given; `keep: true` leaves the axis with size 1.',
  f: (lane) => lane.reduce((total, value) => total + value, 0),
  grad: (x, _, dy, __, build) => spreadBack(x, dy, build),
  lower: (x, axes, keep, onnx) => onnx.ReduceSum(x, axes, { keepdims: keep }),
});

export const mean = reduction({
  name: 'mean',
  doc: 'The mean along an axis, the last where none is given; `keep: true` leaves the axis with size 1.',
  f: (lane) => lane.reduce((total, value) => total + value, 0) / lane.length,
  grad: (x, _, dy, axis, build) => {
    const { dims, dtype } = typeOf(x);
    return spreadBack(x, build.one(div, [dy, sizeAs(build, dims[axis] ?? dim(1), dtype)]), build);
  },
  lower: (x, axes, keep, onnx) => onnx.ReduceMean(x, axes, { keepdims: keep }),
});

export const max = reduction({
  name: 'max',
  doc: 'The largest along an axis, the last where none is given; `keep: true` leaves the axis with size 1. At a tie the gradient is shared.',
  f: (lane) => lane.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY),
  grad: toExtreme,
  lower: (x, axes, keep, onnx) => onnx.ReduceMax(x, axes, { keepdims: keep }),
});

export const min = reduction({
  name: 'min',
  doc: 'The smallest along an axis, the last where none is given; `keep: true` leaves the axis with size 1. At a tie the gradient is shared.',
  f: (lane) => lane.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY),
  grad: toExtreme,
  lower: (x, axes, keep, onnx) => onnx.ReduceMin(x, axes, { keepdims: keep }),
});

export const argmax: Op = defineOp({
  name: 'argmax',
  doc: 'Where the largest along an axis stands, i64; the first of equals.',
  inputs: ['x'],
  attrs: alongAxis,
  type: ({ x }, { axis, keep }) => {
    needNumber('argmax', x);
    needAxes('argmax', x, 1);
    return { ...reducedType(x, axis, keep), dtype: 'i64' };
  },
  eval: ({ x }, { axis, keep }) => {
    const y = mapLanes(x, axis, 1, (lane) => [lane.indexOf(Math.max(...lane))], 'i64');
    return keep ? y : reshaped(y, without(x.dims, axis));
  },
  grad: 'none',
  lower: ({ x }, onnx, { axis, keep }) => onnx.ArgMax(x, { axis, keepdims: keep }),
  samples: [...samples, { inputs: { x: ndArray([2, 4], [1, 3, 3, 0, -1, -1, -1, -1]) } }],
});

export const cumsum: Op = defineOp({
  name: 'cumsum',
  doc: 'The running sum along an axis, each element included in its own.',
  inputs: ['x'],
  attrs: { axis: { kind: 'int', default: -1 } },
  type: ({ x }, { axis }) => {
    needNumber('cumsum', x);
    needAxes('cumsum', x, 1);
    axisOf(x, axis);
    return x;
  },
  eval: ({ x }, { axis }) => {
    const length = x.dims.at(axis) ?? 1;
    return mapLanes(x, axis, length, (lane) => {
      let total = 0;
      return lane.map((value) => (total += value));
    });
  },
  grad: (_, { axis }, { dy }, build) => {
    const g = only(dy);
    const before = build.one(sub, [build.one(cumsum, [g], { axis }), g]);
    return { x: build.one(sub, [build.one(sum, [g], { axis, keep: true }), before]) };
  },
  lower: ({ x }, onnx, { axis }) => onnx.CumSum(x, onnx.scalar(axis, 'i64')),
  samples: [{ inputs: { x: [2, 3] } }, { inputs: { x: [2, 3, 2] }, attrs: { axis: 1 } }, { inputs: { x: [2, 3, 2] }, attrs: { axis: -3 } }],
});

const softSamples: readonly Sample[] = [{ inputs: { x: [2, 5] } }, { inputs: { x: [2, 3, 4] }, attrs: { axis: 1 } }, { inputs: { x: [4] }, range: [-30, 30] }];
const oneAxis = { axis: { kind: 'int', default: -1 } } as const;

function alongType(name: string, x: TensorType, axis: number): TensorType {
  needFloat(name, x);
  needAxes(name, x, 1);
  axisOf(x, axis);
  return x;
}

export const softmax: Op = defineOp({
  name: 'softmax',
  doc: 'e^x over its sum along an axis, so that the numbers add up to 1.',
  inputs: ['x'],
  attrs: oneAxis,
  type: ({ x }, { axis }) => alongType('softmax', x, axis),
  eval: ({ x }, { axis }) => mapLanes(x, axis, x.dims.at(axis) ?? 1, softmaxOf),
  grad: (_, { axis }, { y, dy }, build) => {
    const p = nth(y, 0);
    const mixed = build.one(sum, [build.one(mul, [only(dy), p])], { axis, keep: true });
    return { x: build.one(mul, [p, build.one(sub, [only(dy), mixed])]) };
  },
  lower: ({ x }, onnx, { axis }) => onnx.Softmax(x, { axis }),
  samples: softSamples,
});

export const log_softmax: Op = defineOp({
  name: 'log_softmax',
  doc: 'The logarithm of softmax along an axis, computed without leaving the range of floats.',
  inputs: ['x'],
  attrs: oneAxis,
  type: ({ x }, { axis }) => alongType('log_softmax', x, axis),
  eval: ({ x }, { axis }) =>
    mapLanes(x, axis, x.dims.at(axis) ?? 1, (lane) => {
      const top = lane.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
      const total = Math.log(lane.reduce((all, value) => all + Math.exp(value - top), 0)) + top;
      return lane.map((value) => value - total);
    }),
  grad: (_, { axis }, { y, dy }, build) => {
    const total = build.one(sum, [only(dy)], { axis, keep: true });
    return { x: build.one(sub, [only(dy), build.one(mul, [build.one(exp, [nth(y, 0)]), total])]) };
  },
  lower: ({ x }, onnx, { axis }) => onnx.LogSoftmax(x, { axis }),
  samples: softSamples,
});

export const cv2: Op = defineOp({
  name: 'cv2',
  doc: 'The squared coefficient of variation along the last axis, variance / mean². The variance is that of a sample (n - 1), 1e-10 keeps the division finite: the balance loss of Shazeer et al. 2017.',
  inputs: ['x'],
  type: ({ x }) => {
    needFloat('cv2', x);
    needAxes('cv2', x, 1);
    return { dtype: x.dtype, dims: x.dims.slice(0, -1) };
  },
  eval: ({ x }) =>
    reshaped(
      mapLanes(x, -1, 1, (lane) => {
        const mid = lane.reduce((a, b) => a + b, 0) / lane.length;
        const spread = lane.reduce((a, b) => a + (b - mid) ** 2, 0) / Math.max(lane.length - 1, 1);
        return [spread / (mid * mid + 1e-10)];
      }),
      x.dims.slice(0, -1),
    ),
  grad: ({ x }, _, { y, dy }, build) => {
    const { dims, dtype } = typeOf(x);
    const n = sizeAs(build, dims.at(-1) ?? dim(1), dtype);
    const one = build.constant(ndArray([], [1], dtype));
    const last = (value: Value): Value => build.one(unsqueeze, [value], { axis: -1 });
    const mid = build.one(mean, [x], { axis: -1, keep: true });
    const square = build.one(add, [build.one(mul, [mid, mid]), build.constant(ndArray([], [1e-10], dtype))]);
    const away = build.one(div, [build.one(sub, [x, mid]), build.one(sub, [n, one])]);
    const along = build.one(div, [build.one(mul, [last(nth(y, 0)), mid]), n]);
    const slope = build.one(div, [build.one(sub, [away, along]), square]);
    const twice = build.one(add, [slope, slope]);
    return { x: build.one(mul, [last(only(dy)), twice]) };
  },
  lower: ({ x }, onnx) => {
    const { dims, dtype } = typeOf(x);
    const last = onnx.ints([-1]);
    const mid = onnx.ReduceMean(x, last, { keepdims: true });
    const away = onnx.Sub(x, mid);
    const n = onnx.ReduceSum(onnx.Expand(onnx.scalar(1, dtype), onnx.shape(dims)), last, { keepdims: false });
    const spread = onnx.Div(onnx.ReduceSum(onnx.Mul(away, away), last, { keepdims: false }), onnx.Max(onnx.Sub(n, onnx.scalar(1, dtype)), onnx.scalar(1, dtype)));
    const flat = onnx.Squeeze(mid, last);
    return onnx.Div(spread, onnx.Add(onnx.Mul(flat, flat), onnx.scalar(1e-10, dtype)));
  },
  samples: [
    { inputs: { x: [2, 5] }, range: [0.5, 2] },
    { inputs: { x: [4] }, range: [0.5, 2] },
  ],
});
