/** Derived models: what was done to a model, read and checked here, carried out by passes. */

import type { Derivation as DerivationDecl, ModelDecl, Path } from '../../grammar/ast.ts';
import type { Span } from '../../grammar/span.ts';
import { didYouMean } from '../diagnostics/suggest.ts';
import { constant } from '../graph/dim.ts';
import type { EmergentSettings } from '../passes/emergent/settings.ts';
import { int } from './arithmetic.ts';
import { type Chain, chainOf } from './chain.ts';
import { type Context, type Env, fault, moduleEnv, quote } from './context.ts';
import type { Derivation, DerivationTarget, NamedFile } from './derivation.ts';
import { emergentSettings } from './derive-settings.ts';
import { foundPlaces } from './found-places.ts';
import { instantiate } from './instantiate.ts';
import type { Module } from './program.ts';
import type { Instance, LayerThing, Thing, WeightThing } from './thing.ts';
import { type Target, walkPath } from './walk-path.ts';
import { walkPlaces } from './walk-places.ts';

/** The derivations the language knows, and whether they can be built. */
const passes: Readonly<Record<string, { readonly built: boolean }>> = { emergent: { built: true }, merge: { built: true }, grow: { built: false }, patch: { built: false } };

/** What paths are followed in: the layers of a model, or the feed-forwards found in an ONNX file, where it has been read. */
export type Ground =
  | { readonly kind: 'model'; readonly instance: Instance; places(): readonly string[] }
  | { readonly kind: 'onnx'; readonly file: string; readonly places?: readonly string[] };

/** Checks a derived model: what it is derived from, the names of its derivations, their paths and settings. */
export function checkDerived(context: Context, decl: ModelDecl, module: Module): void {
  const chain = chainOf(context, decl, module);
  checkWords(context, chain ?? { links: decl.what.kind === 'derived' ? [{ what: decl.what, module }] : [] });
  const ground = chain && groundOf(context, chain);
  if (chain && ground) derivationsOf(context, chain, ground);
}

/** Checks what can be said of derived models without their base. */
export function checkWords(context: Context, { links }: Pick<Chain, 'links'>): void {
  const known = Object.keys(passes);
  for (const { what, module } of links) {
    const env = moduleEnv(context, module);
    for (const { pass, settings } of what.derivations) {
      const { text, span } = pass;
      if (!Object.hasOwn(passes, text)) fault(env, 'pass-unknown', { name: text }, { at: span, fixes: didYouMean(text, known), notes: [`there are ${known.join(', ')}`] });
      for (const [i, { name }] of settings.settings.entries()) {
        const other = settings.settings.slice(0, i).find((one) => one.name.text === name.text);
        if (other) fault(env, 'setting-twice', { name: name.text }, { at: name.span, related: [{ span: other.span, text: 'set here first' }] });
      }
    }
    const [binding] = what.weights?.bindings ?? [];
    if (binding) fault(env, 'derived-binds-weights', {}, { at: binding.span });
  }
}

function groundOf(context: Context, { base }: Chain): Ground | undefined {
  if (base.kind === 'onnx') return { kind: 'onnx', file: base.file.path };
  const instance = instanceOf(context, base);
  return instance && modelGround(context, instance);
}

/** The layers of a model; what is found in its graph is looked for once, where a path needs it. */
export function modelGround(context: Context, instance: Instance): Ground {
  let places: readonly string[] | undefined;
  return {
    kind: 'model',
    instance,
    places() {
      places ??= foundPlaces(context, instance);
      return places;
    },
  };
}

/** The model with a body that a chain of derivations begins at, made with the values at hand; undefined for ONNX files and after a fault. */
export function baseOf(context: Context, decl: ModelDecl, module: Module): Instance | undefined {
  const chain = chainOf(context, decl, module);
  return chain?.base.kind === 'model' ? instanceOf(context, chain.base) : undefined;
}

function instanceOf(context: Context, { decl, module, span }: Extract<Chain['base'], { kind: 'model' }>): Instance | undefined {
  const made = instantiate(decl, module, [], moduleEnv(context, module), span);
  return made.kind === 'instance' && !made.broken ? made : undefined;
}

/** A part that was converted; without settings where these are faulty. */
interface Converted {
  readonly by: DerivationDecl;
  readonly settings?: EmergentSettings;
}

/** What stands in the end of all the derivations of a chain. Faults are reported. */
export function derivationsOf(context: Context, { links }: Chain, ground: Ground): readonly Derivation[] {
  const converted = new Map<string, Converted>();
  for (const { what, module } of links) {
    const env = moduleEnv(context, module);
    for (const derivation of what.derivations) apply(derivation, converted, ground, env);
  }
  const all = links.flatMap(({ what }) => what.derivations);
  return all.flatMap((by): readonly Derivation[] => {
    const targets = [...converted].flatMap(([path, one]) => (one.by === by && one.settings ? [{ path, settings: one.settings }] : []));
    return targets.length > 0 ? [{ pass: 'emergent', targets, span: by.span, files: filesOf(by, targets) }] : [];
  });
}

