/** How a pass has a graph run without knowing what runs it. Declared here, implemented in `src/run`, handed in by whoever calls the pass. */

import type { Graph } from './graph.ts';
import type { NdArray } from './nd-array.ts';

/** Runs graphs and multiplies matrices. */
export interface Compute {
  /** Results by output name, for feeds by input name. */
  run(graph: Graph, feeds: Readonly<Record<string, NdArray>>): Promise<Readonly<Record<string, NdArray>>>;
  /** a [m, k] · b [k, n] → [m, n], f32. */
  matmul(a: NdArray, b: NdArray): Promise<NdArray>;
}
