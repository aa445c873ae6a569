/** The weights of experts as views of the dense matrices: rows are picked in another order when they are written, and f16 is written as f32; nothing else is computed. */

import type { Source } from '../../graph/source.ts';
import { castView, pickedView, reshapedView, transposedView } from '../../graph/views.ts';
import type { FeedForward } from '../feed-forwards.ts';

/** The views of one feed-forward over some of its neurons: matrices [D, n], [n, D] and vectors [n]. */
export interface NeuronViews {
  readonly gate: Source;
  readonly gateBias?: Source;
  readonly up?: Source;
  readonly upBias?: Source;
  readonly down: Source;
}

/** What experts, routers and stand-ins compute in, also for a feed-forward in f16: onnxruntime multiplies f16 on the CPU as f32 in any case. */
export const computedIn = 'f32';

/** A weight of a feed-forward as experts take it. */
export function widened(of: Source): Source {
  return castView(of, computedIn);
}

/** The neurons of `order` side by side. */
export function neuronsOf(feedForward: FeedForward, order: readonly number[]): NeuronViews {
  return viewsOf(feedForward, (of) => widened(pickedView(of, 0, order)));
}

/** The same with an expert axis in front: [E, D, m], [E, m, D], [E, m]. */
export function expertsOf(feedForward: FeedForward, order: readonly number[], experts: number): NeuronViews {
  const size = order.length / experts;
  return viewsOf(feedForward, (of) => widened(reshapedView(pickedView(of, 0, order), [experts, size, ...of.dims.slice(1)])));
}

/** The weights by `rows`, which takes those whose first axis is that of the neurons. */
function viewsOf({ gate, gateBias, up, upBias, down }: FeedForward, rows: (of: Source) => Source): NeuronViews {
  const columns = (of: Source): Source => transposedView(rows(transposedView(of)));
  return {
    gate: columns(gate),
    ...(gateBias ? { gateBias: rows(gateBias) } : {}),
    ...(up ? { up: columns(up) } : {}),
    ...(upBias ? { upBias: rows(upBias) } : {}),
    down: rows(down),
  };
}
