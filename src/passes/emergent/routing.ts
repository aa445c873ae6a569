/** The router of a converted feed-forward, by the score that was asked for. */

import { Bug } from '../../diagnostics/bug.ts';
import type { Compute } from '../../graph/compute.ts';
import { type NdArray, ndArray } from '../../graph/nd-array.ts';
import { randomNumbers } from '../../weights/random.ts';
import type { Router } from './conversion.ts';
import { type Layer, massesOf } from './layer.ts';
import { type Matrix, matrix, row } from './matrix.ts';
import { addMoments, fitRidge, type Moments } from './ridge.ts';
import type { EmergentSettings, Score } from './settings.ts';

/** Which neurons each expert has. */
export interface Experts {
  readonly experts: number;
  /** [F]: the expert of each neuron, -1 for shared ones. */
  readonly labels: Int32Array;
  readonly order: readonly number[];
}

/** The router that gives the scores asked for. */
export async function routerOf(layer: Layer, experts: Experts, { score, seed }: EmergentSettings, compute: Compute): Promise<Router> {
  switch (score.kind) {
    case 'mean_key':
      return { kind: 'linear', weight: meanKeys(layer.keys, experts) };
    case 'fitted':
      return fitted(layer, experts, score, seed, compute);
    case 'oracle':
      return {
        kind: 'oracle',
        norms: ndArray(
          [experts.order.length],
          Float64Array.from(experts.order, (i) => layer.norms[i] ?? 0),
        ),
      };
    case 'random':
      return { kind: 'random', directions: directionsOf(layer, experts.experts, seed) };
    default:
      throw new Bug(`no score ${score.kind}`);
  }
}

/** The mean of the raw keys of each expert (EMoE): [D, E]. */
function meanKeys(keys: Matrix, { labels, experts }: Experts): NdArray {
  const means = new Float64Array(keys.columns * experts);
  const counts = new Float64Array(experts);
  for (const label of labels) if (label >= 0) counts[label] = (counts[label] as number) + 1;
  for (const [i, label] of labels.entries()) {
    if (label < 0) continue;
    for (const [d, key] of row(keys, i).entries()) means[d * experts + label] = (means[d * experts + label] as number) + key / (counts[label] as number);
  }
  return ndArray([keys.columns, experts], means);
}

/** Normal directions whose products with a token have a variance of about one. */
function directionsOf({ inputs, keys }: Layer, count: number, seed: number): NdArray {
  const width = keys.columns;
  const squares = inputs.reduce((sum, batch) => sum + batch.data.reduce((all, x) => all + x * x, 0), 0);
  const tokens = inputs.reduce((sum, { rows }) => sum + rows, 0);
  const deviation = squares > 0 ? Math.sqrt(tokens / squares) : 1 / Math.sqrt(width);
  return ndArray([width, count], randomNumbers('router', seed, deviation, 0, width * count));
}

/** Ridge regression of the experts' masses on the tokens, with some random features of theirs beside them. */
async function fitted(layer: Layer, experts: Experts, { features, penalty }: Extract<Score, { kind: 'fitted' }>, seed: number, compute: Compute): Promise<Router> {
  const directions = directionsOf(layer, features, seed);
  let moments: Moments | undefined;
  for (const [i, batch] of layer.inputs.entries()) {
    const masses = massesOf(layer.hidden[i] as Matrix, layer.norms, experts.labels, experts.experts);
    moments = await addMoments(moments, features > 0 ? await withFeatures(batch, directions, compute) : batch, masses, compute);
  }
  if (!moments) throw new Bug('a fit without tokens');
  const { weights, intercept } = fitRidge(moments, penalty);
  const weight = ndArray([weights.rows, weights.columns], Float64Array.from(weights.data));
  const bias = ndArray([intercept.length], Float64Array.from(intercept));
  return features > 0 ? { kind: 'features', directions, weight, bias } : { kind: 'linear', weight, bias };
}

/** [x, silu(x · directions)]. */
async function withFeatures(x: Matrix, directions: NdArray, compute: Compute): Promise<Matrix> {
  const [rows = 0, columns = 0] = directions.dims;
  const products = await compute.product(x, matrix(rows, columns, Float32Array.from(directions.data)));
  const wide = matrix(x.rows, x.columns + columns);
  for (let t = 0; t < x.rows; t++) {
    wide.data.set(row(x, t), t * wide.columns);
    for (const [j, z] of row(products, t).entries()) wide.data[t * wide.columns + x.columns + j] = z / (1 + Math.exp(-z));
  }
  return wide;
}
