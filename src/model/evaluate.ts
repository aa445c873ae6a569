/** Expressions → things: constants are computed, layers made, and inside a forward the rest becomes nodes of the graph. */

import type { Binary, Dot, Expr, Indexed, List, Negate, Value } from '../../grammar/ast.ts';
import { Bug } from '../diagnostics/bug.ts';
import { didYouMean } from '../diagnostics/suggest.ts';
import { constant, multiply } from '../graph/dim.ts';
import { type ArithmeticFault, float, int, isPlain, operate, showConstant } from './arithmetic.ts';
import { evaluateCall } from './call.ts';
import { type Env, fault, markUsed, openMark, quote } from './context.ts';
import { indexTensor } from './index-tensor.ts';
import { makeMixture } from './mixture.ts';
import { asTensor, infixOp, negateTensor, transposeTensor } from './operator.ts';
import { repeatLayers } from './repeat.ts';
import { lookUp } from './scope.ts';
import { type Constant, isConstant, isLayer, poison, type Thing, thingWords } from './thing.ts';

/** What a part, an argument or an element may be: `repeat` and `mixture` make layers, the rest is an expression. */
export function evaluateValue(value: Value, env: Env): Thing {
  if (value.kind === 'repeat') return repeatLayers(value, env);
  if (value.kind === 'mixture') return makeMixture(value, env);
  return evaluate(value, env);
}

/** What an expression stands for. Faults are reported and yield poison. */
export function evaluate(expr: Expr, env: Env): Thing {
  switch (expr.kind) {
    case 'number':
      return expr.float ? float(expr.value) : Number.isSafeInteger(expr.value) ? int(expr.value) : fault(env, 'number-too-large', {}, { at: expr.span });
    case 'string':
      return { kind: 'string', value: expr.value };
    case 'bool':
      return { kind: 'bool', value: expr.value };
    case 'name':
      return lookUp(env, expr);
    case 'paren':
      return evaluate(expr.inner, env);
    case 'list':
      return evaluateList(expr, env);
    case 'negate':
      return evaluateNegate(expr, env);
    case 'binary':
      return evaluateBinary(expr, env);
    case 'member':
      return evaluateDot(expr, env);
    case 'indexed':
      return evaluateIndexed(expr, env);
    case 'call':
      return single(evaluateCall(expr, env), expr, env);
  }
}

/** A call with several results may stand only where they are given names. */
function single(thing: Thing, expr: Expr, env: Env): Thing {
  return thing.kind === 'several'
    ? fault(
        env,
        'several-results',
        { count: thing.items.length },
        { at: expr.span, fixes: [{ text: `give them names first: \`${thing.items.map((_, i) => 'abcdefgh'[i] ?? '_').join(', ')} = …\`` }] },
      )
    : thing;
}

/** Like `evaluate`, for the right side of a statement and of `return`, where a call may have several results. */
export function evaluateSeveral(expr: Expr, env: Env): Thing {
  return expr.kind === 'call' ? evaluateCall(expr, env) : evaluate(expr, env);
}

function evaluateList(list: List, env: Env): Thing {
  const items = list.items.map((item) => (item.kind === 'rest' ? { kind: 'rest' as const } : evaluateValue(item, env)));
  if (items.some((item) => item.kind === 'poison')) return poison;
  const layers = items.filter((item) => item.kind !== 'rest' && isLayer(item));
  if (layers.length === 0) return { kind: 'list', items };
  if (layers.length !== items.length) return reportMixed(list, items, env);
  const flat = layers.flatMap((layer) => (layer.kind === 'stack' ? layer.items : [layer]));
  return { kind: 'stack', items: flat, open: layers.some((layer) => layer.kind === 'stack' && layer.open) };
}

function reportMixed(list: List, items: readonly (Thing | { readonly kind: 'rest' })[], env: Env): Thing {
  const at = items.findIndex((item) => item.kind === 'rest' || !isLayer(item));
  const found = items[at];
  return fault(
    env,
    'list-mixes',
    {},
    { at: list.items[at]?.span ?? list.span, label: found === undefined || found.kind === 'rest' ? '' : `is ${isPlain(found) ? showConstant(found) : thingWords[found.kind]}` },
  );
}

function evaluateNegate(expr: Negate, env: Env): Thing {
  const operand = evaluate(expr.operand, env);
  switch (operand.kind) {
    case 'poison':
      return operand;
    case 'int':
      return { kind: 'int', value: multiply(operand.value, -1) };
    case 'float':
      return float(operand.value === undefined ? undefined : -operand.value);
    case 'tensor':
    case 'weight':
      return negateTensor(env, operand, expr);
    default:
      return fault(env, 'operands-unfit', { operator: '-', operands: thingWords[operand.kind] }, { at: expr.span });
  }
}

function evaluateBinary(expr: Binary, env: Env): Thing {
  const [left, right] = [evaluate(expr.left, env), evaluate(expr.right, env)];
  if (left.kind === 'poison' || right.kind === 'poison') return poison;
  const tensors = left.kind === 'tensor' || left.kind === 'weight' || right.kind === 'tensor' || right.kind === 'weight';
  if (tensors || (env.frame && runsLater(left, right) && !(left.kind === 'int' && right.kind === 'int'))) return infixOp(env, expr, left, right);
  if (!isConstant(left) || !isConstant(right))
    return fault(env, 'operands-unfit', { operator: expr.operator, operands: `${thingWords[left.kind]} and ${thingWords[right.kind]}` }, { at: expr.span });
  try {
    const result = operate(expr.operator, left, right);
    return 'fault' in result ? reportArithmetic(result, expr, left, right, env) : result;
  } catch (error) {
    if (error instanceof Bug) return fault(env, 'number-too-large', {}, { at: expr.span });
    throw error;
  }
}

