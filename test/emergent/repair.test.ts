/** Repairs where the answer is known: linear experts are replaced without loss. The best rank against numpy's SVD is in test/interop. */

import { afterAll, describe, expect, test } from 'vitest';
import { leadingEigen, symmetricEigen } from '../../src/passes/emergent/eigen.ts';
import { groupingOf, neuronsByExpert } from '../../src/passes/emergent/grouping.ts';
import { type Matrix, matrix, pickColumns, pickRows, row } from '../../src/passes/emergent/matrix.ts';
import { addDropped, droppedMeans, lowRankRepair, meansRepair, type Repair } from '../../src/passes/emergent/repair.ts';
import { addMoments } from '../../src/passes/emergent/ridge.ts';
import { randomNumbers } from '../../src/weights/random.ts';
import { portableCompute } from '../running.ts';

const compute = portableCompute();
afterAll(() => compute.close());

const numbers = (name: string, rows: number, columns: number): Matrix => matrix(rows, columns, Float32Array.from(randomNumbers(name, 2, 1, 0, rows * columns)));

describe('eigenvectors', () => {
  const n = 60;
  const factor = numbers('factor', n, n);
  /** XᵀX with columns that shrink: a spectrum that falls. */
  const square = Float64Array.from({ length: n * n }, (_, at) => {
    const [i, j] = [Math.floor(at / n), at % n];
    let sum = 0;
    for (let p = 0; p < n; p++) sum += (factor.data[p * n + i] ?? 0) * (factor.data[p * n + j] ?? 0);
    return sum * 0.9 ** (i + j);
  });
  const apply = (vectors: readonly Float64Array[]): readonly Float64Array[] =>
    vectors.map((v) => Float64Array.from({ length: n }, (_, i) => v.reduce((sum, x, j) => sum + x * (square[i * n + j] ?? 0), 0)));

  test('all of a small matrix: A·v = λ·v, in order, orthogonal', () => {
    const { values, vectors } = symmetricEigen(square, n);
    expect([...values]).toEqual([...values].sort((a, b) => b - a));
    for (const [i, v] of vectors.entries()) {
      const image = apply([v])[0] ?? new Float64Array();
      expect(Math.max(...image.map((x, j) => Math.abs(x - (values[i] ?? 0) * (v[j] ?? 0))))).toBeLessThan(1e-11 * (values[0] ?? 0));
      for (const [j, w] of vectors.entries()) expect(v.reduce((sum, x, p) => sum + x * (w[p] ?? 0), 0)).toBeCloseTo(i === j ? 1 : 0, 11);
    }
  });

  test('the leading ones have the same values', () => {
    const [all, leading] = [symmetricEigen(square, n), leadingEigen(apply, n, 3)];
    leading.values.forEach((value, i) => expect(value / (all.values[i] ?? 0)).toBeCloseTo(1, 9));
    expect(leading.vectors).toHaveLength(3);
  });

  test('a matrix of low rank, of zeros, and one smaller than what is asked', () => {
    const ones = leadingEigen((vectors) => vectors.map((v) => new Float64Array(20).fill(v.reduce((sum, x) => sum + x, 0))), 20, 2);
    expect(ones.values[0]).toBeCloseTo(20, 9);
    expect(ones.values[1]).toBeCloseTo(0, 9);
    expect([...leadingEigen((vectors) => vectors.map(() => new Float64Array(4)), 4, 2).values]).toEqual([0, 0]);
    expect(leadingEigen((vectors) => vectors, 2, 2).vectors).toHaveLength(2);
  });
});

