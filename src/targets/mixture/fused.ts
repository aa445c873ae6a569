/** A segment as onnxruntime's own operator `MoE`: any weighting that is not negative, as the logarithms of the weights for logits, normalised, and the result times their sum. */

import { constant, dim } from '../../graph/dim.ts';
import { type Graph, type Node, type Value, value } from '../../graph/graph.ts';
import { ndArray } from '../../graph/nd-array.ts';
import { float } from '../../graph/onnx.ts';
import type { Source } from '../../graph/source.ts';
import { liftedWeights } from '../../passes/expert-weights.ts';
import { producersOf } from '../../passes/producers.ts';
import type { Lowering, LoweringContext } from '../target.ts';
import { type FeedForward, feedForward, type Product } from './feed-forward.ts';
import { notNegative } from './not-negative.ts';
import { type Kind, knownSizes, openShape, present, readSegment } from './segment.ts';

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
    const [width = 0] = knownSizes(segment.out);
    const k = present(constant(segment.slots));
    const x = onnx.Reshape(segment.rows[0]?.value, onnx.ints([-1, width]));
    const experts = onnx.Reshape(segment.experts, onnx.ints([-1, k]));
    const weights = segment.weights ? onnx.Reshape(segment.weights, onnx.ints([-1, k])) : onnx.Cast(onnx.Equal(experts, experts), { to: 1 });
    const shape = onnx.Concat(onnx.Shape(x, { start: 0, end: 1 }), onnx.ints([segment.n]), { axis: 0 });
    const none = onnx.ConstantOfShape(shape, { value: ndArray([1], [least]) });
    const logits = onnx.Log(onnx.ScatterElements(none, experts, weights, { axis: 1, reduction: 'add' }));
    const [fc1, bias1] = rowsInTurn(context, kind, found.into, `${segment.name}.fc1`);
    const [fc2, bias2] = rowsInTurn(context, kind, [found.down], `${segment.name}.fc2`);
    const gated = found.activation === 'swiglu';
    const settings = {
      k,
      activation_type: found.activation,
      normalize_routing_weights: 1,
      use_sparse_mixer: 0,
      swiglu_fusion: gated ? 1 : 0,
      activation_alpha: float(gated ? found.alpha : 1),
      activation_beta: float(gated ? found.beta : 0),
      swiglu_limit: gated && Number.isFinite(found.limit) ? float(found.limit) : undefined,
    };
    const [y] = onnx.all('MoE', [x, logits, fc1, bias1, fc2, bias2], settings, 1, { domain: 'com.microsoft' });
    return [onnx.Reshape(onnx.Mul(y, onnx.ReduceSum(weights, onnx.ints([1]), { keepdims: 1 })), openShape(onnx, [...segment.lead, ...segment.out]))];
  };

/** What keeps a segment from being one operator; undefined where nothing does. `around` is the graph it stands in. */
export function notFused(node: Node, around: Graph): string | undefined {
  const segment = readSegment(node, node);
  const [kind, ...others] = segment.kinds;
  if (!segment.summed) return 'its experts give one result a slot';
  if (!kind || others.length > 0) return 'its experts are of several kinds';
  if (segment.rows.length !== 1 || segment.rows[0]?.slotted) return 'its experts read more than the token';
  if (constant(segment.slots) === undefined) return 'the number of picks is known only at run time';
  const held = liftedWeights(around);
  if (!kind.lifted.every((one) => held.has(one))) return 'the weights of its experts are computed';
  const found = feedForward(kind.body, producersOf(around).array);
  if (!found || !fits(found, kind, segment.rows[0]?.value)) return 'its experts are no feed-forwards that the operator knows';
  if (segment.weights && !notNegative(segment.weights, around)) return 'its weights may be negative';
  return undefined;
}

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
  const matrices = products.map(({ matrix }) => turned(sourceOf(matrix)));
  const biases = products.flatMap(({ bias }) => (bias === undefined ? [] : [sourceOf(bias)]));
  const hold = (source: Source, name: string): Value =>
    context.store({ path: name, source, storage: 'constant', value: value(name, { dtype: source.dtype, dims: source.dims.map((size) => dim(size)) }) });
  return [hold(inTurn(matrices), path), biases.length === 0 ? undefined : hold(inTurn(biases), `${path}_bias`)];
}

/** [experts, a, b] → [experts, b, a]. */
function turned(source: Source): Source {
  const [experts = 0, a = 0, b = 0] = source.dims;
  return source.kind === 'transpose' ? source.of : { kind: 'transpose', of: source, dims: [experts, b, a], dtype: source.dtype };
}

/** Row 0 of each, then row 1 of each, …, along the second axis. */
function inTurn(sources: readonly Source[]): Source {
  const [first, ...others] = sources;
  const { dims, dtype } = present(first);
  if (others.length === 0) return present(first);
  const [experts = 0, rows = 0, ...rest] = dims;
  const apart = sources.map((of): Source => ({ kind: 'reshape', of, dims: [experts, rows, 1, ...rest], dtype }));
  const joined: Source = { kind: 'concat', of: apart, axis: 2, dims: [experts, rows, sources.length, ...rest], dtype };
  return { kind: 'reshape', of: joined, dims: [experts, rows * sources.length, ...rest], dtype };
}
