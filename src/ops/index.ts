/** The ops of the graph: each defined once, with its type rule, reference, gradient and lowering. */

export * from './activations.ts';
export { attend } from './attention.ts';
export * from './elementwise.ts';
export * from './gather.ts';
export { merge_heads, rope, sinusoid, split_heads } from './heads.ts';
export { concat, split } from './join.ts';
export { cross_entropy } from './loss.ts';
export { matmul } from './matmul.ts';
export { layer_norm, rms_norm } from './norm.ts';
export { onnxTypes } from './onnx-types.ts';
export * from './reduce.ts';
export { expertNames, mixture, segment } from './routing.ts';
export { rowAxis } from './rules.ts';
export * from './shape.ts';
export { callable, ops } from './table.ts';
