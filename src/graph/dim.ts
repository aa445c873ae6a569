/** Symbolic sizes: sums of products of names with whole exponents and rational factors, so that `N * (D / N)` is `D`. */

import { Bug } from '../diagnostics/bug.ts';

/** One product: `numerator / denominator` times names to powers. `powers` is sorted by name and holds no zero. */
interface Term {
  readonly numerator: number;
  readonly denominator: number;
  readonly powers: readonly (readonly [name: string, power: number])[];
}

/** A size of an axis. Two dims are the same size when `same` says so; `label` is only how the author spelt it. */
export interface Dim {
  readonly terms: readonly Term[];
  /** The author's spelling, such as `H` or `..`; never part of the meaning. */
  readonly label?: string;
}

/** What a call site may give for a size. */
export type DimLike = Dim | number;

/** The constant size `n`, a whole number. */
export function dim(n: number, label?: string): Dim {
  if (!Number.isSafeInteger(n)) throw new Bug(`a size must be a whole number, not ${n}`);
  const terms = n === 0 ? [] : [{ numerator: n, denominator: 1, powers: [] }];
  return label === undefined ? { terms } : { terms, label };
}

/** The size known only by `name`. */
export function symbol(name: string): Dim {
  return { terms: [{ numerator: 1, denominator: 1, powers: [[name, 1]] }] };
}

/** The same size under another spelling. */
export function relabel(size: Dim, label: string | undefined): Dim {
  return label === undefined ? { terms: size.terms } : { terms: size.terms, label };
}

const lift = (size: DimLike): Dim => (typeof size === 'number' ? dim(size) : size);

const keyOf = (term: Term): string => term.powers.map(([name, power]) => `${name}^${power}`).join('*');

function gcd(a: number, b: number): number {
  let [x, y] = [Math.abs(a), Math.abs(b)];
  while (y !== 0) [x, y] = [y, x % y];
  return x;
}

function term(numerator: number, denominator: number, powers: Term['powers']): Term {
  if (!Number.isSafeInteger(numerator) || !Number.isSafeInteger(denominator)) throw new Bug('a size is beyond 2^53');
  const sign = denominator < 0 ? -1 : 1;
  const divisor = gcd(numerator, denominator) || 1;
  return { numerator: (sign * numerator) / divisor, denominator: (sign * denominator) / divisor, powers };
}

function collect(terms: readonly Term[]): Dim {
  const byKey = new Map<string, Term>();
  for (const one of terms) {
    const key = keyOf(one);
    const other = byKey.get(key);
    byKey.set(key, other ? term(one.numerator * other.denominator + other.numerator * one.denominator, one.denominator * other.denominator, one.powers) : one);
  }
  const kept = [...byKey].filter(([, one]) => one.numerator !== 0);
  kept.sort(([a], [b]) => (a === '' ? 1 : b === '' ? -1 : a < b ? -1 : 1));
  return { terms: kept.map(([, one]) => one) };
}

/** a + b. */
export function add(a: DimLike, b: DimLike): Dim {
  return collect([...lift(a).terms, ...lift(b).terms]);
}

/** a · b. */
export function multiply(a: DimLike, b: DimLike): Dim {
  const [left, right] = [lift(a), lift(b)];
  return collect(left.terms.flatMap((x) => right.terms.map((y) => productOf(x, y))));
}

function productOf(x: Term, y: Term): Term {
  const powers = new Map(x.powers);
  for (const [name, power] of y.powers) powers.set(name, (powers.get(name) ?? 0) + power);
  const kept = [...powers].filter(([, power]) => power !== 0).sort(([a], [b]) => (a < b ? -1 : 1));
  return term(x.numerator * y.numerator, x.denominator * y.denominator, kept);
}

/** The product of all sizes; 1 of none. */
export const product = (sizes: readonly Dim[]): Dim => sizes.reduce((all, size) => multiply(all, size), dim(1));

/** a − b. */
export function subtract(a: DimLike, b: DimLike): Dim {
  return add(a, multiply(b, -1));
}

