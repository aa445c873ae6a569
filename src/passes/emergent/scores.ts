/** What a router scores experts by, from the weights or from the hidden values of a calibration text. */

import type { Grouping } from './grouping.ts';
import { type Matrix, matrix, row } from './matrix.ts';

/** EMoE's gate: the mean of the keys of each expert as they are, not normalised. Keys [F, D] → [experts, D]. */
export function meanKeys(keys: Matrix, grouping: Grouping): Matrix {
  const { columns } = keys;
  const sums = new Float64Array(grouping.experts * columns);
  for (const [neuron, expert] of grouping.labels.entries()) {
    if (expert < 0) continue;
    const key = row(keys, neuron);
    for (let j = 0; j < columns; j++) sums[expert * columns + j] = (sums[expert * columns + j] as number) + (key[j] as number);
  }
  return matrix(
    grouping.experts,
    columns,
    Float32Array.from(sums, (sum) => sum / grouping.size),
  );
}

/** The neuron of each expert whose point is nearest to the mean of the expert's points [F, d]: [experts]. Of equals the lower index. */
export function representatives(points: Matrix, grouping: Grouping): Int32Array {
  const means = meanKeys(points, grouping);
  const nearest = new Int32Array(grouping.experts).fill(-1);
  const least = new Float64Array(grouping.experts).fill(Number.POSITIVE_INFINITY);
  for (const [neuron, expert] of grouping.labels.entries()) {
    if (expert < 0) continue;
    const [point, mean] = [row(points, neuron), row(means, expert)];
    const far = point.reduce((sum, x, j) => sum + (x - (mean[j] as number)) ** 2, 0);
    if (far < (least[expert] as number)) {
      least[expert] = far;
      nearest[expert] = neuron;
    }
  }
  return nearest;
}

/** Each expert's output mass Σ |hᵢ| · ‖vᵢ‖ for hidden values h [T, F] and lengths of the rows of `down` [F]: [T, experts]. */
export function outputMass(h: Matrix, lengths: Float64Array, { experts, labels }: Grouping): Matrix {
  const mass = matrix(h.rows, experts);
  const sums = new Float64Array(experts);
  for (let t = 0; t < h.rows; t++) {
    sums.fill(0);
    const hidden = row(h, t);
    for (let i = 0; i < hidden.length; i++) {
      const expert = labels[i] as number;
      if (expert >= 0) sums[expert] = (sums[expert] as number) + Math.abs(hidden[i] as number) * (lengths[i] as number);
    }
    mass.data.set(sums, t * experts);
  }
  return mass;
}
