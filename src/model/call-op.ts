/** Calls of ops: which of the arguments are values and which are settings, by the op's own declaration. */

import type { Ident } from '../../grammar/ast.ts';
import type { Span } from '../../grammar/span.ts';
import { didYouMean } from '../diagnostics/suggest.ts';
import { constant, type Dim, relabel } from '../graph/dim.ts';
import { ndArray } from '../graph/nd-array.ts';
import type { Attr, AttrKind, Op } from '../graph/op.ts';
import { type DType, dtypes } from '../graph/type.ts';
import type { GivenArgument } from './arguments.ts';
import { isPlain, numberOf, showConstant } from './arithmetic.ts';
import { addCaches, addPositions, cachePath } from './attention.ts';
import { type Env, fault } from './context.ts';
import { isOpen } from './evaluate.ts';
import { emit, emitOne, type Operand } from './frame.ts';
import { opNamed, tensorOperands, type Written } from './operator.ts';
import { type ListThing, poison, type Thing, thingWords } from './thing.ts';

const bareName = (port: string): string => port.replace(/[?*]$/, '');
const isTensor = (thing: Thing): boolean => thing.kind === 'tensor' || thing.kind === 'weight';

/** Applies the op that `name` means for these arguments. */
export function callOp(env: Env, name: string, candidates: readonly Op[], args: readonly GivenArgument[], span: Span): Thing {
  const op = choose(candidates, args);
  if (!op) return poison;
  const assigned = assign(env, name, op, args, span);
  if (!assigned) return poison;
  const inputs = gatherInputs(env, name, op, assigned, span);
  const attrs = inputs && settingsOf(env, name, op, assigned, span);
  if (!inputs || !attrs) return poison;
  const prepared = op.name === 'attend' ? addCaches(env, op, inputs, attrs, span) : op.name === 'rope' ? addPositions(env, op, inputs, span) : inputs;
  const settings = new Map([...assigned.attrs].map(([attr, { span: own }]) => [attr, own] as const));
  const results = emit(env, op, prepared, op.name === 'cache' ? { ...attrs, path: cachePath(env) } : attrs, span, { settings });
  if ('kind' in results) return results;
  return results.length === 1 ? (results[0] ?? poison) : { kind: 'several', items: results };
}

/** `f32(x)`. */
export function castTo(env: Env, dtype: DType, args: readonly GivenArgument[], span: Span): Thing {
  const [argument, ...more] = args;
  if (!argument || more.length > 0 || argument.name) return fault(env, 'function-takes', { name: `${dtype}(x)`, expected: 'one tensor' }, { at: span });
  const operands = tensorOperands(env, [argument], span);
  const [operand] = operands ?? [];
  if (!operand) return poison;
  if (operand.tensor.type.dtype === dtype) return operand.tensor;
  const results = emit(env, opNamed('cast'), [operand], { to: dtype }, span);
  return 'kind' in results ? results : (results[0] ?? poison);
}

/** `f32([1.0, 2.0])`: a list of constants as a tensor with one axis. What is in a list is not known while a layer is checked alone. */
export function listTensor(env: Env, { items }: ListThing, dtype: DType, span: Span): Thing {
  if (!items) return poison;
  const numbers = items.map((one) => (one.kind === 'int' || one.kind === 'float' ? numberOf(one) : one.kind === 'bool' && one.value !== undefined ? Number(one.value) : undefined));
  const known = numbers.filter((one) => one !== undefined);
  if (known.length !== items.length || known.length === 0) return fault(env, 'function-takes', { name: `${dtype}(list)`, expected: 'numbers that are known' }, { at: span });
  return emitOne(env, opNamed('constant'), [], { array: ndArray([known.length], known, dtype) }, span);
}

/** Several ops share a name: the one that has as many required ports as tensors stand in front, and knows every argument's name. */
function choose(candidates: readonly Op[], args: readonly GivenArgument[]): Op | undefined {
  if (candidates.length <= 1) return candidates[0];
  const names = args.flatMap(({ name }) => (name ? [name.text] : []));
  const knows = candidates.filter((op) => names.every((name) => op.inputs.some((port) => bareName(port) === name) || name in op.attrs));
  const pool = knows.length > 0 ? knows : candidates;
  const positional = args.length - names.length;
  return pool.find((op) => requiredPorts(op).length === positional) ?? pool[0];
}

const requiredPorts = (op: Op): readonly string[] => op.inputs.filter((port) => !port.endsWith('?'));

interface Assigned {
  readonly ports: ReadonlyMap<string, readonly GivenArgument[]>;
  readonly attrs: ReadonlyMap<string, GivenArgument>;
}

