/** A layer's declaration and its arguments → a layer: formals filled, `require`s checked, weights and parts made. */

import type { Body, Formal, LayerDecl, Member, ModelDecl, PartDecl, WeightDecl } from '../../grammar/ast.ts';
import type { Span } from '../../grammar/span.ts';
import { relabel } from '../graph/dim.ts';
import { type GivenArgument, matchArguments } from './arguments.ts';
import { float, isPlain, numberOf, showConstant } from './arithmetic.ts';
import { type Env, fault } from './context.ts';
import { evaluate, evaluateValue } from './evaluate.ts';
import { constantOf, isConstantType } from './formal-type.ts';
import { limits } from './limits.ts';
import type { Module } from './program.ts';
import { checkRequire } from './require.ts';
import { weightType } from './shape.ts';
import { type Instance, isLayer, type Part, poison, spanOfName, type Thing, type Trace, thingWords, type WeightThing } from './thing.ts';

/** The body of a layer or of a model that has one. */
export function bodyOf(decl: LayerDecl | ModelDecl): Body | undefined {
  return decl.kind === 'layer' ? decl.body : decl.what.kind === 'defined' ? decl.what.body : undefined;
}

/** Makes a new layer. Faults inside it carry the trace that leads to it. */
export function instantiate(decl: LayerDecl | ModelDecl, module: Module, args: readonly GivenArgument[], env: Env, span: Span): Instance | typeof poison {
  const { context } = env;
  const name = decl.name.text;
  const body = bodyOf(decl);
  if (!body) return fault(env, 'derived-as-part', { name }, { at: span, related: [{ span: decl.name.span, text: 'declared here' }] });
  if (isInside(env, decl)) return fault(env, 'layer-contains-itself', { name }, { at: span, related: [{ span: decl.name.span, text: 'declared here' }] });
  if (env.depth >= limits.layerDepth) return fault(env, 'layers-too-deep', { limit: limits.layerDepth }, { at: span });
  if (context.layers > limits.layers) return poison;
  context.layers += 1;
  if (context.layers > limits.layers) return fault(env, 'too-many-layers', { limit: limits.layers }, { at: span });
  if (!context.used.has(decl)) context.used.set(decl, new Set());
  const formals = decl.kind === 'layer' ? decl.formals : [];
  const given = matchArguments(env, name, formals, args, span);
  const filled = given && fillFormals(formals, given, env, module, name);
  if (!filled) return poison;
  const trace: Trace = { span: env.site ?? span, ...(env.trace ? { parent: env.trace } : {}) };
  return fillBody(decl, body, module, filled, env, trace);
}

/** Whether the layer being made stands, by way of its parts, inside one of the same declaration. */
function isInside(env: Env, decl: LayerDecl | ModelDecl): boolean {
  return env.makers?.includes(decl) ?? false;
}

interface Filled {
  readonly names: Map<string, Thing>;
  readonly parts: Map<string, Part>;
  readonly spelling: Map<string, string>;
}

function fillFormals(formals: readonly Formal[], given: ReadonlyMap<string, GivenArgument>, env: Env, module: Module, callee: string): Filled | undefined {
  const filled: Filled = { names: new Map(), parts: new Map(), spelling: new Map() };
  let failed = false;
  for (const formal of formals) {
    const name = formal.name.text;
    const argument = given.get(name);
    const inner: Env = { context: env.context, module, scopes: [filled.names], ...(env.trace ? { trace: env.trace } : {}), depth: env.depth };
    const thing = argument ? argument.thing : formal.initial ? evaluate(formal.initial, inner) : poison;
    const value = fillFormal(formal, thing, argument?.span ?? formal.span, env, callee);
    if (value.kind === 'poison') failed = true;
    if (isLayer(value)) filled.parts.set(name, { name, layer: value, shared: false, formal: true, span: formal.span });
    if (argument?.spelling !== undefined) filled.spelling.set(name, argument.spelling);
    filled.names.set(name, value);
  }
  return failed ? undefined : filled;
}

