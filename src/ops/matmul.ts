/** The matrix product, `a @ b`. */

import { type Dim, dim, product, same } from '../graph/dim.ts';
import { fail } from '../graph/fail.ts';
import type { Value } from '../graph/graph.ts';
import { type Builder, defineOp, type Op } from '../graph/op.ts';
import { spellType, type TensorType } from '../graph/type.ts';
import { matmulOf, reshaped } from './arrays.ts';
import { only, sumTo, typeOf } from './gradients.ts';
import { broadcastDims, needAxes, needFloat, needSameDType } from './rules.ts';
import { reshape, squeeze, transpose, unsqueeze } from './shape.ts';

function dimsOf(a: TensorType, b: TensorType): readonly Dim[] {
  const [inner, other] = [a.dims.at(-1), b.dims.at(-2) ?? b.dims.at(-1)];
  if (!inner || !other || !same(inner, other)) fail('inner-sizes-differ', { left: spellType(a), right: spellType(b) }, 'b', swapped(a, b));
  const lead = broadcastDims('matmul', { ...a, dims: a.dims.slice(0, -2) }, { ...b, dims: b.dims.slice(0, -2) });
  return [...lead, ...a.dims.slice(0, -1).slice(-1), ...(b.dims.length > 1 ? b.dims.slice(-1) : [])];
}

/** The usual slip: the right side is stored the other way around. */
function swapped(a: TensorType, b: TensorType): string | undefined {
  const [inner, last] = [a.dims.at(-1), b.dims.at(-1)];
  return inner && last && b.dims.length > 1 && same(inner, last) ? 'the right side is stored the other way around: add `.T`' : undefined;
}

export const matmul: Op = defineOp({
  name: 'matmul',
  call: null,
  doc: 'The matrix product `a @ b`, [.., M, K] by [.., K, N] to [.., M, N]; leading axes broadcast, and a vector on either side is a row or a column.',
  inputs: ['a', 'b'],
  type: ({ a, b }) => {
    needFloat('matmul', a, 'a');
    needFloat('matmul', b, 'b');
    needSameDType('matmul', a, b);
    needAxes('matmul', a, 1, 'a');
    needAxes('matmul', b, 1, 'b');
    return { dtype: a.dtype, dims: dimsOf(a, b) };
  },
  eval: ({ a, b }) => {
    const y = matmulOf(a.dims.length === 1 ? reshaped(a, [1, ...a.dims]) : a, b.dims.length === 1 ? reshaped(b, [...b.dims, 1]) : b);
    const [m, n] = [y.dims.slice(-2, -1), y.dims.slice(-1)];
    return reshaped(y, [...y.dims.slice(0, -2), ...(a.dims.length === 1 ? [] : m), ...(b.dims.length === 1 ? [] : n)]);
  },
  grad: ({ a, b }, _, { dy }, build) => gradient(a, b, only(dy), build),
  lower: ({ a, b }, onnx) => onnx.MatMul(a, b),
  samples: [
    { inputs: { a: [2, 3], b: [3, 4] } },
    { inputs: { a: [2, 5, 3], b: [3, 4] } },
    { inputs: { a: [2, 1, 4, 3], b: [5, 3, 2] } },
    { inputs: { a: [3], b: [3, 4] } },
    { inputs: { a: [2, 4, 3], b: [3] } },
    { inputs: { a: [3], b: [3] } },
  ],
});

function gradient(a: Value, b: Value, dy: Value, build: Builder): { readonly a: Value; readonly b: Value } {
  const [rankA, rankB] = [typeOf(a).dims.length, typeOf(b).dims.length];
  if (rankA === 1) {
    const wide = gradient(build.one(unsqueeze, [a], { axis: 0 }), b, rankB === 1 ? build.one(unsqueeze, [dy], { axis: 0 }) : build.one(unsqueeze, [dy], { axis: -2 }), build);
    return { a: build.one(squeeze, [wide.a], { axis: 0 }), b: wide.b };
  }
  if (rankB === 1) {
    const wide = gradient(a, build.one(unsqueeze, [b], { axis: -1 }), build.one(unsqueeze, [dy], { axis: -1 }), build);
    return { a: wide.a, b: build.one(squeeze, [wide.b], { axis: -1 }) };
  }
  const da = sumTo(build, build.one(matmul, [dy, build.one(transpose, [b])]), a);
  if (rankB > 2) return { a: da, b: sumTo(build, build.one(matmul, [build.one(transpose, [a]), dy]), b) };
  const [rows, grads] = [flat(build, a), flat(build, dy)];
  return { a: da, b: build.one(matmul, [build.one(transpose, [rows]), grads]) };
}

/** All leading axes as one, so that the gradient of a weight is one product. */
function flat(build: Builder, x: Value): Value {
  const { dims } = typeOf(x);
  const last = dims.at(-1) ?? dim(1);
  return dims.length === 2 ? x : build.one(reshape, [x], { dims: [product(dims.slice(0, -1)), last] });
}
