/** What fitted scores are computed from: the input of the feed-forward, with some random features of it beside it. */

import type { Compute } from '../../graph/compute.ts';
import { type NdArray, ndArray } from '../../graph/nd-array.ts';
import { randomNumbers } from '../../weights/random.ts';
import type { Layer } from './layer.ts';
import { type Matrix, matrix, row } from './matrix.ts';

/** Normal directions [D, count] whose products with a token have a variance of about one. */
export function directionsOf({ inputs, keys }: Layer, count: number, seed: number): NdArray {
  const width = keys.columns;
  const squares = inputs.reduce((sum, batch) => sum + batch.data.reduce((all, x) => all + x * x, 0), 0);
  const tokens = inputs.reduce((sum, { rows }) => sum + rows, 0);
  const deviation = squares > 0 ? Math.sqrt(tokens / squares) : 1 / Math.sqrt(width);
  return ndArray([width, count], randomNumbers('router', seed, deviation, 0, width * count));
}

/** [x, silu(x · directions)]; x itself without any. */
export async function featuresOf(x: Matrix, directions: NdArray | undefined, compute: Compute): Promise<Matrix> {
  if (!directions) return x;
  const [rows = 0, columns = 0] = directions.dims;
  const products = await compute.product(x, matrix(rows, columns, new Float32Array(directions.data)));
  const wide = matrix(x.rows, x.columns + columns);
  for (let t = 0; t < x.rows; t++) {
    wide.data.set(row(x, t), t * wide.columns);
    for (const [j, z] of row(products, t).entries()) wide.data[t * wide.columns + x.columns + j] = z / (1 + Math.exp(-z));
  }
  return wide;
}
