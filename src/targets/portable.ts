/** Standard ops of opset 21 alone, no functions, no control flow: loads in every importer that has TopK and ScatterElements. */

import { matmulByGemm } from './matmul.ts';
import { ort } from './ort.ts';
import type { Target } from './target.ts';

export const portable: Target = {
  name: 'portable',
  summary: 'standard ops of opset 21, no control flow: any ONNX runtime',
  opset: 21,
  ir: 10,
  domains: {},
  controlFlow: false,
  functions: false,
  mixtures: { names: ['batched', 'gathered'], costs: ort.mixtures.costs },
  lowerings: new Map([['matmul', matmulByGemm]]),
};
