/** The gradient of attention, by the ops of the graph: the shares are computed again, then the chain rule runs backwards through them. */

import { constant, type Dim, dim, multiply, same, subtract } from '../graph/dim.ts';
import type { Value } from '../graph/graph.ts';
import { scalar } from '../graph/nd-array.ts';
import type { Builder, Op } from '../graph/op.ts';
import { sqrt, tanh } from './activations.ts';
import { type AttendArgs, type AttendDims, type AttendSettings, attendDims, keepAxes } from './attention.ts';
import { add, and, div, eq, gt, le, mul, neg, sub, where } from './elementwise.ts';
import { number, only, sizeAs, sumTo, typeOf } from './gradients.ts';
import { concat } from './join.ts';
import { matmul } from './matmul.ts';
import { lowest } from './onnx-types.ts';
import { softmax, sum } from './reduce.ts';
import { broadcast, range, reshape, slice, transpose, unsqueeze } from './shape.ts';

interface Forward {
  /** Scores before the cap, scaled. */
  readonly raw: Value;
  /** [lead.., N, S, T]; zero where masked. */
  readonly shares: Value;
}

const finite = (value: number): boolean => value !== Number.POSITIVE_INFINITY;
const both = (build: Builder, op: Op, a: Value, b: Value): Value => build.one(op, [a, b]);

function grouped(build: Builder, x: Value, { groups, shared, rows }: AttendDims): Value {
  const { dims } = typeOf(x);
  return constant(shared) === 1 ? x : build.one(reshape, [x], { dims: [...dims.slice(0, -3), groups, multiply(shared, rows), dims.at(-1) ?? dim(1)] });
}

function ungrouped(build: Builder, x: Value, { heads, shared, rows }: AttendDims): Value {
  const { dims } = typeOf(x);
  return constant(shared) === 1 ? x : build.one(reshape, [x], { dims: [...dims.slice(0, -3), heads, rows, dims.at(-1) ?? dim(1)] });
}

function reach(build: Builder, { causal, window, chunk }: AttendSettings, { rows, columns }: AttendDims): readonly Value[] {
  if (!causal && !finite(window) && !finite(chunk)) return [];
  const whole = (value: number): Value => build.constant(scalar(value, 'i64'));
  const first = build.one(range, [], { n: rows });
  const moved = same(rows, columns) ? first : both(build, add, first, sizeAs(build, subtract(columns, rows), 'i64'));
  const at = build.one(unsqueeze, [moved], { axis: -1 });
  const column = build.one(range, [], { n: columns });
  return [
    ...(causal ? [both(build, le, column, at)] : []),
    ...(finite(window) ? [both(build, gt, column, both(build, sub, at, whole(Math.ceil(window))))] : []),
    ...(finite(chunk) ? [both(build, eq, both(build, div, column, whole(chunk)), both(build, div, at, whole(chunk)))] : []),
  ];
}

function visible(build: Builder, keep: Value | undefined, settings: AttendSettings, dims: AttendDims): Value | undefined {
  const wide = keep && (keepAxes(typeOf(keep).dims, dims) ?? []).reduce((y, axis) => build.one(unsqueeze, [y], { axis }), keep);
  const all = [...(wide ? [wide] : []), ...reach(build, settings, dims)];
  return all.length === 0 ? undefined : all.reduce((a, b) => both(build, and, a, b));
}

function sharesOf(build: Builder, scores: Value, sinks: Value | undefined, { lead, heads, rows, columns }: AttendDims): Value {
  if (!sinks) return build.one(softmax, [scores], { axis: -1 });
  const tall = build.one(unsqueeze, [build.one(unsqueeze, [sinks], { axis: -1 })], { axis: -1 });
  const column = build.one(broadcast, [tall], { dims: [...lead, heads, rows, dim(1)] });
  const all = build.one(softmax, [build.one(concat, [scores, column], { axis: -1 })], { axis: -1 });
  return build.one(slice, [all], { axis: -1, from: dim(0), to: columns });
}

