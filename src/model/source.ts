/** The right side of a binding → where numbers come from: tensors of the checkpoint through steps that can be done while reading. */

import type { Binary, Call, Expr, Indexed, StringLiteral, Value } from '../../grammar/ast.ts';
import { constant } from '../graph/dim.ts';
import type { Arithmetic, Source } from '../graph/source.ts';
import type { DType } from '../graph/type.ts';
import { int, numberOf } from './arithmetic.ts';
import { type Env, fault, quote } from './context.ts';
import { evaluate, wholeNumber } from './evaluate.ts';
import { join } from './frame.ts';
import { isConstant, type Thing } from './thing.ts';

/** A tensor as the header of a checkpoint tells of it. */
export interface TensorHeader {
  readonly dims: readonly number[];
  readonly dtype: DType;
}

/** What a source is read against. */
interface SourceScope {
  readonly env: Env;
  /** Put before every name, with a dot. */
  readonly prefix: string;
  readonly indices: ReadonlyMap<string, number>;
  /** Absent where no checkpoint is at hand: then only the form is checked. */
  readonly tensors?: ReadonlyMap<string, TensorHeader>;
  /** Called for every name, found or not. */
  readonly name: (name: string, found: boolean) => void;
}

/** Stands for a source whose tensors are not at hand. */
export const unread = { kind: 'unread' } as const;
/** A source, or what stands for one that cannot be read here. */
export type Sourced = Source | typeof unread;

/** The sources an expression stands for: several for `split` and `unzip`. Undefined after a fault. */
export function evaluateSource(expr: Expr, scope: SourceScope): readonly Sourced[] | undefined {
  switch (expr.kind) {
    case 'string':
      return one(tensorNamed(expr.value, scope));
    case 'paren':
      return evaluateSource(expr.inner, scope);
    case 'member':
      return expr.name.text === 'T' ? one(oneSource(expr.object, scope, (of) => transposed(of, expr, scope))) : unreadable(expr, scope);
    case 'negate':
      return one(oneSource(expr.operand, scope, (of) => arithmetic(of, 'negate')));
    case 'indexed':
      return one(oneSource(expr.object, scope, (of) => indexed(of, expr, scope)));
    case 'binary':
      return one(binary(expr, scope));
    case 'call':
      return called(expr, scope);
    default:
      return unreadable(expr, scope);
  }
}

const one = (source: Sourced | undefined): readonly Sourced[] | undefined => source && [source];

function unreadable(expr: Expr, { env }: SourceScope): undefined {
  fault(env, 'source-unreadable', { what: `\`${quote(env.context.program, expr.span, 40)}\`` }, { at: expr.span });
  return undefined;
}

function unfit(expr: Expr, operation: string, of: Source, { env }: SourceScope): undefined {
  fault(env, 'source-does-not-fit', { operation, shape: `[${of.dims.join(', ')}]` }, { at: expr.span });
  return undefined;
}

/** The name with its holes filled, under the prefix. */
export function fillName(text: string, prefix: string, indices: ReadonlyMap<string, number>): string {
  return join(
    prefix,
    text.replace(/\{([^{}]*)\}/g, (hole, name: string) => String(indices.get(name.trim()) ?? hole)),
  );
}

/** The names in braces. */
export function holesOf(text: string): readonly string[] {
  return [...text.matchAll(/\{([^{}]*)\}/g)].map((found) => (found[1] ?? '').trim());
}

function tensorNamed(text: string, { prefix, indices, tensors, name }: SourceScope): Sourced | undefined {
  const full = fillName(text, prefix, indices);
  const header = tensors?.get(full);
  name(full, header !== undefined);
  if (!tensors) return unread;
  return header && { kind: 'tensor', name: full, dims: header.dims, dtype: header.dtype };
}

function oneSource(expr: Expr, scope: SourceScope, step: (of: Source) => Sourced | undefined): Sourced | undefined {
  const [only, ...more] = evaluateSource(expr, scope) ?? [];
  if (!only) return undefined;
  if (more.length > 0) return void fault(scope.env, 'several-results', { count: more.length + 1 }, { at: expr.span });
  return only.kind === 'unread' ? only : step(only);
}

function transposed(of: Source, expr: Expr, scope: SourceScope): Sourced | undefined {
  const [rows, columns] = of.dims.slice(-2);
  if (rows === undefined || columns === undefined || of.dims.length < 2) return unfit(expr, '`.T`', of, scope);
  return { kind: 'transpose', of, dtype: of.dtype, dims: [...of.dims.slice(0, -2), columns, rows] };
}

