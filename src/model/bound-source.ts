/** Bound sources → the sources of the graph: checked against the type of the weight, experts stacked, element types converted. */

import { type Diagnostic, diagnose } from '../diagnostics/diagnostic.ts';
import type { Random, Source } from '../graph/source.ts';
import { constantDims, type DType, spellType } from '../graph/type.ts';
import { type Bindings, type Bound, writtenPath } from './bind.ts';
import { type Context, type Env, fault, moduleEnv } from './context.ts';
import { spellValue } from './frame.ts';
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

/** The source of a weight in the checkpoint; undefined where there is none or it does not fit, which is reported. */
export function boundSource(context: Context, placed: PlacedWeight, bindings: Bindings): Source | undefined {
  const slots = bindings.bound.get(placed.weight);
  const env = envOf(context, placed);
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
  if (whole) return whole.kind === 'unread' ? undefined : fitting(env, placed, whole, [...counts, ...own], first);
  const each = found.map((one) => one && shareOf(env, placed, one, own));
  if (each.some((one) => one === undefined)) return undefined;
  const parts = each.filter((one) => one !== undefined);
  if (counts.length === 0) return parts[0];
  const rows = parts.map((part): Source => ({ kind: 'reshape', of: part, dims: [1, ...own], dtype: part.dtype }));
  const flat: Source = { kind: 'concat', of: rows, axis: 0, dims: [rows.length, ...own], dtype: placed.weight.type.dtype };
  return counts.length === 1 ? flat : { kind: 'reshape', of: flat, dims: [...counts, ...own], dtype: flat.dtype };
}

function envOf(context: Context, { owner }: PlacedWeight): Env {
  return { ...moduleEnv(context, owner.module), ...(owner.trace ? { trace: owner.trace } : {}) };
}

function shareOf(env: Env, placed: PlacedWeight, bound: Bound, own: readonly number[]): Source | undefined {
  const { source, of } = bound;
  if (source.kind === 'unread') return undefined;
  if (!of) return fitting(env, placed, source, own, bound);
  const row: Source = { kind: 'slice', of: source, axis: 0, from: of.index, to: of.index + 1, drop: true, dims: source.dims.slice(1), dtype: source.dtype };
  if (source.dims[0] !== of.count) return fitting(env, placed, source, [of.count, ...own], bound);
  return fitting(env, placed, row, own, bound);
}

const isFloat = (dtype: DType): boolean => dtype === 'f32' || dtype === 'f16' || dtype === 'bf16' || dtype === 'f64';
const isWhole = (dtype: DType): boolean => !isFloat(dtype) && dtype !== 'bool' && dtype !== 'string';

function fitting(env: Env, placed: PlacedWeight, source: Source, wanted: readonly number[], { binding }: Bound): Source | undefined {
  const { weight } = placed;
  const path = writtenPath(placed.path);
  const related = [{ span: weight.decl.type.span, text: `declared ${spellType(weight.type)}${named(placed)}` }];
  const shape = `[${wanted.join(', ')}]`;
  const found = `[${source.dims.join(', ')}]`;
  if (shape !== found) {
    const swapped = `[${[...source.dims.slice(0, -2), ...source.dims.slice(-2).reverse()].join(', ')}]`;
    const transposed = swapped === shape && binding.targets.length === 1;
    const removes = source.kind === 'transpose';
    if (transposed)
      fault(
        env,
        'weight-is-transposed',
        { path, wanted: shape, found },
        {
          at: binding.source.span,
          related,
          fixes: [
            {
              text:
                (removes ? 'drop `.T`' : 'add `.T`') +
                (binding.span.file === env.context.program.root.file ? '' : `, by a binding of your own: \`${path} <- "…"${removes ? '' : '.T'}\``),
            },
          ],
        },
      );
    else fault(env, 'tensor-wrong-shape', { path, wanted: shape, found }, { at: binding.source.span, related });
    return undefined;
  }
  if (source.dtype === weight.type.dtype) return source;
  const converts = (isFloat(source.dtype) && isFloat(weight.type.dtype)) || (isWhole(source.dtype) && isWhole(weight.type.dtype));
  if (converts) return { kind: 'cast', of: source, dims: source.dims, dtype: weight.type.dtype };
  fault(env, 'tensor-wrong-dtype', { path, wanted: weight.type.dtype, found: source.dtype }, { at: binding.source.span, related });
  return undefined;
}

function named({ weight }: PlacedWeight): string {
  const sizes = weight.type.dims.map(spellValue).filter((word) => word.includes('='));
  return sizes.length === 0 ? '' : `, ${[...new Set(sizes)].join(', ')}`;
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