const scaleFor = (settings: AttendSettings, width: Dim): number | undefined => settings.scale ?? (constant(width) === undefined ? undefined : 1 / Math.sqrt(constant(width) ?? 1));

/** x · scale; the scale of a width known only at run time is computed. */
function scaled(build: Builder, x: Value, settings: AttendSettings, { width }: AttendDims): Value {
  const known = scaleFor(settings, width);
  if (known !== undefined) return both(build, mul, x, number(build, x, known));
  return both(build, div, x, build.one(sqrt, [sizeAs(build, width, typeOf(x).dtype)]));
}

function forward(build: Builder, { q, k, keep, bias, sinks }: AttendArgs<Value>, settings: AttendSettings, dims: AttendDims): Forward {
  const product = both(build, matmul, grouped(build, q, dims), build.one(transpose, [k]));
  const raw = scaled(build, ungrouped(build, product, dims), settings, dims);
  const cap = number(build, raw, settings.softcap);
  const capped = finite(settings.softcap) ? both(build, mul, build.one(tanh, [both(build, div, raw, cap)]), cap) : raw;
  const biased = bias ? both(build, add, capped, bias) : capped;
  const seen = visible(build, keep, settings, dims);
  const scores = seen ? build.one(where, [seen, biased, number(build, raw, lowest(typeOf(raw).dtype))]) : biased;
  const soft = sharesOf(build, scores, sinks, dims);
  return { raw, shares: seen ? build.one(where, [seen, soft, number(build, raw, 0)]) : soft };
}

/** Gradients of the inputs of `attend`; masks have none. */
export function attendGradient(
  args: AttendArgs<Value>,
  settings: AttendSettings,
  results: readonly (Value | undefined)[],
  build: Builder,
): Partial<Record<keyof AttendArgs<Value>, Value>> {
  const { q, k, v, bias, sinks } = args;
  const dims = attendDims(typeOf(q), typeOf(k), typeOf(v));
  const { raw, shares } = forward(build, args, settings, dims);
  const dy = grouped(build, only(results), dims);
  const ofValues = both(build, matmul, build.one(transpose, [grouped(build, shares, dims)]), dy);
  const ofShares = ungrouped(build, both(build, matmul, dy, build.one(transpose, [v])), dims);
  const weighted = both(build, mul, shares, ofShares);
  const along = build.one(sum, [weighted], { axis: -1, keep: true });
  const ofScores = both(build, sub, weighted, both(build, mul, shares, along));
  const ofRaw = grouped(build, scaled(build, uncapped(build, ofScores, raw, settings.softcap), settings, dims), dims);
  const ofQueries = ungrouped(build, both(build, matmul, ofRaw, k), dims);
  const ofKeys = both(build, matmul, build.one(transpose, [ofRaw]), grouped(build, q, dims));
  return {
    q: sumTo(build, ofQueries, q),
    k: sumTo(build, ofKeys, k),
    v: sumTo(build, ofValues, v),
    ...(bias ? { bias: sumTo(build, ofScores, bias) } : {}),
    ...(sinks ? { sinks: ofSinks(build, shares, along, sinks) } : {}),
  };
}

/** Through c · tanh(x / c), whose slope is 1 − tanh². */
function uncapped(build: Builder, dy: Value, raw: Value, softcap: number): Value {
  if (!finite(softcap)) return dy;
  const bent = build.one(tanh, [both(build, div, raw, number(build, raw, softcap))]);
  return both(build, mul, dy, both(build, sub, number(build, raw, 1), both(build, mul, bent, bent)));
}

/** The share of the sink is what is left of 1; its value is 0, so its gradient is −share · Σ shares · gradients. */
function ofSinks(build: Builder, shares: Value, along: Value, sinks: Value): Value {
  const left = both(build, sub, number(build, shares, 1), build.one(sum, [shares], { axis: -1, keep: true }));
  const each = build.one(neg, [both(build, mul, left, along)]);
  const perHead = build.one(sum, [build.one(sum, [each], { axis: -1, keep: false })], { axis: -1, keep: false });
  return sumTo(build, perHead, sinks);
}
