/** Rows of the table that raises nodes of ONNX: products, norms, sums along axes, softmax. */

import type { Value } from '../../graph/graph.ts';
import type { Op } from '../../graph/op.ts';
import { sqrt } from '../../ops/activations.ts';
import { add, mul } from '../../ops/elementwise.ts';
import { matmul } from '../../ops/matmul.ts';
import { layer_norm, rms_norm } from '../../ops/norm.ts';
import { argmax, cumsum, log_softmax, max, mean, min, softmax, sum } from '../../ops/reduce.ts';
import { transpose } from '../../ops/shape.ts';
import { type Call, stay } from './call.ts';
import type { Raise } from './raise.ts';
import { counted } from './shapes.ts';

/** α · A' · B' + β · C. */
const gemm: Raise = (call) => {
  const turned = (i: number, flag: string): Value => (call.int(flag, 0) === 0 ? call.value(i) : call.one(transpose, [call.value(i)]));
  const [alpha, beta] = [call.float('alpha', 1), call.float('beta', 1)];
  const times = (x: Value, factor: number): Value => (factor === 1 ? x : call.one(mul, [x, call.like(x, factor)]));
  const product = call.one(matmul, [turned(0, 'transA'), turned(1, 'transB')]);
  const bias = call.has(2) && beta !== 0 ? times(call.value(2), beta) : undefined;
  return [bias ? call.one(add, [times(product, alpha), bias]) : times(product, alpha)];
};

/** α · A' · B', the last two axes of either turned on request. */
const fusedProduct: Raise = (call) => {
  if (call.int('transBatchA', 0) !== 0 || call.int('transBatchB', 0) !== 0) return stay();
  const turned = (i: number, flag: string): Value => (call.int(flag, 0) === 0 ? call.value(i) : call.one(transpose, [call.value(i)]));
  const product = call.one(matmul, [turned(0, 'transA'), turned(1, 'transB')]);
  const alpha = call.float('alpha', 1);
  return [alpha === 1 ? product : call.one(mul, [product, call.like(product, alpha)])];
};

/** `bsk,kn->bsn`, with `nk` in the middle, and with the letters in front on both sides: a product of matrices. */
const einsum: Raise = (call) => {
  const [, a = '', k = '', b = '', p = '', q = '', y = '', n = ''] = /^(.*)(\w),(.*)(\w)(\w)->(.*)(\w)$/.exec(call.text('equation', '').replaceAll(' ', '')) ?? [];
  const turned = q === k;
  const lead = b === '' || b === a.slice(0, -1);
  const letters = a.replace('...', '') + k + n;
  if (a !== y || !lead || k === '' || n !== (turned ? p : q) || k !== (turned ? q : p) || new Set(letters).size !== letters.length || call.values().length !== 2) return stay();
  if (b === '' && a === '') return stay();
  return [call.one(matmul, [call.value(0), turned ? call.one(transpose, [call.value(1)]) : call.value(1)])];
};

interface Along {
  readonly op: Op;
  readonly before?: (call: Call, x: Value) => Value;
  readonly after?: (call: Call, x: Value) => Value;
}

/** Along several axes, one after another. */
const reduced =
  ({ op, before, after }: Along): Raise =>
  (call) => {
    const { dims } = call.type(0);
    const given = call.has(1) ? call.integers(1) : [];
    if (given.length === 0 && call.int('noop_with_empty_axes', 0) !== 0) return stay();
    const axes = (given.length > 0 ? given : dims.map((_, i) => i)).map((axis) => counted(axis, dims.length)).sort((a, b) => b - a);
    const keep = call.int('keepdims', 1) !== 0;
    const start = before ? before(call, call.value(0)) : call.value(0);
    const end = axes.reduce((x, axis) => call.one(op, [x], { axis, keep }), start);
    return [after ? after(call, end) : end];
  };

const squared = (call: Call, x: Value): Value => call.one(mul, [x, x]);

const along =
  (op: Op): Raise =>
  (call) => [call.one(op, [call.value(0)], { axis: call.int('axis', -1) })];

/** A norm over the last axis. */
const normed =
  (op: Op): Raise =>
  (call) => {
    const { dims } = call.type(0);
    if (call.node.outputs.length > 1 || counted(call.int('axis', -1), dims.length) !== dims.length - 1) return stay();
    return [call.one(op, call.values(), { eps: call.float('epsilon', 1e-5) })];
  };

const argmaxed: Raise = (call) => {
  if (call.int('select_last_index', 0) !== 0) return stay();
  return [call.one(argmax, [call.value(0)], { axis: call.int('axis', 0), keep: call.int('keepdims', 1) !== 0 })];
};

const summedUp: Raise = (call) => {
  if (call.int('exclusive', 0) !== 0 || call.int('reverse', 0) !== 0) return stay();
  return [call.one(cumsum, [call.value(0)], { axis: call.number(1) ?? stay() })];
};

/** By the name of the op; those of other domains with their domain in front. */
export const linearRows: Readonly<Record<string, Raise>> = {
  ArgMax: argmaxed,
  CumSum: summedUp,
  Einsum: einsum,
  Gemm: gemm,
  LayerNormalization: normed(layer_norm),
  LogSoftmax: along(log_softmax),
  MatMul: (call) => [call.one(matmul, [call.value(0), call.value(1)])],
  RMSNormalization: normed(rms_norm),
  ReduceL2: reduced({ op: sum, before: squared, after: (call, x) => call.one(sqrt, [x]) }),
  ReduceMax: reduced({ op: max }),
  ReduceMean: reduced({ op: mean }),
  ReduceMin: reduced({ op: min }),
  ReduceSum: reduced({ op: sum }),
  ReduceSumSquare: reduced({ op: sum, before: squared }),
  SimplifiedLayerNormalization: normed(rms_norm),
  Softmax: along(softmax),
  'com.microsoft.FusedMatMul': fusedProduct,
};
