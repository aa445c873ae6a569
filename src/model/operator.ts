/** Operators on values of the graph: `@`, arithmetic, comparisons, `.T`. Constants take the element type of the tensor they meet. */

import type { Binary, BinaryOperator, Dot, Negate } from '../../grammar/ast.ts';
import type { Span } from '../../grammar/span.ts';
import { Bug } from '../diagnostics/bug.ts';
import { constant } from '../graph/dim.ts';
import { value as newValue } from '../graph/graph.ts';
import type { Op } from '../graph/op.ts';
import { type DType, spellType } from '../graph/type.ts';
import { ops } from '../ops/index.ts';
import { numberOf, showConstant } from './arithmetic.ts';
import { type Env, fault } from './context.ts';
import { type Build, emitOne, type Operand, scalarValue } from './frame.ts';
import { type IntThing, isConstant, type Poison, poison, type TensorThing, type Thing, thingWords, type WeightThing } from './thing.ts';

/** The op of this name; it must exist. */
export function opNamed(name: string): Op {
  const op = ops.get(name);
  if (!op) throw new Bug(`no op ${name}`);
  return op;
}

const infix: Readonly<Record<BinaryOperator, string>> = {
  '+': 'add',
  '-': 'sub',
  '*': 'mul',
  '/': 'div',
  '%': 'mod',
  '@': 'matmul',
  '==': 'eq',
  '!=': 'ne',
  '<': 'lt',
  '<=': 'le',
  '>': 'gt',
  '>=': 'ge',
};

/** A weight as a value of the graph; tensors as they are. */
export function asTensor(env: Env, thing: TensorThing | WeightThing): TensorThing {
  if (thing.kind === 'tensor') return thing;
  const { frame } = env;
  if (!frame) throw new Bug(`the weight ${thing.name} is read outside a forward`);
  return { kind: 'tensor', value: valueOfWeight(frame.build, thing), type: thing.type, weight: thing };
}

/** The graph's value of a weight. In the body of a mixture, what is not lifted belongs to the graph around it. */
function valueOfWeight(build: Build, weight: WeightThing): ReturnType<typeof newValue> {
  if (build.outer && !build.lifted?.has(weight)) return valueOfWeight(build.outer, weight);
  const known = build.weights.get(weight);
  if (known) return known;
  const made = newValue(build.paths.get(weight) ?? weight.name, weight.type);
  build.weights.set(weight, made);
  return made;
}

/** `left operator right` where at least one is a tensor. */
export function infixOp(env: Env, expr: Binary, left: Thing, right: Thing): Thing {
  const operands = tensorOperands(
    env,
    [
      { thing: left, span: expr.left.span },
      { thing: right, span: expr.right.span },
    ],
    expr.span,
  );
  return operands ? emitOne(env, opNamed(infix[expr.operator]), operands, {}, expr.span) : poison;
}

/** `-x`. */
export function negateTensor(env: Env, operand: TensorThing | WeightThing, expr: Negate): Thing {
  if (!env.frame) return needsForward(env, expr.span);
  return emitOne(env, opNamed('neg'), [{ tensor: asTensor(env, operand), span: expr.operand.span }], {}, expr.span);
}

/** `x.T`. */
export function transposeTensor(env: Env, object: TensorThing | WeightThing, expr: Dot): Thing {
  if (!env.frame) return needsForward(env, expr.span);
  return emitOne(env, opNamed('transpose'), [{ tensor: asTensor(env, object), span: expr.object.span }], {}, expr.span);
}

/** Reports that something is computed where nothing runs. */
export function needsForward(env: Env, span: Span): Poison {
  return fault(env, 'needs-forward', {}, { at: span, fixes: [{ text: 'compute it inside `forward`' }] });
}

/** A thing with where it was written. */
export interface Written {
  readonly thing: Thing;
  readonly span: Span;
}

/** All as tensors: constants become scalars of the element type of their neighbours, the first `apart` of which are of a type of their own. Undefined after a fault, or where one is poison. */
export function tensorOperands(env: Env, written: readonly Written[], span: Span, apart = 0): readonly Operand[] | undefined {
  if (!env.frame) {
    needsForward(env, span);
    return undefined;
  }
  if (written.some(({ thing }) => thing.kind === 'poison' || thing.kind === 'opaque')) return undefined;
  const tensors = written.map((one) => (one.thing.kind === 'tensor' || one.thing.kind === 'weight' ? asTensor(env, one.thing) : undefined));
  const neighbour = tensors.slice(apart).find((one) => one && one.type.dtype !== 'bool') ?? tensors.find((one) => one);
  const operands: Operand[] = [];
  for (const [i, { thing, span: own }] of written.entries()) {
    const tensor = tensors[i] ?? constantOperand(env, thing, own, neighbour, written);
    if (!tensor || tensor.kind === 'poison') return undefined;
    operands.push({ tensor, span: own });
  }
  return operands;
}

function constantOperand(env: Env, thing: Thing, span: Span, neighbour: TensorThing | undefined, all: readonly Written[]): TensorThing | Poison {
  if (!isConstant(thing) || thing.kind === 'list' || thing.kind === 'string')
    return fault(env, 'not-a-tensor', { what: isConstant(thing) ? showConstant(thing) : thingWords[thing.kind] }, { at: span });
  if (thing.kind === 'bool') return scalarValue(env, Number(thing.value ?? false), 'bool', span);
  const dtype = scalarType(thing, neighbour, all);
  if (dtype === undefined) {
    const found = neighbour ? spellType(neighbour.type) : '';
    return fault(
      env,
      'number-does-not-fit',
      { number: showConstant(thing), type: found },
      { at: span, fixes: [{ text: neighbour?.type.dtype === 'bool' ? 'convert the bools: `f32(…)`' : 'convert the tensor: `f32(…)`, or write a whole number' }] },
    );
  }
  if (thing.kind === 'int' && constant(thing.value) === undefined) return runtimeSize(env, thing, dtype, span);
  return scalarValue(env, numberOf(thing) ?? Number.NaN, dtype, span);
}

function scalarType(thing: { readonly kind: 'int' | 'float' }, neighbour: TensorThing | undefined, all: readonly Written[]): DType | undefined {
  const floats = ['f32', 'f16', 'bf16', 'f64'];
  if (!neighbour || (neighbour.type.dtype === 'bool' && all.some((one) => one.thing.kind === 'tensor' || one.thing.kind === 'weight') && all.length > 2))
    return all.some(({ thing: other }) => other.kind === 'float') ? 'f32' : 'i64';
  const { dtype } = neighbour.type;
  if (dtype === 'bool' || dtype === 'string') return undefined;
  return thing.kind === 'int' || floats.includes(dtype) ? dtype : undefined;
}

/** A size known only at run time, as a scalar. */
function runtimeSize(env: Env, thing: IntThing, dtype: DType, span: Span): TensorThing | Poison {
  const size = emitOne(env, opNamed('size'), [], { n: thing.value }, span);
  return size.kind === 'poison' || dtype === 'i64' ? size : emitOne(env, opNamed('cast'), [{ tensor: size, span }], { to: dtype }, span);
}
