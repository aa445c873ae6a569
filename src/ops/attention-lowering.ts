/** Attention in standard ONNX ops: two products around a softmax, the mask computed from sizes. No control flow, no repeated keys or values. */

import { constant, type Dim, dim, multiply, same, subtract } from '../graph/dim.ts';
import type { Value } from '../graph/graph.ts';
import type { Onnx } from '../graph/onnx.ts';
import type { DType } from '../graph/type.ts';
import { type AttendArgs, type AttendDims, type AttendSettings, attendDims, keepAxes } from './attention.ts';
import { numbersBelow } from './counting.ts';
import { typeOf } from './gradients.ts';
import { lowest, onnxTypes } from './onnx-types.ts';
import { atLeast } from './rules.ts';

/** The heads of one group under each other, [.., G, R·S, last]: keys and values are then multiplied as they are. */
function grouped(onnx: Onnx, x: Value, lead: readonly Dim[], { groups, shared, rows }: AttendDims, last: Dim): Value {
  return constant(shared) === 1 ? x : onnx.Reshape(x, onnx.shape([...lead, groups, multiply(shared, rows), last]));
}

function ungrouped(onnx: Onnx, x: Value, { lead, heads, shared, rows }: AttendDims, last: Dim): Value {
  return constant(shared) === 1 ? x : onnx.Reshape(x, onnx.shape([...lead, heads, rows, last]));
}

const finite = (value: number): boolean => value !== Number.POSITIVE_INFINITY;

/** Which columns a row may see by position, [S, T] or less; undefined where it is all. */
function reach(onnx: Onnx, { causal, window, chunk }: AttendSettings, { rows, columns }: AttendDims): Value | undefined {
  if (!causal && !finite(window) && !finite(chunk)) return undefined;
  const first = numbersBelow(onnx, rows);
  const at = onnx.Unsqueeze(same(rows, columns) ? first : onnx.Add(first, onnx.size(subtract(columns, rows))), onnx.ints([-1]));
  const column = numbersBelow(onnx, columns);
  const whole = (value: number): Value => onnx.scalar(value, 'i64');
  const conditions = [
    ...(causal ? [onnx.LessOrEqual(column, at)] : []),
    ...(finite(window) ? [onnx.Greater(column, onnx.Sub(at, whole(Math.ceil(window))))] : []),
    ...(finite(chunk) ? [onnx.Equal(onnx.Div(column, whole(chunk)), onnx.Div(at, whole(chunk)))] : []),
  ];
  return conditions.reduce((all, one) => onnx.And(all, one));
}

/** All masks together, bool, broadcastable to the scores [.., N, S, T]; undefined where every column is seen. */
export function visible(onnx: Onnx, keep: Value | undefined, settings: AttendSettings, dims: AttendDims): Value | undefined {
  const near = reach(onnx, settings, dims);
  if (!keep) return near;
  const axes = keepAxes(typeOf(keep).dims, dims) ?? [];
  const wide = axes.length > 0 ? onnx.Unsqueeze(keep, onnx.ints(axes)) : keep;
  return near ? onnx.And(wide, near) : wide;
}

function scaleOf(onnx: Onnx, scale: number | undefined, width: Dim, dtype: DType): Value {
  const known = constant(width);
  if (scale !== undefined || known !== undefined) return onnx.scalar(scale ?? 1 / Math.sqrt(known ?? 1), dtype);
  return onnx.Reciprocal(onnx.Sqrt(onnx.Cast(onnx.size(width), { to: onnxTypes[dtype] })));
}

/** Whether some row may see nothing: then softmax alone would share it among what is masked. */
function mayBeBlind({ keep, sinks }: AttendArgs<Value>, { causal, chunk }: AttendSettings, { rows, columns }: AttendDims): boolean {
  if (sinks) return false;
  return keep !== undefined || ((causal || finite(chunk)) && !atLeast(subtract(columns, rows)));
}

/** Softmax over the columns and, where there is one, the sink, whose share is dropped. */
function sharesOf(onnx: Onnx, scores: Value, sinks: Value | undefined, { lead, heads, rows, columns }: AttendDims): Value {
  if (!sinks) return onnx.Softmax(scores, { axis: -1 });
  const column = onnx.Expand(onnx.Unsqueeze(sinks, onnx.ints([-2, -1])), onnx.shape([...lead, heads, rows, dim(1)]));
  const all = onnx.Softmax(onnx.Concat(scores, column, { axis: -1 }), { axis: -1 });
  return onnx.Slice(all, onnx.ints([0]), onnx.shape([columns]), onnx.ints([-1]));
}

/** Lowers `attend`. */
export function lowerAttend(args: AttendArgs<Value>, onnx: Onnx, settings: AttendSettings): Value {
  const { q, k, v, keep, bias, sinks } = args;
  const dims = attendDims(typeOf(q), typeOf(k), typeOf(v));
  const { dtype, dims: queryDims } = typeOf(q);
  const rank = typeOf(k).dims.length;
  const axes = Array.from({ length: rank }, (_, i) => i);
  const keys = onnx.Transpose(k, { perm: [...axes.slice(0, -2), rank - 1, rank - 2] });
  const scaled = onnx.Mul(q, scaleOf(onnx, settings.scale, dims.width, dtype));
  const product = onnx.MatMul(grouped(onnx, scaled, queryDims.slice(0, -3), dims, dims.width), keys);
  const raw = ungrouped(onnx, product, dims, dims.columns);
  const cap = onnx.scalar(settings.softcap, dtype);
  const capped = finite(settings.softcap) ? onnx.Mul(onnx.Tanh(onnx.Div(raw, cap)), cap) : raw;
  const biased = bias ? onnx.Add(capped, bias) : capped;
  const seen = visible(onnx, keep, settings, dims);
  const scores = seen ? onnx.Where(seen, biased, onnx.scalar(lowest(dtype), dtype)) : biased;
  const soft = sharesOf(onnx, scores, sinks, dims);
  const shares = seen && mayBeBlind(args, settings, dims) ? onnx.Where(seen, soft, onnx.scalar(0, dtype)) : soft;
  return ungrouped(onnx, onnx.MatMul(grouped(onnx, shares, dims.lead, dims, dims.columns), v), dims, dims.depth);
}
