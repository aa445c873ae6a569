/** Indices on tensors: `x[.., new]`, `x[0.., 0]`, `x[.., 2..5]`. Each index takes one axis, `..` alone takes all that are left. */

import type { Expr, Index, Indexed } from '../../grammar/ast.ts';
import { add, constant, type Dim, dim } from '../graph/dim.ts';
import { spellType } from '../graph/type.ts';
import { isPlain, showConstant } from './arithmetic.ts';
import { type Env, fault } from './context.ts';
import { evaluate, isOpen } from './evaluate.ts';
import { emitOne } from './frame.ts';
import { needsForward, opNamed } from './operator.ts';
import { poison, type TensorThing, type Thing, thingWords } from './thing.ts';

/** The tensor with every index applied, from the last axis to the first. */
export function indexTensor(env: Env, tensor: TensorThing, expr: Indexed): Thing {
  if (!env.frame) return needsForward(env, expr.span);
  const { indices } = expr;
  const rank = tensor.type.dims.length;
  const rests = indices.filter(isRest);
  const taken = indices.filter((index) => !isRest(index) && !isNew(index)).length;
  if (rests.length > 1) return fault(env, 'rest-twice', {}, { at: rests[1]?.span ?? expr.span });
  if (taken > rank) return fault(env, 'too-many-indices', { count: taken, type: spellType(tensor.type) }, { at: expr.span });
  let current: Thing = tensor;
  let axis = 0;
  for (const index of indices) {
    if (current.kind !== 'tensor') return current;
    if (isRest(index)) {
      axis += rank - taken;
    } else if (isNew(index)) {
      current = emitOne(env, opNamed('unsqueeze'), [{ tensor: current, span: expr.object.span }], { axis }, expr.span);
      axis += 1;
    } else if (index.kind === 'at') {
      current = pick(env, current, axis, index.value, expr);
    } else {
      current = cut(env, current, axis, index, expr);
      axis += 1;
    }
  }
  return current;
}

const isRest = (index: Index): boolean => index.kind === 'range' && !index.from && !index.to;
const isNew = (index: Index): boolean => index.kind === 'at' && index.value.kind === 'name' && index.value.text === 'new';

function pick(env: Env, tensor: TensorThing, axis: number, at: Expr, expr: Indexed): Thing {
  const index = sizeOf(env, at);
  if (!index) return poison;
  const size = tensor.type.dims[axis] ?? dim(1);
  const number = constant(index);
  const from = number !== undefined && number < 0 ? add(size, index) : index;
  const row = emitOne(env, opNamed('slice'), [{ tensor, span: expr.object.span, blame: at.span }], { axis, from, to: add(from, 1) }, expr.span);
  return row.kind === 'poison' ? row : emitOne(env, opNamed('squeeze'), [{ tensor: row, span: expr.object.span }], { axis }, expr.span);
}

function cut(env: Env, tensor: TensorThing, axis: number, { from: start, to: end, span }: Extract<Index, { kind: 'range' }>, expr: Indexed): Thing {
  const size = tensor.type.dims[axis] ?? dim(1);
  const bound = (given: Expr | undefined, otherwise: Dim): Dim | undefined => {
    if (!given) return otherwise;
    const found = sizeOf(env, given);
    const number = found && constant(found);
    return found && number !== undefined && number < 0 ? add(size, found) : found;
  };
  const [from, to] = [bound(start, dim(0)), bound(end, size)];
  if (!from || !to) return poison;
  if (constant(from) === 0 && !end) return tensor;
  return emitOne(env, opNamed('slice'), [{ tensor, span: expr.object.span, blame: span }], { axis, from, to }, expr.span);
}

/** A size, which may be known only at run time. */
export function sizeOf(env: Env, expr: Expr): Dim | undefined {
  const thing = evaluate(expr, env);
  if (thing.kind === 'int') return thing.value;
  if (thing.kind !== 'poison' && !isOpen(thing))
    fault(env, 'wrong-kind', { expected: 'a whole number', found: isPlain(thing) ? showConstant(thing) : thingWords[thing.kind] }, { at: expr.span });
  return undefined;
}
