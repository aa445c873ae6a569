/** `weights` blocks → a source for every weight: prefixes travel inward, an outer binding wins over an inner one. */

import type { Binding, Path } from '../../grammar/ast.ts';
import { didYouMean } from '../diagnostics/suggest.ts';
import { type Context, type Env, fault, moduleEnv, quote } from './context.ts';
import { join } from './frame.ts';
import { bodyOf } from './instantiate.ts';
import { type Missing, reportMissing } from './missing-tensors.ts';
import { evaluateSource, fillName, holesOf, type Sourced, stringsIn, type TensorHeader } from './source.ts';
import type { Instance, LayerThing, WeightThing } from './thing.ts';
import { thingWords } from './thing.ts';
import { type Chosen, type Target, walkPath } from './walk-path.ts';

/** The source of one weight, or of one expert's share of it. */
export interface Bound {
  readonly source: Sourced;
  /** Whether `source` holds all experts, and this is the `index`-th. */
  readonly of?: { readonly index: number; readonly count: number };
  readonly binding: Binding;
  /** The binding that put its layer where it is. */
  readonly prefix?: Binding;
}

/** What binding found: sources by weight and expert, and the names that were read. */
export interface Bindings {
  readonly bound: ReadonlyMap<WeightThing, ReadonlyMap<string, Bound>>;
  readonly read: ReadonlySet<string>;
}

interface Setting<T> {
  readonly value: T;
  /** The layers around the one whose `weights` said so. */
  readonly chain: readonly Instance[];
  readonly binding: Binding;
}

interface State {
  readonly context: Context;
  readonly root: Instance;
  readonly tensors?: ReadonlyMap<string, TensorHeader>;
  readonly prefixes: Map<Instance, Map<string, Setting<string>>>;
  readonly sources: Map<WeightThing, Map<string, Setting<Bound>>>;
  readonly visited: Map<Instance, Set<string>>;
  readonly read: Set<string>;
  /** Names that the checkpoint lacks. */
  readonly missing: Missing[];
}

/** The key of one choice of experts. */
const liftKey = (lift: readonly Chosen[]): string => lift.map(({ index }) => index).join(',');

/** Collects the sources of all weights of a model. */
export function bindWeights(context: Context, root: Instance, tensors?: ReadonlyMap<string, TensorHeader>): Bindings {
  const state: State = { context, root, ...(tensors ? { tensors } : {}), prefixes: new Map(), sources: new Map(), visited: new Map(), read: new Set(), missing: [] };
  visit(root, { value: '' }, [], [root], state);
  reportMissing(state.missing, tensors?.keys() ?? [], state.read);
  const bound = new Map([...state.sources].map(([weight, slots]) => [weight, new Map([...slots].map(([key, setting]) => [key, setting.value]))] as const));
  return { bound, read: state.read };
}

/** Where the names of a layer begin, and the binding that said so. */
type From = Pick<Setting<string>, 'value'> & Partial<Pick<Setting<string>, 'binding'>>;

function visit(instance: Instance, from: From | undefined, lift: readonly Chosen[], chain: readonly Instance[], state: State): void {
  const prefix = from?.value;
  const key = `${liftKey(lift)}|${prefix ?? ''}|${prefix === undefined}`;
  const seen = state.visited.get(instance) ?? new Set();
  if (seen.has(key)) return;
  state.visited.set(instance, seen.add(key));
  const env = scopeOf(instance, state.context);
  const claims = new Map<object, Map<string, Binding>>();
  for (const binding of bodyOf(instance.decl)?.weights?.bindings ?? []) applyBinding(binding, { instance, prefix, by: from?.binding, lift, chain, env, claims }, state);
  for (const part of instance.parts.values()) enter(part.layer, part.shared ? [] : lift, chain, state);
}

function scopeOf(instance: Instance, context: Context): Env {
  return { ...moduleEnv(context, instance.module), scopes: [constantsOf(instance)], ...(instance.trace ? { trace: instance.trace } : {}) };
}

/** Sources may use the formals of the layer; weights and parts have no meaning there. */
function constantsOf(instance: Instance): Instance['names'] {
  return new Map(
    [...instance.names].filter(([, thing]) => thing.kind === 'int' || thing.kind === 'float' || thing.kind === 'bool' || thing.kind === 'string' || thing.kind === 'list'),
  );
}

function enter(layer: LayerThing, lift: readonly Chosen[], chain: readonly Instance[], state: State): void {
  switch (layer.kind) {
    case 'opaque':
      return;
    case 'stack':
      return layer.items.forEach((item) => enter(item, lift, chain, state));
    case 'mixture': {
      enter(layer.router, lift, chain, state);
      const total = layer.experts.reduce((sum, { count }) => sum + sizeOf(count), 0);
      let first = 0;
      for (const { layer: expert, count } of layer.experts) {
        // Without a checkpoint, only the form of the names can be wrong, and one expert shows it.
        const copies = state.tensors ? sizeOf(count) : Math.min(1, sizeOf(count));
        for (let i = 0; i < copies; i++) enter(expert, [...lift, { index: first + i, count: total }], chain, state);
        first += sizeOf(count);
      }
      return;
    }
    case 'instance': {
      const setting = state.prefixes.get(layer)?.get(liftKey(lift)) ?? state.prefixes.get(layer)?.get('');
      visit(layer, setting, lift, [...chain, layer], state);
    }
  }
}

