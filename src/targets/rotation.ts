/** `rope` by the RotaryEmbedding of opset 23: one node where the standard lowering has eight. */

import { constant, multiply } from '../graph/dim.ts';
import { onnxTypes } from '../ops/index.ts';
import type { Lowering } from './target.ts';

/** Lowers rotations of [B, heads, rows, width]; leaves other ranks to the standard lowering. Cosines and sines are written alike for every layer, so one set of them is kept. */
export const ropeByOp: Lowering = (node, { onnx }) => {
  const [x, frequencies, positions] = node.inputs;
  if (!x?.type || x.type.dims.length !== 4 || !frequencies?.type || !positions?.type) return undefined;
  const [batch, , rows, width] = x.type.dims;
  const count = frequencies.type.dims[0];
  const turned = count && constant(multiply(count, 2));
  if (!batch || !rows || !width || !count || turned === undefined) return undefined;
  const column = onnx.Unsqueeze(onnx.Cast(positions, { to: onnxTypes[frequencies.type.dtype] }), onnx.ints([-1]));
  const angles = onnx.Mul(column, frequencies);
  const each = positions.type.dims.length === 2 ? angles : onnx.Expand(angles, onnx.shape([batch, rows, count]));
  return [
    onnx.RotaryEmbedding(x, onnx.Cos(each), onnx.Sin(each), {
      interleaved: node.attrs['pairs'] === 'adjacent' ? 1 : 0,
      rotary_embedding_dim: turned === constant(width) ? 0 : turned,
    }),
  ];
};
