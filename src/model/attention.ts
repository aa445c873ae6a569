/** What a causal model needs in a step and no author writes: caches for keys and values, positions for rotations. */

import type { Span } from '../../grammar/span.ts';
import { dim, show } from '../graph/dim.ts';
import type { Attr, Op } from '../graph/op.ts';
import type { Env } from './context.ts';
import { emitOne, type Operand } from './frame.ts';
import { opNamed } from './operator.ts';

const portOf = (op: Op, name: string): number => op.inputs.findIndex((port) => port.replace(/[?*]$/, '') === name);

/** The inputs of an `attend` with `cache` around keys and values, where it is causal and the author wrote none. */
export function addCaches(env: Env, op: Op, inputs: readonly (Operand | undefined)[], attrs: Readonly<Record<string, Attr>>, span: Span): readonly (Operand | undefined)[] {
  const build = env.frame?.build;
  const [k, v] = [portOf(op, 'k'), portOf(op, 'v')];
  if (!build || attrs['causal'] !== true || [inputs[k], inputs[v]].some((one) => one && build.cached.has(one.tensor.value))) return inputs;
  const names = new Map([
    [k, 'key'],
    [v, 'value'],
  ]);
  const suffix = numbered(build.caches, `${env.frame?.place ?? ''}/`);
  return inputs.map((one, i) => {
    const name = names.get(i);
    if (!one || name === undefined) return one;
    const path = `${env.frame?.place ?? ''}/${name}${suffix}`;
    const kept = emitOne(env, opNamed('cache'), [one], { path }, span, path);
    return kept.kind === 'poison' ? one : { tensor: kept, span: one.span };
  });
}

/** The name under which a `cache` that the author wrote is kept. */
export function cachePath(env: Env): string {
  const { frame } = env;
  if (!frame) return '';
  const path = `${frame.place}/${frame.target?.name ?? 'cache'}`;
  return path + numbered(frame.build.caches, path);
}

function numbered(counts: Map<string, number>, path: string): string {
  const count = counts.get(path) ?? 0;
  counts.set(path, count + 1);
  return count === 0 ? '' : `.${count}`;
}

/** The inputs of a `rope` with `positions` of its rows, where the author gave none. */
export function addPositions(env: Env, op: Op, inputs: readonly (Operand | undefined)[], span: Span): readonly (Operand | undefined)[] {
  const at = portOf(op, 'positions');
  const x = inputs[0];
  const rows = x?.tensor.type.dims.at(-2);
  const { frame } = env;
  if (at < 0 || inputs[at] || !rows || !frame) return inputs;
  const key = show({ terms: rows.terms });
  const known = frame.build.positions.get(key);
  const type = { dtype: 'i64', dims: [rows] } as const;
  const made = known ? { kind: 'tensor' as const, value: known, type } : emitOne(env, opNamed('positions'), [], { n: rows ?? dim(0) }, span, 'positions');
  if (made.kind === 'poison') return inputs;
  frame.build.positions.set(key, made.value);
  return op.inputs.map((_, i) => (i === at ? { tensor: made, span } : inputs[i]));
}
