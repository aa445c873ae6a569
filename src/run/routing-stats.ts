/** Statistics of mixtures while a model runs: what its `stats.` results say, gathered over all runs of a continuation. */

import { type StatName, statNames, statsPrefix } from '../passes/add-stats.ts';
import type { Tensors } from './protocol.ts';
import { numbersOf, type Port } from './tensor.ts';

/** How one mixture routed. */
export interface MixtureStats {
  /** Where it stands in the model, such as `blocks.3.ffn`. */
  readonly path: string;
  /** How many tokens picked each expert. */
  readonly tokens: readonly number[];
  /** The mean weight of each expert where it was picked; 0 where nobody did. */
  readonly weights: readonly number[];
  /** The mean over tokens of the entropy of the weights of the picked, in nats. */
  readonly entropy: number;
}

/** Gathers statistics of several runs. */
export interface StatsCollector {
  /** The results to read; none where the model has no statistics. */
  readonly names: readonly string[];
  /** Takes those of one more run. */
  add(results: Tensors): void;
  /** Forgets what was gathered: the next run begins at the first token again. */
  restart(): void;
  all(): readonly MixtureStats[];
}

interface Sums {
  tokens: number[];
  weighted: number[];
  entropy: number;
  picks: number;
}

/** For a model with these results. */
export function statsCollector(outputs: readonly Pick<Port, 'name'>[]): StatsCollector {
  const paths = outputs.flatMap(({ name }) => (name.startsWith(statsPrefix) && name.endsWith('.tokens') ? [name.slice(statsPrefix.length, -'.tokens'.length)] : []));
  const sums = new Map<string, Sums>();
  return {
    names: paths.flatMap((path) => statNames.map((name) => nameOf(path, name))),
    add(results) {
      for (const path of paths) {
        const [tokens, weights, [entropy = 0] = []] = statNames.map((name) => {
          const found = results[nameOf(path, name)];
          return found ? [...numbersOf(found)] : [];
        });
        if (tokens && weights) sums.set(path, added(sums.get(path), tokens, weights, entropy));
      }
    },
    restart: () => sums.clear(),
    all: () =>
      [...sums].map(([path, { tokens, weighted, entropy, picks }]) => ({
        path,
        tokens,
        weights: weighted.map((sum, e) => sum / Math.max(tokens[e] ?? 0, 1)),
        entropy: entropy / Math.max(picks, 1),
      })),
  };
}

const nameOf = (path: string, name: StatName): string => `${statsPrefix}${path}.${name}`;

/** Means become sums again; where every token has as many picks, they weigh a mean over tokens as tokens do, and tokens with more of them weigh more where not. */
function added(before: Sums | undefined, tokens: readonly number[], weights: readonly number[], entropy: number): Sums {
  const picks = tokens.reduce((sum, one) => sum + one, 0);
  return {
    tokens: tokens.map((one, e) => one + (before?.tokens[e] ?? 0)),
    weighted: weights.map((one, e) => one * (tokens[e] ?? 0) + (before?.weighted[e] ?? 0)),
    entropy: entropy * picks + (before?.entropy ?? 0),
    picks: picks + (before?.picks ?? 0),
  };
}

/** How evenly tokens went to experts: the entropy of their shares over its maximum ln n; 1 is even, 0 is one expert for all. */
export function balanceOf({ tokens }: MixtureStats): number {
  const all = tokens.reduce((sum, one) => sum + one, 0);
  if (all === 0 || tokens.length < 2) return 1;
  const entropy = tokens.reduce((sum, one) => (one > 0 ? sum - (one / all) * Math.log(one / all) : sum), 0);
  return entropy / Math.log(tokens.length);
}
