/** Weights whose sources have another shape or element type: one report for all that are wrong in the same way. */

import type { Binding } from '../../grammar/ast.ts';
import type { Label } from '../diagnostics/diagnostic.ts';
import { spellType } from '../graph/type.ts';
import { type Bound, withFreeIndices, writtenPath } from './bind.ts';
import { type Context, fault, moduleEnv, quote } from './context.ts';
import { join, spellValue } from './frame.ts';
import type { PlacedWeight } from './paths.ts';
import type { Program } from './program.ts';

/** A weight and what its source has instead. */
export interface Misfit {
  readonly code: 'weight-is-transposed' | 'tensor-wrong-shape' | 'tensor-wrong-dtype';
  readonly placed: PlacedWeight;
  readonly bound: Bound;
  readonly wanted: string;
  readonly found: string;
}

/** Reports them, those of one binding and one kind together. */
export function reportMisfits(context: Context, misfits: readonly Misfit[]): void {
  const groups = new Map<string, Misfit[]>();
  for (const one of misfits) {
    const { span } = (one.bound.prefix ?? one.bound.binding).source;
    const key = [one.code, one.wanted, one.found, span.file, span.start, one.placed.weight.name].join('|');
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  for (const group of groups.values()) reportGroup(context, group);
}

function reportGroup(context: Context, group: readonly Misfit[]): void {
  const [first] = group;
  if (!first) return;
  const { placed, bound, code, wanted, found } = first;
  const { binding, prefix } = bound;
  const paths = group.map((one) => writtenPath(one.placed.path));
  const path = group.length > 1 ? withFreeIndices(paths[0] ?? '') : (paths[0] ?? '');
  // The prefix is what a user wrote; the name under it may be the library's.
  const outer = prefix && prefix.span.file !== binding.span.file ? prefix : undefined;
  const related: readonly Label[] = [
    ...(outer ? [{ span: binding.source.span, text: 'the name under it' }] : []),
    { span: placed.weight.decl.type.span, text: `declared ${spellType(placed.weight.type)}${numbersOf(placed)}` },
  ];
  const env = { ...moduleEnv(context, placed.owner.module), ...(placed.owner.trace ? { trace: placed.owner.trace } : {}) };
  const notes = group.length > 1 ? [`${group.length} weights, from ${paths[0] ?? ''} to ${paths.at(-1) ?? ''}`] : [];
  const fixes = code === 'weight-is-transposed' ? [{ text: transposing(first, outer, context.program) }] : [];
  fault(env, code, { path, wanted, found }, { at: (outer ?? binding).source.span, ...(outer ? { label: 'the prefix' } : {}), related, notes, fixes });
}

/** How to exchange the axes: at the binding, or by one beside the prefix where the binding is in another file. */
function transposing({ bound: { source, binding } }: Misfit, prefix: Binding | undefined, program: Program): string {
  const drops = source.kind === 'transpose' || (source.kind === 'slice' && source.of.kind === 'transpose');
  const [layer, weight] = [prefix?.targets[0], binding.targets[0]];
  const name = /^"([^"]*)"(?:\.T)?$/.exec(quote(program, binding.source.span))?.[1];
  if (!prefix || !layer || !weight || name === undefined || prefix.source.kind !== 'string') return drops ? 'drop `.T`' : 'add `.T`';
  return `bind it here: \`${quote(program, layer.span)}.${quote(program, weight.span)} <- "${join(prefix.source.value, name)}"${drops ? '' : '.T'}\``;
}

function numbersOf({ weight }: PlacedWeight): string {
  const sizes = weight.type.dims.map(spellValue).filter((word) => word.includes('='));
  return sizes.length === 0 ? '' : `, ${[...new Set(sizes)].join(', ')}`;
}