function arithmetic(of: Source, operator: Arithmetic['operator'], operand?: number, left = false): Sourced {
  return { kind: 'arithmetic', of, operator, ...(operand === undefined ? {} : { operand }), ...(left ? { left } : {}), dims: of.dims, dtype: of.dtype };
}

function binary(expr: Binary, scope: SourceScope): Sourced | undefined {
  const { operator } = expr;
  if (operator !== '+' && operator !== '-' && operator !== '*' && operator !== '/') return unreadable(expr, scope)?.[0];
  const [left, right] = [constantSide(expr.left, scope), constantSide(expr.right, scope)];
  if (right !== undefined && left === undefined) return oneSource(expr.left, scope, (of) => arithmetic(of, operator, right));
  if (left !== undefined && right === undefined) return oneSource(expr.right, scope, (of) => arithmetic(of, operator, left, true));
  return unreadable(expr, scope)?.[0];
}

/** The number of a side that names no tensor. */
function constantSide(expr: Expr, { env, indices }: SourceScope): number | undefined {
  if (stringsIn(expr).length > 0) return undefined;
  const thing = evaluate(expr, { ...env, scopes: [new Map<string, Thing>([...indices].map(([name, value]) => [name, int(value)])), ...env.scopes] });
  return thing.kind === 'int' || thing.kind === 'float' ? numberOf(thing) : undefined;
}

/** The strings of a source: names of tensors. */
export function stringsIn(value: Value): readonly StringLiteral[] {
  switch (value.kind) {
    case 'string':
      return [value];
    case 'paren':
      return stringsIn(value.inner);
    case 'negate':
      return stringsIn(value.operand);
    case 'member':
    case 'indexed':
      return stringsIn(value.object);
    case 'binary':
      return [...stringsIn(value.left), ...stringsIn(value.right)];
    case 'call':
      return value.args.flatMap((argument) => stringsIn(argument.value));
    case 'list':
      return value.items.flatMap((item) => (item.kind === 'rest' ? [] : stringsIn(item)));
    default:
      return [];
  }
}

function indexed(of: Source, expr: Indexed, scope: SourceScope): Sourced | undefined {
  let current: Source = of;
  let axis = 0;
  const rest = expr.indices.findIndex((index) => index.kind === 'range' && !index.from && !index.to);
  for (const [i, index] of expr.indices.entries()) {
    if (i === rest) {
      axis = current.dims.length - (expr.indices.length - i - 1);
      continue;
    }
    const size = current.dims[axis];
    const bound = (given: Expr | undefined, otherwise: number): number | undefined => {
      const value = given ? wholeNumber(given, scope.env) : otherwise;
      return value !== undefined && value < 0 && size !== undefined ? value + size : value;
    };
    const from = index.kind === 'at' ? bound(index.value, 0) : bound(index.from, 0);
    const to = index.kind === 'at' ? (from ?? 0) + 1 : bound(index.to, size ?? 0);
    if (from === undefined || to === undefined) return undefined;
    if (size === undefined || from < 0 || to > size || from >= to) return unfit(expr, `\`[${quote(scope.env.context.program, index.span, 30)}]\``, of, scope);
    const drop = index.kind === 'at';
    current = { kind: 'slice', of: current, axis, from, to, drop, dtype: of.dtype, dims: current.dims.flatMap((old, at) => (at !== axis ? [old] : drop ? [] : [to - from])) };
    if (!drop) axis += 1;
  }
  return current;
}

const oneArgument = ['exp', 'log', 'sqrt', 'rsqrt'] as const;

function called(expr: Call, scope: SourceScope): readonly Sourced[] | undefined {
  const name = expr.callee.kind === 'name' ? expr.callee.text : '';
  const positional = expr.args.filter((argument) => !argument.name).map((argument) => argument.value);
  const [first, second] = positional.map((value) => (value.kind === 'repeat' || value.kind === 'mixture' ? undefined : value));
  const axisAt = expr.args.find((argument) => argument.name?.text === 'axis')?.value;
  const axis = axisAt && axisAt.kind !== 'repeat' && axisAt.kind !== 'mixture' ? wholeNumber(axisAt, scope.env) : -1;
  if (!first || axis === undefined) return unreadable(expr, scope);
  const step = oneArgument.find((word) => word === name);
  if (step) return one(oneSource(first, scope, (of) => arithmetic(of, step)));
  if (name === 'concat') return one(concatenated(first, axis, expr, scope));
  if (!second) return unreadable(expr, scope);
  if (name === 'reshape') return one(oneSource(first, scope, (of) => reshaped(of, second, expr, scope)));
  if (name !== 'split' && name !== 'unzip') return unreadable(expr, scope);
  const parts = numbersOf(second, scope);
  if (!parts) return unreadable(expr, scope);
  const [of, ...more] = evaluateSource(first, scope) ?? [];
  if (!of || more.length > 0) return undefined;
  if (of.kind === 'unread') return Array.from({ length: parts.list ? parts.values.length : (parts.values[0] ?? 1) }, () => unread);
  return name === 'split' ? cut(of, parts, axis, expr, scope) : interleaved(of, parts.values[0] ?? 1, axis, expr, scope);
}