function assign(env: Env, name: string, op: Op, args: readonly GivenArgument[], span: Span): Assigned | undefined {
  const ports = new Map<string, readonly GivenArgument[]>();
  const attrs = new Map<string, GivenArgument>();
  for (const argument of args) {
    const target = argument.name ? namedTarget(env, name, op, argument.name) : positionalTarget(op, argument, ports, attrs);
    if (target === undefined) {
      if (!argument.name) fault(env, 'too-many-arguments', { callee: name, takes: signatureOf(op), given: args.length }, { at: argument.span });
      return undefined;
    }
    const taken = target.attr === undefined ? ports.get(target.port) : attrs.get(target.attr);
    if (taken && !(target.attr === undefined && target.variadic)) {
      fault(env, 'argument-twice', { callee: name, name: target.attr ?? target.port }, { at: argument.name?.span ?? argument.span });
      return undefined;
    }
    if (target.attr === undefined) ports.set(target.port, [...(ports.get(target.port) ?? []), argument]);
    else attrs.set(target.attr, argument);
  }
  const missing =
    requiredPorts(op).find((port) => !ports.has(bareName(port))) ??
    Object.entries(op.attrs).find(([attr, spec]) => !attrs.has(attr) && spec.default === undefined && !spec.optional && !('default' in spec))?.[0];
  if (missing === undefined) return { ports, attrs };
  fault(env, 'argument-missing', { callee: name, name: bareName(missing) }, { at: span, notes: [`\`${name}\` takes ${signatureOf(op)}`] });
  return undefined;
}

type Target = { readonly port: string; readonly variadic: boolean; readonly attr?: undefined } | { readonly attr: string };

function namedTarget(env: Env, callee: string, op: Op, name: Ident): Target | undefined {
  const port = op.inputs.find((one) => bareName(one) === name.text);
  if (port) return { port: name.text, variadic: port.endsWith('*') };
  if (name.text in op.attrs && !(op.name === 'cache' && name.text === 'path')) return { attr: name.text };
  fault(
    env,
    'argument-unknown',
    { callee, name: name.text },
    { at: name.span, fixes: didYouMean(name.text, [...op.inputs.map(bareName), ...Object.keys(op.attrs)]), notes: [`\`${callee}\` takes ${signatureOf(op)}`] },
  );
  return undefined;
}

/** Values fill the required ports in order, then the optional ones; what is constant beyond the required ports is a setting it fits. */
function positionalTarget(op: Op, argument: GivenArgument, ports: ReadonlyMap<string, unknown>, attrs: ReadonlyMap<string, unknown>): Target | undefined {
  const open = op.inputs.find((port) => !ports.has(bareName(port)) && !port.endsWith('?')) ?? op.inputs.find((port) => port.endsWith('*') && isTensor(argument.thing));
  if (open) return { port: bareName(open), variadic: open.endsWith('*') };
  if (isTensor(argument.thing)) {
    const optional = op.inputs.find((port) => !ports.has(bareName(port)));
    return optional ? { port: bareName(optional), variadic: false } : undefined;
  }
  const free = Object.keys(op.attrs).filter((attr) => !attrs.has(attr));
  const fitting = free.find((attr) => fits(op.attrs[attr]?.kind, argument.thing)) ?? free[0];
  return fitting === undefined ? undefined : { attr: fitting };
}

function fits(kind: AttrKind | undefined, thing: Thing): boolean {
  const list = kind === 'ints' || kind === 'floats' || kind === 'strings' || kind === 'dims';
  if (thing.kind === 'list') return list;
  if (thing.kind === 'int') return kind === 'int' || kind === 'dim' || kind === 'float';
  return thing.kind === kind;
}

function signatureOf(op: Op): string {
  const ports = op.inputs.map((port) => (port.endsWith('?') ? `[${bareName(port)}]` : port.endsWith('*') ? `[${bareName(port)}, …]` : port));
  return [...ports, ...Object.entries(op.attrs).map(([attr, spec]) => (spec.optional || 'default' in spec ? `[${attr}]` : attr))].join(', ') || 'no arguments';
}

function gatherInputs(env: Env, name: string, op: Op, { ports }: Assigned, span: Span): readonly (Operand | undefined)[] | undefined {
  const written: Written[] = [];
  const slots: (number | undefined)[] = [];
  for (const port of op.inputs) {
    const given = ports.get(bareName(port)) ?? [];
    if (port.endsWith('*')) {
      for (const one of given) for (const item of itemsOf(one)) slots.push(written.push(item) - 1);
    } else {
      const [only] = given;
      slots.push(only ? written.push(only) - 1 : undefined);
    }
  }
  const lists = written.find(({ thing }) => thing.kind === 'list');
  if (lists) {
    fault(env, 'not-a-tensor', { what: 'a list' }, { at: lists.span, notes: [`\`${name}\` takes ${signatureOf(op)}`] });
    return undefined;
  }
  const operands = written.length > 0 ? tensorOperands(env, written, span, op.name === 'where' ? 1 : 0) : [];
  return operands && slots.map((slot) => (slot === undefined ? undefined : operands[slot]));
}