/** a / b when the result is known to be a whole number of `b`s or stays symbolic; undefined when two constants do not divide, or `b` is 0. */
export function divide(a: DimLike, b: DimLike): Dim | undefined {
  const [top, bottom] = [lift(a), lift(b)];
  if (bottom.terms.length === 0) return undefined;
  if (same(top, bottom)) return dim(1);
  if (bottom.terms.length > 1) return multiply(top, quotient(bottom));
  const [divisor] = bottom.terms;
  if (!divisor) return undefined;
  const inverse = term(
    divisor.denominator,
    divisor.numerator,
    divisor.powers.map(([name, power]) => [name, -power] as const),
  );
  const result = collect(top.terms.map((x) => productOf(x, inverse)));
  const value = result.terms.length === 1 && result.terms[0]?.powers.length === 0 ? result.terms[0] : undefined;
  return value && value.denominator !== 1 ? undefined : result;
}

/** 1 / b for a sum, as one opaque name. */
function quotient(b: Dim): Dim {
  return { terms: [{ numerator: 1, denominator: 1, powers: [[`(${show(b)})`, -1]] }] };
}

const samePowers = (x: Term, y: Term): boolean =>
  x.powers.length === y.powers.length && x.powers.every(([name, power], i) => name === y.powers[i]?.[0] && power === y.powers[i]?.[1]);

/** Whether both are the same size for every value of their names. */
export function same(a: DimLike, b: DimLike): boolean {
  const [left, right] = [lift(a), lift(b)];
  return (
    left.terms.length === right.terms.length &&
    left.terms.every((x, i) => {
      const y = right.terms[i];
      return y !== undefined && x.numerator === y.numerator && x.denominator === y.denominator && samePowers(x, y);
    })
  );
}

/** The number a size is, or undefined where names are left. */
export function constant(size: DimLike): number | undefined {
  if (typeof size === 'number') return size;
  if (size.terms.length === 0) return 0;
  const [only, ...others] = size.terms;
  return only && others.length === 0 && only.powers.length === 0 && only.denominator === 1 ? only.numerator : undefined;
}

/** The names a size depends on, each once. */
export function symbolsOf(size: Dim): readonly string[] {
  return [...new Set(size.terms.flatMap(({ powers }) => powers.map(([name]) => name)))];
}

/** The number a size is where each name has a value; undefined when a name has none. */
export function evaluate(size: DimLike, values: ReadonlyMap<string, number>): number | undefined {
  let total = 0;
  for (const { numerator, denominator, powers } of lift(size).terms) {
    let product = numerator / denominator;
    for (const [name, power] of powers) {
      const value = values.get(name);
      if (value === undefined) return undefined;
      product *= value ** power;
    }
    total += product;
  }
  return Math.round(total);
}

/** The size with names replaced by other sizes. */
export function substitute(size: Dim, by: ReadonlyMap<string, Dim>): Dim {
  if (!symbolsOf(size).some((name) => by.has(name))) return size;
  return size.terms.map((one) => substituteTerm(one, by)).reduce((sum, one) => add(sum, one), dim(0));
}

function substituteTerm({ numerator, denominator, powers }: Term, by: ReadonlyMap<string, Dim>): Dim {
  let product: Dim = { terms: [{ numerator, denominator, powers: [] }] };
  for (const [name, power] of powers) {
    const base = by.get(name) ?? symbol(name);
    for (let i = 0; i < Math.abs(power); i++) {
      const next = power > 0 ? multiply(product, base) : divide(product, base);
      if (!next) throw new Bug(`${show(product)} does not divide by ${show(base)}`);
      product = next;
    }
  }
  return product;
}

/** The size in words, by its meaning alone: `B * S`, `D / 2`, `576`. */
export function show(size: DimLike): string {
  if (typeof size === 'number') return String(size);
  if (size.terms.length === 0) return '0';
  return size.terms.map((one, i) => showTerm(one, i > 0)).join('');
}

function showTerm({ numerator, denominator, powers }: Term, follows: boolean): string {
  const above = powers.filter(([, power]) => power > 0).flatMap(([name, power]) => Array<string>(power).fill(name));
  const below = powers.filter(([, power]) => power < 0).flatMap(([name, power]) => Array<string>(-power).fill(name));
  const size = Math.abs(numerator);
  if (size !== 1 || above.length === 0) above.unshift(String(size));
  if (denominator !== 1) below.unshift(String(denominator));
  const sign = numerator < 0 ? (follows ? ' - ' : '-') : follows ? ' + ' : '';
  return sign + above.join(' * ') + below.map((name) => ` / ${name}`).join('');
}
