/** Changing places: two points of two groups of equal size swap, as long as that adds weight inside the groups. The last step of groupings of both kinds. */

import { type Matrix, matrix, row } from './matrix.ts';

/** Points in groups, with what holds them there. */
export interface Partition {
  /** Symmetric, [n, n]. */
  readonly weights: Matrix;
  /** [n], changed in place. */
  readonly labels: Int32Array;
  /** [n, groups]: weight between a point and the points of a group, without itself. */
  readonly pulls: Matrix;
}

/** The partition of these labels into that many groups. */
export function partitionOf(weights: Matrix, labels: Int32Array, groups: number): Partition {
  const partition = { weights, labels, pulls: matrix(weights.rows, groups) };
  for (const [point, group] of labels.entries()) addPulls(partition, point, group, 1);
  return partition;
}

/** Adds what point `from` pulls into a group to all others, or takes it away. */
export function addPulls({ weights, pulls }: Partition, from: number, group: number, sign: 1 | -1): void {
  const line = row(weights, from);
  for (let i = 0; i < line.length; i++) {
    if (i === from) continue;
    const at = i * pulls.columns + group;
    pulls.data[at] = (pulls.data[at] as number) + sign * (line[i] as number);
  }
}

/**
 * For every point the exchange that adds most weight inside, made if there is one, until none is left or after so many passes
 * (Kernighan and Lin 1970, each exchange kept as it is found). O(n²) a pass and O(n) an exchange.
 */
export function exchangeAll(partition: Partition, passes: number): void {
  for (let pass = 0; pass < passes; pass++) if (!exchangeOnce(partition)) return;
}

function exchangeOnce(partition: Partition): boolean {
  const { weights, labels, pulls } = partition;
  const k = pulls.columns;
  // What each point is pulled by its own group: read for every pair, so that it is kept beside.
  const held = new Float64Array(labels.length);
  const holdAll = (): void => {
    for (let j = 0; j < held.length; j++) held[j] = pulls.data[j * k + (labels[j] as number)] as number;
  };
  holdAll();
  let changed = false;
  for (let i = 0; i < labels.length; i++) {
    const own = labels[i] as number;
    const [line, pull] = [row(weights, i), row(pulls, i)];
    const stay = held[i] as number;
    // Less than this is rounding of sums in f32.
    let [best, most] = [-1, 1e-5 * Math.abs(stay)];
    for (let j = 0; j < line.length; j++) {
      const other = labels[j] as number;
      if (other === own) continue;
      const gain = (pull[other] as number) - stay + (pulls.data[j * k + own] as number) - (held[j] as number) - 2 * (line[j] as number);
      if (gain > most) {
        best = j;
        most = gain;
      }
    }
    if (best < 0) continue;
    changed = true;
    exchange(partition, i, best);
    holdAll();
  }
  return changed;
}

function exchange(partition: Partition, i: number, j: number): void {
  const { labels } = partition;
  const [a, b] = [labels[i] as number, labels[j] as number];
  addPulls(partition, i, a, -1);
  addPulls(partition, j, b, -1);
  labels[i] = b;
  labels[j] = a;
  addPulls(partition, i, b, 1);
  addPulls(partition, j, a, 1);
}
