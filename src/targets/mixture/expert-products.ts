/** Products with matrices of an expert's own: a bias becomes part of them, and those that read the same rows become one, so that an expert starts few nodes whether anybody picked it or not. */

import { constant, dim } from '../../graph/dim.ts';
import { type Node, type Value, value } from '../../graph/graph.ts';
import { float } from '../../graph/onnx.ts';
import type { Source } from '../../graph/source.ts';
import { joinedView, transposedView } from '../../graph/views.ts';
import { expertSource } from '../../passes/expert-weights.ts';
import type { LoweringContext } from '../target.ts';
import { inTurn, matricesInTurn } from './rows-in-turn.ts';
import { type Kind, present, storeSource } from './segment.ts';

/** How the matrices of an expert lie: in stacks that another lowering reads as well, each by itself, those of the same rows side by side, or row by row in turn as `MoE` has them. */
export type Layout =
  | { readonly kind: 'stacked' | 'apart' | 'beside' }
  /** `order` has the matrices of a kind as `MoE` takes them, by their place among the weights of an expert. */
  | { readonly kind: 'in turn'; readonly order: (kind: Kind) => readonly number[] };

/** One product, by the node of it, with its matrix and its bias by their place among the weights of an expert. */
interface Product {
  readonly node: Node;
  readonly matrix: number;
  readonly bias?: { readonly node: Node; readonly port: number };
  readonly width: number;
}

/** Products that are computed as one. */
export interface ExpertProduct {
  /** Nodes that it stands for, biases too; that of the first product in the body is first. */
  readonly nodes: readonly Node[];
  /** The rows that it reads. */
  readonly x: Value;
  readonly parts: readonly Product[];
  readonly layout: Layout;
}

/** By each node that is part of a product, the product. `rows` is the number of the body's arguments that are no weights. */
export function expertProducts(kind: Kind, rows: number, context: LoweringContext, layout: Layout): ReadonlyMap<Node, ExpertProduct> {
  if (layout.kind === 'stacked') return new Map();
  const groups = new Map<Value, Product[]>();
  for (const product of productsOf(kind, rows, context)) {
    const x = present(product.node.inputs[0]);
    groups.set(x, [...(groups.get(x) ?? []), product]);
  }
  const order = layout.kind === 'in turn' ? layout.order(kind) : [];
  const all = [...groups].flatMap(([x, parts]) => (layout.kind === 'apart' ? parts.map((part) => productOf(x, [part], order, layout)) : [productOf(x, parts, order, layout)]));
  return new Map(all.flatMap((product) => product.nodes.map((node) => [node, product] as const)));
}

/** Products with weights that only they read. */
function productsOf({ body, lifted }: Kind, rows: number, context: LoweringContext): readonly Product[] {
  const own = body.inputs.slice(rows);
  const readersOf = (one: Value | undefined): readonly Node[] => body.nodes.filter(({ inputs }) => inputs.includes(one));
  const weightAt = (one: Value | undefined, rank: number): number => {
    const port = one ? own.indexOf(one) : -1;
    const held = lifted[port] && context.weightOf(lifted[port]);
    return held && one?.type?.dims.length === rank && readersOf(one).length === 1 ? port : -1;
  };
  return body.nodes.flatMap((node): readonly Product[] => {
    const [x, w] = node.inputs;
    const [y] = node.outputs;
    const matrix = weightAt(w, 2);
    if (node.op.name !== 'matmul' || !x || !y?.type || matrix < 0) return [];
    const width = present(constant(present(w?.type?.dims[1])));
    const [sum, ...others] = readersOf(y);
    const added = sum?.op.name === 'add' && others.length === 0 && y.type.dims.length === 2 ? sum : undefined;
    const vector = added?.inputs.find((one) => one !== y);
    // One of another size is no bias: it is spread over the columns, or they over it.
    const size = vector?.type?.dims[0];
    const port = size && constant(size) === width ? weightAt(vector, 1) : -1;
    return [{ node, matrix, width, ...(added && port >= 0 ? { bias: { node: added, port } } : {}) }];
  });
}

