/** Types of the results of nodes that stay nodes of ONNX: enough of the standard for what follows them to be raised. */

import { type Dim, dim, constant as sizeOf } from '../../graph/dim.ts';
import type { TensorType } from '../../graph/type.ts';
import { type Call, stay } from './call.ts';
import { shapeTypes } from './shape-types.ts';
import { counted } from './shapes.ts';
import { broadcasted, type Fresh, i64, met, namedType, rows, same, type TypeRule } from './type-rule.ts';
import { windowTypes } from './windows.ts';

const multiplied: TypeRule = (call, fresh) => {
  const [a, b] = [call.type(0), call.type(1)];
  if (a.dims.length < 2 || b.dims.length < 2) return stay();
  return [{ dtype: a.dtype, dims: [...met([a.dims.slice(0, -2), b.dims.slice(0, -2)], fresh), a.dims.at(-2) ?? stay(), b.dims.at(-1) ?? stay()] }];
};

const gemm: TypeRule = (call) => {
  const side = (i: number, flag: string): readonly Dim[] => (call.int(flag, 0) === 0 ? call.type(i).dims : [...call.type(i).dims].reverse());
  return [{ dtype: call.type(0).dtype, dims: [side(0, 'transA')[0] ?? stay(), side(1, 'transB')[1] ?? stay()] }];
};

/** Each letter stands for a size. */
const einsum: TypeRule = (call) => {
  const [given, result] = call.text('equation', '').replaceAll(' ', '').split('->');
  const terms = given?.split(',') ?? [];
  if (result === undefined || /[^a-z,]/i.test(`${given}${result}`)) return stay();
  const sizes = new Map<string, Dim>();
  terms.forEach((letters, i) => {
    [...letters].forEach((letter, axis) => {
      const size = call.type(i).dims[axis] ?? stay();
      if (!sizes.has(letter) || sizeOf(size) !== 1) sizes.set(letter, size);
    });
  });
  return [{ dtype: call.type(0).dtype, dims: [...result].map((letter) => sizes.get(letter) ?? stay()) }];
};

/** Some axes as one number, or gone. */
const reduced: TypeRule = (call) => {
  const { dtype, dims } = call.type(0);
  const given = call.has(1) ? call.integers(1) : [];
  if (given.length === 0 && call.int('noop_with_empty_axes', 0) !== 0) return [{ dtype, dims }];
  return [{ dtype, dims: without(call, given.length > 0 ? given : dims.map((_, i) => i)) }];
};

function without(call: Call, axes: readonly number[]): readonly Dim[] {
  const { dims } = call.type(0);
  const taken = new Set(axes.map((axis) => counted(axis, dims.length)));
  return call.int('keepdims', 1) === 0 ? dims.filter((_, i) => !taken.has(i)) : dims.map((size, i) => (taken.has(i) ? dim(1) : size));
}

/** What heads of queries see, as wide as values are. Keys and values that go on as a cache have types of their own. */
const attended: TypeRule = (call, fresh) => {
  const [{ dtype, dims }, value] = [call.type(0), call.type(2)];
  const [last = stay()] = value.dims.slice(-1);
  if (dims.length === 4) return [{ dtype, dims: [...dims.slice(0, 3), last] }];
  const [width, heads, groups] = [sizeOf(last), call.int('q_num_heads', 0), call.int('kv_num_heads', 0)];
  return [{ dtype, dims: [...dims.slice(0, 2), width === undefined || groups === 0 ? fresh() : dim((width / groups) * heads)] }];
};

/** Outputs over time, and the last of each kind: [S, directions, B, H] and [directions, B, H]. */
const recurrent: TypeRule = (call) => {
  const { dtype, dims } = call.type(0);
  const [a = stay(), b = stay()] = dims;
  const [directions, width] = [dim(call.text('direction', 'forward') === 'bidirectional' ? 2 : 1), call.type(2).dims[2] ?? stay()];
  const last = { dtype, dims: call.int('layout', 0) === 0 ? [directions, b, width] : [a, directions, width] };
  return [{ dtype, dims: call.int('layout', 0) === 0 ? [a, directions, b, width] : [a, b, directions, width] }, last, last];
};

/** As all graphs inside agree. */
const branched: TypeRule = ({ node }, fresh) => {
  const branches = Object.values(node.bodies ?? {}).map((body) => body.outputs.map(({ value }) => value.type));
  return node.outputs.map((_, i) =>
    agreed(
      branches.map((types) => types[i]),
      fresh,
    ),
  );
};

/** Carried values as they go in and as the body gives them back; behind them what each turn adds to a list. */
const looped: TypeRule = ({ node }, fresh) => {
  const [, ...made] = node.bodies?.['body']?.outputs.map(({ value }) => value.type) ?? [];
  const carried = node.inputs.slice(2);
  return node.outputs.map((_, i) => {
    if (i < carried.length) return agreed([carried[i]?.type, made[i]], fresh);
    const each = agreed([made[i]], fresh);
    return each && { dtype: each.dtype, dims: [fresh(), ...each.dims] };
  });
};

function agreed(types: readonly (TensorType | undefined)[], fresh: Fresh): TensorType | undefined {
  const [first, ...others] = types;
  if (!first || others.some((one) => one?.dtype !== first.dtype || one.dims.length !== first.dims.length)) return undefined;
  return { dtype: first.dtype, dims: first.dims.map((size, axis) => common([size, ...others.map((one) => one?.dims[axis])], fresh)) };
}

