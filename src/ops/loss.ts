/** Losses of training. */

import { dim, product, same } from '../graph/dim.ts';
import { fail } from '../graph/fail.ts';
import type { Value } from '../graph/graph.ts';
import { type NdArray, ndArray, scalar } from '../graph/nd-array.ts';
import { type Builder, defineOp, type Op } from '../graph/op.ts';
import { spellType } from '../graph/type.ts';
import { add, cast, div, maximum, mul, ne, sub } from './elementwise.ts';
import { one_hot } from './gather.ts';
import { number, only, sizeAs, typeOf } from './gradients.ts';
import { onnxTypes } from './onnx-types.ts';
import { softmax as softmaxOp, sum } from './reduce.ts';
import { needAxes, needFloat, needIndices } from './rules.ts';
import { reshape, unsqueeze } from './shape.ts';

function lossOf(logits: NdArray, labels: NdArray, smoothing: number, ignore: number): number {
  const v = logits.dims.at(-1) ?? 1;
  let [total, counted] = [0, 0];
  labels.data.forEach((label, i) => {
    if (label === ignore) return;
    const row = logits.data.subarray(i * v, (i + 1) * v);
    const top = row.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
    const norm = Math.log(row.reduce((all, value) => all + Math.exp(value - top), 0)) + top;
    const average = row.reduce((all, value) => all + value, 0) / v;
    total += norm - (1 - smoothing) * (row[label] ?? 0) - smoothing * average;
    counted += 1;
  });
  return total / Math.max(counted, 1);
}

export const cross_entropy: Op = defineOp({
  name: 'cross_entropy',
  doc: 'The mean of -log softmax(logits)[label]: logits [.., V], labels i64[..] to a number. Labels equal to `ignore` do not count. `smoothing: s` gives the label 1 - s and spreads s over all V.',
  inputs: ['logits', 'labels'],
  attrs: { smoothing: { kind: 'float', default: 0 }, ignore: { kind: 'int', default: -100 } },
  type: ({ logits, labels }, { smoothing }) => {
    needFloat('cross_entropy', logits, 'logits');
    needAxes('cross_entropy', logits, 1, 'logits');
    needIndices('cross_entropy', labels, 'labels');
    const fits = labels.dims.length === logits.dims.length - 1 && labels.dims.every((size, i) => same(size, logits.dims[i] ?? -1));
    if (!fits) fail('leading-axes-differ', { op: 'cross_entropy', indices: spellType(labels), type: spellType(logits) }, 'labels');
    if (!(smoothing >= 0 && smoothing < 1)) fail('setting-out-of-range', { setting: 'smoothing', range: 'at least 0 and below 1', found: smoothing }, 'logits');
    return { dtype: logits.dtype, dims: [] };
  },
  eval: ({ logits, labels }, { smoothing, ignore }) => scalar(lossOf(logits, labels, smoothing, ignore), logits.dtype),
  grad: ({ logits, labels }, { smoothing, ignore }, { dy }, build) => ({ logits: gradient(logits, labels, smoothing, ignore, only(dy), build) }),
  lower: ({ logits, labels }, onnx, { smoothing, ignore }) => {
    const { dtype } = typeOf(logits);
    const to = { to: onnxTypes[dtype] };
    const last = onnx.ints([-1]);
    const counts = onnx.Not(onnx.Equal(labels, onnx.scalar(ignore, typeOf(labels).dtype)));
    const safe = onnx.Where(counts, labels, onnx.scalar(0, typeOf(labels).dtype));
    const logs = onnx.LogSoftmax(logits, { axis: -1 });
    const picked = onnx.Squeeze(onnx.GatherElements(logs, onnx.Unsqueeze(safe, last), { axis: typeOf(labels).dims.length }), last);
    const smooth = onnx.Add(onnx.Mul(picked, onnx.scalar(1 - smoothing, dtype)), onnx.Mul(onnx.ReduceMean(logs, last, { keepdims: false }), onnx.scalar(smoothing, dtype)));
    const weights = onnx.Cast(counts, to);
    const total = onnx.ReduceSum(onnx.Mul(smoothing === 0 ? picked : smooth, weights), { keepdims: false });
    return onnx.Neg(onnx.Div(total, onnx.Max(onnx.ReduceSum(weights, { keepdims: false }), onnx.scalar(1, dtype))));
  },
  samples: [
    { inputs: { logits: [3, 5], labels: ndArray([3], [4, 0, 2], 'i64') } },
    { inputs: { logits: [2, 2, 4], labels: ndArray([2, 2], [3, -100, 0, 1], 'i64') }, attrs: { smoothing: 0.1 } },
    { inputs: { logits: [2, 3], labels: ndArray([2], [-100, -100], 'i64') } },
  ],
});

/** (softmax − target) / counted, zero where the label does not count. */
function gradient(logits: Value, labels: Value, smoothing: number, ignore: number, dy: Value, build: Builder): Value {
  const { dims, dtype } = typeOf(logits);
  const v = dims.at(-1) ?? dim(1);
  const counts = build.one(cast, [build.one(ne, [labels, build.constant(scalar(ignore, typeOf(labels).dtype))])], { to: dtype });
  const flat = build.one(reshape, [counts], { dims: [product(dims.slice(0, -1))] });
  const counted = build.one(maximum, [build.one(sum, [flat], { axis: 0, keep: false }), number(build, logits, 1)]);
  const hot = build.one(cast, [build.one(one_hot, [labels], { n: v })], { to: dtype });
  const spread = build.one(div, [number(build, logits, smoothing), sizeAs(build, v, dtype)]);
  const target = build.one(add, [build.one(mul, [hot, number(build, logits, 1 - smoothing)]), spread]);
  const away = build.one(sub, [build.one(softmaxOp, [logits], { axis: -1 }), target]);
  const weights = build.one(unsqueeze, [build.one(div, [counts, counted])], { axis: -1 });
  return build.one(mul, [build.one(mul, [away, weights]), dy]);
}
