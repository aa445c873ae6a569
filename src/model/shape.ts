/** Shapes as declared → sizes: those of weights, which are constants, and those of forwards, which bind the names of run-time sizes. */

import type { Expr, List, TensorType as TypeNode, WeightDecl } from '../../grammar/ast.ts';
import { didYouMean } from '../diagnostics/suggest.ts';
import { constant, type Dim, relabel, same, show } from '../graph/dim.ts';
import { type DType, dtypes, type TensorType } from '../graph/type.ts';
import { isPlain, showConstant } from './arithmetic.ts';
import { type Env, fault, quote } from './context.ts';
import { evaluate, isOpen } from './evaluate.ts';
import { constantWord } from './formal-type.ts';
import type { Frame } from './frame.ts';
import { lookUpLocal } from './scope.ts';
import { thingWords } from './thing.ts';

/** The type of a weight; undefined after a fault. */
export function weightType(decl: WeightDecl, env: Env): TensorType | undefined {
  const { type } = decl;
  if (type.kind === 'layer-type' || !type.dims) {
    fault(env, 'weight-needs-shape', { name: decl.names[0]?.text ?? '' }, { at: type.span, fixes: [{ text: 'write its sizes: `[D, H]`' }] });
    return undefined;
  }
  const dtype = dtypeOf(type, env);
  const dims = type.dims.items.map((item): Dim | undefined => {
    if (item.kind === 'rest')
      return void fault(
        env,
        'weight-needs-shape',
        { name: decl.names[0]?.text ?? '' },
        { at: item.span, notes: ['`..` is whatever stands in front of a value; a weight has no such axes'] },
      );
    return item.kind === 'repeat' || item.kind === 'mixture' ? notSize(env, item.span) : sizeOfExpr(item, env);
  });
  return dtype && dims.every((size) => size !== undefined) ? { dtype, dims } : undefined;
}

function notSize(env: Env, span: Expr['span']): undefined {
  fault(env, 'wrong-kind', { expected: 'a size', found: 'a layer' }, { at: span });
  return undefined;
}

/** The element type of a declared tensor: f32 where none is written. */
export function dtypeOf(type: TypeNode, env: Env): DType | undefined {
  if (!type.dtype) return 'f32';
  const { text, span } = type.dtype;
  const found = dtypes.find((one) => one === text);
  if (found) return found;
  if (constantWord(type))
    fault(
      env,
      'tensor-needs-dtype',
      { name: text },
      { at: span, fixes: [{ text: text === 'bool' ? 'write its sizes: `bool[B, S]`' : text === 'int' ? 'write `i64[…]`' : 'write `[…]`: f32 needs no word' }] },
    );
  else fault(env, 'unknown-type', { name: text }, { at: span, fixes: didYouMean(text, dtypes) });
  return undefined;
}

/** A size, spelt as the author wrote it. */
export function sizeOfExpr(expr: Expr, env: Env): Dim | undefined {
  const thing = evaluate(expr, env);
  if (thing.kind === 'poison') return undefined;
  if (thing.kind !== 'int') {
    const entry = expr.kind === 'name' && !lookUpLocal(env, expr.text) ? env.module.names.get(expr.text) : undefined;
    const related = entry?.kind === 'param' ? [{ span: entry.decl.value.span, text: 'a size is a whole number, without a point' }] : [];
    fault(env, 'wrong-kind', { expected: 'a size', found: isPlain(thing) ? showConstant(thing) : thingWords[thing.kind] }, { at: expr.span, related });
    return undefined;
  }
  const value = constant(thing.value);
  if (value !== undefined && value < 0) {
    fault(env, 'size-is-negative', { size: value }, { at: expr.span });
    return undefined;
  }
  return spelt(thing.value, expr, env);
}

function spelt(size: Dim, expr: Expr, env: Env): Dim {
  if (expr.kind === 'name') return relabel(size, expr.text);
  if (expr.kind === 'number') return relabel(size, undefined);
  const text = quote(env.context.program, expr.span, 40);
  return text === show({ terms: size.terms }) ? size : relabel(size, text);
}

/** How a declared shape met an actual one. */
export type Match =
  | {
      readonly ok: true /** As this forward spells it. */;
      readonly inside: readonly Dim[] /** As the other side spelt it. */;
      readonly outside: readonly Dim[];
      readonly rests: readonly (readonly Dim[])[];
    }
  | { readonly ok: false /** The axis that differs, where one does. */; readonly wanted?: Dim; readonly found?: Dim };

/** Meets a declared shape with the sizes at hand: run-time names that are not yet bound become bound, all others must agree. `..` stands for as many axes as are left; where several `..` stand, each has the length that `rests` gives. Undefined after a fault in the shape itself. */
export function matchShape(list: List, actual: readonly Dim[], env: Env, frame: Frame, rests?: readonly (readonly Dim[])[]): Match | undefined {
  const restCount = list.items.filter(({ kind }) => kind === 'rest').length;
  const fixed = list.items.length - restCount;
  const free = actual.length - fixed;
  if (restCount === 0 ? free !== 0 : free < 0) return { ok: false };
  const inside: Dim[] = [];
  const outside: Dim[] = [];
  const found: (readonly Dim[])[] = [];
  let at = 0;
  for (const item of list.items) {
    if (item.kind === 'rest') {
      const length = restCount === 1 ? free : (rests?.[found.length]?.length ?? 0);
      const axes = actual.slice(at, at + length);
      const spelt = restCount === 1 ? rests?.[0] : rests?.[found.length];
      found.push(axes);
      inside.push(...axes.map((size) => relabel(size, '..')));
      outside.push(...axes.map((size, i) => relabel(size, spelt ? spelt[i]?.label : size.label)));
      at += length;
      continue;
    }
    const size = actual[at++];
    if (item.kind === 'repeat' || item.kind === 'mixture') return notSize(env, item.span);
    if (!size) return { ok: false };
    const wanted = wantedSize(item, size, env, frame);
    if (!wanted) return undefined;
    if (!same(wanted, size)) return { ok: false, wanted, found: size };
    inside.push(wanted);
    outside.push(item.kind === 'name' && frame.dims.has(item.text) ? (frame.dims.get(item.text) ?? size) : size);
  }
  return at === actual.length ? { ok: true, inside, outside, rests: found } : { ok: false };
}

/** The size a shape asks for here; a run-time name met for the first time takes what is there. */
function wantedSize(item: Expr, size: Dim, env: Env, frame: Frame): Dim | undefined {
  if (item.kind === 'name' && !lookUpLocal(env, item.text) && env.module.names.get(item.text)?.kind === 'dim' && !frame.dims.has(item.text)) {
    frame.dims.set(item.text, size);
    return relabel(size, item.text);
  }
  const wanted = sizeOfExpr(item, env);
  if (wanted && isOpen({ kind: 'int', value: wanted }) && !same(wanted, size) && couldBeSame(wanted, size)) return relabel(size, wanted.label);
  return wanted;
}

/** In a layer checked alone, what remainders are is not known: such sizes are given the benefit of the doubt. */
function couldBeSame(a: Dim, b: Dim): boolean {
  return [a, b].some((one) => one.terms.some(({ powers }) => powers.some(([name]) => name.startsWith('('))));
}
