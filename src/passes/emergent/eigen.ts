/** Eigenvectors of symmetric matrices in f64: all of a small one, the leading ones of a large one that is known by what it does to vectors. */

import { randomNumbers } from '../../weights/random.ts';

/** Eigenvalues from the largest, and for each a vector of length 1. */
export interface Eigen {
  readonly values: Float64Array;
  readonly vectors: readonly Float64Array[];
}

/** Blocks of the Krylov space; each multiplies the matrix once by as many vectors as are asked for and a few more. */
const blocks = 6;
const spare = 8;

/**
 * The `count` leading eigenvectors of a symmetric positive semi-definite matrix [n, n], given as a function on vectors. Block Krylov
 * space with full orthogonalisation, then Rayleigh and Ritz (Musco and Musco 2015): the eigenvalues are found from below, their sum
 * to within 1e-6 for spectra that fall at all. A matrix that the space fills is solved exactly.
 */
export function leadingEigen(apply: (vectors: readonly Float64Array[]) => readonly Float64Array[], n: number, count: number): Eigen {
  const width = Math.min(n, count + spare);
  const start = randomNumbers('krylov', 0, 1, 0, n * width);
  const basis: Float64Array[] = [];
  const images: Float64Array[] = [];
  let next: readonly Float64Array[] = Array.from({ length: width }, (_, i) => start.slice(i * n, (i + 1) * n));
  for (let block = 0; block < blocks && basis.length < n; block++) {
    const added = next.flatMap((vector) => appendOrthogonal(basis, vector) ?? []);
    if (added.length === 0) break;
    next = apply(added);
    images.push(...next);
  }
  const size = basis.length;
  const small = Float64Array.from({ length: size * size }, (_, at) => dot(basis[Math.floor(at / size)] as Float64Array, images[at % size] as Float64Array));
  const { values, vectors } = symmetricEigen(small, size);
  return { values: values.slice(0, count), vectors: vectors.slice(0, count).map((weights) => combine(basis, weights, n)) };
}

/** Adds to the basis what of the vector is not in it, with length 1; nothing where that is only rounding. */
function appendOrthogonal(basis: Float64Array[], vector: Float64Array): Float64Array | undefined {
  const length = Math.sqrt(dot(vector, vector));
  const rest = vector.slice();
  // Twice is enough (Giraud, Langou and Rozložník 2005).
  for (let pass = 0; pass < 2; pass++) for (const one of basis) add(rest, one, -dot(rest, one));
  const left = Math.sqrt(dot(rest, rest));
  if (!(left > 1e-12 * length)) return undefined;
  for (let i = 0; i < rest.length; i++) rest[i] = (rest[i] as number) / left;
  basis.push(rest);
  return rest;
}

/** All eigenvectors of a symmetric matrix [n, n] by rotations of Jacobi, cyclic (Golub and Van Loan 2013, §8.5): for n up to a few hundred. */
export function symmetricEigen(matrix: Float64Array, n: number): Eigen {
  const a = matrix.slice();
  const v = Array.from({ length: n }, (_, i) => Float64Array.from({ length: n }, (__, j) => (i === j ? 1 : 0)));
  const total = Math.sqrt(dot(a, a));
  for (let sweep = 0; sweep < 30 && offDiagonal(a, n) > 1e-14 * total; sweep++) {
    for (let p = 0; p < n; p++) for (let q = p + 1; q < n; q++) rotate(a, v, n, p, q);
  }
  const order = Array.from({ length: n }, (_, i) => i).sort((i, j) => (a[j * n + j] as number) - (a[i * n + i] as number) || i - j);
  return { values: Float64Array.from(order, (i) => a[i * n + i] as number), vectors: order.map((i) => v[i] as Float64Array) };
}

/** Turns axes p and q so that a[p, q] becomes 0; the rows of `v` turn along. */
function rotate(a: Float64Array, v: readonly Float64Array[], n: number, p: number, q: number): void {
  const off = a[p * n + q] as number;
  if (off === 0) return;
  const tau = ((a[q * n + q] as number) - (a[p * n + p] as number)) / (2 * off);
  const t = (tau >= 0 ? 1 : -1) / (Math.abs(tau) + Math.sqrt(1 + tau * tau));
  const c = 1 / Math.sqrt(1 + t * t);
  const s = t * c;
  for (let i = 0; i < n; i++) turn(a, i * n + p, a, i * n + q, c, s);
  for (let i = 0; i < n; i++) turn(a, p * n + i, a, q * n + i, c, s);
  const [vp, vq] = [v[p] as Float64Array, v[q] as Float64Array];
  for (let i = 0; i < n; i++) turn(vp, i, vq, i, c, s);
}

function turn(x: Float64Array, i: number, y: Float64Array, j: number, c: number, s: number): void {
  const [a, b] = [x[i] as number, y[j] as number];
  x[i] = c * a - s * b;
  y[j] = s * a + c * b;
}

function offDiagonal(a: Float64Array, n: number): number {
  let sum = 0;
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) if (i !== j) sum += (a[i * n + j] as number) ** 2;
  return Math.sqrt(sum);
}

function combine(basis: readonly Float64Array[], weights: Float64Array, n: number): Float64Array {
  const sum = new Float64Array(n);
  for (const [i, one] of basis.entries()) add(sum, one, weights[i] as number);
  return sum;
}

function add(to: Float64Array, from: Float64Array, by: number): void {
  for (let i = 0; i < to.length; i++) to[i] = (to[i] as number) + by * (from[i] as number);
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number);
  return sum;
}
