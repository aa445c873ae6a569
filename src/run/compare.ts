/** How far the numbers of two models lie apart, by the norm that all of moec is held to. */

import { count, type NdArray } from '../graph/nd-array.ts';

/** One value of two models. */
export interface Comparison {
  readonly name: string;
  readonly dims: readonly number[];
  /** max|a − b| / max|b|; infinite where one has a number and the other none, where either is NaN, or where all of b are 0 and a is not. */
  readonly distance: number;
  /** Rows whose two largest numbers of b lie further apart than the tolerance, and how many of them have their largest number at the same place in a. */
  readonly largest?: { readonly same: number; readonly rows: number };
}

/** Compares a with b, which is the reference; undefined where their sizes differ. `rows` asks for the largest number of each row, too. */
export function compare(name: string, a: NdArray, b: NdArray, { tolerance, rows }: { readonly tolerance: number; readonly rows: boolean }): Comparison | undefined {
  if (a.dims.length !== b.dims.length || a.dims.some((size, axis) => size !== b.dims[axis])) return undefined;
  let [apart, most] = [0, 0];
  for (let i = 0; i < b.data.length; i++) {
    const [one, other] = [a.data[i] ?? Number.NaN, b.data[i] ?? Number.NaN];
    if (Number.isFinite(other)) most = Math.max(most, Math.abs(other));
    if (one === other) continue;
    apart = Math.max(apart, Number.isFinite(one) && Number.isFinite(other) ? Math.abs(one - other) : Number.POSITIVE_INFINITY);
  }
  const distance = apart === 0 ? 0 : apart / most;
  return { name, dims: b.dims, distance, ...(rows && b.dims.length > 1 ? { largest: largestOf(a, b, tolerance * most) } : {}) };
}

function largestOf(a: NdArray, b: NdArray, gap: number): { readonly same: number; readonly rows: number } {
  const size = b.dims.at(-1) ?? 1;
  let [same, rows] = [0, 0];
  for (let row = 0; row < count(b.dims) / size; row++) {
    const wanted = topTwo(b.data, row * size, size);
    if (!(wanted.first - wanted.second > gap)) continue;
    rows++;
    if (topTwo(a.data, row * size, size).at === wanted.at) same++;
  }
  return { same, rows };
}

function topTwo(data: Float64Array, from: number, size: number): { readonly at: number; readonly first: number; readonly second: number } {
  let [at, first, second] = [0, Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let i = 0; i < size; i++) {
    const one = data[from + i] ?? Number.NaN;
    if (one > first) [at, first, second] = [i, one, first];
    else if (one > second) second = one;
  }
  return { at, first, second };
}

/** Whether a value is within the tolerance, with every clear largest number in its place. */
export function agrees({ distance, largest }: Comparison, tolerance: number): boolean {
  return distance <= tolerance && (!largest || largest.same === largest.rows);
}
