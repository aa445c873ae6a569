/** Layers applied to values: arguments meet the formals of a forward, its statements become nodes, its results go back. */

import type { Formal, Forward, Name, Result, Type } from '../../grammar/ast.ts';
import type { Span } from '../../grammar/span.ts';
import { Bug } from '../diagnostics/bug.ts';
import type { Label } from '../diagnostics/diagnostic.ts';
import { didYouMean } from '../diagnostics/suggest.ts';
import { type Dim, relabel, same } from '../graph/dim.ts';
import { spellType, type TensorType } from '../graph/type.ts';
import { type GivenArgument, matchArguments } from './arguments.ts';
import { type Env, fault, quote } from './context.ts';
import { evaluate, evaluateSeveral } from './evaluate.ts';
import { type Frame, join, spellSized, spellValue } from './frame.ts';
import { bodyOf } from './instantiate.ts';
import { applyMixture } from './mixture.ts';
import { asTensor, tensorOperands } from './operator.ts';
import { dtypeOf, matchShape } from './shape.ts';
import { type Instance, type LayerThing, poison, type Stack, spanOfName, type TensorThing, type Thing, thingWords } from './thing.ts';

/** The result of a layer at these arguments. `place` is where it stands in the model. */
export function applyLayer(env: Env, layer: LayerThing, args: readonly GivenArgument[], place: string, span: Span): Thing {
  switch (layer.kind) {
    case 'opaque':
      return poison;
    case 'instance':
      return applyInstance(env, layer, args, place, span);
    case 'stack':
      return applyStack(env, layer, args, place, span);
    case 'mixture':
      return applyMixture(env, layer, args, place, span);
  }
}

/** The names of the formals beyond the first, of any layer inside; undefined where something is unknown. */
export function formalNames(layer: LayerThing): readonly string[] | undefined {
  switch (layer.kind) {
    case 'opaque':
      return undefined;
    case 'instance':
      return bodyOf(layer.decl)?.forward.formals.map((one) => one.name.text) ?? [];
    case 'stack':
      return union(layer.items);
    case 'mixture':
      return union([layer.router, ...layer.experts.map((one) => one.layer)]);
  }
}

function union(layers: readonly LayerThing[]): readonly string[] | undefined {
  const names = layers.map((one) => formalNames(one));
  return names.every((one) => one !== undefined) ? [...new Set(names.flatMap((one, i) => (i === 0 ? one : one.slice(1))))] : undefined;
}

function applyStack(env: Env, stack: Stack, args: readonly GivenArgument[], place: string, span: Span): Thing {
  const [first, ...others] = args;
  if (!first) return fault(env, 'argument-missing', { callee: calleeName(env, stack, span), name: formalNames(stack)?.[0] ?? 'x' }, { at: span });
  const extra = others.find((one) => !one.name);
  if (extra) return fault(env, 'argument-needs-name', { what: 'a stack' }, { at: extra.span });
  if (!checkNames(env, stack, others, span)) return poison;
  const [base, offset] = offsetOf(place);
  let carried: Thing = first.thing;
  for (const [i, layer] of stack.items.entries()) {
    if (carried.kind === 'poison') return poison;
    const names = formalNames(layer);
    const passed = names ? others.filter((one) => one.name && names.includes(one.name.text)) : others;
    carried = applyLayer(env, layer, [{ ...first, thing: carried }, ...passed], join(base, String(i + offset)), span);
    if (carried.kind === 'several') return fault(env, 'stacked-several-results', {}, { at: span });
  }
  return carried;
}

/** `blocks.2+` is the slice of `blocks` that begins at 2. */
function offsetOf(place: string): readonly [string, number] {
  const found = /^(.*?)\.?(\d+)\+$/.exec(place);
  return found ? [found[1] ?? '', Number(found[2])] : [place, 0];
}

/** What stands in front of the brackets of a call. */
export function calleeName(env: Env, layer: LayerThing, span: Span): string {
  const [name] = quote(env.context.program, span).split('(');
  return name || thingWords[layer.kind];
}

