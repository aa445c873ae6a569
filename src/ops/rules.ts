/** What type rules share: broadcasting, axes, element types. Every fault names the port that is wrong. */

import { constant, type Dim, divide, same, show } from '../graph/dim.ts';
import { fail } from '../graph/fail.ts';
import { type DType, spell, spellType, type TensorType } from '../graph/type.ts';

const floats: readonly DType[] = ['f32', 'f16', 'bf16', 'f64'];
const integers: readonly DType[] = ['i64', 'i32', 'i16', 'i8', 'u8', 'u16', 'u32', 'u64'];

/** Whether gradients flow through this element type. */
export const isFloat = (dtype: DType): boolean => floats.includes(dtype);

/** Whether this element type holds whole numbers. */
export const isInteger = (dtype: DType): boolean => integers.includes(dtype);

/** Faults unless the port holds floats. */
export function needFloat(op: string, x: TensorType, port = 'x'): void {
  if (!isFloat(x.dtype)) fail('wrong-dtype', { op, needed: 'floats', found: spellType(x) }, port, `convert it: \`f32(…)\``);
}

/** Faults unless the port holds floats or whole numbers. */
export function needNumber(op: string, x: TensorType, port = 'x'): void {
  if (!isFloat(x.dtype) && !isInteger(x.dtype)) fail('wrong-dtype', { op, needed: 'numbers', found: spellType(x) }, port, `convert it: \`f32(…)\``);
}

/** Faults unless the port holds i64 (or i32, which imported graphs use). */
export function needIndices(op: string, x: TensorType, port: string): void {
  if (x.dtype !== 'i64' && x.dtype !== 'i32') fail('wrong-dtype', { op, needed: 'indices (i64)', found: spellType(x) }, port, `convert it: \`i64(…)\``);
}

/** Faults unless the port holds bools. */
export function needBool(op: string, x: TensorType, port: string): void {
  if (x.dtype !== 'bool') fail('wrong-dtype', { op, needed: 'bool', found: spellType(x) }, port, 'compare it: `… > 0`');
}

/** Faults unless both have one element type. */
export function needSameDType(op: string, a: TensorType, b: TensorType, port = 'b'): void {
  if (a.dtype === b.dtype) return;
  const whole = isInteger(a.dtype) ? a : b;
  fail('dtypes-differ', { op, left: spellType(a), right: spellType(b) }, port, isInteger(whole.dtype) ? `convert ${spellType(whole)}: \`f32(…)\`` : undefined);
}

/** Faults where the type has fewer axes. */
export function needAxes(op: string, x: TensorType, needed: number, port = 'x'): void {
  if (x.dims.length < needed) fail('too-few-axes', { op, needed, type: spellType(x), found: x.dims.length }, port);
}

/** The axis counted from 0. */
export function axisOf(x: TensorType, axis: number): number {
  const rank = x.dims.length;
  if (!Number.isInteger(axis) || axis < -rank || axis >= rank) fail('no-such-axis', { type: spellType(x), axis }, 'x');
  return axis < 0 ? axis + rank : axis;
}

/** The axis of rows of a `cache`, counted from 0: -2 of a vector is its only axis. */
export function rowAxis(x: TensorType, axis: number): number {
  return x.dims.length === 1 && axis === -2 ? 0 : axisOf(x, axis);
}

const isOne = (size: Dim): boolean => constant(size) === 1;

/** The size of an axis where both meet: equal, or one is 1. Undefined where they do not. */
export function meet(a: Dim, b: Dim): Dim | undefined {
  if (same(a, b)) return a.label === undefined ? b : a;
  return isOne(a) ? b : isOne(b) ? a : undefined;
}

/** The dims both broadcast to, by numpy's rules; undefined where two sizes do not meet. */
export function tryBroadcast(a: readonly Dim[], b: readonly Dim[]): readonly Dim[] | undefined {
  const [long, short] = a.length >= b.length ? [a, b] : [b, a];
  const offset = long.length - short.length;
  const dims = long.map((size, i) => {
    const other = short[i - offset];
    return other ? meet(size, other) : size;
  });
  return dims.every((size) => size !== undefined) ? dims : undefined;
}

/** The dims both broadcast to, or a fault naming the first pair of sizes that differ. */
export function broadcastDims(op: string, a: TensorType, b: TensorType, port = 'b'): readonly Dim[] {
  const dims = tryBroadcast(a.dims, b.dims);
  if (dims) return dims;
  const [x, y] = clash(a.dims, b.dims);
  return fail('sizes-differ', { op, left: spellType(a), right: spellType(b), a: spell(x), b: spell(y) }, port, hint(a.dims, b.dims));
}

function clash(a: readonly Dim[], b: readonly Dim[]): readonly [Dim, Dim] {
  for (let i = 1; i <= Math.min(a.length, b.length); i++) {
    const [x, y] = [a.at(-i), b.at(-i)];
    if (x && y && !meet(x, y)) return [x, y];
  }
  return fail('sizes-differ', { op: 'broadcast', left: '', right: '', a: '', b: '' });
}

/** The usual slip: a factor for each row lacks the last axis. */
function hint(a: readonly Dim[], b: readonly Dim[]): string | undefined {
  const [long, short] = a.length >= b.length ? [a, b] : [b, a];
  const front = long.slice(0, short.length);
  return long.length === short.length + 1 && short.length > 1 && front.every((size, i) => same(size, short[i] ?? -1)) ? 'add an axis at the end: `…[.., new]`' : undefined;
}

/** a / b where that is a whole size for every value of the names; undefined where it is not known to be. */
export function wholeRatio(a: Dim, b: Dim): Dim | undefined {
  const ratio = divide(a, b);
  return ratio?.terms.every(({ denominator, powers }) => denominator === 1 && powers.every(([, power]) => power > 0)) ? ratio : undefined;
}

/** A list of sizes as authors write it. */
export const spellDims = (dims: readonly Dim[]): string => `[${dims.map(spell).join(', ')}]`;

/** Whether a is at least b for all sizes that are not negative: no term of the difference is. */
export function atLeast(difference: Dim): boolean {
  return difference.terms.every(({ numerator }) => numerator >= 0);
}

/** A size in a message, with its value where the spelling hides it: `H = 1536`. */
export function spellValue(size: Dim): string {
  const [word, meaning] = [spell(size), show(size)];
  return word === meaning ? word : `${word} = ${meaning}`;
}