interface Numbers {
  readonly list: boolean;
  readonly values: readonly number[];
}

function numbersOf(expr: Expr, { env }: SourceScope): Numbers | undefined {
  const thing = evaluate(expr, env);
  if (!isConstant(thing)) return undefined;
  if (thing.kind === 'int') {
    const value = constant(thing.value);
    return value === undefined || value < 1 || value > 10_000 ? undefined : { list: false, values: [value] };
  }
  if (thing.kind !== 'list') return undefined;
  const values = (thing.items ?? []).map((item) => (item.kind === 'int' ? constant(item.value) : undefined));
  return values.every((value) => value !== undefined) ? { list: true, values } : undefined;
}

const axisOf = (of: Source, axis: number): number => (axis < 0 ? axis + of.dims.length : axis);

function cut(of: Source, { list, values }: Numbers, axis: number, expr: Expr, scope: SourceScope): readonly Sourced[] | undefined {
  const at = axisOf(of, axis);
  const size = of.dims[at];
  const count = values[0] ?? 1;
  const sizes = list ? values : Array.from({ length: count }, () => (size ?? 0) / count);
  if (size === undefined || sizes.some((part) => !Number.isInteger(part)) || sizes.reduce((sum, part) => sum + part, 0) !== size)
    return unfit(expr, `\`split\` into ${list ? `[${values.join(', ')}]` : count}`, of, scope);
  let from = 0;
  return sizes.map((part) => {
    from += part;
    return { kind: 'slice', of, axis: at, from: from - part, to: from, drop: false, dtype: of.dtype, dims: of.dims.map((old, i) => (i === at ? part : old)) };
  });
}

function interleaved(of: Source, step: number, axis: number, expr: Expr, scope: SourceScope): readonly Sourced[] | undefined {
  const at = axisOf(of, axis);
  const size = of.dims[at];
  if (size === undefined || size % step !== 0) return unfit(expr, `\`unzip\` into ${step}`, of, scope);
  return Array.from({ length: step }, (_, from) => ({
    kind: 'interleaved',
    of,
    axis: at,
    from,
    step,
    dtype: of.dtype,
    dims: of.dims.map((old, i) => (i === at ? size / step : old)),
  }));
}

function reshaped(of: Source, shape: Expr, expr: Expr, scope: SourceScope): Sourced | undefined {
  const dims = numbersOf(shape, scope);
  if (!dims) return unreadable(expr, scope)?.[0];
  const count = (sizes: readonly number[]): number => sizes.reduce((product, size) => product * size, 1);
  if (count(dims.values) !== count(of.dims)) return unfit(expr, `\`reshape\` to [${dims.values.join(', ')}]`, of, scope);
  return { kind: 'reshape', of, dtype: of.dtype, dims: dims.values };
}

function concatenated(list: Expr, axis: number, expr: Expr, scope: SourceScope): Sourced | undefined {
  if (list.kind !== 'list') return unreadable(expr, scope)?.[0];
  const parts = list.items.map((item) => (item.kind === 'rest' || item.kind === 'repeat' || item.kind === 'mixture' ? undefined : evaluateSource(item, scope)?.[0]));
  if (parts.some((part) => part?.kind === 'unread')) return unread;
  const known = parts.filter((part): part is Source => part !== undefined && part.kind !== 'unread');
  const [first] = known;
  if (!first || known.length !== parts.length) return undefined;
  const at = axisOf(first, axis);
  const other = known.find((part) => part.dtype !== first.dtype || part.dims.length !== first.dims.length || part.dims.some((size, i) => i !== at && size !== first.dims[i]));
  if (other) return unfit(expr, '`concat`', other, scope);
  return {
    kind: 'concat',
    of: known,
    axis: at,
    dtype: first.dtype,
    dims: first.dims.map((size, i) => (i === at ? known.reduce((sum, part) => sum + (part.dims[i] ?? 0), 0) : size)),
  };
}
