/** What an index of a path chooses of what is there: one, a range, a list, or all where its name is free. */

import type { Expr, Index, Path } from '../../grammar/ast.ts';
import { int, isPlain, numberOf } from './arithmetic.ts';
import { type Env, fault } from './context.ts';
import { evaluate, wholeNumber } from './evaluate.ts';
import { lookUpLocal } from './scope.ts';
import type { Thing } from './thing.ts';

/** What an index chooses from, and how. */
export interface Indexing {
  /** How many there are. */
  readonly count: number;
  /** Names that range over all that exists. */
  readonly free: readonly string[];
  /** Those that have a value already. */
  readonly bound: ReadonlyMap<string, number>;
  /** Whether an index beyond what is there is a fault, rather than nothing. */
  readonly bounded: boolean;
}

/** One that was chosen. */
export interface Choice {
  readonly at: number;
  /** The free index it gives a value. */
  readonly name?: string;
  /** Its place in a range. */
  readonly range?: number;
}

/** Names in indices that mean nothing else: they range over all that exists. */
export function freeNames(path: Path, env: Env): readonly string[] {
  const names = path.suffixes.flatMap((suffix) =>
    suffix.kind === 'dot'
      ? []
      : suffix.indices.flatMap((index) => [
          ...(index.binder ? [index.binder.text] : []),
          ...(index.kind === 'at' && !index.binder && isFree(index.value, env) ? [index.value.text] : []),
        ]),
  );
  return [...new Set(names)];
}

function isFree(value: Expr, env: Env): value is Extract<Expr, { kind: 'name' }> {
  return value.kind === 'name' && !env.module.names.has(value.text) && !lookUpLocal(env, value.text);
}

/** What an index chooses; undefined after a fault. */
export function choose(index: Index, { count, free, bound, bounded }: Indexing, env: Env): readonly Choice[] | undefined {
  const scope = new Map<string, Thing>([...bound].map(([name, value]) => [name, int(value)]));
  const inner: Env = { ...env, scopes: [scope, ...env.scopes] };
  const outside = (shown: number | string): undefined => void fault(env, 'index-out-of-range', { index: shown, count }, { at: index.span });
  const every = Array.from({ length: count }, (_, at) => at);
  if (index.kind === 'range') {
    const from = index.from ? wholeNumber(index.from, inner) : 0;
    const to = index.to ? wholeNumber(index.to, inner) : count;
    if (from === undefined || to === undefined) return undefined;
    if (bounded && (from < 0 || to > count || from > to)) return outside(`${from}..${to}`);
    const name = index.binder?.text;
    return every.slice(from, to).map((at, range) => (name === undefined ? { at, range } : { at, name }));
  }
  if (index.binder) {
    const list = evaluate(index.value, inner);
    if (list.kind === 'poison') return undefined;
    const values = list.kind === 'list' ? (list.items ?? []).flatMap((one) => (isPlain(one) && one.kind === 'int' ? [numberOf(one) ?? -1] : [])) : [];
    const name = index.binder.text;
    const beyond = bounded ? values.find((at) => at < 0 || at >= count) : undefined;
    return beyond === undefined ? values.filter((at) => at >= 0 && at < count).map((at) => ({ at, name })) : outside(beyond);
  }
  if (index.value.kind === 'name' && free.includes(index.value.text)) {
    const name = index.value.text;
    const at = bound.get(name);
    return at === undefined ? every.map((one) => ({ at: one, name })) : [{ at }];
  }
  const written = wholeNumber(index.value, inner);
  if (written === undefined) return undefined;
  const at = written < 0 ? written + count : written;
  return bounded && (at < 0 || at >= count) ? outside(written) : [{ at }];
}
