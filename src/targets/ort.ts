/** onnxruntime on CPU: opset 24, the fused ops of the standard, control flow. */

import { attendByOp } from './attention.ts';
import { attendByRows, mergeRows } from './attention-rows.ts';
import { matmulByGemm } from './matmul.ts';
import { ropeByOp } from './rotation.ts';
import type { Lowering, Target } from './target.ts';

export const ort: Target = {
  name: 'ort',
  summary: 'onnxruntime: opset 24, fused attention and norms, generation in one Loop',
  opset: 24,
  ir: 12,
  domains: {},
  controlFlow: true,
  functions: true,
  mixtures: {
    names: ['batched', 'guarded', 'gathered', 'looped', 'fused'],
    costs: { node: 2.5, read: 29_000, readFused: 20_000, copy: 16_000, multiply: 195_000, multiplyFused: 135_000 },
  },
  lowerings: new Map<string, Lowering>([
    ['matmul', matmulByGemm],
    ['attend', (...given) => attendByRows(...given) ?? attendByOp(...given)],
    ['merge_heads', mergeRows],
    ['rope', ropeByOp],
  ]),
};
