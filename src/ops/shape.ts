/** Ops that keep every element and change where it stands: reshape, transpose, join, split, slice, repeat. */

import { constant, type Dim, dim, multiply, product, same, show, subtract } from '../graph/dim.ts';
import { fail } from '../graph/fail.ts';
import { ndArray } from '../graph/nd-array.ts';
import { defineOp, type Op } from '../graph/op.ts';
import { spell, spellType, type TensorType } from '../graph/type.ts';
import { expand, permuted, reshaped, sliced, transposed } from './arrays.ts';
import { counted, numbersBelow } from './counting.ts';
import { only, sumTo, typeOf, zeros } from './gradients.ts';
import { concat } from './join.ts';
import { sum } from './reduce.ts';
import { axisOf, meet, needAxes, rowAxis, spellDims, spellValue } from './rules.ts';

export const reshape: Op = defineOp({
  name: 'reshape',
  doc: 'The same elements in the same order under other dims.',
  inputs: ['x'],
  attrs: { dims: { kind: 'dims' } },
  type: ({ x }, { dims }) => {
    const [a, b] = [product(x.dims), product(dims)];
    if (!same(a, b)) fail('element-count-differs', { from: spellType(x), to: spellDims(dims), a: show(a), b: show(b) }, 'x');
    return { dtype: x.dtype, dims };
  },
  eval: ({ x }, { dims }, { sizes }) =>
    reshaped(
      x,
      dims.map((size) => sizes.of(size)),
    ),
  grad: ({ x }, _, { dy }, build) => ({ x: build.one(reshape, [only(dy)], { dims: typeOf(x).dims }) }),
  lower: ({ x }, onnx, { dims }) => onnx.Reshape(x, onnx.shape(dims)),
  samples: [
    { inputs: { x: [2, 6] }, attrs: { dims: [dim(3), dim(4)] } },
    { inputs: { x: [2, 3, 4] }, attrs: { dims: [dim(24)] } },
    { inputs: { x: [1] }, attrs: { dims: [] } },
  ],
});

export const transpose: Op = defineOp({
  name: 'transpose',
  call: null,
  doc: 'The last two axes exchanged, `x.T`.',
  inputs: ['x'],
  type: ({ x }) => {
    needAxes('`.T`', x, 2);
    return { dtype: x.dtype, dims: [...x.dims.slice(0, -2), ...x.dims.slice(-1), ...x.dims.slice(-2, -1)] };
  },
  eval: ({ x }) => transposed(x),
  grad: (_, __, { dy }, build) => ({ x: build.one(transpose, [only(dy)]) }),
  lower: ({ x }, onnx) => {
    const axes = typeOf(x).dims.map((_, i) => i);
    return onnx.Transpose(x, { perm: [...axes.slice(0, -2), axes.length - 1, axes.length - 2] });
  },
  samples: [{ inputs: { x: [2, 3] } }, { inputs: { x: [2, 3, 4] } }],
});

const inverse = (order: readonly number[]): readonly number[] => order.map((_, i) => order.indexOf(i));

export const permute: Op = defineOp({
  name: 'permute',
  doc: 'The axes in another order: axis i of the result is axis order[i] of x.',
  inputs: ['x'],
  attrs: { order: { kind: 'ints' } },
  type: ({ x }, { order }) => {
    const rank = x.dims.length;
    if (order.length !== rank || x.dims.some((_, i) => !order.includes(i))) fail('not-a-permutation', { order: order.join(', '), rank, type: spellType(x) }, 'x');
    return { dtype: x.dtype, dims: order.flatMap((axis) => x.dims[axis] ?? []) };
  },
  eval: ({ x }, { order }) => permuted(x, order),
  grad: (_, { order }, { dy }, build) => ({ x: build.one(permute, [only(dy)], { order: inverse(order) }) }),
  lower: ({ x }, onnx, { order }) => onnx.Transpose(x, { perm: order }),
  samples: [
    { inputs: { x: [2, 3, 4] }, attrs: { order: [2, 0, 1] } },
    { inputs: { x: [2, 3, 4, 1] }, attrs: { order: [0, 2, 1, 3] } },
  ],
});

