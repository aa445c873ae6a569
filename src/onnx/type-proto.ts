/** Types of values to TypeProto and back. */

import { constant, type Dim, dim, show, symbol } from '../graph/dim.ts';
import type { TensorType } from '../graph/type.ts';
import { onnxTypes } from '../ops/onnx-types.ts';
import { dtypeOf } from './dtype.ts';
import type { Dimension, TypeProto } from './messages.ts';

/** The type as onnx.proto has it; a size that is no number becomes a `dim_param`. */
export function typeProto({ dtype, dims }: TensorType): TypeProto {
  return { tensorType: { elemType: onnxTypes[dtype], shape: { dim: dims.map(dimension) } } };
}

function dimension(size: Dim): Dimension {
  const known = constant(size);
  return known === undefined ? { dimParam: show(size) } : { dimValue: known };
}

/** The tensor type a message stands for; undefined where it has no rank or the language no such type. A size nobody named is called after `name` and its axis. */
export function typeOf({ tensorType }: TypeProto, name: string): TensorType | undefined {
  const dtype = dtypeOf(tensorType?.elemType ?? 0);
  if (!dtype || !tensorType?.shape) return undefined;
  return { dtype, dims: (tensorType.shape.dim ?? []).map((size, axis) => dimOf(size, `${name}.${axis}`)) };
}

function dimOf({ dimValue, dimParam }: Dimension, unnamed: string): Dim {
  if (typeof dimValue === 'number' && dimValue >= 0) return dim(dimValue);
  return symbol(dimParam ? dimParam : unnamed);
}