const sizeOf = (size: { readonly terms: readonly { readonly numerator: number; readonly powers: readonly unknown[] }[] }): number =>
  size.terms.length === 1 && size.terms[0]?.powers.length === 0 ? size.terms[0].numerator : 1;

interface Place {
  readonly instance: Instance;
  readonly prefix: string | undefined;
  /** The binding that gave the prefix. */
  readonly by: Binding | undefined;
  readonly lift: readonly Chosen[];
  readonly chain: readonly Instance[];
  readonly env: Env;
  /** What the bindings of this layer so far have bound, by choice of experts. */
  readonly claims: Map<object, Map<string, Binding>>;
}

function applyBinding(binding: Binding, place: Place, state: State): void {
  const walked = binding.targets.map((path) => ({ path, ...walkPath(path, place.instance, place.env) }));
  for (const { path, targets, missing } of walked) if (targets.length === 0) reportPath(path, missing, place);
  if (walked.some(({ targets }) => targets.length === 0)) return;
  const free = [...new Set(walked.flatMap((one) => one.free))];
  if (!checkHoles(binding, free, place.env)) return;
  const assignments = new Map<string, { readonly indices: ReadonlyMap<string, number>; readonly groups: readonly { readonly path: Path; readonly targets: Target[] }[] }>();
  for (const [i, { targets }] of walked.entries()) {
    for (const target of targets) {
      const key = indexKey(target.indices);
      const one = assignments.get(key) ?? { indices: target.indices, groups: binding.targets.map((path) => ({ path, targets: [] })) };
      assignments.set(key, one);
      one.groups[i]?.targets.push(target);
    }
  }
  for (const { path, targets } of walked) if (!claim(binding, path, targets, place)) return;
  for (const { indices, groups } of assignments.values()) {
    const [first] = groups[0]?.targets ?? [];
    if (groups.length === 1 && first && first.thing.kind !== 'weight')
      groups[0]?.targets.forEach((target) => bindPrefix(binding, groups[0]?.path ?? binding.targets[0], target, place, state));
    else bindSources(binding, groups, indices, place, state);
  }
}

/** Notes that these are bound; a fault where one of them already is. */
function claim(binding: Binding, path: Path, targets: readonly Target[], { env, claims }: Place): boolean {
  for (const { thing, lift } of targets) {
    const own = claims.get(thing) ?? new Map<string, Binding>();
    claims.set(thing, own);
    const other = own.get(liftKey(lift));
    own.set(liftKey(lift), binding);
    if (!other || (other === binding && thing.kind !== 'weight')) continue;
    fault(
      env,
      'bound-twice',
      { path: quote(env.context.program, path.span) },
      { at: path.span, related: other === binding ? [] : [{ span: other.span, text: 'bound here first' }] },
    );
    return false;
  }
  return true;
}

const indexKey = (indices: ReadonlyMap<string, number>): string =>
  [...indices]
    .map(([name, value]) => `${name}=${value}`)
    .sort()
    .join();

function reportPath(path: Path, missing: ReturnType<typeof walkPath>['missing'], { instance, env }: Place): void {
  const owner = instance.decl.name.text;
  if (missing?.silent) return;
  const name = missing?.name ?? path.head.text;
  fault(
    env,
    'path-unknown',
    { owner, path: quote(env.context.program, path.span) },
    {
      at: missing?.span ?? path.span,
      fixes: didYouMean(name, missing?.known ?? []),
      notes: missing && missing.known.length > 0 && missing.known.length <= 16 ? [`there are ${missing.known.join(', ')}`] : [],
    },
  );
}

/** The names in braces are exactly those that are free on the left. */
function checkHoles(binding: Binding, free: readonly string[], env: Env): boolean {
  const strings = stringsIn(binding.source);
  const holes = new Set(strings.flatMap(({ value }) => holesOf(value)));
  const unbound = [...holes].find((hole) => !free.includes(hole));
  if (unbound !== undefined) {
    fault(
      env,
      'hole-unbound',
      { name: unbound },
      { at: strings.find(({ value }) => holesOf(value).includes(unbound))?.span ?? binding.source.span, fixes: didYouMean(unbound, free) },
    );
    return false;
  }
  const unused = free.find((name) => !holes.has(name));
  if (unused === undefined) return true;
  fault(
    env,
    'index-unused',
    { name: unused },
    {
      at: binding.source.span,
      fixes: [{ text: `write \`{${unused}}\` where the number stands in the name` }],
      related: binding.targets.slice(0, 1).map(({ span }) => ({ span, text: `\`${unused}\` ranges over all there are` })),
    },
  );
  return false;
}

