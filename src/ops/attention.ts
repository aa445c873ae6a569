/** Scaled dot-product attention: one op with grouped heads, masks, windows, caps and sinks. What it means stands here; lowering and gradient beside it. */

import { constant, type Dim, dim, same } from '../graph/dim.ts';
import { fail } from '../graph/fail.ts';
import { count, type NdArray, ndArray } from '../graph/nd-array.ts';
import { defineOp, type Op } from '../graph/op.ts';
import { spellType, type TensorType } from '../graph/type.ts';
import { broadcastSizes, expand, reshaped } from './arrays.ts';
import { attendGradient } from './attention-gradient.ts';
import { lowerAttend } from './attention-lowering.ts';
import { attendSamples } from './attention-samples.ts';
import { meet, needBool, needFloat, needSameDType, spellDims, spellValue, tryBroadcast, wholeRatio } from './rules.ts';

/** The sizes of one attention: q [lead.., heads, rows, width], k [lead.., groups, columns, width], v [lead.., groups, columns, depth]. */
export interface AttendDims {
  /** The leading axes of q, k and v together. */
  readonly lead: readonly Dim[];
  readonly heads: Dim;
  readonly groups: Dim;
  /** Query heads that share a head of keys and values. */
  readonly shared: Dim;
  readonly rows: Dim;
  readonly columns: Dim;
  readonly width: Dim;
  readonly depth: Dim;
}

/** The settings of `attend`. */
export interface AttendSettings {
  readonly causal: boolean;
  readonly window: number;
  readonly chunk: number;
  readonly softcap: number;
  readonly scale: number | undefined;
}

/** The inputs of `attend`. */
export interface AttendArgs<T> {
  readonly q: T;
  readonly k: T;
  readonly v: T;
  readonly keep: T | undefined;
  readonly bias: T | undefined;
  readonly sinks: T | undefined;
}

/** The sizes, or the fault that says which do not fit. */
export function attendDims(q: TensorType, k: TensorType, v: TensorType): AttendDims {
  const clash = (why: string, port: string): never => fail('attention-shapes-differ', { q: spellType(q), k: spellType(k), v: spellType(v), why }, port);
  const [heads, rows, width] = q.dims.slice(-3);
  const [groups, columns, keyWidth] = k.dims.slice(-3);
  const [valueGroups, valueColumns, depth] = v.dims.slice(-3);
  if (!heads || !rows || !width) return clash('queries need heads, positions and a width', 'q');
  if (!groups || !columns || !keyWidth) return clash('keys need heads, positions and a width', 'k');
  if (!valueGroups || !valueColumns || !depth) return clash('values need heads, positions and a width', 'v');
  if (!same(width, keyWidth)) return clash(`queries are ${spellValue(width)} wide, keys ${spellValue(keyWidth)}`, 'k');
  if (!same(columns, valueColumns)) return clash(`there are ${spellValue(columns)} keys and ${spellValue(valueColumns)} values`, 'v');
  if (!same(groups, valueGroups)) return clash(`keys have ${spellValue(groups)} heads, values ${spellValue(valueGroups)}`, 'v');
  const shared = wholeRatio(heads, groups);
  if (!shared) return fail('heads-do-not-group', { heads: spellValue(heads), groups: spellValue(groups) }, 'k');
  const keyLead = tryBroadcast(q.dims.slice(0, -3), k.dims.slice(0, -3));
  const lead = keyLead && tryBroadcast(keyLead, v.dims.slice(0, -3));
  if (!lead) return clash('the axes in front differ', keyLead ? 'v' : 'k');
  return { lead, heads, groups, shared, rows, columns, width, depth };
}