/** Every named argument must be taken by some layer inside. */
export function checkNames(env: Env, layer: LayerThing, named: readonly GivenArgument[], span: Span): boolean {
  const names = formalNames(layer);
  if (!names || (layer.kind === 'stack' && layer.items.length === 0)) return true;
  const unknown = named.find((one) => one.name && !names.slice(1).includes(one.name.text));
  if (!unknown?.name) return true;
  fault(
    env,
    'argument-unknown',
    { callee: calleeName(env, layer, span), name: unknown.name.text },
    {
      at: unknown.name.span,
      fixes: didYouMean(unknown.name.text, names.slice(1)),
      notes: names.length > 1 ? [`the layers inside take ${names.slice(1).join(', ')}`] : ['no layer inside takes more than one argument'],
    },
  );
  return false;
}

function applyInstance(env: Env, instance: Instance, args: readonly GivenArgument[], place: string, span: Span): Thing {
  const { frame } = env;
  if (!frame) throw new Bug('a layer is applied outside a forward');
  const body = bodyOf(instance.decl);
  if (!body) return poison;
  const given = matchArguments(env, instance.decl.name.text, body.forward.formals, args, span);
  if (!given) return poison;
  const inner: Frame = { build: frame.build, instance, place, dims: new Map(), rests: [], read: new Set() };
  const variables = new Map<string, Thing>();
  const calleeEnv = forwardEnv(env, instance, inner, variables);
  for (const formal of body.forward.formals) {
    const argument = given.get(formal.name.text);
    const bound = argument ? bindFormal(env, calleeEnv, formal, argument, instance) : formal.initial ? evaluate(formal.initial, calleeEnv) : poison;
    if (bound.kind === 'poison') return poison;
    variables.set(formal.name.text, bound);
  }
  if (!agreeOnRests(env, body.forward, inner, instance, span)) return poison;
  return fromResults(runForward(calleeEnv, body.forward, inner, variables), env, instance);
}

/** The place of a forward: its variables, then the layer's own names. */
export function forwardEnv(env: Env, instance: Instance, frame: Frame, variables: ReadonlyMap<string, Thing>): Env {
  return {
    context: env.context,
    module: instance.module,
    scopes: [variables, instance.names],
    ...(instance.trace ? { trace: instance.trace } : {}),
    frame,
    owner: instance.decl,
    depth: env.depth,
  };
}

function bindFormal(caller: Env, callee: Env, formal: Formal, argument: GivenArgument, instance: Instance): Thing {
  const { type } = formal;
  if (type.kind === 'layer-type') return fault(callee, 'forward-takes-tensors', { name: formal.name.text }, { at: type.span });
  const tensor = tensorArgument(caller, argument);
  const dtype = dtypeOf(type, callee);
  if (!tensor || !dtype || !callee.frame) return poison;
  const mismatch = (details: { readonly label?: string; readonly wanted?: Dim } = {}): Thing =>
    fault(
      caller,
      'argument-wrong-type',
      { callee: instance.decl.name.text, name: formal.name.text, ...told(quote(caller.context.program, type.span), tensor.type, details.wanted) },
      { at: argument.span, label: details.label ?? `is ${spellSized(tensor.type)}`, related: [{ span: formal.span, text: 'declared here' }] },
    );
  if (tensor.type.dtype !== dtype) return mismatch();
  const match = type.dims ? matchShape(type.dims, tensor.type.dims, callee, callee.frame) : undefined;
  if (!match) return poison;
  if (!match.ok) return mismatch(match.wanted && match.found ? { label: `has ${spellValue(match.found)} where ${spellValue(match.wanted)} is wanted`, wanted: match.wanted } : {});
  callee.frame.rests.push(...match.rests);
  return { ...tensor, type: { dtype, dims: match.inside } };
}

/** Two types in words; where they are spelt alike, with the numbers that tell them apart. */
function told(declared: string, found: TensorType, wanted: Dim | undefined): { readonly expected: string; readonly found: string } {
  const alike = declared === spellType(found) && wanted;
  return alike ? { expected: `${declared} with ${spellValue(wanted)}`, found: spellSized(found) } : { expected: declared, found: spellType(found) };
}

function tensorArgument(env: Env, argument: GivenArgument): TensorThing | undefined {
  const { thing } = argument;
  if (thing.kind === 'tensor') return thing;
  if (thing.kind === 'weight') return asTensor(env, thing);
  return tensorOperands(env, [argument], argument.span)?.[0]?.tensor;
}

