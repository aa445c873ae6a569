/** What was decided about one feed-forward: which neurons stand together, who picks them, what stands in for those that are not picked. */

import type { NdArray } from '../../graph/nd-array.ts';

/** How the scores of experts come about, from the feed-forward's input x [.., D]. The k largest are picked. */
export type Router =
  /** x · weight + bias. Mean keys and fitted scores are of this kind. */
  | { readonly kind: 'linear'; readonly weight: NdArray; readonly bias?: NdArray }
  /** [x, silu(x · directions)] · weight + bias; `weight` is [D + R, E]. */
  | { readonly kind: 'features'; readonly directions: NdArray; readonly weight: NdArray; readonly bias: NdArray }
  /** |hidden value| of one neuron for each expert, its weights brought to length one (CMoE); both are [D, E]. */
  | { readonly kind: 'representative'; readonly gate: NdArray; readonly up?: NdArray }
  /** The experts' true mass Σ |hᵢ| · ‖vᵢ‖, which takes the whole dense product: a control. `norms` is [E · m], the rows of `down`. */
  | { readonly kind: 'oracle'; readonly norms: NdArray }
  /** Scores that change with every token and know nothing of experts: a control. `directions` is [D, E]. */
  | { readonly kind: 'random'; readonly directions: NdArray };

/** What stands in for an expert that is not picked: L(x) = [x · projection, 1] · maps[e]. With every expert picked nothing of it is left. */
export interface Repair {
  /** [D, r]; r is 0 where only means stand in. */
  readonly projection: NdArray;
  /** [E, r + 1, D]; the last row is for the constant. */
  readonly maps: NdArray;
}

/** Experts are picked as long as their scores are above a number. */
export interface Threshold {
  readonly score: number;
  /** Experts that a token picked in the mean on the calibration text. */
  readonly mean: number;
}

/** One feed-forward as a mixture. */
export interface Conversion {
  /** The feed-forward, as `findFeedForwards` names it. */
  readonly path: string;
  /** Routed experts. */
  readonly experts: number;
  /** Neurons of one expert. */
  readonly size: number;
  /** The neurons of expert e stand at e · size; -1 is a neuron of zeros. */
  readonly order: readonly number[];
  /** Neurons that always run. */
  readonly shared: readonly number[];
  /** Experts that a token picks; with a threshold the most that it may. */
  readonly picks: number;
  readonly threshold?: Threshold;
  readonly router: Router;
  readonly repair?: Repair;
}

/** The conversion with as many picks for every token. */
export function withPicks({ threshold: _, ...conversion }: Conversion, picks: number): Conversion {
  return { ...conversion, picks };
}

/** The conversion with every expert picked by every token: the dense layer again. */
export function withEveryExpert(conversion: Conversion): Conversion {
  const { experts, threshold } = conversion;
  return { ...conversion, picks: experts, ...(threshold ? { threshold: { score: Number.NEGATIVE_INFINITY, mean: experts } } : {}) };
}

/** The expert of each of so many neurons, `rest` for those of none: [neurons]. */
export function labelsOf({ order, size }: Conversion, neurons: number, rest: number): Int32Array {
  const labels = new Int32Array(neurons).fill(rest);
  for (const [i, neuron] of order.entries()) if (neuron >= 0) labels[neuron] = Math.floor(i / size);
  return labels;
}

/** Experts that a token picks in the mean. */
export const meanPicks = ({ picks, threshold }: Conversion): number => threshold?.mean ?? picks;
