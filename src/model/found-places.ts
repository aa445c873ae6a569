/** The feed-forwards that are found in a model, for paths that lead to no layer: one of several in a layer, or one that the model itself holds. */

import { findFeedForwards } from '../passes/feed-forwards.ts';
import { randomSource } from './bound-source.ts';
import { buildForward, finishGraph } from './build.ts';
import type { Context } from './context.ts';
import { placeWeights } from './paths.ts';
import type { Instance } from './thing.ts';

/** What the feed-forwards of a model are called (`blocks.0.2`, `ffn.3`), which its graph alone says; none where a fault leaves no graph. Faults are for others to report. */
export function foundPlaces(context: Context, instance: Instance): readonly string[] {
  const placement = placeWeights(instance);
  const skeleton = buildForward({ ...context, diagnostics: [], seen: new Set() }, instance, placement.paths);
  if (!skeleton) return [];
  const sources = new Map(placement.weights.map((placed) => [placed.weight, randomSource(placed, 0, false)]));
  const graph = finishGraph(instance.decl.name.text, undefined, skeleton, placement, sources);
  return findFeedForwards(graph).found.map(({ path }) => path);
}