/** All `..` of the formals are the same axes, unless a result lists several: then each stands for its own. */
function agreeOnRests(env: Env, forward: Forward, frame: Frame, instance: Instance, span: Span): boolean {
  const [first, ...others] = frame.rests;
  const several = forward.results.some(({ type }) => type.kind === 'tensor-type' && (type.dims?.items.filter(({ kind }) => kind === 'rest').length ?? 0) > 1);
  if (!first || several) return true;
  const other = others.find((one) => one.length !== first.length || one.some((size, i) => !same(size, first[i] ?? size)));
  if (!other) return true;
  const words = (dims: readonly Dim[]): string => spellType({ dtype: 'f32', dims });
  fault(
    env,
    'rests-differ',
    { callee: instance.decl.name.text, left: words(first), right: words(other) },
    { at: span, related: [{ span: instance.decl.name.span, text: 'declared here' }] },
  );
  return false;
}

/** One result of a forward: as this forward spells it, and as its caller does. */
interface Returned {
  readonly tensor: TensorThing;
  readonly outside: readonly Dim[];
  readonly span: Span;
}

const firstNamed = (span: Span | undefined): readonly Label[] => (span ? [{ span, text: 'named here first' }] : []);

/** Runs the statements and checks what is returned against what is declared. Undefined for a result that a fault made unknowable. */
export function runForward(env: Env, forward: Forward, frame: Frame, variables: Map<string, Thing>): readonly (Returned | undefined)[] {
  env.context.ran.add(frame.instance.decl);
  const spans = new Map<string, Span>(forward.formals.map((one) => [one.name.text, one.name.span]));
  for (const statement of forward.statements) {
    const [only, ...more] = statement.targets;
    const named: Env = only && more.length === 0 && env.frame ? { ...env, frame: { ...env.frame, target: { name: only.text, span: statement.value.span } } } : env;
    const thing = evaluateSeveral(statement.value, named);
    const items = assignable(env, statement.targets.length, thing, statement.value.span);
    statement.targets.forEach((target, i) => {
      const taken = spans.get(target.text);
      if (taken || env.scopes[1]?.has(target.text))
        fault(
          env,
          'name-taken',
          { name: target.text, what: taken ? 'a value' : thingWords[env.scopes[1]?.get(target.text)?.kind ?? 'poison'] },
          { at: target.span, related: firstNamed(taken ?? spanOfName(env.scopes[1]?.get(target.text), target.text)), fixes: [{ text: 'give the value another name' }] },
        );
      spans.set(target.text, target.span);
      variables.set(target.text, items[i] ?? poison);
    });
  }
  const results = returnsOf(env, forward);
  for (const statement of forward.statements) {
    for (const target of statement.targets)
      if (!frame.read.has(target.text) && variables.get(target.text)?.kind !== 'poison') fault(env, 'value-unused', { name: target.text }, { at: target.span });
  }
  return results;
}

function assignable(env: Env, count: number, thing: Thing, span: Span): readonly Thing[] {
  if (thing.kind === 'poison') return [];
  const items = thing.kind === 'several' ? thing.items : [thing];
  if (items.length === count) return items;
  fault(env, 'targets-differ', { names: count === 1 ? 'one name' : `${count} names`, results: counted(items.length) }, { at: span });
  return [];
}

function returnsOf(env: Env, forward: Forward): readonly (Returned | undefined)[] {
  const single = forward.returns.length === 1;
  const things = forward.returns.flatMap((expr, i) => {
    const name = forward.results[i]?.name?.text;
    const named: Env = name !== undefined && env.frame ? { ...env, frame: { ...env.frame, target: { name, span: expr.span } } } : env;
    const thing = single ? evaluateSeveral(expr, named) : evaluate(expr, named);
    return thing.kind === 'several' ? thing.items.map((one) => ({ thing: one, span: expr.span })) : [{ thing, span: expr.span }];
  });
  const known = things.every(({ thing }) => thing.kind !== 'poison') || things.length > 1;
  if (known && things.length !== forward.results.length) {
    fault(
      env,
      'returns-differ',
      { returned: counted(things.length), declared: counted(forward.results.length) },
      { at: forward.returnSpan, related: forward.results.map((one) => ({ span: one.span, text: 'declared here' })).slice(0, 1) },
    );
    return forward.results.map(() => undefined);
  }
  return forward.results.map((result, i) => {
    const given = things[i];
    if (given && given.thing.kind !== 'poison') return checkResult(env, result, given.thing, given.span);
    checkNamesOfSizes(result, forward, env);
    return undefined;
  });
}

