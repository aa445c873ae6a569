/** Makes attention that is spelled out, softmax(scale · q kᵀ + mask) v, one op, and the reshapes and transposes that cut rows into heads the ops that do that. */

import type { GraphBuilder } from '../graph/builder.ts';
import { type Dim, dim, multiply, same, constant as sizeOf } from '../graph/dim.ts';
import type { Graph, Node, Value } from '../graph/graph.ts';
import { scalar } from '../graph/nd-array.ts';
import { rewrite } from '../graph/rewrite.ts';
import { sameDims } from '../graph/type.ts';
import { attend } from '../ops/attention.ts';
import { where } from '../ops/elementwise.ts';
import { merge_heads, split_heads } from '../ops/heads.ts';
import { permute, reshape } from '../ops/shape.ts';
import { computableSizes } from './computable-sizes.ts';
import { removeDead } from './drop-dead.ts';
import type { Pass } from './pass.ts';
import { type Producers, producersOf } from './producers.ts';
import { rebuild } from './rebuild.ts';

interface Match {
  readonly node: Node;
  readonly from: Producers;
  readonly build: GraphBuilder;
  readonly isComputable: (size: Dim) => boolean;
}

/** A value with the numbers it is multiplied by taken off. */
interface Scaled {
  readonly of: Value;
  readonly factor: number;
}

/** x, where the value is x times (or over) a number, any number of times. */
function unscaled(one: Value, from: Producers): Scaled {
  let [of, factor] = [one, 1];
  for (;;) {
    const node = from.of(of, 'mul') ?? from.of(of, 'div');
    const [a, b] = node?.inputs ?? [];
    const [left, right] = [from.number(a), from.number(b)];
    const [next, number] = right === undefined ? [b, node?.op.name === 'mul' ? left : undefined] : [a, right];
    if (!next?.type || number === undefined || !sameDims(next.type.dims, of.type?.dims ?? [])) return { of, factor };
    [of, factor] = [next, node?.op.name === 'div' ? factor / number : factor * number];
  }
}

/** The scores of an attention: q, kᵀ, and the mask that is added. */
interface Scores {
  readonly q: Value;
  readonly keys: Value;
  readonly scale: number;
  readonly bias?: Value;
}

/** scale · q kᵀ, with numbers on the product, on q or on kᵀ. */
function productOf(one: Value, from: Producers): Scores | undefined {
  const whole = unscaled(one, from);
  const [left, right] = from.of(whole.of, 'matmul')?.inputs ?? [];
  if (!left || !right) return undefined;
  const [q, keys] = [unscaled(left, from), unscaled(right, from)];
  return { q: q.of, keys: keys.of, scale: whole.factor * q.factor * keys.factor };
}

/** A mask that hides this much hides all: whatever is added to it is lost. */
const hidden = -1e30;

/** Scores with what is added to them, or with what takes their place where a condition hides them. */
function scoresOf(one: Value, { from, build }: Match): Scores | undefined {
  const plain = productOf(one, from);
  if (plain) return plain;
  const sum = from.of(one, 'add');
  const [a, b] = sum?.inputs ?? [];
  for (const [product, bias] of [
    [a, b],
    [b, a],
  ] as const) {
    const scores = product && productOf(product, from);
    if (scores && bias && product.type && one.type && sameDims(product.type.dims, one.type.dims)) return { ...scores, bias };
  }
  const chosen = from.of(one, 'where');
  const [condition, yes, no] = chosen?.inputs ?? [];
  if (!condition || !yes || !no) return undefined;
  const [kept, other] = (from.number(no) ?? 0) <= hidden ? [yes, no] : (from.number(yes) ?? 0) <= hidden ? [no, yes] : [];
  const scores = kept && productOf(kept, from);
  if (!scores || !other || !kept.type) return undefined;
  const none = build.constant(scalar(0, kept.type.dtype));
  return { ...scores, bias: build.one(where, kept === yes ? [condition, none, other] : [condition, other, none]) };
}

