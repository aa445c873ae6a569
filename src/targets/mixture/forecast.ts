/** What feed-forwards will take as experts, beside what they take as they are: by the target's cost model, before anything is converted. */

import type { Graph } from '../../graph/graph.ts';
import { ndArray } from '../../graph/nd-array.ts';
import { bytesOf } from '../../graph/type.ts';
import { cutMixtures } from '../../passes/cut-mixtures.ts';
import type { Conversion } from '../../passes/emergent/conversion.ts';
import { replaceFeedForwards } from '../../passes/emergent/replace.ts';
import type { EmergentSettings } from '../../passes/emergent/settings.ts';
import { feedForwardGraph } from '../../passes/emergent/stages.ts';
import type { FeedForward } from '../../passes/feed-forwards.ts';
import { type ChooseOptions, costOfBranching, costOfProducts, manyTokens } from './choose.ts';
import { choices } from './lower.ts';

/** Milliseconds of all the layers together. */
export interface Estimate {
  readonly tokens: number;
  readonly dense: number;
  readonly experts: number;
}

/** What is asked of the layers. */
export type Asked = Pick<EmergentSettings, 'experts' | 'shared' | 'picks' | 'score' | 'repair'>;

/** Estimates for one token and for many. Layers of one shape cost the same. */
export function forecast(graph: Graph, layers: readonly FeedForward[], asked: Asked, options: ChooseOptions): readonly Estimate[] {
  const known = new Map<string, readonly Estimate[]>();
  const of = (layer: FeedForward): readonly Estimate[] => {
    const key = JSON.stringify([layer.kind, layer.width, layer.neurons, layer.gate.dtype]);
    const found = known.get(key) ?? estimate(graph, layer, asked, options);
    known.set(key, found);
    return found;
  };
  const each = layers.map(of);
  return [1, manyTokens].map((tokens, i) => {
    const sum = (what: 'dense' | 'experts'): number => each.reduce((all, one) => all + (one[i]?.[what] ?? 0), 0);
    return { tokens, dense: sum('dense'), experts: sum('experts') };
  });
}

/** One layer, with experts of the right sizes and no numbers of worth in them. */
function estimate(graph: Graph, feedForward: FeedForward, asked: Asked, options: ChooseOptions): readonly Estimate[] {
  const { width, neurons, up, gate } = feedForward;
  const { costs } = options.target.mixtures;
  const layer = (parameters: number, products: number): Parameters<typeof costOfProducts>[0] => ({ products, bytes: parameters * bytesOf[gate.dtype], flops: 2 * parameters });
  const products = up ? 3 : 2;
  const conversion = conversionOfSizes(feedForward, asked);
  const mixed = cutMixtures(replaceFeedForwards(feedForwardGraph(graph, feedForward), [{ feedForward, conversion }]), () => {});
  const chosen = choices(mixed, options);
  const always = conversion.shared.length * width * products;
  return [1, manyTokens].map((tokens) => {
    const picked = chosen.reduce((sum, { few, many, estimates }) => {
      const used = estimates.find(({ lowering }) => lowering === (tokens === 1 ? few : many));
      return sum + ((tokens === 1 ? used?.one : used?.many) ?? 0) + (few === many ? 0 : costOfBranching(costs));
    }, 0);
    const routed = costOfProducts(layer(...besides(width, conversion, asked)), tokens, costs);
    const shared = always > 0 ? costOfProducts(layer(always, products), tokens, costs) : 0;
    return { tokens, dense: costOfProducts(layer(width * neurons * products, products), tokens, costs), experts: picked + routed + shared };
  });
}

/** Parameters and products of the router and of what stands in for experts that are not picked. */
function besides(width: number, { experts }: Conversion, { score, repair }: Asked): readonly [parameters: number, products: number] {
  const features = score.kind === 'fitted' || score.kind === 'decisive' ? score.features : 0;
  const rank = repair.kind === 'low_rank' ? repair.rank : 0;
  const stand = rank > 0 ? 2 * width * (rank + 1) : repair.kind === 'none' ? 0 : width;
  return [features * (width + experts) + width * experts + stand, 1 + (features > 0 ? 1 : 0) + (rank > 0 ? 2 : 0)];
}

function conversionOfSizes({ path, width, neurons }: FeedForward, { experts: all, shared, picks }: Asked): Conversion {
  const experts = all - shared;
  const size = Math.ceil(neurons / all);
  const always = Math.min(neurons, shared * size);
  const order = Array.from({ length: experts * size }, (_, i) => (always + i < neurons ? always + i : -1));
  const router = { kind: 'linear', weight: ndArray([width, experts], new Float64Array(width * experts)) } as const;
  return { path, experts, size, order, shared: Array.from({ length: always }, (_, i) => i), picks, router };
}