/** The files that settings name. What a grouping from a file leaves out is not read again: then there is no calibration. */
function filesOf({ settings, span }: DerivationDecl, targets: readonly DerivationTarget[]): readonly NamedFile[] {
  const spanOf = (name: string): Span => settings.settings.find((one) => one.name.text === name)?.value.span ?? span;
  const files = targets.flatMap(({ settings: { group, text } }): readonly NamedFile[] => {
    if (group.kind === 'stored') return [{ path: group.file, span: spanOf('group') }];
    return text === undefined ? [] : [{ path: text, span: spanOf('text') }];
  });
  return [...new Map(files.map((one) => [one.path, one])).values()];
}

/** Says of the first derivation of a chain that cannot be built that it cannot; whether there is one. */
export function refuseUnbuilt(context: Context, { links }: Chain, name: string): boolean {
  const found = links.flatMap(({ what, module }) => what.derivations.map((derivation) => ({ derivation, module }))).find(({ derivation }) => !passes[derivation.pass.text]?.built);
  if (!found) return false;
  fault(moduleEnv(context, found.module), 'derivation-not-built', { name, pass: found.derivation.pass.text }, { at: found.derivation.span });
  return true;
}

function apply(derivation: DerivationDecl, converted: Map<string, Converted>, ground: Ground, env: Env): void {
  const parts = partsAt(derivation.path, ground, env);
  if (derivation.pass.text === 'emergent') for (const part of parts) convert(part, derivation, converted, env);
  if (derivation.pass.text !== 'merge') return;
  for (const { name } of derivation.settings.settings) fault(env, 'setting-unknown', { name: name.text }, { at: name.span, notes: ['merge has no settings'] });
  for (const { path } of parts) if (!converted.delete(path)) fault(env, 'nothing-to-merge', { path }, { at: derivation.path.span });
}

function convert({ path, indices, what }: Part, by: DerivationDecl, converted: Map<string, Converted>, env: Env): void {
  const before = converted.get(path);
  if (what !== undefined) {
    fault(env, 'no-feed-forward', { path, what }, { at: by.path.span });
    return;
  }
  if (before && before.by !== by) {
    fault(env, 'derived-twice', { path }, { at: by.path.span, related: [{ span: before.by.path.span, text: 'converted here first' }] });
    return;
  }
  const scope = new Map<string, Thing>([...indices].map(([name, value]) => [name, int(value)]));
  const notes = indices.size > 0 ? [`for ${path}, where ${[...indices].map(([name, value]) => `${name} = ${value}`).join(' and ')}`] : [];
  const settings = emergentSettings(by.settings.settings, by.settings.span, { ...env, scopes: [scope, ...env.scopes] }, notes);
  converted.set(path, { by, ...(settings ? { settings } : {}) });
}

/** One part that a path leads to. */
interface Part {
  readonly path: string;
  readonly indices: ReadonlyMap<string, number>;
  /** What it is in words, where it is no layer that could be one feed-forward. */
  readonly what?: string;
}

/** The parts that a path leads to; a path that leads nowhere is a fault. */
function partsAt(path: Path, ground: Ground, env: Env): readonly Part[] {
  if (ground.kind === 'onnx') return placesAt(path, ground, env);
  const { targets, missing } = walkPath(path, ground.instance, env, true);
  if (targets.length > 0 || missing?.silent) return targets.map(partOf);
  const places = walkPlaces(path, ground.places(), env) ?? [];
  if (places.length === 0)
    fault(
      env,
      'path-unknown',
      { owner: ground.instance.decl.name.text, path: quote(env.context.program, path.span) },
      { at: missing?.span ?? path.span, fixes: didYouMean(missing?.name ?? '', missing?.known ?? []) },
    );
  return places;
}

function partOf({ path, indices, thing }: Target): Part {
  const what = whatElse(thing);
  return { path, indices, ...(what === undefined ? {} : { what }) };
}

function placesAt(path: Path, { file, places }: Extract<Ground, { kind: 'onnx' }>, env: Env): readonly Part[] {
  const found = walkPlaces(path, places, env);
  if (found?.length === 0) {
    const written = quote(env.context.program, path.span);
    const notes = places && places.length > 0 ? [`found are ${places.slice(0, 8).join(', ')}${places.length > 8 ? ` and ${places.length - 8} more` : ''}`] : [];
    fault(env, 'path-unknown', { owner: file, path: written }, { at: path.span, notes });
  }
  return found ?? [];
}

/** What a thing is, where it cannot be one feed-forward. Whether a layer is one, its graph says. */
function whatElse(thing: LayerThing | WeightThing): string | undefined {
  switch (thing.kind) {
    case 'weight':
      return 'a weight';
    case 'stack':
      return `a stack of ${thing.items.length} layers`;
    case 'mixture':
      return `a mixture of ${constant(thing.count) ?? 'several'} experts already`;
    default:
      return undefined;
  }
}