/** k [.., T, W], where the value is kᵀ times a number. */
function turnedBack(keys: Value, match: Match): Scaled | undefined {
  const { from, build } = match;
  const turned = from.of(keys, 'transpose')?.inputs[0];
  if (turned) return unscaled(turned, from);
  const moved = from.of(keys, 'permute');
  const [source] = moved?.inputs ?? [];
  const order = moved?.attrs['order'] as readonly number[] | undefined;
  if (source && order && order.length > 2) return { of: build.one(permute, [source], { order: [...order.slice(0, -2), order.at(-1) ?? 0, order.at(-2) ?? 0] }), factor: 1 };
  return throughOneAxis(keys, match);
}

/** [B, N, T, W] as [B·N, T, W], turned, and apart again. */
function throughOneAxis(keys: Value, { from, build }: Match): Scaled | undefined {
  const [flat] = from.of(keys, 'reshape')?.inputs ?? [];
  const scaled = flat && unscaled(flat, from);
  const joined = from.of(from.of(scaled?.of, 'transpose')?.inputs[0], 'reshape');
  const [source] = joined?.inputs ?? [];
  const [dims, wanted] = [source?.type?.dims, keys.type?.dims];
  if (!source || !scaled || !dims || !wanted || dims.length < 2) return undefined;
  const [rows = dim(1), width = dim(1)] = dims.slice(-2);
  const kept = joined?.outputs[0]?.type?.dims.slice(-2) ?? [];
  if (!sameDims([width, rows], wanted.slice(-2)) || !sameDims([rows, width], kept)) return undefined;
  const apart = [...wanted.slice(0, -2), rows, width];
  return { of: sameDims(dims, apart) ? source : build.one(reshape, [source], { dims: apart }), factor: scaled.factor };
}

/** Keys or values before each head was repeated for the queries that share it. */
function unrepeated(one: Value, from: Producers): Value {
  const wide = from.of(from.of(one, 'reshape')?.inputs[0], 'broadcast');
  const [whole] = from.of(wide?.inputs[0], 'unsqueeze')?.inputs ?? [];
  const [dims, before, after] = [whole?.type?.dims, wide?.outputs[0]?.type?.dims, one.type?.dims];
  if (!whole || !dims || !before || !after || dims.length < 3) return one;
  const rank = dims.length;
  const [groups = dim(1), times = dim(1)] = before.slice(rank - 3, rank - 1);
  const expected = [...dims.slice(0, -3), multiply(groups, times), ...dims.slice(-2)];
  const apart = [...dims.slice(0, -2), times, ...dims.slice(-2)];
  const unit = wide?.inputs[0]?.type?.dims.at(rank - 2);
  return sameDims(before, apart) && unit !== undefined && sizeOf(unit) === 1 && sameDims(after, expected) ? whole : one;
}

/** softmax, its rows that are no numbers set to 0, and what says so: those that see nothing. */
function sharesOf(one: Value | undefined, from: Producers): { readonly soft: Node; readonly blind: boolean } | undefined {
  const soft = from.of(one, 'softmax');
  if (soft) return { soft, blind: false };
  const [condition, zero, shares] = from.of(one, 'where')?.inputs ?? [];
  const inner = from.of(shares, 'softmax');
  const checked = from.of(condition, 'onnx.IsNaN')?.inputs[0];
  return inner && checked === shares && from.number(zero) === 0 ? { soft: inner, blind: true } : undefined;
}

/** What a mask says to an attention whose rows that see nothing are 0; undefined where they would not be. */
function maskOf(bias: Value | undefined, blind: boolean, from: Producers): Pick<Attended, 'keep' | 'bias'> | undefined {
  if (!blind || !bias) return { bias };
  const [condition, yes, no] = from.of(bias, 'where')?.inputs ?? [];
  const [shown, taken] = [from.number(yes), from.number(no)];
  if (shown === 0 && taken === Number.NEGATIVE_INFINITY) return { keep: condition };
  // Finite scores under a finite mask: no row is without a number, and the check for one does nothing.
  return Number.isFinite(shown) && Number.isFinite(taken) ? { bias } : undefined;
}

interface Attended {
  readonly keep?: Value | undefined;
  readonly bias?: Value | undefined;
}

