/** Groupings as labels, and the order of neurons that they stand for. */

import { describe, expect, test } from 'vitest';
import { Bug } from '../../src/diagnostics/bug.ts';
import { draws, shuffled } from '../../src/passes/emergent/draws.ts';
import { groupingOf, mostImportant, others, permutationOf, sharedBeside } from '../../src/passes/emergent/grouping.ts';
import { matrix, pickRows, rowsNormalised, transposed } from '../../src/passes/emergent/matrix.ts';

describe('groupings', () => {
  test('neurons keep their order inside an expert, the shared ones stand last', () => {
    const grouping = groupingOf(Int32Array.of(1, -1, 0, 1, 0), 2);
    expect(grouping).toEqual({ experts: 2, size: 2, shared: 1, labels: Int32Array.of(1, -1, 0, 1, 0) });
    expect([...permutationOf(grouping)]).toEqual([2, 4, 0, 3, 1]);
  });

  test('experts of different sizes and labels of no expert are faults', () => {
    expect(() => groupingOf(Int32Array.of(0, 0, 1), 2)).toThrow(Bug);
    expect(() => groupingOf(Int32Array.of(0, 2), 2)).toThrow(Bug);
    expect(() => groupingOf(Int32Array.of(0, -2), 2)).toThrow(Bug);
  });

  test('the most important neurons, and the others around them', () => {
    const apart = mostImportant([1, 5, 5, 0, 5, 11], 3);
    expect([...apart]).toEqual([1, 2, 5]);
    expect([...others(6, apart)]).toEqual([0, 3, 4]);
    expect([...sharedBeside(6, others(6, apart), Int32Array.of(1, 0, 1))]).toEqual([1, -1, -1, 0, 1, -1]);
  });
});

test('matrices: rows picked, normalised, turned', () => {
  const m = matrix(3, 2, Float32Array.of(3, 4, 0, 0, 1, 0));
  expect([...rowsNormalised(m).data]).toEqual([...Float32Array.of(0.6, 0.8, 0, 0, 1, 0)]);
  expect([...pickRows(m, [2, 0]).data]).toEqual([1, 0, 3, 4]);
  expect(transposed(m)).toEqual(matrix(2, 3, Float32Array.of(3, 0, 1, 4, 0, 0)));
  const wide = matrix(
    70,
    45,
    Float32Array.from({ length: 70 * 45 }, (_, i) => i),
  );
  expect(transposed(transposed(wide))).toEqual(wide);
  expect(() => matrix(2, 2, new Float32Array(3))).toThrow(Bug);
});

test('draws are even, and every order of three things comes up', () => {
  const { unit, below } = draws(7);
  const mean = Array.from({ length: 10_000 }, unit).reduce((sum, x) => sum + x, 0) / 10_000;
  // The deviation of the mean is 0.003.
  expect(Math.abs(mean - 0.5)).toBeLessThan(0.012);
  expect(new Set(Array.from({ length: 100 }, () => below(5)))).toEqual(new Set([0, 1, 2, 3, 4]));
  expect(new Set(Array.from({ length: 60 }, (_, seed) => shuffled(3, draws(seed)).join(''))).size).toBe(6);
});