/** Several products, as they follow in the body, as one. Biases become part of it where all of them have one. */
function productOf(x: Value, parts: readonly Product[], order: readonly number[], layout: Layout): ExpertProduct {
  const biased = parts.every(({ bias }) => bias);
  const alike: readonly Product[] = biased ? parts : parts.map(({ bias: _, ...part }) => part);
  const inOrder = [...alike].sort((a, b) => order.indexOf(a.matrix) - order.indexOf(b.matrix));
  return { nodes: alike.flatMap(({ node, bias }) => (bias ? [node, bias.node] : [node])), x, parts: inOrder, layout };
}

/** The values of the body that a product stands for. */
export const resultsOf = ({ parts }: ExpertProduct): readonly Value[] => parts.map(({ node, bias }) => present((bias?.node ?? node).outputs[0]));

/** What expert `e` gives for its rows: all parts beside each other, or their columns in turn, [rows, Σ widths]. */
export function productOfExpert(context: LoweringContext, kind: Kind, product: ExpertProduct, rows: Value, e: number): Value {
  const { parts, layout } = product;
  const hold = (ports: readonly number[], source: Source): Value =>
    storeSource(context, ports.map((port) => present(context.expertWeight(present(kind.lifted[port]), e)).path).join('+'), source);
  const matrices = parts.map(({ matrix }) => matrix);
  const biases = parts.flatMap(({ bias }) => (bias ? [bias.port] : []));
  const all = (ports: readonly number[]): readonly Source[] => ports.map((port) => present(context.weightOf(present(kind.lifted[port]))).source);
  const own = (ports: readonly number[]): readonly Source[] => ports.map((port) => present(context.expertWeight(present(kind.lifted[port]), e)).source);
  const turn = layout.kind === 'in turn';
  const matrix = hold(matrices, turn ? transposedView(expertSource(matricesInTurn(all(matrices)), e)) : sideBySide(own(matrices)));
  const [first] = resultsOf(product);
  const type = present(first?.type);
  const wide = { dtype: type.dtype, dims: [...type.dims.slice(0, -1), dim(parts.reduce((sum, { width }) => sum + width, 0))] };
  if (biases.length === 0) return present(context.apply({ ...present(parts[0]).node, outputs: [value(matrix.name, wide)] }, [rows, matrix])[0]);
  const bias = hold(biases, turn ? expertSource(inTurn(all(biases)), e) : oneAfterAnother(own(biases), 0));
  const stored = context.transposeOf(matrix);
  return context.typed(context.onnx.Gemm(rows, stored ?? matrix, bias, { alpha: float(1), beta: float(1), transA: 0, transB: stored ? 1 : 0 }), wide);
}

/** What all experts gave, by part. */
export function partsOf({ onnx }: LoweringContext, { parts, layout }: ExpertProduct, all: Value): readonly Value[] {
  if (parts.length === 1) return [all];
  if (layout.kind !== 'in turn') return onnx.all('Split', [all, onnx.ints(parts.map(({ width }) => width))], { axis: -1 }, parts.length);
  const apart = onnx.Transpose(onnx.Reshape(all, onnx.ints([-1, present(parts[0]).width, parts.length])), { perm: [2, 0, 1] });
  return parts.map((_, i) => onnx.Gather(apart, onnx.scalar(i, 'i64'), { axis: 0 }));
}

/** [in, a], [in, b], … as [in, a + b + …]. Those that lie as [out, in] stay so, one after another. */
function sideBySide(sources: readonly Source[]): Source {
  const turned = sources.flatMap((source) => (source.kind === 'transpose' ? [source.of] : []));
  return turned.length < sources.length ? oneAfterAnother(sources, 1) : transposedView(oneAfterAnother(turned, 0));
}

const oneAfterAnother = ([first, ...others]: readonly Source[], axis: number): Source => joinedView([present(first), ...others], axis);
