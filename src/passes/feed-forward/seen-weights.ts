/** Values that are weights seen through views: what a graph does to a weight before it multiplies, as one source. The finder of feed-forwards reads matrices and biases through this. */

import { isDim } from '../../graph/attr.ts';
import { constant as sizeOf } from '../../graph/dim.ts';
import type { Node, Value, Weight } from '../../graph/graph.ts';
import type { Source } from '../../graph/source.ts';
import { constantDims, type DType } from '../../graph/type.ts';
import { castView, interleavedView, joinedView, reshapedView, slicedView, transposedView } from '../../graph/views.ts';
import type { Producers } from '../producers.ts';

/** A weight as some value of the graph shows it. */
export interface Seen {
  readonly source: Source;
  /** The weights of the graph that it reads; none where it is a constant. */
  readonly weights: readonly Weight[];
}

/** Looks a value up; undefined where it is not a view of weights. */
export type SeenWeights = (one: Value | undefined) => Seen | undefined;

/** For the weights and constants of a graph. */
export function seenWeights(weights: readonly Weight[], from: Producers): SeenWeights {
  const known = new Map<Value, Seen | undefined>(weights.map((weight) => [weight.value, { source: weight.source, weights: [weight] }]));
  const seen: SeenWeights = (one) => {
    if (!one) return undefined;
    if (!known.has(one)) {
      const node = from.any(one);
      known.set(one, node && look(node, node.outputs.indexOf(one), from, seen));
    }
    return known.get(one);
  };
  return seen;
}

function look(node: Node, result: number, from: Producers, seen: SeenWeights): Seen | undefined {
  const array = from.array(node.outputs[result]);
  if (array) return { source: { kind: 'literal', array, dtype: array.dtype, dims: array.dims }, weights: [] };
  if (node.op.name === 'concat') return joined(node, seen);
  const whole = seen(node.inputs[0]);
  const source = whole && node.inputs.length === 1 ? viewed(node, result, whole.source) : undefined;
  return source && whole && { source, weights: whole.weights };
}

function joined({ inputs, attrs }: Node, seen: SeenWeights): Seen | undefined {
  const parts = inputs.flatMap((one) => seen(one) ?? []);
  const [first, ...others] = parts;
  if (!first || parts.length !== inputs.length) return undefined;
  const axis = axisOf(attrs['axis'], first.source.dims.length);
  return { source: joinedView([first.source, ...others.map(({ source }) => source)], axis), weights: parts.flatMap(({ weights }) => weights) };
}

const axisOf = (axis: unknown, rank: number): number => (typeof axis === 'number' ? (axis < 0 ? axis + rank : axis) : 0);

/** Result `result` of a node whose only input is `of`. */
function viewed(node: Node, result: number, of: Source): Source | undefined {
  const { attrs, outputs } = node;
  const dims = constantDims(outputs[result]?.type?.dims ?? []);
  const rank = of.dims.length;
  switch (node.op.name) {
    case 'transpose':
      return transposedView(of);
    case 'permute':
      return turned(of, attrs['order'] as readonly number[]);
    case 'slice': {
      const { from, to } = attrs;
      const [start, end] = isDim(from) && isDim(to) ? [sizeOf(from), sizeOf(to)] : [];
      return start === undefined || end === undefined ? undefined : slicedView(of, axisOf(attrs['axis'], rank), start, end);
    }
    case 'split':
      return part(node, result, of);
    case 'squeeze':
    case 'unsqueeze':
    case 'reshape':
      return dims && (pairsOf(node, of, dims) ?? reshapedView(of, dims));
    case 'cast':
      return of.dtype === attrs['to'] || (attrs['to'] === 'f32' && halves.has(of.dtype)) ? castView(of, attrs['to'] as DType) : undefined;
    default:
      return undefined;
  }
}

/** Element types that f32 holds exactly: files keep weights so to be half as large. */
const halves: ReadonlySet<DType> = new Set(['f16', 'bf16']);

/** Axes in another order, where that is none or the last two exchanged. */
function turned(of: Source, order: readonly number[]): Source | undefined {
  const last = order.length - 1;
  if (order.every((axis, i) => axis === i)) return of;
  return order.every((axis, i) => axis === (i === last ? last - 1 : i === last - 1 ? last : i)) ? transposedView(of) : undefined;
}

/** x [.., n·s] as [.., n, s], one of s taken, the axis dropped: every s-th row. */
function pairsOf(node: Node, of: Source, dims: readonly number[]): Source | undefined {
  if (node.op.name !== 'squeeze' || of.kind !== 'slice' || of.of.kind !== 'reshape') return undefined;
  const { of: apart, axis, from } = of;
  const whole = apart.of;
  const step = apart.dims[axis] ?? 1;
  const last = axis === apart.dims.length - 1 && apart.dims.length === whole.dims.length + 1;
  return last && dims.length === whole.dims.length ? interleavedView(whole, axis - 1, from, step) : undefined;
}

function part({ attrs, outputs }: Node, result: number, of: Source): Source | undefined {
  const axis = axisOf(attrs['axis'], of.dims.length);
  const ends = [0];
  for (const { type } of outputs.slice(0, result + 1)) {
    const size = constantDims(type?.dims ?? [])?.[axis];
    if (size === undefined) return undefined;
    ends.push((ends.at(-1) ?? 0) + size);
  }
  return slicedView(of, axis, ends.at(-2) ?? 0, ends.at(-1) ?? 0);
}
