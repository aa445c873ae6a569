/** The ONNX builder that lowerings receive: it appends nodes of the standard. Declared here, made in `src/targets`. */

import type { Dim } from './dim.ts';
import type { Graph, Value } from './graph.ts';
import type { NdArray } from './nd-array.ts';
import type { DType } from './type.ts';

/** Attributes of an ONNX node: numbers are ints unless wrapped by `float`; `undefined` ones are left out. */
export type ForeignAttr = number | boolean | string | readonly number[] | readonly string[] | Float | Floats | Raw | NdArray | undefined;
/** Attributes of an ONNX node by name. */
export type ForeignAttrs = Readonly<Record<string, ForeignAttr>>;

/** A float attribute: ONNX tells ints from floats. */
export interface Float {
  readonly kind: 'float';
  readonly value: number;
}
/** A list of floats, which ONNX tells from a list of ints. */
export interface Floats {
  readonly kind: 'floats';
  readonly values: readonly number[];
}
/** An attribute that the graph has no kind for, as encoded by onnx.proto without its name: a reference inside a function, a type, text tensors. */
export interface Raw {
  readonly kind: 'raw';
  readonly bytes: Uint8Array;
  /** Where it is a tensor of whole numbers beyond 2^53: the numbers, rounded. Enough to see that one is past any end. */
  readonly rounded?: NdArray;
}
/** The number as a float attribute. */
export const float = (value: number): Float => ({ kind: 'float', value });
/** The numbers as an attribute of floats. */
export const floats = (values: readonly number[]): Floats => ({ kind: 'floats', values });

/** Ops of ai.onnx that lowerings use; each is a method taking its inputs, then its attributes. */
export type OnnxName =
  | 'Abs'
  | 'Add'
  | 'And'
  | 'ArgMax'
  | 'Cast'
  | 'Ceil'
  | 'Clip'
  | 'Concat'
  | 'ConstantOfShape'
  | 'Conv'
  | 'Cos'
  | 'CumSum'
  | 'Div'
  | 'Equal'
  | 'Erf'
  | 'Exp'
  | 'Expand'
  | 'Floor'
  | 'Gather'
  | 'GatherElements'
  | 'GatherND'
  | 'Gelu'
  | 'Gemm'
  | 'Greater'
  | 'GreaterOrEqual'
  | 'Identity'
  | 'If'
  | 'LayerNormalization'
  | 'Less'
  | 'LessOrEqual'
  | 'Log'
  | 'LogSoftmax'
  | 'Loop'
  | 'MatMul'
  | 'Max'
  | 'Min'
  | 'Mod'
  | 'Mul'
  | 'Neg'
  | 'NonZero'
  | 'Not'
  | 'OneHot'
  | 'Or'
  | 'Pad'
  | 'Pow'
  | 'RMSNormalization'
  | 'Range'
  | 'Reciprocal'
  | 'ReduceMax'
  | 'ReduceMean'
  | 'ReduceMin'
  | 'ReduceProd'
  | 'ReduceSum'
  | 'Relu'
  | 'Reshape'
  | 'RotaryEmbedding'
  | 'Attention'
  | 'ScatterElements'
  | 'ScatterND'
  | 'Shape'
  | 'Sigmoid'
  | 'Sin'
  | 'Slice'
  | 'Softmax'
  | 'Softplus'
  | 'Split'
  | 'Sqrt'
  | 'Squeeze'
  | 'Sub'
  | 'Tanh'
  | 'Tile'
  | 'TopK'
  | 'Transpose'
  | 'Trilu'
  | 'Unsqueeze'
  | 'Where'
  | 'Xor'
  | 'Size'
  | 'Sum'
  | 'Einsum'
  | 'IsNaN'
  | 'Sign'
  | 'Swish';

/** onnx.Mul(x, onnx.Sigmoid(x)): values first, an attributes object last. Single results; `all` gives several. */
export type OnnxMethods = { readonly [N in OnnxName]: (...args: readonly (Value | undefined | ForeignAttrs)[]) => Value };

/** Appends nodes of ONNX to the graph that is being lowered. */
export interface Onnx extends OnnxMethods {
  /** The operator set in force. */
  readonly opset: number;
  /** A node of any domain with `outputs` results. */
  all(
    type: string,
    inputs: readonly (Value | undefined)[],
    attrs: ForeignAttrs,
    outputs: number,
    options?: { readonly domain?: string; readonly bodies?: Readonly<Record<string, Graph>> },
  ): readonly Value[];
  /** A constant scalar; f32 where no element type is given. */
  scalar(value: number, dtype?: DType): Value;
  /** A constant i64 vector. */
  ints(values: readonly number[]): Value;
  /** A constant array. */
  array(array: NdArray): Value;
  /** An i64 vector of sizes, computed from the graph's inputs where they are not constant. Shared by all who ask for the same. */
  shape(dims: readonly Dim[]): Value;
  /** An i64 scalar holding one size. */
  size(dim: Dim): Value;
}