const counted = (count: number): string => (count === 1 ? 'one result' : `${count} results`);

/** Where a result is unknown, the sizes that are declared for it may still name nothing; what the formals name as well has been told of. */
function checkNamesOfSizes({ type }: Result, { formals }: Forward, env: Env): void {
  const told = new Set(formals.flatMap((formal) => namesOfSizes(formal.type)).map(({ text }) => text));
  for (const name of namesOfSizes(type)) if (!told.has(name.text) && !env.module.names.has(name.text)) evaluate(name, env);
}

const namesOfSizes = (type: Type): readonly Name[] => (type.kind === 'layer-type' ? [] : (type.dims?.items ?? []).filter((item) => item.kind === 'name'));

function checkResult(env: Env, result: Result, thing: Thing, span: Span): Returned | undefined {
  const operand = tensorOperands(env, [{ thing, span }], span)?.[0];
  const { type } = result;
  if (!operand || !env.frame) return undefined;
  if (type.kind === 'layer-type' || !type.dims) {
    fault(env, 'result-needs-shape', {}, { at: type.span, fixes: [{ text: 'write its sizes: `[B, S, D]`, or `f32[]` for one number' }] });
    return undefined;
  }
  const { tensor } = operand;
  const dtype = dtypeOf(type, env);
  const match = dtype && matchShape(type.dims, tensor.type.dims, env, env.frame, env.frame.rests);
  if (!match) return undefined;
  const mismatch = (label: string): undefined => {
    fault(
      env,
      'result-wrong-type',
      { declared: quote(env.context.program, type.span), found: spellType(tensor.type) },
      { at: span, label, related: [{ span: type.span, text: 'declared here' }] },
    );
    return undefined;
  };
  if (tensor.type.dtype !== dtype) return mismatch(`is ${spellType(tensor.type)}`);
  if (!match.ok) return mismatch(match.wanted && match.found ? `has ${spellValue(match.found)} where ${spellValue(match.wanted)} is declared` : `is ${spellSized(tensor.type)}`);
  if (!restsAgree(match.rests, env.frame.rests)) return mismatch(`is ${spellSized(tensor.type)}`);
  return { tensor: { ...tensor, type: { dtype, dims: match.inside } }, outside: match.outside, span };
}

/** `..` of a result is the `..` of the formals; where there is none it is whatever is there. */
function restsAgree(found: readonly (readonly Dim[])[], bound: readonly (readonly Dim[])[]): boolean {
  const agree = (one: readonly Dim[], other: readonly Dim[]): boolean => one.length === other.length && one.every((size, i) => same(size, other[i] ?? -1));
  return bound.length === 0 || found.every((one, i) => agree(one, (found.length > 1 ? bound[i] : bound[0]) ?? one));
}

/** Results as the caller sees them: sizes spelt by its own names. */
function fromResults(results: readonly (Returned | undefined)[], env: Env, instance: Instance): Thing {
  const things = results.map((one): Thing => {
    if (!one) return poison;
    const type: TensorType = { dtype: one.tensor.type.dtype, dims: one.outside.map((size) => respell(size, env, instance)) };
    return { kind: 'tensor', value: one.tensor.value, type };
  });
  return things.length === 1 ? (things[0] ?? poison) : { kind: 'several', items: things };
}

/** A formal's name means nothing outside; the argument's name does. */
function respell(size: Dim, env: Env, instance: Instance): Dim {
  const label = size.label;
  if (label === undefined || !instance.names.has(label)) return instance.module === env.module || label === '..' ? size : keepKnown(size, env);
  return relabel(size, instance.spelling.get(label));
}

function keepKnown(size: Dim, env: Env): Dim {
  return size.label !== undefined && env.module.names.has(size.label) ? size : relabel(size, undefined);
}
