/** The order of experts: those that are picked together lie far apart. onnxruntime's operator `MoE` deals ranges of experts out to threads on a CPU (`moe_cpu.cc`, 1.30), and waits for the thread with most picks. */

import type { Compute } from '../../graph/compute.ts';
import { exchangeAll, partitionOf } from './exchange.ts';
import type { Grouped } from './group.ts';
import type { Layer } from './layer.ts';
import { below, type Matrix, pickColumns, pickRows, row, transposed } from './matrix.ts';
import { type Picking, picksOf } from './picking.ts';
import { outputMass } from './scores.ts';

/** Starts of two halves, and passes of exchanges between them. */
const [starts, passes] = [8, 8];

/** The groups of a layer with its experts in such an order, by those that count most for each calibration token; as they are without tokens. */
export async function spreadOut({ hidden, lengths }: Pick<Layer, 'hidden' | 'lengths'>, grouped: Grouped, picking: Picking, compute: Compute): Promise<Grouped> {
  if (hidden.length === 0) return grouped;
  const { grouping, representatives } = grouped;
  const picks = picksOf(below(hidden.map((batch) => outputMass(batch, lengths, grouping))), picking);
  const order = spreadOrder(await compute.product(transposed(picks), picks));
  const places = new Int32Array(order.length);
  for (const [place, expert] of order.entries()) places[expert] = place;
  const labels = grouping.labels.map((expert) => (expert < 0 ? expert : (places[expert] as number)));
  return { grouping: { ...grouping, labels }, ...(representatives ? { representatives: Int32Array.from(order, (expert) => representatives[expert] as number) } : {}) };
}

/** Experts in an order in which a token's picks spread evenly over both halves, over the halves of these, and so on, from how often two are picked together [E, E]: [E]. */
export function spreadOrder(together: Matrix): Int32Array {
  const apart = { ...together, data: together.data.map((count) => -count) };
  const halved = (experts: readonly number[]): readonly number[] => {
    if (experts.length < 3) return experts;
    const labels = halves(pickColumns(pickRows(apart, experts), experts));
    return [0, 1].flatMap((half) => halved(experts.filter((_, i) => labels[i] === half)));
  };
  return Int32Array.from(halved(Array.from({ length: together.rows }, (_, expert) => expert)));
}

/** Two halves with much weight inside, the first larger by one where they differ: the best of those that exchanges lead to from several starts, of equals the first. */
function halves(weights: Matrix): Int32Array {
  const n = weights.rows;
  const count = Math.min(n, starts);
  let best: { readonly labels: Int32Array; readonly inside: number } | undefined;
  for (let start = 0; start < count; start++) {
    // A turn by a half is the same start with its halves named the other way round.
    const turn = Math.floor((start * n) / (2 * count));
    const partition = partitionOf(
      weights,
      Int32Array.from({ length: n }, (_, i) => (2 * ((i + turn) % n) < n ? 0 : 1)),
      2,
    );
    exchangeAll(partition, passes);
    const { labels, pulls } = partition;
    const inside = labels.reduce((sum, label, i) => sum + (row(pulls, i)[label] as number), 0);
    if (!best || inside > best.inside) best = { labels, inside };
  }
  return best?.labels ?? new Int32Array();
}