/** A size that is the same number everywhere; names mean something else in each graph. */
function common(sizes: readonly (Dim | undefined)[], fresh: Fresh): Dim {
  const [first, ...others] = sizes.map((size) => size && sizeOf(size));
  return first !== undefined && others.every((one) => one === first) ? dim(first) : fresh();
}

/** As wide as the gain, where that is known better. */
const normed: TypeRule = (call) => {
  const { dtype, dims } = call.type(0);
  const [width, ...others] = call.type(1).dims;
  return [{ dtype, dims: width && others.length === 0 && (sizeOf(width) ?? 1) > 1 ? [...dims.slice(0, -1), width] : dims }];
};

/** The norm, and at the end the sum that went into it. */
const skipped: TypeRule = (call) => [call.type(0), undefined, undefined, call.type(0)];

/** Ids to rows as wide as the table. */
const embedded: TypeRule = (call) => {
  const { dtype, dims } = call.type(2);
  return [{ dtype, dims: [...call.type(0).dims, dims[1] ?? stay()] }];
};

/** Queries, keys and values by one product, as wide as values are. */
const attendedWhole: TypeRule = (call) => {
  const { dtype, dims } = call.type(0);
  const [all] = call.type(1).dims.slice(-1).map(sizeOf);
  const own = call.ints('qkv_hidden_sizes')?.[2];
  return [{ dtype, dims: [...dims.slice(0, 2), dim(own ?? (all === undefined ? stay() : all / 3))] }];
};

/** Queries, keys and values apart, as wide as values are. */
const attendedApart: TypeRule = (call) => {
  const { dtype, dims } = call.type(0);
  if (dims.length !== 3 || !call.has(1) || !call.has(2)) return stay();
  const values = call.type(2).dims;
  return [{ dtype, dims: [...dims.slice(0, 2), (values.length === 3 ? values : dims)[2] ?? stay()] }];
};

/** As wide as queries are, where these do not bring keys and values along: groups of heads share one of keys. */
const attendedInGroups: TypeRule = (call) => (call.has(1) && call.has(2) ? [call.type(0)] : stay());

/** By the name of the op; those of other domains with their domain in front. */
const rules: Readonly<Record<string, TypeRule>> = {
  ...rows(
    `Abs Acos Acosh Asin Asinh Atan Atanh BatchNormalization BitwiseNot Ceil Celu Clip Cos Cosh CumSum Elu Erf Exp Floor Gelu GroupNormalization HardSigmoid HardSwish Hardmax
    Identity InstanceNormalization LRN LeakyRelu Log LogSoftmax LpNormalization MeanVarianceNormalization Mish Neg PRelu Reciprocal Relu
    RotaryEmbedding Round Selu Shrink Sigmoid Sign Sin Sinh Softmax Softplus Softsign Sqrt Swish Tan Tanh ThresholdedRelu
    com.microsoft.RotaryEmbedding`,
    same(),
  ),
  ...rows('IsInf IsNaN Not', same('bool')),
  ...rows('Add BitwiseAnd BitwiseOr BitwiseXor Div Max Mean Min Mod Mul Sub Sum Where', broadcasted()),
  ...rows('And Equal Greater GreaterOrEqual Less LessOrEqual Or Xor', broadcasted('bool')),
  ...rows('ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare', reduced),
  ...rows('ArgMax ArgMin', (call) => [i64(without(call, [call.int('axis', 0)]))]),
  ...rows('GRU LSTM RNN', recurrent),
  ...rows('LayerNormalization RMSNormalization SimplifiedLayerNormalization', normed),
  ...shapeTypes,
  ...windowTypes,
  Attention: attended,
  Cast: (call) => [{ dtype: namedType(call, 'to'), dims: call.type(0).dims }],
  CastLike: (call) => [{ dtype: call.type(1).dtype, dims: call.type(0).dims }],
  DequantizeLinear: (call) => [{ dtype: call.type(1).dtype, dims: call.type(0).dims }],
  Dropout: (call) => [call.type(0), { dtype: 'bool', dims: call.type(0).dims }],
  DynamicQuantizeLinear: (call) => [
    { dtype: 'u8', dims: call.type(0).dims },
    { dtype: 'f32', dims: [] },
    { dtype: 'u8', dims: [] },
  ],
  Einsum: einsum,
  Gemm: gemm,
  If: branched,
  Loop: looped,
  MatMul: multiplied,
  Pow: (call, fresh) => [{ dtype: call.type(0).dtype, dims: met([call.type(0).dims, call.type(1).dims], fresh) }],
  QuantizeLinear: (call) => [{ dtype: call.has(2) ? call.type(2).dtype : namedType(call, 'output_dtype', 'u8'), dims: call.type(0).dims }],
  ...rows('RandomNormalLike RandomUniformLike Bernoulli EyeLike', (call) => [{ dtype: namedType(call, 'dtype', call.type(0).dtype), dims: call.type(0).dims }]),
  'com.microsoft.Attention': attendedWhole,
  'com.microsoft.EmbedLayerNormalization': embedded,
  'com.microsoft.GroupQueryAttention': attendedInGroups,
  'com.microsoft.MultiHeadAttention': attendedApart,
  ...rows('com.microsoft.SkipLayerNormalization com.microsoft.SkipSimplifiedLayerNormalization', skipped),
};

/** The types of the results, as far as they are known. */
export function inferredTypes(call: Call, fresh: Fresh): readonly (TensorType | undefined)[] {
  const { domain = '', type = '' } = call.node.op.foreign ?? {};
  return rules[domain === '' ? type : `${domain}.${type}`]?.(call, fresh) ?? [];
}
