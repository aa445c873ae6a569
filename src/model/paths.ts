/** Where every layer and weight of a model lives: the first path that leads there, in the order written. */

import type { Dim } from '../graph/dim.ts';
import { constant } from '../graph/dim.ts';
import type { TensorType } from '../graph/type.ts';
import { join } from './frame.ts';
import type { Instance, LayerThing, WeightThing } from './thing.ts';

/** One layer of a model, for reports: what it is made of, with the weights it owns. */
export interface LayerNode {
  readonly path: string;
  readonly kind: 'layer' | 'stack' | 'mixture';
  /** The name of the declaration, where there is one. */
  readonly name?: string;
  readonly weights: readonly { readonly path: string; readonly type: TensorType; readonly shared: boolean }[];
  readonly parts: readonly LayerNode[];
  /** The path under which its weights are stored, where this layer stands elsewhere too. */
  readonly tiedTo?: string;
  /** For the expert of a mixture: how many there are of it. */
  readonly copies?: number;
}

/** A weight with the layer that owns it. */
export interface PlacedWeight {
  readonly weight: WeightThing;
  readonly path: string;
  readonly owner: Instance;
  /** The counts of the mixtures around it that lift it, outermost first. */
  readonly lift: readonly Dim[];
}

/** The layers of a model, and its weights in the order of their paths' first appearance. */
export interface Placement {
  readonly root: LayerNode;
  readonly weights: readonly PlacedWeight[];
  readonly paths: ReadonlyMap<WeightThing, string>;
}

interface Walk {
  readonly weights: PlacedWeight[];
  readonly paths: Map<WeightThing, string>;
  readonly seen: Map<LayerThing, string>;
}

/** Finds the place of every weight. */
export function placeWeights(root: Instance): Placement {
  const walk: Walk = { weights: [], paths: new Map(), seen: new Map() };
  const node = placeLayer(root, '', [], walk);
  return { root: node, weights: walk.weights, paths: walk.paths };
}

function placeLayer(layer: LayerThing, path: string, lift: readonly Dim[], walk: Walk): LayerNode {
  switch (layer.kind) {
    case 'opaque':
      return { path, kind: 'layer', weights: [], parts: [] };
    case 'stack':
      return { path, kind: 'stack', weights: [], parts: layer.items.map((item, i) => placeLayer(item, join(path, String(i)), lift, walk)) };
    case 'mixture': {
      const several = layer.experts.length > 1;
      const parts = layer.experts.map(({ layer: expert, count }, i) => {
        const node = placeLayer(expert, several ? join(path, `experts${i}`) : path, [...lift, count], walk);
        const copies = constant(count);
        return copies === undefined ? node : { ...node, copies };
      });
      return { path, kind: 'mixture', weights: [], parts: [...parts, placeLayer(layer.router, join(path, 'router'), lift, walk)] };
    }
    case 'instance':
      return placeInstance(layer, path, lift, walk);
  }
}

function placeInstance(instance: Instance, path: string, lift: readonly Dim[], walk: Walk): LayerNode {
  const name = instance.decl.name.text;
  const before = walk.seen.get(instance);
  if (before !== undefined) return { path, kind: 'layer', name, weights: [], parts: [], ...(holdsWeights(instance) ? { tiedTo: before } : {}) };
  walk.seen.set(instance, path);
  const weights = [...instance.weights.values()].map((weight) => {
    const own = join(path, weight.name);
    walk.paths.set(weight, own);
    const lifted = weight.shared ? [] : lift;
    walk.weights.push({ weight, path: own, owner: instance, lift: lifted });
    return { path: own, type: { dtype: weight.type.dtype, dims: [...lifted, ...weight.type.dims] }, shared: weight.shared };
  });
  const parts = [...instance.parts.values()].map((part) => placeLayer(part.layer, join(path, part.name), part.shared ? [] : lift, walk));
  return { path, kind: 'layer', name, weights, parts };
}

function holdsWeights(layer: LayerThing): boolean {
  switch (layer.kind) {
    case 'opaque':
      return false;
    case 'stack':
      return layer.items.some(holdsWeights);
    case 'mixture':
      return holdsWeights(layer.router) || layer.experts.some((run) => holdsWeights(run.layer));
    case 'instance':
      return layer.weights.size > 0 || [...layer.parts.values()].some((part) => holdsWeights(part.layer));
  }
}
