/** Joining parts along an axis, and cutting an axis into parts. */

import { add, constant, type Dim, dim, same } from '../graph/dim.ts';
import { fail } from '../graph/fail.ts';
import { defineOp, type Op } from '../graph/op.ts';
import { spellType, type TensorType } from '../graph/type.ts';
import { joined, sliced } from './arrays.ts';
import { only, typeOf, zeros } from './gradients.ts';
import { axisOf, needSameDType, spellDims, spellValue, wholeRatio } from './rules.ts';

export const concat: Op = defineOp({
  name: 'concat',
  doc: 'Parts joined along an axis, the last where none is given; every other axis is the same in all.',
  inputs: ['parts*'],
  attrs: { axis: { kind: 'int', default: -1 } },
  type: ({ parts }, { axis }) => {
    const [first, ...others] = parts;
    if (!first) return fail('nothing-to-join', {}, 'parts');
    const at = axisOf(first, axis);
    for (const other of others) meetParts(first, other, at);
    const total = others.reduce((all, { dims }) => add(all, dims[at] ?? 0), first.dims[at] ?? dim(0));
    return { dtype: first.dtype, dims: first.dims.map((size, i) => (i === at ? total : size)) };
  },
  eval: ({ parts }, { axis }) => joined(parts, axis < 0 ? axis + (parts[0]?.dims.length ?? 0) : axis),
  grad: ({ parts }, { axis }, { dy }, build) => {
    const first = typeOf(only(parts));
    const at = axisOf(first, axis);
    if (parts.length === 1) return { parts: [only(dy)] };
    return { parts: build.add(split, [only(dy)], { axis: at, sizes: parts.map((part) => typeOf(part).dims[at] ?? dim(0)) }) };
  },
  lower: ({ parts }, onnx, { axis }) => onnx.Concat(...parts, { axis }),
  samples: [
    {
      inputs: {
        parts: [
          [2, 3],
          [2, 1],
        ],
      },
    },
    {
      inputs: {
        parts: [
          [2, 3],
          [1, 3],
          [3, 3],
        ],
      },
      attrs: { axis: 0 },
    },
    {
      inputs: {
        parts: [
          [2, 2, 3],
          [2, 1, 3],
        ],
      },
      attrs: { axis: -2 },
    },
    { inputs: { parts: [[2, 3]] } },
  ],
});

function meetParts(first: TensorType, other: TensorType, axis: number): void {
  needSameDType('concat', first, other, 'parts');
  if (first.dims.length !== other.dims.length) fail('ranks-differ', { op: 'concat', left: spellType(first), right: spellType(other) }, 'parts');
  first.dims.forEach((size, i) => {
    const there = other.dims[i] ?? dim(0);
    if (i !== axis && !same(size, there))
      fail('sizes-differ', { op: 'concat', left: spellType(first), right: spellType(other), a: spellValue(size), b: spellValue(there) }, 'parts');
  });
}

/** The sizes of the parts of a `split`. */
function partsOf(x: TensorType, axis: number, count: number | undefined, sizes: readonly Dim[] | undefined): readonly Dim[] {
  const whole = x.dims[axisOf(x, axis)] ?? dim(1);
  if (sizes && sizes.length > 0 && count === undefined) {
    const sum = sizes.reduce((all, size) => add(all, size), dim(0));
    if (!same(sum, whole)) fail('split-sizes-wrong', { sizes: spellDims(sizes), sum: spellValue(sum), size: spellValue(whole) }, 'x');
    return sizes;
  }
  if (count === undefined || sizes !== undefined || !Number.isInteger(count) || count < 1) return fail('split-needs-parts', {}, 'x');
  const part = wholeRatio(whole, dim(count));
  if (!part) return fail('does-not-divide', { size: spellValue(whole), parts: `${count} equal parts` }, 'x', 'give the sizes as a list');
  return Array.from({ length: count }, () => part);
}

export const split: Op = defineOp({
  name: 'split',
  doc: 'An axis cut into parts, one result each: a number of equal parts, `split(x, 3)`, or a list of sizes, `split(x, [W, R])`. The last axis where none is given.',
  inputs: ['x'],
  outputs: ['parts*'],
  attrs: { count: { kind: 'int', optional: true }, sizes: { kind: 'dims', optional: true }, axis: { kind: 'int', default: -1 } },
  type: ({ x }, { count, sizes, axis }) => {
    const at = axisOf(x, axis);
    return partsOf(x, axis, count, sizes).map((part) => ({ dtype: x.dtype, dims: x.dims.map((size, i) => (i === at ? part : size)) }));
  },
  eval: ({ x }, { count, sizes, axis }, context) => {
    const at = axis < 0 ? axis + x.dims.length : axis;
    const whole = x.dims[at] ?? 0;
    let start = 0;
    return (sizes?.map((size) => context.sizes.of(size)) ?? Array.from({ length: count ?? 1 }, () => whole / (count ?? 1))).map((size) => {
      start += size;
      return sliced(x, at, start - size, start);
    });
  },
  grad: ({ x }, { axis }, { y, dy }, build) => {
    const at = axisOf(typeOf(x), axis);
    const parts = y.map((part, i) => dy[i] ?? zeros(build, typeOf(part).dtype, typeOf(part).dims));
    return { x: build.one(concat, parts, { axis: at }) };
  },
  lower: ({ x }, onnx, { axis }, results) => {
    const { dims } = typeOf(x);
    const at = axisOf(typeOf(x), axis);
    const parts = results.map((result) => typeOf(result).dims[at] ?? dim(0));
    if (results.length === 1) return onnx.Identity(x);
    const equal = constant(dims[at] ?? dim(0)) !== undefined && parts.every((part) => same(part, parts[0] ?? 0));
    return equal ? onnx.all('Split', [x], { axis: at, num_outputs: parts.length }, parts.length) : onnx.all('Split', [x, onnx.shape(parts)], { axis: at }, parts.length);
  },
  samples: [
    { inputs: { x: [2, 6] }, attrs: { count: 3 } },
    { inputs: { x: [2, 5] }, attrs: { sizes: [dim(1), dim(4)] } },
    { inputs: { x: [6, 2, 2] }, attrs: { count: 2, axis: 0 } },
    { inputs: { x: [2, 4, 3] }, attrs: { sizes: [dim(2), dim(1), dim(1)], axis: -2 } },
  ],
});
