/** Functions on constants: what sizes and settings may be computed with before anything runs. */

import { dim } from '../graph/dim.ts';
import { bool, float, int, isPlain, numberOf, sameConstant } from './arithmetic.ts';
import { limits } from './limits.ts';
import type { Constant } from './thing.ts';

/** A function: how it is called, and what it yields; a string says what was expected instead. */
interface ConstantFunction {
  readonly signature: string;
  apply(args: readonly Constant[]): Constant | string;
}

const ofNumber = (name: string, f: (x: number) => number, valid: (x: number) => boolean = () => true, needs = ''): ConstantFunction => ({
  signature: `${name}(number)`,
  apply: ([x, ...more]) => {
    if (!x || more.length > 0 || (x.kind !== 'int' && x.kind !== 'float')) return 'one number';
    const value = numberOf(x);
    if (value === undefined) return float(undefined);
    return valid(value) ? float(f(value)) : needs;
  },
});

const choose = (name: string, pick: (values: readonly number[]) => number): ConstantFunction => ({
  signature: `${name}(a, b)`,
  apply: (args) => {
    const [first] = args;
    const all = args.length === 1 && first?.kind === 'list' ? first.items : args;
    if (!all || all.length === 0) return 'two numbers';
    if (all.every((one) => one.kind === 'int')) {
      const values = all.map((one) => numberOf(one));
      return values.every((value) => value !== undefined) ? int(pick(values)) : 'numbers that are known';
    }
    if (!all.every((one) => one.kind === 'int' || one.kind === 'float')) return 'two numbers';
    const values = all.map((one) => numberOf(one));
    return float(values.every((value) => value !== undefined) ? pick(values) : undefined);
  },
});

const cycle: ConstantFunction = {
  signature: 'cycle(list, count)',
  apply: ([list, count, ...more]) => {
    if (list?.kind !== 'list' || count?.kind !== 'int' || more.length > 0) return 'a list and a count';
    const n = numberOf(count);
    if (n === undefined || !list.items) return { kind: 'list' };
    if (n < 0 || n > limits.listLength) return `a count between 0 and ${limits.listLength}`;
    if (list.items.length === 0 && n > 0) return 'a list with elements';
    return { kind: 'list', items: Array.from({ length: n }, (_, i) => list.items?.[i % (list.items.length || 1)] ?? int(0)) };
  },
};

const len: ConstantFunction = {
  signature: 'len(list)',
  apply: ([list, ...more]) => {
    if (list?.kind !== 'list' || more.length > 0) return 'a list';
    return list.items ? int(list.items.length) : 'a list that is known';
  },
};

const contains: ConstantFunction = {
  signature: 'contains(list, value)',
  apply: ([list, value, ...more]) => {
    if (list?.kind !== 'list' || !value || more.length > 0) return 'a list and a value';
    if (!list.items) return { kind: 'bool' };
    const each = list.items.map((one) => (isPlain(one) ? sameConstant(one, value) : false));
    return bool(each.includes(true) ? true : each.includes(undefined) ? undefined : false);
  },
};

const abs: ConstantFunction = {
  signature: 'abs(number)',
  apply: (args) => {
    const [x] = args;
    const value = x?.kind === 'int' ? numberOf(x) : undefined;
    return value === undefined ? ofNumber('abs', Math.abs).apply(args) : int(Math.abs(value));
  },
};

const whole = (name: string, round: (x: number) => number): ConstantFunction => ({
  signature: `${name}(number)`,
  apply: ([x, ...more]) => {
    if (!x || more.length > 0 || (x.kind !== 'int' && x.kind !== 'float')) return 'one number';
    if (x.kind === 'int') return x;
    const value = numberOf(x);
    if (value === undefined) return 'a number that is known';
    return Number.isSafeInteger(round(value)) ? { kind: 'int', value: dim(round(value)) } : 'a number below 2^53';
  },
});

const toFloat = (name: string): ConstantFunction => ofNumber(name, (x) => x);

/** All of them by name. */
export const constantFunctions: ReadonlyMap<string, ConstantFunction> = new Map<string, ConstantFunction>([
  ['cycle', cycle],
  ['len', len],
  ['contains', contains],
  ['sqrt', ofNumber('sqrt', Math.sqrt, (x) => x >= 0, 'a number that is not negative')],
  [
    'rsqrt',
    ofNumber(
      'rsqrt',
      (x) => 1 / Math.sqrt(x),
      (x) => x > 0,
      'a number above 0',
    ),
  ],
  ['log', ofNumber('log', Math.log, (x) => x > 0, 'a number above 0')],
  ['exp', ofNumber('exp', Math.exp)],
  ['sin', ofNumber('sin', Math.sin)],
  ['cos', ofNumber('cos', Math.cos)],
  ['tanh', ofNumber('tanh', Math.tanh)],
  ['floor', ofNumber('floor', Math.floor)],
  ['ceil', ofNumber('ceil', Math.ceil)],
  ['abs', abs],
  ['min', choose('min', (values) => Math.min(...values))],
  ['max', choose('max', (values) => Math.max(...values))],
  ['int', whole('int', Math.trunc)],
  ['i64', whole('i64', Math.trunc)],
  ['i32', whole('i32', Math.trunc)],
  ['float', toFloat('float')],
  ['f32', toFloat('f32')],
]);

/** Whether every argument is a constant without tensors inside. */
export function allConstant(args: readonly { readonly kind: string }[]): args is readonly Constant[] {
  return args.every((one) => isPlain(one) && (one.kind !== 'list' || !one.items || allConstant(one.items)));
}