/** Axes of size 1 to give a `keep` so that it broadcasts to [lead.., heads, rows, columns]; undefined where it does not fit. */
export function keepAxes(keep: readonly Dim[], { lead, heads, rows, columns }: AttendDims): readonly number[] | undefined {
  const under = (target: readonly Dim[]): boolean => keep.length === target.length && keep.every((size, i) => fitsUnder(size, target[i]));
  const rank = lead.length;
  if (under([...lead, columns])) return [rank, rank + 1];
  if (under([...lead, rows, columns])) return [rank];
  if (under([...lead, heads, rows, columns]) || under([rows, columns]) || under([columns])) return [];
  const from = lead.findIndex((_, i) => i > 0 && under([...lead.slice(i), columns]));
  return from < 0 ? undefined : [rank - from, rank - from + 1];
}

const fitsUnder = (size: Dim, target: Dim | undefined): boolean => target !== undefined && (same(size, target) || constant(size) === 1);

function needMasks({ keep, bias, sinks }: Pick<AttendArgs<TensorType>, 'keep' | 'bias' | 'sinks'>, q: TensorType, dims: AttendDims): void {
  const scores = [...dims.lead, dims.heads, dims.rows, dims.columns];
  const misfit = (port: string, found: TensorType): never => fail('mask-does-not-fit', { port, found: spellType(found), scores: spellDims(scores) }, port);
  if (keep) {
    needBool('attend', keep, 'keep');
    if (!keepAxes(keep.dims, dims)) misfit('keep', keep);
  }
  if (bias) {
    needSameDType('attend', q, bias, 'bias');
    const fits = bias.dims.length <= scores.length && bias.dims.every((size, i) => fitsUnder(size, scores[i + scores.length - bias.dims.length]));
    if (!fits) misfit('bias', bias);
  }
  if (sinks) {
    needSameDType('attend', q, sinks, 'sinks');
    if (sinks.dims.length !== 1 || !meet(sinks.dims[0] ?? dim(0), dims.heads)) misfit('sinks', sinks);
  }
}

function needSettings({ window, chunk, softcap }: AttendSettings): void {
  if (!(window >= 1)) fail('setting-out-of-range', { setting: 'window', range: 'at least 1', found: window }, 'q');
  if (!(chunk >= 1)) fail('setting-out-of-range', { setting: 'chunk', range: 'at least 1', found: chunk }, 'q');
  if (!(softcap > 0)) fail('setting-out-of-range', { setting: 'softcap', range: 'above 0', found: softcap }, 'q');
}

/** Whether row i may see column j by position; rows are the last of the columns. */
function inReach(i: number, j: number, offset: number, { causal, window, chunk }: AttendSettings): boolean {
  const at = i + offset;
  return (!causal || j <= at) && j > at - window && (chunk === Number.POSITIVE_INFINITY || Math.floor(at / chunk) === Math.floor(j / chunk));
}

function evaluate(args: AttendArgs<NdArray>, settings: AttendSettings, keepAt: readonly number[]): NdArray {
  const [n = 1, s = 1, w = 1] = args.q.dims.slice(-3);
  const [g = 1, t = 1] = args.k.dims.slice(-3);
  const u = args.v.dims.at(-1) ?? 1;
  const lead = [args.k, args.v].reduce<readonly number[]>((dims, other) => broadcastSizes(dims, other.dims.slice(0, -3)), args.q.dims.slice(0, -3));
  const scores = [...lead, n, s, t];
  const [q, k, v] = [expand(args.q, [...lead, n, s, w]).data, expand(args.k, [...lead, g, t, w]).data, expand(args.v, [...lead, g, t, u]).data];
  const keep = args.keep && expand(withAxes(args.keep, keepAt), scores).data;
  const bias = args.bias && expand(args.bias, scores).data;
  const y = new Float64Array(count(lead) * n * s * u);
  for (let row = 0; row < count(lead) * n * s; row++) {
    const head = Math.floor(row / s) % n;
    const keys = Math.floor(row / (n * s)) * g + Math.floor(head / (n / g));
    const scored = Array.from({ length: t }, (_, j) => {
      if (!inReach(row % s, j, t - s, settings) || keep?.[row * t + j] === 0) return Number.NEGATIVE_INFINITY;
      let score = 0;
      for (let c = 0; c < w; c++) score += (q[row * w + c] ?? 0) * (k[(keys * t + j) * w + c] ?? 0);
      score *= settings.scale ?? 1 / Math.sqrt(w);
      return (settings.softcap === Number.POSITIVE_INFINITY ? score : settings.softcap * Math.tanh(score / settings.softcap)) + (bias?.[row * t + j] ?? 0);
    });
    const sink = args.sinks?.data[args.sinks.data.length === 1 ? 0 : head];
    shares(scored, sink).forEach((share, j) => {
      for (let c = 0; c < u; c++) y[row * u + c] = (y[row * u + c] ?? 0) + share * (v[(keys * t + j) * u + c] ?? 0);
    });
  }
  return ndArray([...lead, n, s, u], y, args.q.dtype);
}

