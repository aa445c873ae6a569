/** Products with weights: x · W + b, and columns of it. The first and the second half of every feed-forward are made of these. */

import { isDim } from '../../graph/attr.ts';
import { constant as sizeOf } from '../../graph/dim.ts';
import type { Node, Value, Weight } from '../../graph/graph.ts';
import { count } from '../../graph/nd-array.ts';
import type { Source } from '../../graph/source.ts';
import { constantDims } from '../../graph/type.ts';
import { interleavedView, reshapedView, slicedView } from '../../graph/views.ts';
import type { Producers } from '../producers.ts';
import type { Seen, SeenWeights } from './seen-weights.ts';

/** A value that is x · matrix + bias. */
export interface Product {
  readonly x: Value;
  /** [in, out]. */
  readonly matrix: Source;
  /** [out]. */
  readonly bias?: Source;
  /** From x to the value, in order. */
  readonly nodes: readonly Node[];
  readonly weights: readonly Weight[];
}

/** What products are looked up in. */
export interface Weighed {
  readonly from: Producers;
  readonly seen: SeenWeights;
}

/** Columns that a view takes out of a product. */
type Columns = (source: Source, axis: number) => Source;

/** The product that a value is; undefined where it is none. */
export function productOf(one: Value | undefined, among: Weighed): Product | undefined {
  const node = among.from.any(one);
  switch (node?.op.name) {
    case 'matmul':
      return multiplied(node, among.seen);
    case 'add':
      return biased(node, among);
    case 'split':
    case 'slice':
    case 'squeeze':
      return cut(node, one, among);
    default:
      return undefined;
  }
}

function multiplied(node: Node, seen: SeenWeights): Product | undefined {
  const [x, right] = node.inputs;
  const matrix = seen(right);
  const source = matrix && flat(matrix.source, node);
  return x && source && !seen(x) ? { x, matrix: source, nodes: [node], weights: matrix.weights } : undefined;
}

/** A matrix, also one with axes of size 1 in front that give the result no axis. */
function flat(source: Source, { inputs: [x], outputs: [y] }: Node): Source | undefined {
  const sizes = source.dims.slice(-2);
  if (sizes.length < 2 || count(sizes) !== count(source.dims)) return undefined;
  return source.dims.length === 2 || x?.type?.dims.length === y?.type?.dims.length ? reshapedView(source, sizes) : undefined;
}

function biased(node: Node, among: Weighed): Product | undefined {
  const [a, b] = node.inputs;
  for (const [side, vector] of [
    [a, b],
    [b, a],
  ] as const) {
    const bias = vectorOf(among.seen(vector));
    const product = bias && productOf(side, among);
    if (product && !product.bias && bias.source.dims[0] === product.matrix.dims[1])
      return { ...product, bias: bias.source, nodes: [...product.nodes, node], weights: [...product.weights, ...bias.weights] };
  }
  return undefined;
}

/** A weight with one axis, or with axes of size 1 in front of it. */
function vectorOf(seen: Seen | undefined): Seen | undefined {
  const size = seen?.source.dims.at(-1);
  return seen && size !== undefined && count(seen.source.dims) === size ? { ...seen, source: reshapedView(seen.source, [size]) } : undefined;
}

/** Some columns of a product: halves by a split or a slice of the last axis, every second one by a pair of axes. */
function cut(node: Node, one: Value | undefined, among: Weighed): Product | undefined {
  const paired = node.op.name === 'squeeze' ? pairs(node, among.from) : undefined;
  const columns = paired?.columns ?? lastColumns(node, one);
  const product = columns && productOf(paired ? paired.of : node.inputs[0], among);
  return (
    product && {
      ...product,
      matrix: columns(product.matrix, 1),
      ...(product.bias ? { bias: columns(product.bias, 0) } : {}),
      nodes: [...product.nodes, ...(paired?.nodes ?? [node])],
    }
  );
}

const isLast = (axis: unknown, rank: number): boolean => axis === -1 || axis === rank - 1;

function lastColumns(node: Node, one: Value | undefined): Columns | undefined {
  const rank = node.inputs[0]?.type?.dims.length ?? 0;
  const range = isLast(node.attrs['axis'], rank) ? rangeOf(node, one) : undefined;
  return range && ((source, axis) => slicedView(source, axis, ...range));
}

/** First and last (half-open) of what a split or a slice takes of its axis. */
function rangeOf(node: Node, one: Value | undefined): readonly [number, number] | undefined {
  const { from, to } = node.attrs;
  if (isDim(from) && isDim(to)) {
    const [start, end] = [sizeOf(from), sizeOf(to)];
    return start === undefined || end === undefined ? undefined : [start, end];
  }
  if (node.op.name !== 'split') return undefined;
  const { axis } = node.attrs;
  const sizes = node.outputs.map(({ type }) => sizeOf(type?.dims.at(axis as number) ?? 0) ?? Number.NaN);
  const at = one ? node.outputs.indexOf(one) : 0;
  const start = sizes.slice(0, at).reduce((sum, size) => sum + size, 0);
  return Number.isNaN(start + (sizes[at] ?? Number.NaN)) ? undefined : [start, start + (sizes[at] ?? 0)];
}

/** [.., n·s] seen as [.., n, s] or [.., s, n], one of s taken: every s-th column, or a run of n. */
function pairs(squeezed: Node, from: Producers): { readonly of: Value | undefined; readonly columns: Columns; readonly nodes: readonly Node[] } | undefined {
  const taken = from.any(squeezed.inputs[0]);
  const apart = taken?.op.name === 'slice' || taken?.op.name === 'split' ? from.of(taken.inputs[0], 'reshape') : undefined;
  const wide = apart?.outputs[0]?.type?.dims;
  const whole = apart?.inputs[0]?.type?.dims.length;
  const range = taken && rangeOf(taken, squeezed.inputs[0]);
  const [n, s] = constantDims(wide?.slice(-2) ?? []) ?? [];
  if (!taken || !apart || !range || n === undefined || s === undefined || wide?.length !== (whole ?? 0) + 1) return undefined;
  const { axis } = taken.attrs;
  if (axis !== squeezed.attrs['axis'] && !(isLast(axis, wide.length) && isLast(squeezed.attrs['axis'], wide.length))) return undefined;
  const [of, nodes] = [apart.inputs[0], [apart, taken, squeezed]];
  if (isLast(axis, wide.length)) return { of, nodes, columns: (source, at) => interleavedView(source, at, range[0], s) };
  return axis === -2 || axis === wide.length - 2 ? { of, nodes, columns: (source, at) => slicedView(source, at, range[0] * s, range[1] * s) } : undefined;
}