/** A size known only at run time beside a float: the size becomes a value of the graph. */
const runsLater = (left: Thing, right: Thing): boolean =>
  [left, right].some((one) => one.kind === 'int' && constant(one.value) === undefined && !isOpen(one)) && [left, right].every((one) => one.kind === 'int' || one.kind === 'float');

/** Sizes of a layer that is checked alone are constants whose number is not known. */
export function isOpen(thing: Thing): boolean {
  return thing.kind === 'int' && thing.value.terms.some(({ powers }) => powers.some(([name]) => name.includes(openMark)));
}

function reportArithmetic(found: ArithmeticFault, expr: Binary, left: Constant, right: Constant, env: Env): Thing {
  const [a, b] = [showConstant(left), showConstant(right)];
  const related = [
    ...(/^[\w.]+$/.test(a) && expr.left.kind !== 'number' ? [{ span: expr.left.span, text: `is ${a}` }] : []),
    ...(/^[\w.]+$/.test(b) && expr.right.kind !== 'number' ? [{ span: expr.right.span, text: `is ${b}` }] : []),
  ];
  switch (found.fault) {
    case 'inexact':
      return fault(
        env,
        'division-inexact',
        { left: a, right: b },
        {
          at: expr.span,
          related,
          fixes: [
            {
              text: `choose sizes that divide, or write \`int(float(${quote(env.context.program, expr.left.span)}) / ${quote(env.context.program, expr.right.span)})\` where rounding down is meant`,
            },
          ],
        },
      );
    case 'zero':
      return fault(env, 'division-by-zero', { operator: expr.operator }, { at: expr.span, related });
    case 'too-large':
      return fault(env, 'number-too-large', {}, { at: expr.span, related });
    case 'unfit':
      return fault(env, 'operands-unfit', { operator: expr.operator, operands: `${thingWords[left.kind]} and ${thingWords[right.kind]}` }, { at: expr.span });
  }
}

function evaluateDot(expr: Dot, env: Env): Thing {
  const object = evaluate(expr.object, env);
  const name = expr.name.text;
  if (object.kind === 'poison' || object.kind === 'opaque') return poison;
  if (name === 'T' && (object.kind === 'tensor' || object.kind === 'weight')) return transposeTensor(env, object, expr);
  if (object.kind === 'tensor' || object.kind === 'weight')
    return fault(env, 'no-such-member', { object: 'a tensor', name }, { at: expr.name.span, fixes: [{ text: 'a tensor has only `.T`, its last two axes exchanged' }] });
  if (object.kind === 'mixture' && name === 'router') return object.router;
  if (object.kind === 'instance') {
    const found = object.parts.get(name)?.layer ?? object.weights.get(name);
    if (found) {
      markUsed(env.context, object.decl, name);
      return found;
    }
    if (object.broken) return poison;
    const words = `\`${object.decl.name.text}\``;
    return fault(
      env,
      'no-such-member',
      { object: words, name },
      { at: expr.name.span, related: [{ span: object.decl.name.span, text: 'declared here' }], fixes: didYouMean(name, [...object.parts.keys(), ...object.weights.keys()]) },
    );
  }
  return fault(
    env,
    'no-such-member',
    { object: thingWords[object.kind], name },
    { at: expr.name.span, fixes: object.kind === 'stack' ? [{ text: 'pick one of the stack first: `[0]`' }] : [] },
  );
}

function evaluateIndexed(expr: Indexed, env: Env): Thing {
  const object = evaluate(expr.object, env);
  if (object.kind === 'poison' || object.kind === 'opaque') return poison;
  if (object.kind === 'tensor' || object.kind === 'weight') return indexTensor(env, asTensor(env, object), expr);
  const [index, ...others] = expr.indices;
  if (!index || (object.kind !== 'stack' && object.kind !== 'list')) return fault(env, 'cannot-index', { what: thingWords[object.kind] }, { at: expr.span });
  if (others.length > 0)
    return fault(
      env,
      'stack-is-flat',
      {},
      { at: others[0]?.span ?? expr.span, notes: object.items ? [`it has ${object.items.length}, from [0] to [${object.items.length - 1}]`] : [] },
    );
  const { items } = object;
  if (!items || (object.kind === 'stack' && object.open)) return object.kind === 'stack' ? (object.items[0] ?? poison) : poison;
  if (index.kind === 'at') {
    const at = wholeNumber(index.value, env);
    if (at === undefined) return poison;
    const found = items[at < 0 ? at + items.length : at];
    return found && found.kind !== 'rest' ? found : fault(env, 'index-out-of-range', { index: at, count: items.length }, { at: index.span });
  }
  const from = index.from ? wholeNumber(index.from, env) : 0;
  const to = index.to ? wholeNumber(index.to, env) : items.length;
  if (from === undefined || to === undefined) return poison;
  if (from < 0 || to > items.length || from > to) return fault(env, 'index-out-of-range', { index: `${from}..${to}`, count: items.length }, { at: index.span });
  return object.kind === 'stack' ? { kind: 'stack', items: object.items.slice(from, to), open: false } : { kind: 'list', items: items.slice(from, to) as never };
}

/** A whole number known now; a fault where it is something else, undefined also where it is not known. */
export function wholeNumber(expr: Expr, env: Env): number | undefined {
  const thing = evaluate(expr, env);
  if (thing.kind === 'int') {
    const value = constant(thing.value);
    if (value === undefined && !isOpen(thing)) fault(env, 'size-not-known', { name: showConstant(thing) }, { at: expr.span });
    return value;
  }
  if (thing.kind !== 'poison') fault(env, 'wrong-kind', { expected: 'a whole number', found: isPlain(thing) ? showConstant(thing) : thingWords[thing.kind] }, { at: expr.span });
  return undefined;
}
