/** What a model means: its graph evaluated op by op in f64, every expert on every token. Tests hold everything that runs against this. */

import { evaluateGraph } from '../src/graph/eval.ts';
import type { Graph } from '../src/graph/graph.ts';
import { type NdArray, ndArray } from '../src/graph/nd-array.ts';
import { sourceArray } from '../src/weights/source.ts';

/** The results of a graph whose weights need no checkpoint, for inputs by name. */
export function defined(graph: Graph, feeds: Readonly<Record<string, NdArray>>): Readonly<Record<string, NdArray>> {
  const numbers = new Map(graph.weights.map(({ path, source }) => [path, sourceArray(source, undefined)]));
  return evaluateGraph(graph, feeds, (path) => numbers.get(path) ?? ndArray([0], []));
}

/** max|a − b| / max|b|; infinite where there are more numbers of one than of the other, and no number where one is none or all wanted are 0. */
export function distance(found: ArrayLike<number>, wanted: Float64Array): number {
  if (found.length !== wanted.length) return Number.POSITIVE_INFINITY;
  const most = wanted.reduce((max, one, i) => Math.max(max, Math.abs(one - (found[i] ?? Number.NaN))), 0);
  return most / wanted.reduce((max, one) => Math.max(max, Math.abs(one)), 0);
}
