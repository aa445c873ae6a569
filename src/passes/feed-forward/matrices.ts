/** What may be the first or the second half of a feed-forward: products with weights, and what only looks like one, with the reason why it cannot be taken. */

import type { Node, Value } from '../../graph/graph.ts';
import { count } from '../../graph/nd-array.ts';
import { type Product, productOf, type Weighed } from './products.ts';

/** A linear map, or something that stands for one. */
export type Linear = { readonly kind: 'product'; readonly product: Product } | Refused;

/** A map that is not taken. */
export interface Refused {
  readonly kind: 'refused';
  readonly node: Node;
  readonly x: Value | undefined;
  /** The sentence goes on from "it is not taken: ". */
  readonly why: string;
  /** Whether it is worth telling wherever it stands, or only in a pair that ends as wide as it began. */
  readonly always: boolean;
}

/** What linear maps are looked up in. */
export interface Matrices extends Weighed {
  /** Whether a value follows from weights and constants alone. */
  readonly isFixed: (one: Value) => boolean;
}

const quantised: ReadonlySet<string> = new Set(
  ['MatMulNBits', 'MatMulBnb4', 'QGemm', 'DynamicQuantizeMatMul', 'MatMulIntegerToFloat', 'FusedMatMulNBits']
    .map((name) => `onnx.com.microsoft.${name}`)
    .concat(['onnx.MatMulInteger', 'onnx.QLinearMatMul']),
);

/** How a file is had whose feed-forwards can be taken. */
export const remedy = 'export the model with f32 or f16 weights';

/** The linear map that a value is the result of. */
export function linearOf(one: Value | undefined, among: Matrices): Linear | undefined {
  const product = productOf(one, among);
  if (product) return { kind: 'product', product };
  const node = among.from.any(one);
  return node && refused(node, among);
}

/** Why a node that multiplies cannot be taken; undefined where it does not multiply with anything that could be a weight. */
export function refused(node: Node, among: Matrices): Refused | undefined {
  const [x, matrix] = node.inputs;
  const refuse = (why: string, always = true): Refused => ({ kind: 'refused', node, x, why, always });
  if (quantised.has(node.op.name)) return refuse(`its weights are quantised (${node.op.foreign?.type}); ${remedy}`);
  if (node.op.name === 'onnx.Conv') return convolution(node, among) ? refuse('it is made of convolutions; only products of matrices are taken', false) : undefined;
  if (!['matmul', 'onnx.MatMul', 'onnx.Gemm', 'onnx.com.microsoft.FusedMatMul'].includes(node.op.name) || !matrix) return undefined;
  const seen = among.seen(matrix);
  if (seen && node.op.foreign) return refuse(`the sizes at its ${node.op.foreign.type} are not known`);
  if (seen && seen.source.dims.length > 2) return refuse(`its weights have ${seen.source.dims.length} axes`);
  if (seen) return undefined;
  if (!among.isFixed(matrix)) return undefined;
  const origin = dequantised(matrix, among);
  return refuse(origin ? `its weights are quantised (${origin}); ${remedy}` : 'its weights are computed in the graph; fold constants first');
}

/** The op that makes a matrix of quantised numbers, looked for through views and casts. */
function dequantised(matrix: Value, among: Matrices): string | undefined {
  for (let at: Value | undefined = matrix, steps = 0; at && steps < 8; steps++) {
    const node: Node | undefined = among.from.any(at);
    if (!node) return undefined;
    if (/DequantizeLinear|GatherBlockQuantized|DequantizeBFP|DequantizeWithOrder/.test(node.op.name)) return node.op.foreign?.type;
    at = node.inputs[0];
  }
  return undefined;
}

/** Whether a Conv maps each place by itself: a kernel of 1, one group. */
function convolution({ inputs, attrs }: Node, among: Matrices): boolean {
  const kernel = among.seen(inputs[1])?.source.dims.slice(2);
  return kernel !== undefined && count(kernel) === 1 && (attrs['group'] ?? 1) === 1;
}

/** How many numbers a row has before and after the map; undefined where that is not known. */
export function widthsOf(one: Linear, { seen }: Matrices): readonly [number | undefined, number | undefined] {
  if (one.kind === 'product') return [one.product.matrix.dims[0], one.product.matrix.dims[1]];
  const dims = seen(one.node.inputs[1])?.source.dims;
  return one.node.op.name === 'onnx.Conv' ? [dims?.[1], dims?.[0]] : [dims?.at(-2), dims?.at(-1)];
}