/** matmul(softmax(…), v). */
function attended(match: Match): Value | undefined {
  const { node, from, build, isComputable } = match;
  const [left, values] = node.inputs;
  const shares = sharesOf(left, from);
  const axis = shares?.soft.attrs['axis'];
  const [raw] = shares?.soft.inputs ?? [];
  const rank = raw?.type?.dims.length ?? 0;
  if (!shares || !values || !raw || rank < 4 || (axis !== -1 && axis !== rank - 1)) return undefined;
  const scores = scoresOf(raw, match);
  const { of: keys, factor = 1 } = (scores && turnedBack(scores.keys, match)) ?? {};
  if (!scores || !keys?.type || keys.type.dims.length < 4 || (values.type?.dims.length ?? 0) < 4) return undefined;
  const mask = maskOf(scores.bias, shares.blind, from);
  const [k, v] = grouped(keys, values, from);
  const computable = [scores.q, k, v].every((one) => one.type?.dims.every(isComputable));
  if (!mask || (!computable && (mask.keep || k !== keys))) return undefined;
  const [y] = rebuild(build, node, { op: attend, inputs: [scores.q, k, v, mask.keep, mask.bias], attrs: { scale: scores.scale * factor } });
  return y;
}

/** Keys and values, of fewer heads where both were repeated alike. */
function grouped(keys: Value, values: Value, from: Producers): readonly [Value, Value] {
  const [k, v] = [unrepeated(keys, from), unrepeated(values, from)];
  const [a, b] = [k.type?.dims.at(-3), v.type?.dims.at(-3)];
  return k !== keys && v !== values && a && b && same(a, b) ? [k, v] : [keys, values];
}

/** Whether an order exchanges the second and third axis from the end. */
function movesHeads(order: unknown, rank: number): boolean {
  return Array.isArray(order) && order.every((axis, i) => axis === (i === rank - 2 ? rank - 3 : i === rank - 3 ? rank - 2 : i));
}

/** [.., S, N·W] apart and moved to [.., N, S, W]. */
function headsSplit({ node, from, build }: Match): Value | undefined {
  const apart = from.of(node.inputs[0], 'reshape');
  const [rows] = apart?.inputs ?? [];
  const dims = apart?.outputs[0]?.type?.dims;
  if (!rows?.type || !dims || dims.length < 3 || !movesHeads(node.attrs['order'], dims.length)) return undefined;
  const heads = dims.at(-2) ?? dim(1);
  if (sizeOf(heads) === undefined || !sameDims(rows.type.dims.slice(0, -1), dims.slice(0, -2))) return undefined;
  return rebuild(build, node, { op: split_heads, inputs: [rows], attrs: { heads } })[0];
}

/** [.., N, S, W] moved and joined to [.., S, N·W], and flattened further where that is asked. */
function headsMerged({ node, from, build }: Match): Value | undefined {
  const moved = from.of(node.inputs[0], 'permute');
  const [x] = moved?.inputs ?? [];
  const dims = moved?.outputs[0]?.type?.dims;
  const wanted = node.outputs[0]?.type?.dims;
  if (!x || !dims || !wanted || dims.length < 3 || !movesHeads(moved?.attrs['order'], dims.length)) return undefined;
  const joined = [...dims.slice(0, -2), multiply(dims.at(-2) ?? 1, dims.at(-1) ?? 1)];
  if (sameDims(joined, wanted)) return rebuild(build, node, { op: merge_heads, inputs: [x], attrs: {} })[0];
  const flat = same(joined.at(-1) ?? 0, wanted.at(-1) ?? 1) ? build.one(merge_heads, [x], {}, `${node.outputs[0]?.name}/rows`) : undefined;
  return flat && rebuild(build, node, { inputs: [flat] })[0];
}

const rules: Readonly<Record<string, (match: Match) => Value | undefined>> = { matmul: attended, permute: headsSplit, reshape: headsMerged };

/** One round: what stands before a product is as it was, so that heads are cut after attention is known. */
function fold(graph: Graph, names: readonly string[]): Graph {
  const isComputable = computableSizes(graph);
  let from: Producers | undefined;
  return removeDead(
    rewrite(graph, (node, build) => {
      from ??= producersOf(build);
      const found = names.includes(node.op.name) ? rules[node.op.name]?.({ node, from, build, isComputable }) : undefined;
      return found && [found];
    }),
  );
}

export const recogniseAttention: Pass = {
  name: 'recognise-attention',
  summary: 'Makes attention that is spelled out one op, and the cutting of rows into heads another.',
  options: {},
  run: (graph) => fold(fold(graph, ['matmul']), ['permute', 'reshape']),
};
