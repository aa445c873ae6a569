/** The weights of experts as views of the dense matrices: nothing is computed, rows are picked in another order when they are written. */

import type { Source } from '../../graph/source.ts';
import { pickedView, reshapedView, transposedView } from '../../graph/views.ts';
import type { FeedForward } from '../feed-forwards.ts';

/** The views of one feed-forward over some of its neurons: matrices [D, n], [n, D] and vectors [n]. */
export interface NeuronViews {
  readonly gate: Source;
  readonly gateBias?: Source;
  readonly up?: Source;
  readonly upBias?: Source;
  readonly down: Source;
}

/** The neurons of `order` side by side. */
export function neuronsOf({ gate, gateBias, up, upBias, down }: FeedForward, order: readonly number[]): NeuronViews {
  const columns = (of: Source): Source => transposedView(pickedView(transposedView(of), 0, order));
  return {
    gate: columns(gate),
    ...(gateBias ? { gateBias: pickedView(gateBias, 0, order) } : {}),
    ...(up ? { up: columns(up) } : {}),
    ...(upBias ? { upBias: pickedView(upBias, 0, order) } : {}),
    down: pickedView(down, 0, order),
  };
}

/** The same with an expert axis in front: [E, D, m], [E, m, D], [E, m]. */
export function expertsOf(feedForward: FeedForward, order: readonly number[], experts: number): NeuronViews {
  const { gate, gateBias, up, upBias, down } = neuronsOf(feedForward, order);
  const size = order.length / experts;
  const stacked = (of: Source): Source => reshapedView(of, [experts, size, ...of.dims.slice(1)]);
  const columns = (of: Source): Source => transposedView(stacked(transposedView(of)));
  return {
    gate: columns(gate),
    ...(gateBias ? { gateBias: stacked(gateBias) } : {}),
    ...(up ? { up: columns(up) } : {}),
    ...(upBias ? { upBias: stacked(upBias) } : {}),
    down: stacked(down),
  };
}
