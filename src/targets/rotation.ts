/** `rope` by the RotaryEmbedding of opset 23: one node where the standard lowering has eight. */

import { constant, multiply } from '../graph/dim.ts';
import type { Node, Value } from '../graph/graph.ts';
import type { Onnx } from '../graph/onnx.ts';
import { onnxTypes } from '../ops/index.ts';
import type { Lowering, LoweringContext } from './target.ts';

/** Lowers rotations of [B, heads, rows, width]; leaves other ranks to the standard lowering. */
export const ropeByOp: Lowering = (node, { onnx }) => {
  const [x, frequencies, positions] = node.inputs;
  const y = x && turn(onnx, node, x, frequencies, positions, {});
  return y && [y];
};

/** The same on heads beside each other, [B, rows, heads · width]. `node` is the rotation before it was lowered. */
export function turnRows(node: Node, rows: Value, heads: number, { onnx, lowered }: LoweringContext): Value | undefined {
  const [, frequencies, positions] = node.inputs;
  return turn(onnx, node, rows, frequencies && lowered(frequencies), positions && lowered(positions), { num_heads: heads });
}

/** Cosines and sines are written alike for every layer, so one set of them is kept. */
function turn(
  onnx: Onnx,
  { inputs, attrs }: Node,
  x: Value,
  frequencies: Value | undefined,
  positions: Value | undefined,
  heads: { readonly num_heads?: number },
): Value | undefined {
  const [batch, , rows, width, ...more] = inputs[0]?.type?.dims ?? [];
  const count = frequencies?.type?.dims[0];
  const turned = count && constant(multiply(count, 2));
  if (!batch || !rows || !width || more.length > 0 || !frequencies?.type || !positions?.type || !count || turned === undefined) return undefined;
  const column = onnx.Unsqueeze(onnx.Cast(positions, { to: onnxTypes[frequencies.type.dtype] }), onnx.ints([-1]));
  const angles = onnx.Mul(column, frequencies);
  const each = positions.type.dims.length === 2 ? angles : onnx.Expand(angles, onnx.shape([batch, rows, count]));
  return onnx.RotaryEmbedding(x, onnx.Cos(each), onnx.Sin(each), {
    interleaved: attrs['pairs'] === 'adjacent' ? 1 : 0,
    rotary_embedding_dim: turned === constant(width) ? 0 : turned,
    ...heads,
  });
}
