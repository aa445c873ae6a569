/** Paths such as `blocks[i].ffn.gate` → the weights and layers they name, for every value of their free indices. */

import type { Expr, Index, Path } from '../../grammar/ast.ts';
import { constant } from '../graph/dim.ts';
import { int, isPlain, numberOf } from './arithmetic.ts';
import type { Env } from './context.ts';
import { evaluate, wholeNumber } from './evaluate.ts';
import { lookUpLocal } from './scope.ts';
import type { Instance, LayerThing, Mixture, Thing, WeightThing } from './thing.ts';

/** One thing a path names. */
export interface Target {
  readonly thing: LayerThing | WeightThing;
  /** The values of the free indices. */
  readonly indices: ReadonlyMap<string, number>;
  /** The experts chosen on the way, outermost first. */
  readonly lift: readonly Chosen[];
  /** Where it stands in the ranges of the path. */
  readonly ranges: readonly number[];
}

/** Expert `index` of `count`. */
export interface Chosen {
  readonly index: number;
  readonly count: number;
}

/** What a path came to: its targets, or where it ended and what could have stood there. */
interface Walked {
  readonly targets: readonly Target[];
  /** The name that no way led to, with the names that were there. */
  readonly missing?: {
    readonly name: string;
    readonly span: Path['span'];
    readonly known: readonly string[] /** Whether a fault that was reported made it so. */;
    readonly silent: boolean;
  };
  readonly free: readonly string[];
}

/** Follows a path from a layer. Faults inside index expressions are reported; a path that leads nowhere is the caller's to word. */
export function walkPath(path: Path, from: Instance, env: Env): Walked {
  const free = freeNames(path, env);
  let missing: Walked['missing'];
  let at: readonly Target[] = enter({ thing: from, indices: new Map(), lift: [], ranges: [] }, path.head.text);
  if (at.length === 0) return { targets: [], missing: { name: path.head.text, span: path.head.span, known: namesOf(from), silent: isPoisoned(from, path.head.text) }, free };
  for (const suffix of path.suffixes) {
    const before = at;
    if (suffix.kind === 'dot') {
      at = before.flatMap((target) => enter(target, suffix.name.text));
      if (at.length === 0)
        missing ??= {
          name: suffix.name.text,
          span: suffix.name.span,
          known: [...new Set(before.flatMap(({ thing }) => namesOf(thing)))],
          silent: before.some(({ thing }) => isPoisoned(thing, suffix.name.text)),
        };
    } else {
      const [index] = suffix.indices;
      at = index && suffix.indices.length === 1 ? before.flatMap((target) => pick(target, index, free, env)) : [];
      if (at.length === 0) missing ??= { name: '[…]', span: suffix.span, known: [], silent: before.some(({ thing }) => thing.kind === 'opaque') };
    }
  }
  return { targets: at, ...(missing ? { missing } : {}), free };
}

/** Whether nothing is known of the name because of a fault, or because the layer itself is not known. */
const isPoisoned = (thing: LayerThing | WeightThing, name: string): boolean => thing.kind === 'opaque' || (thing.kind === 'instance' && thing.names.get(name)?.kind === 'poison');

/** Names in indices that mean nothing else: they range over all that exists. */
function freeNames(path: Path, env: Env): readonly string[] {
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

function namesOf(thing: LayerThing | WeightThing): readonly string[] {
  if (thing.kind === 'instance') return [...thing.parts.keys(), ...thing.weights.keys()];
  return thing.kind === 'mixture' ? ['router', ...sharedNames(thing)] : [];
}

function sharedNames(mixture: Mixture): readonly string[] {
  const expert = mixture.experts[0]?.layer;
  return expert?.kind === 'instance'
    ? [...[...expert.weights.values()].filter((one) => one.shared), ...[...expert.parts.values()].filter((one) => one.shared)].map((one) => one.name)
    : [];
}

function enter(target: Target, name: string): readonly Target[] {
  const { thing } = target;
  const found = thing.kind === 'instance' ? inInstance(thing, name) : thing.kind === 'mixture' ? inMixture(thing, name) : undefined;
  return found ? [{ ...target, thing: found }] : [];
}

function inInstance(instance: Instance, name: string): LayerThing | WeightThing | undefined {
  return instance.parts.get(name)?.layer ?? instance.weights.get(name);
}

/** What is shared by the experts belongs to the mixture. */
function inMixture(mixture: Mixture, name: string): LayerThing | WeightThing | undefined {
  if (name === 'router') return mixture.router;
  const expert = mixture.experts[0]?.layer;
  return expert?.kind === 'instance' && sharedNames(mixture).includes(name) ? inInstance(expert, name) : undefined;
}

function pick(target: Target, index: Index, free: readonly string[], env: Env): readonly Target[] {
  const { thing } = target;
  if (thing.kind !== 'stack' && thing.kind !== 'mixture') return [];
  const count = thing.kind === 'stack' ? thing.items.length : (constant(thing.count) ?? 0);
  const scope = new Map<string, Thing>([...target.indices].map(([name, value]) => [name, int(value)]));
  const inner: Env = { ...env, scopes: [scope, ...env.scopes] };
  return chosenBy(index, count, target, free, inner).flatMap(({ at, name, range }) => {
    const chosen = thing.kind === 'stack' ? thing.items[at] : expertAt(thing, at);
    if (!chosen) return [];
    return [
      {
        thing: chosen,
        indices: name === undefined ? target.indices : new Map([...target.indices, [name, at]]),
        lift: thing.kind === 'mixture' ? [...target.lift, { index: at, count }] : target.lift,
        ranges: range === undefined ? target.ranges : [...target.ranges, range],
      },
    ];
  });
}

interface Choice {
  readonly at: number;
  /** The free index it gives a value. */
  readonly name?: string;
  /** Its place in a range. */
  readonly range?: number;
}

function chosenBy(index: Index, count: number, target: Target, free: readonly string[], env: Env): readonly Choice[] {
  const every = Array.from({ length: count }, (_, at) => at);
  if (index.kind === 'range') {
    const from = index.from ? wholeNumber(index.from, env) : 0;
    const to = index.to ? wholeNumber(index.to, env) : count;
    if (from === undefined || to === undefined) return [];
    const name = index.binder?.text;
    return every.slice(from, to).map((at, range) => (name === undefined ? { at, range } : { at, name }));
  }
  if (index.binder) {
    const list = evaluate(index.value, env);
    const values = list.kind === 'list' ? (list.items ?? []).flatMap((one) => (isPlain(one) && one.kind === 'int' ? [numberOf(one) ?? -1] : [])) : [];
    const name = index.binder.text;
    return values.filter((at) => at >= 0 && at < count).map((at) => ({ at, name }));
  }
  if (index.value.kind === 'name' && free.includes(index.value.text)) {
    const name = index.value.text;
    const bound = target.indices.get(name);
    return bound === undefined ? every.map((at) => ({ at, name })) : [{ at: bound }];
  }
  const at = wholeNumber(index.value, env);
  return at === undefined ? [] : [{ at: at < 0 ? at + count : at }];
}

function expertAt(mixture: Mixture, at: number): LayerThing | undefined {
  let left = at;
  for (const { layer, count } of mixture.experts) {
    const size = constant(count) ?? 1;
    if (left < size) return layer;
    left -= size;
  }
  return undefined;
}
