/** Paths such as `blocks[i].ffn.gate` → the weights and layers they name, for every value of their free indices. */

import type { Index, Path } from '../../grammar/ast.ts';
import { constant } from '../graph/dim.ts';
import { choose, freeNames, type Indexing } from './choose-index.ts';
import type { Env } from './context.ts';
import { join } from './frame.ts';
import type { Instance, LayerThing, Mixture, WeightThing } from './thing.ts';

/** One thing a path names. */
export interface Target {
  readonly thing: LayerThing | WeightThing;
  /** Where it stands, such as `blocks.3.ffn`. */
  readonly path: string;
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

/** Follows a path from a layer. Faults inside index expressions are reported, with `bounded` also indices beyond what is there; a path that leads nowhere is the caller's to word. */
export function walkPath(path: Path, from: Instance, env: Env, bounded = false): Walked {
  const free = freeNames(path, env);
  let missing: Walked['missing'];
  let at: readonly Target[] = enter({ thing: from, path: '', indices: new Map(), lift: [], ranges: [] }, path.head.text);
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
      const picked = index && suffix.indices.length === 1 ? before.map((target) => pick(target, index, { free, bounded }, env)) : [];
      at = picked.flatMap((one) => one ?? []);
      if (at.length === 0) missing ??= { name: '[…]', span: suffix.span, known: [], silent: picked.includes(undefined) || before.some(({ thing }) => thing.kind === 'opaque') };
    }
  }
  return { targets: at, ...(missing ? { missing } : {}), free };
}

/** Whether nothing is known of the name because of a fault, or because the layer itself is not known. */
const isPoisoned = (thing: LayerThing | WeightThing, name: string): boolean => thing.kind === 'opaque' || (thing.kind === 'instance' && thing.names.get(name)?.kind === 'poison');

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
  return found ? [{ ...target, thing: found, path: join(target.path, name) }] : [];
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

/** What an index chooses from a target; undefined after a fault. */
function pick(target: Target, index: Index, indexing: Omit<Indexing, 'count' | 'bound'>, env: Env): readonly Target[] | undefined {
  const { thing } = target;
  if (thing.kind !== 'stack' && thing.kind !== 'mixture') return [];
  const count = thing.kind === 'stack' ? thing.items.length : (constant(thing.count) ?? 0);
  return choose(index, { ...indexing, count, bound: target.indices }, env)?.flatMap(({ at, name, range }) => {
    const chosen = thing.kind === 'stack' ? thing.items[at] : expertAt(thing, at);
    if (!chosen) return [];
    return [
      {
        thing: chosen,
        path: join(target.path, String(at)),
        indices: name === undefined ? target.indices : new Map([...target.indices, [name, at]]),
        lift: thing.kind === 'mixture' ? [...target.lift, { index: at, count }] : target.lift,
        ranges: range === undefined ? target.ranges : [...target.ranges, range],
      },
    ];
  });
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
