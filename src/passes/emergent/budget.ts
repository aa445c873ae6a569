/** Deals picks out among layers: what each layer loses with every number of picks, and the numbers that lose least in all. */

import type { Compute } from '../../graph/compute.ts';
import type { Decided } from './decide.ts';
import { restsWithout } from './losses.ts';
import { type Matrix, row } from './matrix.ts';
import { scoresOf } from './stand-ins.ts';

/** What a layer loses by its picks. */
export interface ErrorCurve {
  /** Neurons of one routed expert, of the shared ones, of all, filled-up ones with them; in all places of the layer. */
  readonly size: number;
  readonly shared: number;
  readonly neurons: number;
  /** Σ ‖y − ŷ‖² / Σ ‖y‖² over the calibration tokens with 0 … E picks, [E + 1]. */
  readonly errors: Float64Array;
}

/** The curve of a layer as it was decided: its router's order of experts, cut off everywhere. Holds the outputs of all experts for one batch, [E, T, D]. */
export async function errorCurve({ conversion, layer, grouping, repair }: Decided, places: number, compute: Compute): Promise<ErrorCurve> {
  const { experts } = conversion;
  const errors = new Float64Array(experts + 1);
  let whole = 0;
  const scores = await scoresOf(layer.inputs, conversion.router, compute);
  for (const [i, x] of layer.inputs.entries()) {
    const h = layer.hidden[i] as Matrix;
    const rests: Matrix[] = [];
    for await (const rest of restsWithout(x, h, layer.values, grouping, repair, compute)) rests.push(rest);
    const outputs = await compute.product(h, layer.values);
    for (let t = 0; t < x.rows; t++) {
      whole += lengthOf(row(outputs, t));
      addErrors(errors, row(scores[i] as Matrix, t), (expert) => row(rests[expert] as Matrix, t), outputs.columns);
    }
  }
  const { size, shared } = conversion;
  return { size: size * places, shared: shared.length * places, neurons: (experts * size + shared.length) * places, errors: errors.map((one) => (whole > 0 ? one / whole : 0)) };
}

/** Adds to `errors` what one token loses, from the last expert of its order to all of them. */
function addErrors(errors: Float64Array, scores: Float32Array, rest: (expert: number) => Float32Array, width: number): void {
  const order = Array.from(scores.keys()).sort((a, b) => (scores[b] as number) - (scores[a] as number) || a - b);
  const missing = new Float64Array(width);
  for (let k = order.length - 1; k >= 0; k--) {
    const own = rest(order[k] as number);
    for (let j = 0; j < width; j++) missing[j] = (missing[j] as number) + (own[j] as number);
    errors[k] = (errors[k] as number) + lengthOf(missing);
  }
}

function lengthOf(line: Float32Array | Float64Array): number {
  let sum = 0;
  for (const one of line) sum += one * one;
  return sum;
}

/**
 * The picks of each layer, at least one, so that no more than `share` of all neurons run. Greedy: the step that saves most for each neuron it
 * adds, over as many experts as make it so, which on the lower hull of the curves is the least sum of errors.
 */
export function allocate(curves: readonly ErrorCurve[], share: number): readonly number[] {
  const picks = curves.map(() => 1);
  let left = share * curves.reduce((sum, { neurons }) => sum + neurons, 0) - curves.reduce((sum, { shared, size }) => sum + shared + size, 0);
  for (;;) {
    const steps = curves.flatMap((curve, layer) => stepsOf(curve, picks[layer] as number, left + rounding).map((step) => ({ ...step, layer })));
    const [first] = steps.sort((a, b) => b.gain - a.gain || a.cost - b.cost || a.layer - b.layer);
    if (!first) return picks;
    picks[first.layer] = first.to;
    left -= first.cost;
  }
}

/** What sums of shares of neurons may miss a whole number by. */
const rounding = 1e-6;

interface Step {
  readonly to: number;
  /** Neurons more that run. */
  readonly cost: number;
  /** Error less, for each of them. */
  readonly gain: number;
}

/** The steps from `from` picks that lose less and fit into the neurons left. */
function stepsOf({ size, errors }: ErrorCurve, from: number, left: number): readonly Step[] {
  return Array.from({ length: errors.length - 1 - from }, (_, i) => from + 1 + i)
    .map((to) => ({ to, cost: (to - from) * size, gain: ((errors[from] as number) - (errors[to] as number)) / ((to - from) * size) }))
    .filter(({ cost, gain }) => gain > 0 && cost <= left);
}
