/** onnxruntime on a GPU through WebGPU: every node on the device, no control flow; steps come from outside, with the cache in its buffers. */

import { deviceBuilder } from './device-builder.ts';
import type { Target } from './target.ts';
import { normByOp, siluByOp } from './webgpu-fused.ts';
import { ropeByOp } from './webgpu-rope.ts';

export const webgpu: Target = {
  name: 'webgpu',
  summary: 'onnxruntime on a GPU: everything on the device, steps with the cache in its buffers',
  // Sine, cosine and If have kernels up to opset 21.
  opset: 21,
  ir: 10,
  domains: { 'com.microsoft': 1 },
  controlFlow: false,
  functions: false,
  device: deviceBuilder,
  mixtures: { names: ['batched', 'gathered'], costs: { node: 20, read: 300_000, readFused: 300_000, copy: 150_000, multiply: 2_000_000, multiplyFused: 2_000_000 } },
  lowerings: new Map([
    ['rms_norm', normByOp],
    ['rope', ropeByOp],
    ['silu', siluByOp],
  ]),
};
