/** Operators on constants. `/` on whole numbers is exact or an error; unknown operands give unknown results. */

import type { BinaryOperator } from '../../grammar/ast.ts';
import { add, constant, type Dim, dim, divide, multiply, same, show, subtract, symbol } from '../graph/dim.ts';
import type { BoolThing, Constant, FloatThing, IntThing, ListThing } from './thing.ts';

/** What went wrong, for the caller to word and place. */
export type ArithmeticFault = { readonly fault: 'inexact' | 'zero' | 'unfit' | 'too-large' };

/** `left operator right`. */
export function operate(operator: BinaryOperator, left: Constant, right: Constant): Constant | ArithmeticFault {
  if (operator === '==' || operator === '!=') return compareEqual(operator, left, right);
  if (left.kind === 'int' && right.kind === 'int') return onInts(operator, left.value, right.value);
  if (isNumber(left) && isNumber(right)) return onFloats(operator, numberOf(left), numberOf(right));
  return { fault: 'unfit' };
}

const isNumber = (thing: Constant): thing is IntThing | FloatThing => thing.kind === 'int' || thing.kind === 'float';

/** The number, where it is known. */
export function numberOf(thing: IntThing | FloatThing): number | undefined {
  return thing.kind === 'int' ? constant(thing.value) : thing.value;
}

/** A number that may be unknown. */
export function float(value: number | undefined): FloatThing {
  return value === undefined ? { kind: 'float' } : { kind: 'float', value };
}

/** A bool that may be unknown. */
export function bool(value: boolean | undefined): BoolThing {
  return value === undefined ? { kind: 'bool' } : { kind: 'bool', value };
}

/** A whole number. */
export function int(value: number): IntThing {
  return { kind: 'int', value: dim(value) };
}

function onInts(operator: BinaryOperator, a: Dim, b: Dim): Constant | ArithmeticFault {
  const [x, y] = [constant(a), constant(b)];
  if (x !== undefined && y !== undefined) return onWholeNumbers(operator, x, y);
  switch (operator) {
    case '+':
      return { kind: 'int', value: add(a, b) };
    case '-':
      return { kind: 'int', value: subtract(a, b) };
    case '*':
      return { kind: 'int', value: multiply(a, b) };
    case '/': {
      const result = divide(a, b);
      return result ? { kind: 'int', value: result } : { fault: y === 0 ? 'zero' : 'inexact' };
    }
    case '%':
      return { kind: 'int', value: symbol(`(${show(a)} % ${show(b)})`) };
    case '@':
      return { fault: 'unfit' };
    default:
      return { kind: 'bool' };
  }
}

function onWholeNumbers(operator: BinaryOperator, x: number, y: number): Constant | ArithmeticFault {
  if ((operator === '/' || operator === '%') && y === 0) return { fault: 'zero' };
  if (operator === '/' && x % y !== 0) return { fault: 'inexact' };
  const result = compute(operator, x, y);
  if (result === undefined) return { fault: 'unfit' };
  if (typeof result === 'boolean') return { kind: 'bool', value: result };
  return Number.isSafeInteger(result) ? int(result === 0 ? 0 : result) : { fault: 'too-large' };
}

function onFloats(operator: BinaryOperator, x: number | undefined, y: number | undefined): Constant | ArithmeticFault {
  if (operator === '@') return { fault: 'unfit' };
  const compares = operator === '<' || operator === '>' || operator === '<=' || operator === '>=';
  if (x === undefined || y === undefined) return compares ? { kind: 'bool' } : { kind: 'float' };
  if ((operator === '/' || operator === '%') && y === 0) return { fault: 'zero' };
  const result = compute(operator, x, y);
  return typeof result === 'boolean' ? { kind: 'bool', value: result } : float(result);
}

function compute(operator: BinaryOperator, x: number, y: number): number | boolean | undefined {
  switch (operator) {
    case '+':
      return x + y;
    case '-':
      return x - y;
    case '*':
      return x * y;
    case '/':
      return x / y;
    case '%':
      return ((x % y) + y) % y;
    case '<':
      return x < y;
    case '>':
      return x > y;
    case '<=':
      return x <= y;
    case '>=':
      return x >= y;
    default:
      return undefined;
  }
}

function compareEqual(operator: '==' | '!=', left: Constant, right: Constant): Constant | ArithmeticFault {
  const comparable = left.kind === right.kind || (isNumber(left) && isNumber(right));
  if (!comparable) return { fault: 'unfit' };
  const equal = sameConstant(left, right);
  return bool(equal === undefined ? undefined : equal === (operator === '=='));
}

/** Whether two constants are the same; undefined where that is not known. */
export function sameConstant(left: Constant, right: Constant): boolean | undefined {
  if (left.kind === 'int' && right.kind === 'int') {
    if (same(left.value, right.value)) return true;
    return constant(left.value) !== undefined && constant(right.value) !== undefined ? false : undefined;
  }
  if (isNumber(left) && isNumber(right)) return equalIfKnown(numberOf(left), numberOf(right));
  if (left.kind === 'bool' && right.kind === 'bool') return equalIfKnown(left.value, right.value);
  if (left.kind === 'string' && right.kind === 'string') return equalIfKnown(left.value, right.value);
  if (left.kind === 'list' && right.kind === 'list') return sameLists(left, right);
  return false;
}

const equalIfKnown = <T>(a: T | undefined, b: T | undefined): boolean | undefined => (a === undefined || b === undefined ? undefined : a === b);

function sameLists(left: ListThing, right: ListThing): boolean | undefined {
  if (!left.items || !right.items) return undefined;
  if (left.items.length !== right.items.length) return false;
  const each = left.items.map((one, i) => {
    const other = right.items?.[i];
    return other && isPlain(one) && isPlain(other) ? sameConstant(one, other) : false;
  });
  return each.includes(false) ? false : each.includes(undefined) ? undefined : true;
}

/** Whether an element of a list is a constant. */
export function isPlain(thing: { readonly kind: string }): thing is Constant {
  return thing.kind === 'int' || thing.kind === 'float' || thing.kind === 'bool' || thing.kind === 'string' || thing.kind === 'list';
}

/** The constant as messages show it. */
export function showConstant(thing: Constant): string {
  switch (thing.kind) {
    case 'int':
      return constant(thing.value) === undefined ? (thing.value.label ?? show(thing.value)) : show({ terms: thing.value.terms });
    case 'float':
      return thing.value === undefined ? 'a number' : Number.isInteger(thing.value) ? thing.value.toFixed(1) : thing.value === Infinity ? 'inf' : String(thing.value);
    case 'bool':
      return thing.value === undefined ? 'a bool' : String(thing.value);
    case 'string':
      return thing.value === undefined ? 'a string' : JSON.stringify(thing.value);
    case 'list': {
      if (!thing.items) return 'a list';
      const shown = thing.items.slice(0, 6).map((one) => (isPlain(one) ? showConstant(one) : '…'));
      return `[${shown.join(', ')}${thing.items.length > 6 ? ', …' : ''}]`;
    }
  }
}
