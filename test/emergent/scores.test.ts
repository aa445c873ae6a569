/** Scores in closed form: the toy of EMoE that was computed with numpy, and definitions spelled out. */

import { afterAll, describe, expect, test } from 'vitest';
import { balancedKmeans } from '../../src/passes/emergent/balanced-kmeans.ts';
import { contiguous, random } from '../../src/passes/emergent/controls.ts';
import { groupingOf } from '../../src/passes/emergent/grouping.ts';
import { lossesWithout } from '../../src/passes/emergent/losses.ts';
import { type Matrix, matrix, rowsNormalised, squaredNorms, transposed } from '../../src/passes/emergent/matrix.ts';
import { meanKeys, outputMass, representatives } from '../../src/passes/emergent/scores.ts';
import { portableCompute } from '../running.ts';

const compute = portableCompute();
afterAll(() => compute.close());

const of = (rows: readonly (readonly number[])[]): Matrix => matrix(rows.length, rows[0]?.length ?? 0, Float32Array.from(rows.flat()));
const near = (found: ArrayLike<number>, wanted: readonly number[], digits: number): void => {
  expect(found.length).toBe(wanted.length);
  wanted.forEach((one, i) => expect(found[i]).toBeCloseTo(one, digits));
};

describe('the toy of EMoE', () => {
  const keys = of([
    [1, 0],
    [0, 1],
    [2, 0.2],
    [-0.1, 3],
  ]);
  const labels = Int32Array.of(0, 1, 0, 1);

  test('its clusters are those of normalised keys', async () => {
    const clusters = await balancedKmeans(rowsNormalised(keys), { sizes: [2, 2], seed: 0, restarts: 1, iterations: 10 }, compute);
    expect([...clusters.labels.map((label) => label ^ (clusters.labels[0] ?? 0))]).toEqual([...labels]);
  });

  test('its gate is the mean of raw keys, which scores [1, 0.5] as it says', async () => {
    const gate = meanKeys(keys, groupingOf(labels, 2));
    near(gate.data, [1.5, 0.1, -0.05, 2], 6);
    near((await compute.product(of([[1, 0.5]]), transposed(gate))).data, [1.55, 0.95], 6);
  });
});

test('shared neurons enter no score', async () => {
  const points = of([[0], [9], [1], [4], [10], [100]]);
  const grouping = groupingOf(Int32Array.of(0, 1, 0, -1, 1, -1), 2);
  near(meanKeys(points, grouping).data, [0.5, 9.5], 6);
  expect([...representatives(points, grouping)]).toEqual([0, 1]);
  const h = of([
    [1, -2, 3, 4, 0, 9],
    [0, 0, -1, 9, 2, 9],
  ]);
  const down = of([
    [3, 4],
    [0, 1],
    [1, 0],
    [7, 7],
    [0, 2],
    [8, 8],
  ]);
  near(outputMass(h, squaredNorms(down).map(Math.sqrt), grouping).data, [8, 2, 1, 4], 6);
  const x = of([[2], [-1]]);
  near((await lossesWithout([x], [h], down, grouping, undefined, compute)).data, [Math.hypot(6, 4), 2, 1, 4], 5);
  const repair = {
    means: of([
      [1, 1],
      [0, -5],
    ]),
    project: of([[0.5, 0]]),
    expand: of([
      [1, 0],
      [9, 9],
      [0, 2],
      [9, 9],
    ]),
  };
  // Outputs [6, 4], [0, -2], [-1, 0], [0, 4]; stand-ins [2, 1], [0, -3], [0.5, 1], [0, -6].
  near((await lossesWithout([x], [h], down, grouping, repair, compute)).data, [5, 1, Math.hypot(1.5, 1), 10], 5);
});

test('controls have equal experts; contiguous in order, random by its seed', () => {
  expect([...contiguous(6, 3)]).toEqual([0, 0, 1, 1, 2, 2]);
  expect(groupingOf(contiguous(172, 43), 43).size).toBe(4);
  expect(groupingOf(random(172, 43, 5), 43).size).toBe(4);
  expect(random(172, 43, 5)).toEqual(random(172, 43, 5));
  expect(random(172, 43, 5)).not.toEqual(random(172, 43, 6));
});
