/** A segment as onnxruntime's own operator `MoE`: any weighting that is not negative, as the logarithms of the weights for logits, normalised, and the result times their sum. */

import { constant, dim } from '../../graph/dim.ts';
import type { Graph, Node, Value } from '../../graph/graph.ts';
import { ndArray } from '../../graph/nd-array.ts';
import { float } from '../../graph/onnx.ts';
import type { Source } from '../../graph/source.ts';
import { liftedWeights } from '../../passes/expert-weights.ts';
import { producersOf } from '../../passes/producers.ts';
import type { Lowering, LoweringContext } from '../target.ts';
import { type FeedForward, feedForward, type Product } from './feed-forward.ts';
import { notNegative } from './not-negative.ts';
import { inTurn, matricesInTurn } from './rows-in-turn.ts';
import { type Kind, knownSizes, openShape, present, readSegment, type Segment, storeSource } from './segment.ts';

/** Added to weights before their logarithm, so that experts nobody picked have one too; below what f32 keeps of any weight that counts. */
const least = 1e-30;

/** Lowers a segment of feed-forwards in the graph `around`. The operator wants matrices as [out, in], gate and up row by row in turn: they are written so. */
export const fusedIn =
  (around: Graph): Lowering =>
  (node, context, old) => {
    const { onnx } = context;
    const segment = readSegment(node, old);
    const kind = present(segment.kinds[0]);
    const found = present(feedForward(kind.body, producersOf(around).array));
    const k = present(constant(segment.slots));
    const varying = segment.n > kind.count;
    // Rows of tokens, or of sequences of them, go in as they are, unless each has a number of picks of its own.
    const [row] = segment.rows;
    const asRows = segment.lead.length > 2 || varying;
    const x = asRows ? onnx.Reshape(row?.value, onnx.ints([-1, ...knownSizes(segment.out)])) : row?.value;
    const weights = weightsByExpert(context, segment, kind, k);
    const logits = onnx.Log(weights);
    const [fc1, bias1] = rowsInTurn(context, kind, found.into, `${segment.name}.fc1`);
    const [fc2, bias2] = rowsInTurn(context, kind, [found.down], `${segment.name}.fc2`);
    const gated = found.activation === 'swiglu';
    const settings = {
      // Experts whose weight is next to nothing are not computed.
      k: Math.min(k, kind.count),
      activation_type: found.activation,
      normalize_routing_weights: 1,
      use_sparse_mixer: 0,
      swiglu_fusion: gated ? 1 : 0,
      activation_alpha: float(gated ? found.alpha : 1),
      activation_beta: float(gated ? found.beta : 0),
      swiglu_limit: gated && Number.isFinite(found.limit) ? float(found.limit) : undefined,
    };
    const [y] = onnx.all('MoE', [x, logits, fc1, bias1, fc2, bias2], settings, 1, { domain: 'com.microsoft' });
    const shaped = (rows: Value): Value => (asRows ? onnx.Reshape(rows, openShape(onnx, [...segment.lead, ...segment.out])) : rows);
    if (varying) return [shaped(onnx.Mul(present(y), onnx.ReduceSum(weights, onnx.ints([1]), { keepdims: 1 })))];
    return [onnx.Mul(shaped(present(y)), segment.weights ? onnx.ReduceSum(segment.weights, onnx.ints([-1]), { keepdims: 1 }) : onnx.scalar(k))];
  };

/** The weight of every expert of a kind, the first, for every token, f32 [tokens, count]; next to nothing where it was not picked. */
function weightsByExpert({ onnx }: LoweringContext, { experts, weights, n }: Segment, { count }: Kind, k: number): Value {
  const picks = onnx.Reshape(experts, onnx.ints([-1, k]));
  if (!weights) return onnx.ReduceSum(onnx.OneHot(picks, onnx.scalar(count, 'i64'), onnx.array(ndArray([2], [least, 1])), { axis: -1 }), onnx.ints([1]), { keepdims: 0 });
  const shape = onnx.Concat(onnx.Shape(picks, { start: 0, end: 1 }), onnx.ints([n]), { axis: 0 });
  const none = onnx.ConstantOfShape(shape, { value: ndArray([1], [least]) });
  const all = onnx.ScatterElements(none, picks, onnx.Reshape(weights, onnx.ints([-1, k])), { axis: 1, reduction: 'add' });
  return n > count ? onnx.Slice(all, onnx.ints([0]), onnx.ints([count]), onnx.ints([1])) : all;
}

/** What keeps a segment from being one operator; undefined where nothing does. `around` is the graph it stands in. */
export function notFused(node: Node, around: Graph): string | undefined {
  const segment = readSegment(node, node);
  const [kind, ...others] = segment.kinds;
  if (!segment.summed) return 'its experts give one result a slot';
  if (!kind || !others.every((other) => givesNothing(other, around))) return 'its experts are of several kinds';
  if (segment.rows.length !== 1 || segment.rows[0]?.slotted) return 'its experts read more than the token';
  if (constant(segment.slots) === undefined) return 'the number of picks is known only at run time';
  const held = liftedWeights(around);
  if (!kind.lifted.every((one) => held.has(one))) return 'the weights of its experts are computed';
  const found = feedForward(kind.body, producersOf(around).array);
  if (!found || !fits(found, kind, segment.rows[0]?.value)) return 'its experts are no feed-forwards that the operator knows';
  if (segment.weights && !notNegative(segment.weights, around)) return 'its weights may be negative';
  return undefined;
}

/** Whether experts give zeros for any row: what a token picks where it picks fewer than it may. */
export function givesNothing({ body, lifted }: Kind, around: Graph): boolean {
  const [node, ...others] = body.nodes;
  if (node?.op.name !== 'mul' || others.length > 0) return false;
  const held = liftedWeights(around);
  const sources = lifted.map((one) => held.get(one)?.source);
  return sources.some((source) => source !== undefined && isZero(source));
}

const isZero = (source: Source): boolean => (source.kind === 'literal' ? source.array.data.every((one) => one === 0) : source.kind === 'random' && source.value === 0);

/** The order in which the operator has the matrices of experts, by their place among the weights of one. */
export const fusedOrder =
  (around: Graph) =>
  ({ body }: Kind): readonly number[] => {
    const found = feedForward(body, producersOf(around).array);
    return found ? [...found.into, found.down].map(({ matrix }) => matrix) : [];
  };

/** Whether rows come out as wide as they go in, and either both of two products have a bias or none. */
function fits({ into, down }: FeedForward, { lifted }: Kind, x: Value | undefined): boolean {
  const [given] = x?.type?.dims.slice(-1) ?? [];
  const width = given && constant(given);
  const out = constant(lifted[down.matrix]?.type?.dims[2] ?? dim(-1));
  return width !== undefined && width === out && new Set(into.map(({ bias }) => bias === undefined)).size === 1 && x?.type?.dtype === 'f32';
}

/** The matrices of some products as one, [experts, rows of each in turn, in], and their biases alike. */
function rowsInTurn(context: LoweringContext, kind: Kind, products: readonly Product[], path: string): readonly [Value, Value | undefined] {
  const sourceOf = (i: number): Source => present(context.weightOf(present(kind.lifted[i]))).source;
  const biases = products.flatMap(({ bias }) => (bias === undefined ? [] : [sourceOf(bias)]));
  const matrices = matricesInTurn(products.map(({ matrix }) => sourceOf(matrix)));
  return [storeSource(context, path, matrices), biases.length === 0 ? undefined : storeSource(context, `${path}_bias`, inTurn(biases))];
}