export const unsqueeze: Op = defineOp({
  name: 'unsqueeze',
  call: null,
  doc: 'A new axis of size 1: `x[.., new]`. The axis is counted in the result.',
  inputs: ['x'],
  attrs: { axis: { kind: 'int' } },
  type: ({ x }, { axis }) => {
    const at = newAxis(x, axis);
    return { dtype: x.dtype, dims: [...x.dims.slice(0, at), dim(1), ...x.dims.slice(at)] };
  },
  eval: ({ x }, { axis }) => {
    const at = axis < 0 ? axis + x.dims.length + 1 : axis;
    return reshaped(x, [...x.dims.slice(0, at), 1, ...x.dims.slice(at)]);
  },
  grad: (_, { axis }, { dy }, build) => ({ x: build.one(squeeze, [only(dy)], { axis }) }),
  lower: ({ x }, onnx, { axis }) => onnx.Unsqueeze(x, onnx.ints([axis])),
  samples: [
    { inputs: { x: [2, 3] }, attrs: { axis: -1 } },
    { inputs: { x: [2, 3] }, attrs: { axis: 0 } },
    { inputs: { x: [] }, attrs: { axis: 0 } },
    { inputs: { x: [2, 3] }, attrs: { axis: -2 } },
  ],
});

function newAxis(x: TensorType, axis: number): number {
  const rank = x.dims.length + 1;
  if (!Number.isInteger(axis) || axis < -rank || axis >= rank) fail('no-such-axis', { type: spellType(x), axis }, 'x');
  return axis < 0 ? axis + rank : axis;
}

export const squeeze: Op = defineOp({
  name: 'squeeze',
  call: null,
  doc: 'Drops an axis of size 1; after a slice it is an index: `h[0.., 0]`.',
  inputs: ['x'],
  attrs: { axis: { kind: 'int' } },
  type: ({ x }, { axis }) => {
    const at = axisOf(x, axis);
    const size = x.dims[at] ?? dim(1);
    if (constant(size) !== 1) fail('axis-is-not-one', { axis, type: spellType(x), size: spellValue(size) }, 'x');
    return { dtype: x.dtype, dims: x.dims.filter((_, i) => i !== at) };
  },
  eval: ({ x }, { axis }) => {
    const at = axis < 0 ? axis + x.dims.length : axis;
    return reshaped(
      x,
      x.dims.filter((_, i) => i !== at),
    );
  },
  grad: (_, { axis }, { dy }, build) => ({ x: build.one(unsqueeze, [only(dy)], { axis }) }),
  lower: ({ x }, onnx, { axis }) => onnx.Squeeze(x, onnx.ints([axis])),
  samples: [
    { inputs: { x: [2, 1, 3] }, attrs: { axis: 1 } },
    { inputs: { x: [2, 1] }, attrs: { axis: -1 } },
  ],
});

