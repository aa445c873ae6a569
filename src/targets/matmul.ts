/** `x @ w.T` by Gemm, which reads a matrix stored as [out, in] where it lies. */

import { constant, type Dim, dim } from '../graph/dim.ts';
import type { Value } from '../graph/graph.ts';
import { float, type Onnx } from '../graph/onnx.ts';
import type { Lowering } from './target.ts';

/** Lowers a product with a transposed matrix to `Gemm` with `transB`; leaves other products alone. */
export const matmulByGemm: Lowering = (node, { onnx, transposeOf }) => {
  const [x, w] = node.inputs;
  const [result] = node.outputs;
  const stored = w && transposeOf(w);
  if (!x || !stored || !result?.type) return undefined;
  const { dims } = result.type;
  const width = stored.type?.dims[1];
  if (dims.length < 2 || !width) return undefined;
  const rows = dims.length === 2 ? x : onnx.Reshape(x, onnx.ints([-1, constant(width) ?? -1]));
  const product = onnx.Gemm(rows, stored, { alpha: float(1), beta: float(1), transA: 0, transB: 1 });
  return [dims.length === 2 ? product : reshapeRows(product, dims, onnx)];
};

function reshapeRows(product: Value, dims: readonly Dim[], onnx: Onnx): Value {
  const open = dims.filter((size) => constant(size) === undefined);
  return onnx.Reshape(product, open.length <= 1 ? onnx.ints(dims.map((size) => constant(size) ?? -1)) : onnx.shape(dims.map((size, i) => (i === 0 ? dim(-1) : size))));
}
