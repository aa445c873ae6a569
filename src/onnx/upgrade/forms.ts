/** Rank and element type of values, as far as they follow from the nodes: old files state neither for what lies between inputs and results. */

import { constant } from '../../graph/dim.ts';
import type { Node, Value } from '../../graph/graph.ts';
import type { NdArray } from '../../graph/nd-array.ts';
import { type DType, dtypes } from '../../graph/type.ts';
import { onnxTypes } from '../../ops/onnx-types.ts';

/** What is known of a value; `length` is that of a vector. */
export interface Form {
  readonly rank?: number | undefined;
  readonly dtype?: DType | undefined;
  readonly length?: number | undefined;
}

/** What is known of values so far. */
export interface Forms {
  of(one: Value | undefined): Form | undefined;
  /** Works out the results of a node in the form of opset 21. */
  learn(node: Node): void;
}

/** Nothing known but constants, as they are met. */
export function forms(arrays: ReadonlyMap<Value, NdArray>): Forms {
  const known = new Map<Value, Form>();
  const of = (one: Value | undefined): Form | undefined => {
    if (!one) return undefined;
    const array = arrays.get(one);
    if (array) return { rank: array.dims.length, dtype: array.dtype, length: array.data.length };
    const { type } = one;
    return type ? { rank: type.dims.length, dtype: type.dtype, length: type.dims.length === 1 && type.dims[0] ? constant(type.dims[0]) : undefined } : known.get(one);
  };
  return {
    of,
    learn(node) {
      const inputs = node.inputs.map((one) => of(one) ?? {});
      const cut = node.op.foreign?.type === 'Slice' && inputs[0]?.rank === 1 ? cutLength(inputs[0].length, node, arrays) : undefined;
      const found = formOf(node, inputs, cut);
      if (found) for (const output of node.outputs) known.set(output, found);
    },
  };
}

const wordsOf = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/));

/** The results have the rank and type of the first input. */
const alike = wordsOf(`Abs Acos Asin Atan AveragePool BatchNormalization Cast Ceil Clip Conv ConvTranspose Cos CumSum DepthToSpace Dropout Elu Erf Exp Floor Gelu GlobalAveragePool
  GlobalMaxPool GroupNormalization HardSigmoid HardSwish Hardmax Identity InstanceNormalization LRN LayerNormalization LeakyRelu Log LogSoftmax LpNormalization MaxPool Mish Neg
  Not Pad PRelu RMSNormalization Reciprocal Relu Resize Round ScatterElements ScatterND Selu Sigmoid Sign Sin Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Tan Tanh
  ThresholdedRelu Tile TopK Transpose Trilu GatherElements`);
/** The results have the larger rank of the inputs. */
const broadcast = wordsOf('Add And Div Equal Greater GreaterOrEqual Less LessOrEqual Max Mean Min Mod Mul Or Pow Sub Sum Where Xor Concat Expand MatMul');
const booleans = wordsOf('And Equal Greater GreaterOrEqual Less LessOrEqual Not Or Xor IsNaN IsInf');

const sum = (a: number | undefined, b: number | undefined): number | undefined => (a === undefined || b === undefined ? undefined : a + b);

function formOf(node: Node, inputs: readonly Form[], cut: number | undefined): Form | undefined {
  const { foreign } = node.op;
  if (foreign?.domain !== '') return undefined;
  const [x, second] = inputs;
  const { type } = foreign;
  const dtype = booleans.has(type) ? 'bool' : type === 'Cast' ? named(node.attrs['to']) : type === 'Where' ? second?.dtype : x?.dtype;
  if (alike.has(type)) return { rank: x?.rank, dtype, length: type === 'Cast' || type === 'Identity' ? x?.length : cut };
  if (broadcast.has(type))
    return {
      rank: wider(type, inputs),
      dtype,
      ...(type === 'Concat' ? { length: inputs.reduce((all: number | undefined, one) => sum(all, one.length ?? scalarLength(one)), 0) } : {}),
    };
  switch (type) {
    case 'Shape':
      return { rank: 1, dtype: 'i64', ...(Object.keys(node.attrs).length === 0 ? { length: x?.rank } : {}) };
    case 'Gemm':
    case 'Flatten':
      return { rank: 2, dtype };
    case 'Reshape':
      return { rank: second?.length, dtype };
    case 'ConstantOfShape':
      return { rank: x?.length };
    case 'Gather':
      return { rank: x?.rank !== undefined && second?.rank !== undefined ? x.rank + second.rank - 1 : undefined, dtype, ...(x?.rank === 1 ? { length: second?.length } : {}) };
    case 'Unsqueeze':
      return { rank: sum(x?.rank, second?.length), dtype, ...(x?.rank === 0 && second?.length === 1 ? { length: 1 } : {}) };
    case 'Squeeze':
      return { rank: second?.length === undefined || x?.rank === undefined ? undefined : x.rank - second.length, dtype };
    default:
      return type.startsWith('Reduce') || type.startsWith('Arg') ? reduced(node, inputs) : undefined;
  }
}

/** How much of a vector a Slice leaves. */
function cutLength(length: number | undefined, { inputs }: Node, arrays: ReadonlyMap<Value, NdArray>): number | undefined {
  const [from, to, , step] = inputs.slice(1).map((one) => one && arrays.get(one)?.data[0]);
  if (length === undefined || from === undefined || to === undefined || (inputs[4] && step !== 1)) return undefined;
  const within = (place: number): number => Math.min(length, Math.max(0, place < 0 ? place + length : place));
  return Math.max(0, within(to) - within(from));
}

/** A scalar has no length, and stands in no list. */
const scalarLength = ({ rank, length }: Form): number | undefined => (rank === 1 ? length : undefined);

function wider(type: string, inputs: readonly Form[]): number | undefined {
  const ranks = inputs.map(({ rank }, i) => (type === 'Expand' && i === 1 ? inputs[1]?.length : rank));
  const most = ranks.reduce((a, b) => (a === undefined || b === undefined ? undefined : Math.max(a, b)));
  return type === 'MatMul' && ranks.includes(1) ? undefined : most;
}

function reduced(node: Node, [x, axes]: readonly Form[]): Form {
  const dtype = node.op.foreign?.type.startsWith('Arg') ? 'i64' : x?.dtype;
  if ((node.attrs['keepdims'] ?? 1) === 1) return { rank: x?.rank, dtype };
  const dropped = node.op.foreign?.type.startsWith('Arg') ? 1 : axes?.length;
  return { rank: dropped === undefined || x?.rank === undefined ? undefined : x.rank - dropped, dtype };
}

function named(to: unknown): DType | undefined {
  return dtypes.find((dtype) => onnxTypes[dtype] === to);
}