export const slice: Op = defineOp({
  name: 'slice',
  call: null,
  doc: 'Elements from..to of one axis, half-open: `x[0.., from..to]`.',
  inputs: ['x'],
  attrs: { axis: { kind: 'int' }, from: { kind: 'dim' }, to: { kind: 'dim' } },
  type: ({ x }, { axis, from, to }) => {
    const at = axisOf(x, axis);
    const size = x.dims[at] ?? dim(1);
    if (!inRange(from, to, size)) fail('slice-out-of-range', { from: spell(from), to: spell(to), size: spellValue(size) }, 'x');
    return { dtype: x.dtype, dims: x.dims.map((old, i) => (i === at ? (constant(from) === 0 && same(to, old) ? old : subtract(to, from)) : old)) };
  },
  eval: ({ x }, { axis, from, to }, { sizes }) => sliced(x, axis < 0 ? axis + x.dims.length : axis, sizes.of(from), sizes.of(to)),
  grad: ({ x }, { axis, from, to }, { dy }, build) => {
    const { dims, dtype } = typeOf(x);
    const at = axisOf(typeOf(x), axis);
    const size = dims[at] ?? dim(1);
    const pad = (width: Dim) =>
      constant(width) === 0
        ? []
        : [
            zeros(
              build,
              dtype,
              dims.map((old, i) => (i === at ? width : old)),
            ),
          ];
    return { x: build.one(concat, [...pad(from), only(dy), ...pad(subtract(size, to))], { axis: at }) };
  },
  lower: ({ x }, onnx, { axis, from, to }) => onnx.Slice(x, onnx.shape([from]), onnx.shape([to]), onnx.ints([axis])),
  samples: [
    { inputs: { x: [2, 5] }, attrs: { axis: -1, from: dim(1), to: dim(4) } },
    { inputs: { x: [4, 3, 2] }, attrs: { axis: 0, from: dim(3), to: dim(4) } },
    { inputs: { x: [4, 3, 2] }, attrs: { axis: 1, from: dim(0), to: dim(3) } },
  ],
});

/** Whether a range may lie in the axis: what is known must not contradict. */
function inRange(from: Dim, to: Dim, size: Dim): boolean {
  const [start, end, length] = [constant(from), constant(to), constant(size)];
  const [kept, left] = [constant(subtract(to, from)), constant(subtract(size, to))];
  return (start ?? 0) >= 0 && (end ?? 0) >= 0 && (kept ?? 0) >= 0 && (left ?? 0) >= 0 && (length === undefined || (start ?? 0) <= length);
}

export const broadcast: Op = defineOp({
  name: 'broadcast',
  doc: 'x repeated to these dims: axes are added in front, axes of size 1 repeated.',
  inputs: ['x'],
  attrs: { dims: { kind: 'dims' } },
  type: ({ x }, { dims }) => {
    const front = dims.length - x.dims.length;
    const fits =
      front >= 0 &&
      x.dims.every((size, i) => {
        const target = dims[i + front];
        const met = target && meet(size, target);
        return met !== undefined && same(met, target ?? -1);
      });
    if (!fits) fail('cannot-broadcast', { from: spellType(x), to: spellDims(dims) }, 'x');
    return { dtype: x.dtype, dims };
  },
  eval: ({ x }, { dims }, { sizes }) =>
    expand(
      x,
      dims.map((size) => sizes.of(size)),
    ),
  grad: ({ x }, _, { dy }, build) => ({ x: sumTo(build, only(dy), x) }),
  lower: ({ x }, onnx, { dims }) => onnx.Expand(x, onnx.shape(dims)),
  samples: [
    { inputs: { x: [3] }, attrs: { dims: [dim(2), dim(3)] } },
    { inputs: { x: [2, 1, 3] }, attrs: { dims: [dim(4), dim(2), dim(5), dim(3)] } },
    { inputs: { x: [] }, attrs: { dims: [dim(2)] } },
  ],
});