function bindPrefix(binding: Binding, path: Path | undefined, target: Target, place: Place, state: State): void {
  const { thing } = target;
  const { env } = place;
  if (!path || thing.kind === 'weight' || thing.kind === 'opaque') return;
  const written = quote(env.context.program, path.span);
  if (thing.kind === 'stack' || thing.kind === 'mixture') {
    const example = thing.kind === 'stack' ? [`\`${written}[i] <- "….{i}"\``] : [`\`${written}[e] <- "….{e}"\` for the experts`, `\`${written}.router <- "…"\` for the router`];
    fault(env, 'path-needs-index', { path: written, what: thingWords[thing.kind] }, { at: path.span, fixes: example.map((text) => ({ text })) });
    return;
  }
  if (binding.source.kind !== 'string') {
    fault(env, 'prefix-is-no-string', { path: written }, { at: binding.source.span });
    return;
  }
  if (place.prefix === undefined) return;
  const prefix = fillName(binding.source.value, place.prefix, target.indices);
  const lift = [...place.lift, ...target.lift];
  const own = state.prefixes.get(thing) ?? new Map<string, Setting<string>>();
  state.prefixes.set(thing, own);
  const known = own.get(liftKey(lift));
  if (!known) own.set(liftKey(lift), { value: prefix, chain: place.chain, binding });
  else if (!isOutside(known.chain, place.chain) && known.value !== prefix) reportTied(written, known, prefix, binding, env);
}

/** Whether a binding was made by a layer around the one at hand: then it wins. */
const isOutside = (outer: readonly Instance[], inner: readonly Instance[]): boolean => outer.length < inner.length && outer.every((one, i) => one === inner[i]);

function reportTied(path: string, known: Setting<unknown>, right: string, binding: Binding, env: Env): void {
  fault(
    env,
    'tied-prefixes-differ',
    { path, left: String(known.value), right },
    {
      at: binding.span,
      related: known.binding === binding ? [] : [{ span: known.binding.span, text: 'bound here too' }],
      fixes: [{ text: 'bind the layer once, by the name of the part that it is' }],
    },
  );
}

interface Group {
  readonly path: Path;
  readonly targets: readonly Target[];
}

function bindSources(binding: Binding, groups: readonly Group[], indices: ReadonlyMap<string, number>, place: Place, state: State): void {
  const { env } = place;
  const part = groups.flatMap(({ path, targets }) => targets.map((target) => ({ path, target }))).find(({ target }) => target.thing.kind !== 'weight');
  if (part) {
    fault(env, 'prefix-is-no-string', { path: quote(env.context.program, part.path.span) }, { at: binding.source.span });
    return;
  }
  const bare = place.prefix === undefined;
  const name = (full: string, found: boolean): void => {
    if (bare) return;
    if (found) state.read.add(full);
    else if (state.tensors) missingOf(binding, place, state).add(full);
  };
  const tensors = bare ? undefined : state.tensors;
  const sources = evaluateSource(binding.source, { env, prefix: place.prefix ?? '', indices, ...(tensors ? { tensors } : {}), name });
  if (!sources) return;
  if (sources.length !== groups.length) {
    fault(env, 'sources-differ', { targets: groups.length, sources: sources.length }, { at: binding.span });
    return;
  }
  if (bare) return;
  groups.forEach(({ targets }, i) => {
    const source = sources[i];
    targets.forEach((target, index) => {
      if (!source || target.thing.kind !== 'weight') return;
      const stacked = target.ranges.length > 0 ? { of: { index, count: targets.length } } : {};
      setSource(target.thing, [...place.lift, ...target.lift], { source, ...stacked, binding, ...(place.by ? { prefix: place.by } : {}) }, place, state);
    });
  });
}

function missingOf(binding: Binding, { by, env }: Place, { missing }: State): Set<string> {
  const known = missing.find((one) => one.binding === binding && one.prefix === by);
  if (known) return known.names;
  const made: Missing = { binding, prefix: by, env, names: new Set() };
  missing.push(made);
  return made.names;
}

function setSource(weight: WeightThing, lift: readonly Chosen[], bound: Bound, place: Place, state: State): void {
  const own = state.sources.get(weight) ?? new Map<string, Setting<Bound>>();
  state.sources.set(weight, own);
  const key = weight.shared ? '' : liftKey(lift);
  const known = own.get(key);
  if (!known) own.set(key, { value: bound, chain: place.chain, binding: bound.binding });
}

/** The path as it is written in `weights`: `blocks[0].attn.q`. */
export function writtenPath(path: string): string {
  return path.split('.').reduce((written, step) => (/^\d+$/.test(step) ? `${written}[${step}]` : join(written, step)), '');
}

/** `blocks[0].ffn[3].gate` → `blocks[i].ffn[j].gate`. */
export function withFreeIndices(path: string): string {
  const names = ['i', 'j', 'k', 'l'];
  let at = 0;
  return path.replace(/\[\d+\]/g, () => `[${names[at++] ?? 'n'}]`);
}
