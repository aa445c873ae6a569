/** Bound sources → the sources of the graph: checked against the type of the weight, experts stacked, element types converted. */

import { type Diagnostic, diagnose } from '../diagnostics/diagnostic.ts';
import type { Random, Source } from '../graph/source.ts';
import { constantDims, type DType } from '../graph/type.ts';
import type { Bindings, Bound } from './bind.ts';
import type { Context } from './context.ts';
import type { Misfit } from './misfits.ts';
import type { PlacedWeight } from './paths.ts';
import type { TensorHeader } from './source.ts';
import { reportUnbound } from './unbound.ts';

/** Numbers made from the seed for a weight without a checkpoint. Deviations follow the number of inputs (of a table, the width of a row), so that signals keep their size. */
export function randomSource({ weight, path, lift }: PlacedWeight, seed: number, table: boolean): Random {
  const own = constantDims(weight.type.dims) ?? [];
  const dims = [...(constantDims(lift) ?? []), ...own];
  const fanIn = table ? (own.at(-1) ?? 1) : own.length >= 3 ? own.slice(1).reduce((product, size) => product * size, 1) : own.length === 2 ? (own[0] ?? 1) : 2_500;
  const value = weight.initial;
  return { kind: 'random', path, seed, deviation: 1 / Math.sqrt(Math.max(1, fanIn)), ...(value === undefined ? {} : { value }), dims, dtype: weight.type.dtype };
}

/** The source of a weight in the checkpoint; undefined where there is none, which is reported, or where it does not fit, which is noted in `misfits`. */
export function boundSource(context: Context, placed: PlacedWeight, bindings: Bindings, misfits: Misfit[]): Source | undefined {
  const slots = bindings.bound.get(placed.weight);
  const at: Fitting = { placed, misfits };
  const counts = constantDims(placed.lift) ?? [];
  const keys = counts.reduce<readonly string[]>((all, count) => all.flatMap((key) => Array.from({ length: count }, (_, i) => (key === '' ? String(i) : `${key},${i}`))), ['']);
  const found = keys.map((key) => slots?.get(key));
  const own = constantDims(placed.weight.type.dims) ?? [];
  const [first] = found;
  if (!first || found.some((one) => !one)) {
    reportUnbound(context, [placed]);
    return undefined;
  }
  const whole = first.of && found.every((one, i) => one?.of && one.source === first.source && one.of.index === i && one.of.count === found.length) ? first.source : undefined;
  if (whole) return whole.kind === 'unread' ? undefined : fitting(at, whole, [...counts, ...own], first);
  const each = found.map((one) => one && shareOf(at, one, own));
  if (each.some((one) => one === undefined)) return undefined;
  const parts = each.filter((one) => one !== undefined);
  if (counts.length === 0) return parts[0];
  const rows = parts.map((part): Source => ({ kind: 'reshape', of: part, dims: [1, ...own], dtype: part.dtype }));
  const flat: Source = { kind: 'concat', of: rows, axis: 0, dims: [rows.length, ...own], dtype: placed.weight.type.dtype };
  return counts.length === 1 ? flat : { kind: 'reshape', of: flat, dims: [...counts, ...own], dtype: flat.dtype };
}

interface Fitting {
  readonly placed: PlacedWeight;
  readonly misfits: Misfit[];
}

function shareOf(at: Fitting, bound: Bound, own: readonly number[]): Source | undefined {
  const { source, of } = bound;
  if (source.kind === 'unread') return undefined;
  if (!of) return fitting(at, source, own, bound);
  const row: Source = { kind: 'slice', of: source, axis: 0, from: of.index, to: of.index + 1, drop: true, dims: source.dims.slice(1), dtype: source.dtype };
  if (source.dims[0] !== of.count) return fitting(at, source, [of.count, ...own], bound);
  return fitting(at, row, own, bound);
}

const isFloat = (dtype: DType): boolean => dtype === 'f32' || dtype === 'f16' || dtype === 'bf16' || dtype === 'f64';
const isWhole = (dtype: DType): boolean => !isFloat(dtype) && dtype !== 'bool' && dtype !== 'string';

function fitting({ placed, misfits }: Fitting, source: Source, wanted: readonly number[], bound: Bound): Source | undefined {
  const { weight } = placed;
  const misfit = (code: Misfit['code'], asked: string, there: string): undefined => void misfits.push({ code, placed, bound: { ...bound, source }, wanted: asked, found: there });
  const shape = `[${wanted.join(', ')}]`;
  const found = `[${source.dims.join(', ')}]`;
  if (shape !== found) {
    const swapped = `[${[...source.dims.slice(0, -2), ...source.dims.slice(-2).reverse()].join(', ')}]`;
    return misfit(swapped === shape && bound.binding.targets.length === 1 ? 'weight-is-transposed' : 'tensor-wrong-shape', shape, found);
  }
  if (source.dtype === weight.type.dtype) return source;
  const converts = (isFloat(source.dtype) && isFloat(weight.type.dtype)) || (isWhole(source.dtype) && isWhole(weight.type.dtype));
  return converts ? { kind: 'cast', of: source, dims: source.dims, dtype: weight.type.dtype } : misfit('tensor-wrong-dtype', weight.type.dtype, source.dtype);
}

/** One note for the tensors that no weight reads. */
export function unreadTensors(tensors: ReadonlyMap<string, TensorHeader>, read: ReadonlySet<string>): readonly Diagnostic[] {
  const names = [...tensors.keys()].filter((name) => !read.has(name));
  if (names.length === 0) return [];
  const shown = names.slice(0, 8);
  return [
    diagnose(
      'tensors-unread',
      { count: names.length === 1 ? 'one tensor' : `${names.length} tensors` },
      { notes: [...shown, ...(names.length > shown.length ? [`and ${names.length - shown.length} more`] : [])] },
    ),
  ];
}
