/** Ops of moec that onnxruntime's WebGPU provider has as one kernel: each saves the start of several. */

import { float } from '../graph/onnx.ts';
import type { Lowering } from './target.ts';

const contrib = { domain: 'com.microsoft' };

/** Lowers an RMS norm to onnxruntime's, which stands in the default domain without being of the standard. */
export const normByOp: Lowering = ({ inputs, attrs }, { onnx }) =>
  onnx.all('SimplifiedLayerNormalization', inputs, { axis: -1, epsilon: float(Number(attrs['eps'])), stash_type: 1 }, 1);

/** Lowers x · sigmoid(x) to QuickGelu of alpha 1. */
export const siluByOp: Lowering = ({ inputs }, { onnx }) => onnx.all('QuickGelu', inputs, { alpha: float(1) }, 1, contrib);
