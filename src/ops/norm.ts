/** Norms as single ops. Authors write them with primitives; the pass `recognise-norms` folds those into these. */

import { same } from '../graph/dim.ts';
import { fail } from '../graph/fail.ts';
import type { Value } from '../graph/graph.ts';
import { float } from '../graph/onnx.ts';
import { type Builder, defineOp, type Op } from '../graph/op.ts';
import { spellType, type TensorType } from '../graph/type.ts';
import { rsqrt } from './activations.ts';
import { mapLanes, zip } from './arrays.ts';
import { add, mul, sub } from './elementwise.ts';
import { number, only, sumTo, typeOf } from './gradients.ts';
import { mean } from './reduce.ts';
import { needAxes, needFloat, needSameDType, spellValue } from './rules.ts';

function needVector(op: string, x: TensorType, vector: TensorType, port: string): void {
  const size = x.dims.at(-1);
  needSameDType(op, x, vector, port);
  const [only, ...others] = vector.dims;
  if (size && (!only || others.length > 0 || !same(only, size))) fail('gain-does-not-fit', { op, port, found: spellType(vector), size: spellValue(size) }, port);
}

const meanOf = (lane: Float64Array): number => lane.reduce((a, b) => a + b, 0) / lane.length;
const lastMean = (build: Builder, x: Value): Value => build.one(mean, [x], { axis: -1, keep: true });

/** x over its root mean square (or deviation, where centred), and the factor that made it so. */
function normalised(build: Builder, x: Value, eps: number): { readonly unit: Value; readonly factor: Value } {
  const square = lastMean(build, build.one(mul, [x, x]));
  const factor = build.one(rsqrt, [build.one(add, [square, number(build, x, eps)])]);
  return { unit: build.one(mul, [x, factor]), factor };
}

export const rms_norm: Op = defineOp({
  name: 'rms_norm',
  call: null,
  doc: 'x over its root mean square along the last axis, times gain: x · gain / √(mean(x²) + eps).',
  inputs: ['x', 'gain'],
  attrs: { eps: { kind: 'float', default: 1e-5 } },
  type: ({ x, gain }) => {
    needFloat('rms_norm', x);
    needAxes('rms_norm', x, 1);
    needVector('rms_norm', x, gain, 'gain');
    return x;
  },
  eval: ({ x, gain }, { eps }) => {
    const unit = mapLanes(x, -1, x.dims.at(-1) ?? 1, (lane) => {
      const root = Math.sqrt(meanOf(lane.map((value) => value * value)) + eps);
      return lane.map((value) => value / root);
    });
    return zip(unit, gain, (a, b) => a * b);
  },
  grad: ({ x, gain }, { eps }, { dy }, build) => {
    const { unit, factor } = normalised(build, x, eps);
    const g = build.one(mul, [only(dy), gain]);
    const along = build.one(mul, [unit, lastMean(build, build.one(mul, [g, unit]))]);
    return { x: build.one(mul, [factor, build.one(sub, [g, along])]), gain: sumTo(build, build.one(mul, [only(dy), unit]), gain) };
  },
  lower: ({ x, gain }, onnx, { eps }) => {
    if (onnx.opset >= 23) return onnx.RMSNormalization(x, gain, { axis: -1, epsilon: float(eps) });
    const { dtype } = typeOf(x);
    const square = onnx.ReduceMean(onnx.Mul(x, x), onnx.ints([-1]), { keepdims: true });
    const root = onnx.Sqrt(onnx.Add(square, onnx.scalar(eps, dtype)));
    return onnx.Mul(onnx.Div(x, root), gain);
  },
  samples: [{ inputs: { x: [2, 3, 4], gain: [4] } }, { inputs: { x: [5], gain: [5] }, attrs: { eps: 1e-2 } }],
});

export const layer_norm: Op = defineOp({
  name: 'layer_norm',
  call: null,
  doc: 'x with mean 0 and deviation 1 along the last axis, times gain plus bias: (x - mean) · gain / √(variance + eps) + bias.',
  inputs: ['x', 'gain', 'bias?'],
  attrs: { eps: { kind: 'float', default: 1e-5 } },
  type: ({ x, gain, bias }) => {
    needFloat('layer_norm', x);
    needAxes('layer_norm', x, 1);
    needVector('layer_norm', x, gain, 'gain');
    if (bias) needVector('layer_norm', x, bias, 'bias');
    return x;
  },
  eval: ({ x, gain, bias }, { eps }) => {
    const unit = mapLanes(x, -1, x.dims.at(-1) ?? 1, (lane) => {
      const centred = lane.map((value) => value - meanOf(lane));
      const root = Math.sqrt(meanOf(centred.map((value) => value * value)) + eps);
      return centred.map((value) => value / root);
    });
    const scaled = zip(unit, gain, (a, b) => a * b);
    return bias ? zip(scaled, bias, (a, b) => a + b) : scaled;
  },
  grad: ({ x, gain, bias }, { eps }, { dy }, build) => {
    const { unit, factor } = normalised(build, build.one(sub, [x, lastMean(build, x)]), eps);
    const g = build.one(mul, [only(dy), gain]);
    const along = build.one(mul, [unit, lastMean(build, build.one(mul, [g, unit]))]);
    const centred = build.one(sub, [build.one(sub, [g, lastMean(build, g)]), along]);
    return {
      x: build.one(mul, [factor, centred]),
      gain: sumTo(build, build.one(mul, [only(dy), unit]), gain),
      bias: bias && sumTo(build, only(dy), bias),
    };
  },
  lower: ({ x, gain, bias }, onnx, { eps }) => onnx.LayerNormalization(x, gain, bias, { axis: -1, epsilon: float(eps) }),
  samples: [{ inputs: { x: [2, 3, 4], gain: [4], bias: [4] } }, { inputs: { x: [2, 4], gain: [4] } }, { inputs: { x: [5], gain: [5], bias: [5] }, attrs: { eps: 1e-2 } }],
});