export const repeat_axis: Op = defineOp({
  name: 'repeat_axis',
  doc: 'The whole axis n times over, a b a b for a b and 2. An axis of size 1 becomes n copies of its element.',
  inputs: ['x'],
  attrs: { n: { kind: 'dim' }, axis: { kind: 'int', default: -1 } },
  type: ({ x }, { n, axis }) => {
    const at = axisOf(x, axis);
    return { dtype: x.dtype, dims: x.dims.map((size, i) => (i === at ? (constant(size) === 1 ? n : multiply(size, n)) : size)) };
  },
  eval: ({ x }, { n, axis }, { sizes }) => {
    const at = axis < 0 ? axis + x.dims.length : axis;
    const [front, back, times] = [x.dims.slice(0, at), x.dims.slice(at), sizes.of(n)];
    const tiled = expand(reshaped(x, [...front, 1, ...back]), [...front, times, ...back]);
    return reshaped(
      tiled,
      x.dims.map((size, i) => (i === at ? size * times : size)),
    );
  },
  grad: ({ x }, { n, axis }, { dy }, build) => {
    const { dims } = typeOf(x);
    const at = axisOf(typeOf(x), axis);
    const apart = build.one(reshape, [only(dy)], { dims: [...dims.slice(0, at), n, ...dims.slice(at)] });
    return { x: build.one(sum, [apart], { axis: at, keep: false }) };
  },
  lower: ({ x }, onnx, { n, axis }) => {
    const { dims } = typeOf(x);
    const at = axisOf(typeOf(x), axis);
    const spread = constant(dims[at] ?? dim(1)) === 1;
    return spread ? onnx.Expand(x, onnx.shape(dims.map((_, i) => (i === at ? n : dim(1))))) : onnx.Tile(x, onnx.shape(dims.map((_, i) => (i === at ? n : dim(1)))));
  },
  samples: [
    { inputs: { x: [2, 1, 3] }, attrs: { n: dim(4), axis: 1 } },
    { inputs: { x: [2, 3] }, attrs: { n: dim(2), axis: 0 } },
    { inputs: { x: [2, 3] }, attrs: { n: dim(3), axis: -1 } },
  ],
});

export const range: Op = defineOp({
  name: 'range',
  doc: 'The numbers 0, 1, … n - 1 as i64[n]. In a model that steps, what counts positions is `positions`.',
  inputs: [],
  attrs: { n: { kind: 'dim' } },
  type: (_, { n }) => ({ dtype: 'i64', dims: [n] }),
  eval: (_, { n }, { sizes }) => counted(sizes.of(n)),
  grad: 'none',
  lower: (_, onnx, { n }) => numbersBelow(onnx, n),
  samples: [{ inputs: {}, attrs: { n: dim(5) } }],
});

export const positions: Op = defineOp({
  name: 'positions',
  doc: 'The position of each row as i64[n]: 0, 1, … over a whole sequence; in a step, from the length of what came before.',
  inputs: [],
  attrs: { n: { kind: 'dim' } },
  type: (_, { n }) => ({ dtype: 'i64', dims: [n] }),
  eval: (_, { n }, { sizes }) => counted(sizes.of(n)),
  grad: 'none',
  lower: (_, onnx, { n }) => numbersBelow(onnx, n),
  samples: [{ inputs: {}, attrs: { n: dim(5) } }],
});

export const size: Op = defineOp({
  name: 'size',
  call: null,
  doc: 'A size as an i64 without axes.',
  inputs: [],
  attrs: { n: { kind: 'dim' } },
  type: () => ({ dtype: 'i64', dims: [] }),
  eval: (_, { n }, { sizes }) => ndArray([], [sizes.of(n)], 'i64'),
  grad: 'none',
  lower: (_, onnx, { n }) => onnx.size(n),
  samples: [{ inputs: {}, attrs: { n: dim(5) } }],
});

export const cache: Op = defineOp({
  name: 'cache',
  doc: 'x itself; in a step, every row of x so far. Rows stand on axis -2 (of a vector: on its only axis); `path` names what is kept.',
  inputs: ['x'],
  attrs: { axis: { kind: 'int', default: -2 }, path: { kind: 'string', default: '' } },
  type: ({ x }, { axis }) => {
    needAxes('cache', x, 1);
    rowAxis(x, axis);
    return x;
  },
  eval: ({ x }) => x,
  grad: (_, __, { dy }) => ({ x: only(dy) }),
  lower: ({ x }, onnx) => onnx.Identity(x),
  samples: [{ inputs: { x: [2, 3] } }, { inputs: { x: [4] } }, { inputs: { x: [2, 3, 4] }, attrs: { axis: 1, path: 'blocks.0.attn.k' } }],
});