function withAxes(x: NdArray, axes: readonly number[]): NdArray {
  return axes.reduce((y, axis) => reshaped(y, [...y.dims.slice(0, axis), 1, ...y.dims.slice(axis)]), x);
}

/** Softmax with a sink that takes a share and gives nothing; all zero where nothing may be seen. */
function shares(scored: readonly number[], sink = Number.NEGATIVE_INFINITY): readonly number[] {
  const highest = Math.max(sink, ...scored);
  if (highest === Number.NEGATIVE_INFINITY) return scored.map(() => 0);
  const powers = scored.map((score) => Math.exp(score - highest));
  const total = powers.reduce((sum, power) => sum + power, Math.exp(sink - highest));
  return powers.map((power) => power / total);
}

export const attend: Op = defineOp({
  name: 'attend',
  doc:
    'Attention, softmax(scale · q kᵀ) v: q [.., N, S, W], k [.., G, T, W], v [.., G, T, U] to [.., N, S, U]; query head h reads head ⌊h·G/N⌋ of keys and values. ' +
    'Row i of S stands at position i + T - S among the columns. `causal`: it sees columns up to its own. `window: w`: only the last w of them. `chunk: c`: only those whose position has the same ⌊·/c⌋. ' +
    '`keep` (bool, [B, T] for each key, or ending in [S, T]) and all of these must hold; a row that sees nothing is 0. scale is 1/√W where left out; `softcap: c` bends scores to c · tanh(score / c); ' +
    '`bias` (ending in [S, T]) is added after that; `sinks` [N] are logits that take a share of each row and give nothing. Infinity is no window, no chunk, no cap.',
  inputs: ['q', 'k', 'v', 'keep?', 'bias?', 'sinks?'],
  attrs: {
    causal: { kind: 'bool', default: false },
    window: { kind: 'float', default: Number.POSITIVE_INFINITY },
    chunk: { kind: 'float', default: Number.POSITIVE_INFINITY },
    softcap: { kind: 'float', default: Number.POSITIVE_INFINITY },
    scale: { kind: 'float', optional: true },
  },
  type: ({ q, k, v, ...masks }, settings) => {
    needFloat('attend', q, 'q');
    needSameDType('attend', q, k, 'k');
    needSameDType('attend', q, v, 'v');
    const dims = attendDims(q, k, v);
    needMasks(masks, q, dims);
    needSettings(settings);
    return { dtype: q.dtype, dims: [...dims.lead, dims.heads, dims.rows, dims.depth] };
  },
  eval: (args, settings) => {
    const plain = (x: NdArray): TensorType => ({ dtype: x.dtype, dims: x.dims.map((size) => dim(size)) });
    const dims = attendDims(plain(args.q), plain(args.k), plain(args.v));
    return evaluate(args, settings, args.keep ? (keepAxes(plain(args.keep).dims, dims) ?? []) : []);
  },
  grad: (args, settings, { dy }, build) => attendGradient(args, settings, dy, build),
  lower: lowerAttend,
  samples: attendSamples,
});