function itemsOf(argument: GivenArgument): readonly Written[] {
  const { thing, span } = argument;
  if (thing.kind !== 'list' || !thing.items) return [argument];
  return thing.items.flatMap((item, i) => (item.kind === 'rest' ? [] : [{ thing: item, span: argument.items?.[i] ?? span }]));
}

function settingsOf(env: Env, name: string, op: Op, { attrs }: Assigned, span: Span): Readonly<Record<string, Attr>> | undefined {
  const settings: Record<string, Attr> = {};
  let failed = false;
  for (const [attr, argument] of attrs) {
    const kind = op.attrs[attr]?.kind ?? 'int';
    const value = readSetting(env, kind, argument.thing, span);
    if (value === 'unknown') return undefined;
    if (value === undefined) {
      failed = true;
      const found = isPlain(argument.thing) ? showConstant(argument.thing) : thingWords[argument.thing.kind];
      if (argument.thing.kind !== 'poison') fault(env, 'setting-wrong-kind', { callee: name, name: attr, expected: kindWords[kind], found }, { at: argument.span });
    } else {
      settings[attr] = value;
    }
  }
  return failed ? undefined : settings;
}

const kindWords: Readonly<Record<AttrKind, string>> = {
  int: 'a whole number',
  float: 'a number',
  bool: 'true or false',
  string: 'a string',
  ints: 'a list of whole numbers',
  floats: 'a list of numbers',
  strings: 'a list of strings',
  dim: 'a size',
  dims: 'a list of sizes',
  dtype: 'an element type',
  array: 'an array',
};

/** The setting of a thing; 'unknown' where it is of the right kind and its number is not known. */
function readSetting(env: Env, kind: AttrKind, thing: Thing, span: Span): Attr | 'unknown' {
  switch (kind) {
    case 'int': {
      if (thing.kind !== 'int') return undefined;
      const value = constant(thing.value);
      if (value === undefined && !isOpen(thing)) fault(env, 'size-not-known', { name: showConstant(thing) }, { at: span });
      return value ?? 'unknown';
    }
    case 'float':
      return thing.kind === 'int' || thing.kind === 'float' ? (numberOf(thing) ?? 'unknown') : undefined;
    case 'bool':
      return thing.kind === 'bool' ? (thing.value ?? 'unknown') : undefined;
    case 'string':
      return thing.kind === 'string' ? (thing.value ?? 'unknown') : undefined;
    case 'dim':
      return thing.kind === 'int' ? thing.value : undefined;
    case 'dims':
      return thing.kind === 'list' ? dimsOf(env, thing, span) : undefined;
    case 'dtype':
      return thing.kind === 'string' && (dtypes as readonly (string | undefined)[]).includes(thing.value) ? thing.value : undefined;
    case 'ints':
    case 'floats':
    case 'strings':
      return thing.kind === 'list' ? listOf(thing, kind) : undefined;
    case 'array':
      return undefined;
  }
}

function listOf(thing: ListThing, kind: 'ints' | 'floats' | 'strings'): Attr | 'unknown' {
  if (!thing.items) return 'unknown';
  const values = thing.items.map((one) =>
    kind === 'strings' ? (one.kind === 'string' ? one.value : undefined) : one.kind === 'int' || (one.kind === 'float' && kind === 'floats') ? numberOf(one) : undefined,
  );
  if (values.every((one) => typeof one === 'number')) return values;
  return values.every((one) => typeof one === 'string') ? values : undefined;
}

/** A shape as a value: `..` is what the `..` of the formals stands for. */
function dimsOf(env: Env, { items }: ListThing, span: Span): readonly Dim[] | 'unknown' | undefined {
  if (!items) return 'unknown';
  const dims: Dim[] = [];
  for (const item of items) {
    if (item.kind === 'int') dims.push(item.value);
    else if (item.kind === 'rest') {
      const [rest] = env.frame?.rests ?? [];
      if (!rest) {
        fault(env, 'rest-unbound', {}, { at: span, fixes: [{ text: 'give a formal of this forward a shape with `..`' }] });
        return 'unknown';
      }
      dims.push(...rest.map((size) => relabel(size, '..')));
    } else return undefined;
  }
  return dims;
}
