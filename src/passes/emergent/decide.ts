/** Decides what one feed-forward becomes, by the settings: which neurons stand together, who picks them, what stands in for those that are not picked. */

import { Bug } from '../../diagnostics/bug.ts';
import type { Compute } from '../../graph/compute.ts';
import { balancedKmeans } from './balanced-kmeans.ts';
import { type Conversion, orderOf } from './conversion.ts';
import { draws, shuffled } from './draws.ts';
import type { Layer } from './layer.ts';
import { type Matrix, matrix, row, rowsNormalised } from './matrix.ts';
import { routerOf } from './routing.ts';
import type { EmergentSettings } from './settings.ts';

/** Lloyd's steps of one start. */
const iterations = 50;
/** Tokens whose activations are a neuron's profile, at most. */
const profileTokens = 4096;

/** The conversion of one layer. The same for the same layer, settings and products. */
export async function decide(layer: Layer, settings: EmergentSettings, compute: Compute): Promise<Conversion> {
  const { feedForward } = layer;
  const routed = settings.experts - settings.shared;
  const size = Math.ceil(feedForward.neurons / settings.experts);
  const labels = await labelsOf(layer, settings, compute);
  const { order, shared } = orderOf(labels, routed, size);
  const router = await routerOf(layer, { labels, order, experts: routed }, settings, compute);
  return { path: feedForward.path, experts: routed, size, order, shared, picks: settings.picks, router };
}

/** The expert of each neuron, -1 for shared ones. Experts differ by one neuron where the neurons do not divide. */
async function labelsOf(layer: Layer, { experts, shared, group, seed }: EmergentSettings, compute: Compute): Promise<Int32Array> {
  const { neurons } = layer.feedForward;
  const sizes = Array.from({ length: experts }, (_, e) => Math.floor(neurons / experts) + (e < neurons % experts ? 1 : 0));
  const always =
    shared > 0
      ? mostMassive(
          layer,
          sizes.slice(0, shared).reduce((sum, size) => sum + size, 0),
        )
      : new Set<number>();
  const rest = Array.from({ length: neurons }, (_, i) => i).filter((i) => !always.has(i));
  const found = await grouped(layer, rest, sizes.slice(shared), { group, seed }, compute);
  const labels = new Int32Array(neurons).fill(-1);
  rest.forEach((neuron, i) => {
    labels[neuron] = found[i] as number;
  });
  return labels;
}

/** The neurons with the largest mean |h| · ‖v‖. */
function mostMassive({ hidden, norms }: Layer, count: number): Set<number> {
  const masses = new Float64Array(norms.length);
  for (const batch of hidden) {
    for (let t = 0; t < batch.rows; t++) {
      const from = row(batch, t);
      for (let i = 0; i < from.length; i++) masses[i] = (masses[i] as number) + Math.abs(from[i] as number) * (norms[i] as number);
    }
  }
  return new Set([...masses.keys()].sort((a, b) => (masses[b] as number) - (masses[a] as number) || a - b).slice(0, count));
}

/** The expert of each of some neurons. */
async function grouped(
  layer: Layer,
  neurons: readonly number[],
  sizes: readonly number[],
  { group, seed }: Pick<EmergentSettings, 'group' | 'seed'>,
  compute: Compute,
): Promise<ArrayLike<number>> {
  switch (group.kind) {
    case 'balanced_kmeans': {
      const points = group.of === 'keys' ? picked(layer.keys, neurons) : profiles(layer, neurons);
      const { labels } = await balancedKmeans(rowsNormalised(points), { sizes, seed, restarts: group.restarts, iterations }, compute);
      return labels;
    }
    case 'contiguous':
      return inTurn(sizes);
    case 'random': {
      const order = shuffled(neurons.length, draws(seed));
      const turn = inTurn(sizes);
      const labels = new Int32Array(neurons.length);
      for (const [i, neuron] of order.entries()) labels[neuron] = turn[i] as number;
      return labels;
    }
    default:
      throw new Bug(`no grouping ${group.kind}`);
  }
}

/** The first expert's neurons first. */
const inTurn = (sizes: readonly number[]): Int32Array => Int32Array.from(sizes.flatMap((size, e) => Array.from({ length: size }, () => e)));

function picked(from: Matrix, rows: readonly number[]): Matrix {
  const some = matrix(rows.length, from.columns);
  rows.forEach((at, i) => some.data.set(row(from, at), i * from.columns));
  return some;
}

/** |h| of each neuron over calibration tokens, evenly taken: [neurons, tokens]. */
function profiles({ hidden }: Layer, neurons: readonly number[]): Matrix {
  const total = hidden.reduce((sum, { rows }) => sum + rows, 0);
  const every = Math.max(1, Math.ceil(total / profileTokens));
  const tokens = hidden.flatMap((batch) => Array.from({ length: batch.rows }, (_, t) => row(batch, t))).filter((_, t) => t % every === 0);
  const points = matrix(neurons.length, tokens.length);
  for (const [t, token] of tokens.entries()) for (const [i, neuron] of neurons.entries()) points.data[i * tokens.length + t] = Math.abs(token[neuron] as number);
  return points;
}