function fillFormal(formal: Formal, thing: Thing, span: Span, env: Env, callee: string): Thing {
  const name = formal.name.text;
  if (formal.type.kind === 'tensor-type' && !isConstantType(formal.type)) return constantOf(formal.type, thing, env).value;
  if (thing.kind === 'poison') return thing;
  const wrong = (expected: string): Thing =>
    fault(
      env,
      'argument-wrong-kind',
      { callee, name, expected, found: isPlain(thing) ? showConstant(thing) : thingWords[thing.kind] },
      { at: span, related: [{ span: formal.span, text: 'declared here' }] },
    );
  if (formal.type.kind === 'layer-type') return isLayer(thing) ? thing : wrong('a layer');
  const { value, expected } = constantOf(formal.type, thing, env);
  if (expected !== undefined) return wrong(expected);
  return value.kind === 'int' ? { kind: 'int', value: relabel(value.value, name) } : value;
}

function fillBody(decl: LayerDecl | ModelDecl, body: Body, module: Module, { names, parts, spelling }: Filled, env: Env, trace: Trace): Instance {
  const weights = new Map<string, WeightThing>();
  const state = { broken: false };
  const outermost = env.depth === 0 && !env.frame;
  const inner: Env = { context: env.context, module, scopes: [names], ...(outermost ? {} : { trace }), owner: decl, makers: [...(env.makers ?? []), decl], depth: env.depth + 1 };
  for (const member of body.members) {
    if (!fillMember(member, inner, { names, parts, weights })) state.broken = true;
  }
  return { kind: 'instance', decl, module, ...(outermost ? {} : { trace }), names, parts, weights, spelling, broken: state.broken };
}

interface Members {
  readonly names: Map<string, Thing>;
  readonly parts: Map<string, Part>;
  readonly weights: Map<string, WeightThing>;
}

function fillMember(member: Member, env: Env, made: Members): boolean {
  switch (member.kind) {
    case 'require':
      return checkRequire(member, env, made.names);
    case 'weight':
      return makeWeights(member, env, made);
    case 'part':
      return makePart(member, env, made);
  }
}

function makeWeights(decl: WeightDecl, env: Env, made: Members): boolean {
  const type = weightType(decl, env);
  const initial = decl.initial ? evaluate(decl.initial, env) : undefined;
  if (initial && initial.kind !== 'int' && initial.kind !== 'float') {
    if (initial.kind !== 'poison')
      fault(env, 'wrong-kind', { expected: 'a number', found: isPlain(initial) ? showConstant(initial) : thingWords[initial.kind] }, { at: decl.initial?.span ?? decl.span });
    return false;
  }
  const value = initial ? (numberOf(initial) ?? float(0).value) : undefined;
  for (const { text, span } of decl.names) {
    if (!isFree(text, span, env, made)) continue;
    if (!type) {
      made.names.set(text, poison);
      continue;
    }
    const weight: WeightThing = { kind: 'weight', name: text, decl, type, shared: decl.shared, ...(value === undefined ? {} : { initial: value }) };
    made.weights.set(text, weight);
    made.names.set(text, weight);
  }
  return type !== undefined;
}

function makePart(decl: PartDecl, env: Env, made: Members): boolean {
  const { text, span } = decl.name;
  const thing = evaluateValue(decl.value, { ...env, site: decl.span });
  if (!isFree(text, span, env, made)) return false;
  if (!isLayer(thing)) {
    if (thing.kind !== 'poison')
      fault(
        env,
        'part-is-no-layer',
        { name: text, found: isPlain(thing) ? showConstant(thing) : thingWords[thing.kind] },
        { at: decl.value.span, fixes: isPlain(thing) ? [{ text: `constants stand outside of layers: \`param ${text} = …\`` }] : [] },
      );
    made.names.set(text, poison);
    return false;
  }
  made.parts.set(text, { name: text, layer: thing, shared: decl.shared, formal: false, span: decl.span });
  made.names.set(text, thing);
  return true;
}

/** A name of a layer is given once. */
function isFree(name: string, span: Span, env: Env, made: Members): boolean {
  if (!made.names.has(name)) return true;
  const first = made.parts.get(name)?.span ?? spanOfName(made.names.get(name), name);
  fault(
    env,
    'name-taken',
    { name, what: thingWords[made.names.get(name)?.kind ?? 'poison'] },
    { at: span, related: first ? [{ span: first, text: 'named here first' }] : [], fixes: [{ text: 'give one of them another name' }] },
  );
  return false;
}
