/** Ridge regression against its own optimality condition in f64, and Cholesky against the product it takes apart. */

import { afterAll, describe, expect, test } from 'vitest';
import { factorise, solveFactorised } from '../../src/passes/emergent/cholesky.ts';
import { type Matrix, matrix, pickRows } from '../../src/passes/emergent/matrix.ts';
import { addMoments, fitRidge, type Moments } from '../../src/passes/emergent/ridge.ts';
import { randomNumbers } from '../../src/weights/random.ts';
import { portableCompute } from '../running.ts';

const compute = portableCompute();
afterAll(() => compute.close());

const numbers = (name: string, rows: number, columns: number): Matrix => matrix(rows, columns, Float32Array.from(randomNumbers(name, 1, 1, 0, rows * columns)));
const at = ({ columns, data }: Matrix, i: number, j: number): number => data[i * columns + j] ?? Number.NaN;
const range = (n: number): readonly number[] => Array.from({ length: n }, (_, i) => i);
const sum = (list: readonly number[]): number => list.reduce((all, one) => all + one, 0);

describe('Cholesky', () => {
  test.each([1, 7, 32, 33, 101])('solves %i equations', (n) => {
    const x = randomNumbers('x', n, 1, 0, n * n);
    const a = Float64Array.from(
      { length: n * n },
      (_, ij) => sum(range(n).map((p) => (x[Math.floor(ij / n) * n + p] ?? 0) * (x[(ij % n) * n + p] ?? 0))) + (ij % (n + 1) === 0 ? 1 : 0),
    );
    const wanted = randomNumbers('wanted', 1, 1, 0, n * 3);
    const b = Float64Array.from({ length: n * 3 }, (_, ij) => sum(range(n).map((p) => (a[Math.floor(ij / 3) * n + p] ?? 0) * (wanted[p * 3 + (ij % 3)] ?? 0))));
    const l = a.slice();
    expect(factorise(l, n)).toBe(true);
    solveFactorised(l, n, b, 3);
    // The condition number is below 4 n, so that 1e-10 leaves room for four digits of rounding.
    expect(Math.max(...b.map((one, i) => Math.abs(one - (wanted[i] ?? Number.NaN))))).toBeLessThan(1e-10);
  });

  test('refuses what is not positive definite', () => {
    expect(factorise(Float64Array.of(1, 0, 2, 1), 2)).toBe(false);
    expect(factorise(Float64Array.of(0), 1)).toBe(false);
    expect(factorise(Float64Array.of(Number.NaN), 1)).toBe(false);
  });
});

describe('ridge', () => {
  const [tokens, p, e] = [90, 12, 3];
  // Features far from zero, as those of a language model are.
  const features = matrix(
    tokens,
    p,
    numbers('features', tokens, p).data.map((x, i) => x * (1 + (i % p)) + 20 * (i % p)),
  );
  const targets = matrix(
    tokens,
    e,
    numbers('targets', tokens, e).data.map((x, i) => x + at(features, Math.floor(i / e), i % e) + 3),
  );
  const moments = async (sizes: readonly number[]): Promise<Moments> => {
    let [all, from] = [undefined as Moments | undefined, 0];
    for (const size of sizes) {
      const rows = range(size).map((i) => from + i);
      all = await addMoments(all, pickRows(features, rows), pickRows(targets, rows), compute);
      from += size;
    }
    if (!all) throw new Error('no batches');
    return all;
  };

  test.each([0, 1e-3, 1])('at penalty %d the residual is what the penalty allows', async (penalty) => {
    const { weights, intercept } = fitRidge(await moments([tokens]), penalty);
    const centre = range(p).map((i) => sum(range(tokens).map((t) => at(features, t, i))) / tokens);
    const lambda = (penalty * sum(range(p).map((i) => sum(range(tokens).map((t) => (at(features, t, i) - (centre[i] ?? 0)) ** 2))))) / p;
    const residual = (t: number, j: number): number => at(targets, t, j) - (intercept[j] ?? 0) - sum(range(p).map((i) => at(features, t, i) * at(weights, i, j)));
    for (const j of range(e)) {
      // Sums over 90 tokens of products of up to 300, from f32: 1e-4 of the largest.
      expect(Math.abs(sum(range(tokens).map((t) => residual(t, j))))).toBeLessThan(0.02);
      for (const i of range(p)) {
        const gradient = sum(range(tokens).map((t) => (at(features, t, i) - (centre[i] ?? 0)) * residual(t, j))) - lambda * at(weights, i, j);
        expect(Math.abs(gradient)).toBeLessThan(0.05);
      }
    }
  });

  test('batches give what all tokens give at once', async () => {
    const [whole, parts] = [fitRidge(await moments([tokens]), 1e-2), fitRidge(await moments([5, 40, 45]), 1e-2)];
    expect(Math.max(...whole.weights.data.map((x, i) => Math.abs(x - (parts.weights.data[i] ?? Number.NaN))))).toBeLessThan(1e-4);
    expect(Math.max(...whole.intercept.map((x, i) => Math.abs(x - (parts.intercept[i] ?? Number.NaN))))).toBeLessThan(1e-2);
  });

  test('of features that never change only the means are left', async () => {
    const fit = fitRidge(await addMoments(undefined, matrix(4, 2, new Float32Array(8).fill(7)), matrix(4, 1, Float32Array.of(1, 2, 3, 6)), compute), 1e-3);
    expect([...fit.weights.data, ...fit.intercept]).toEqual([0, 0, 3]);
  });
});