describe('repair', () => {
  const [tokens, d, f] = [200, 10, 24];
  const grouping = groupingOf(
    Int32Array.from({ length: f }, (_, i) => (i < 3 ? -1 : i % 7)),
    7,
  );
  const x = matrix(
    tokens,
    d,
    numbers('x', tokens, d).data.map((one, i) => one + (i % d)),
  );
  const down = numbers('down', f, d);

  /** Hidden values that are linear in x, through two directions, with a constant; and what each expert makes of them. */
  const linear = async (): Promise<Matrix> => {
    const h = await compute.product(await compute.product(x, numbers('in', d, 2)), numbers('out', 2, f));
    return matrix(
      tokens,
      f,
      h.data.map((one) => one + 5),
    );
  };
  const outputs = (h: Matrix, expert: number): Promise<Matrix> => {
    const neurons = neuronsByExpert(grouping)[expert] as Int32Array;
    return compute.product(pickColumns(h, neurons), pickRows(down, neurons));
  };
  const standIn = async ({ means, project, expand }: Repair, expert: number): Promise<Matrix> => {
    const rank = project.columns;
    const rows = Array.from({ length: rank }, (_, i) => expert * rank + i);
    const moved = await compute.product(await compute.product(x, project), pickRows(expand, rows));
    return matrix(
      tokens,
      d,
      moved.data.map((one, i) => one + (row(means, expert)[i % d] ?? 0)),
    );
  };
  const distance = (a: Matrix, b: Matrix): number => Math.max(...a.data.map((one, i) => Math.abs(one - (b.data[i] ?? Number.NaN))));

  test('experts that are linear through two directions are replaced without loss at rank 2, not at rank 1', async () => {
    const h = await linear();
    const moments = await addMoments(await addMoments(undefined, pickRows(x, [0, 1, 2]), pickRows(h, [0, 1, 2]), compute), x, h, compute);
    const [two, one] = [
      await lowRankRepair(moments, down, grouping, { rank: 2, penalty: 1e-9 }, compute),
      await lowRankRepair(moments, down, grouping, { rank: 1, penalty: 1e-9 }, compute),
    ];
    for (let expert = 0; expert < 7; expert++) {
      const wanted = await outputs(h, expert);
      // Outputs up to 200, through covariances in f32.
      expect(distance(await standIn(two, expert), wanted)).toBeLessThan(0.02);
      expect(distance(await standIn(one, expert), wanted)).toBeGreaterThan(1);
    }
  });

  test('means are the means of outputs, and all that is left where the inputs say nothing', async () => {
    const h = await linear();
    const repair = meansRepair(await addMoments(undefined, x, h, compute), down, grouping);
    expect([repair.project.columns, repair.expand.rows]).toEqual([0, 0]);
    const constant = await lowRankRepair(await addMoments(undefined, matrix(tokens, d), h, compute), down, grouping, { rank: 2, penalty: 1e-3 }, compute);
    for (let expert = 0; expert < 7; expert++) {
      const all = await outputs(h, expert);
      for (let j = 0; j < d; j++) {
        const mean = all.data.reduce((sum, one, i) => (i % d === j ? sum + one : sum), 0) / tokens;
        expect(Math.abs((row(repair.means, expert)[j] ?? Number.NaN) - mean)).toBeLessThan(1e-3);
        expect(Math.abs((row(constant.means, expert)[j] ?? Number.NaN) - mean)).toBeLessThan(1e-3);
      }
    }
    expect(constant.expand.data.every((one) => one === 0)).toBe(true);
  });

  test('means of dropped tokens are those of the tokens that do not pick the expert; one that all pick keeps its plain mean', () => {
    const two = groupingOf(Int32Array.of(0, 1, -1), 2);
    const values = matrix(3, 1, Float32Array.of(1, 10, 100));
    const hidden = matrix(3, 3, Float32Array.of(1, 2, 7, 3, 4, 7, 8, 9, 7));
    const picks = matrix(3, 2, Float32Array.of(1, 1, 0, 1, 0, 1));
    const rows = (from: Matrix, list: readonly number[]): Matrix => pickRows(from, list);
    const dropped = addDropped(addDropped(undefined, rows(hidden, [0]), rows(picks, [0]), two), rows(hidden, [1, 2]), rows(picks, [1, 2]), two);
    const { means } = droppedMeans(dropped, values, two);
    // A token that picks counts a thousandth.
    expect(means.data[0]).toBeCloseTo((3 + 8 + 0.001) / 2.001, 5);
    expect(means.data[1]).toBeCloseTo(50, 4);
  });
});
