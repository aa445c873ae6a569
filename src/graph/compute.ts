/** How a pass has a graph run without knowing what runs it. Declared here, implemented in `src/run`, handed in by whoever calls the pass. */

import type { Graph } from './graph.ts';
import type { NdArray } from './nd-array.ts';

/** Numbers in f32 with two axes, row-major: what passes that calibrate or cluster hold by the million. */
export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  /** `rows` · `columns` numbers. */
  readonly data: Float32Array;
}

/** Runs graphs and multiplies matrices. */
export interface Compute {
  /** Results by output name, for feeds by input name. */
  run(graph: Graph, feeds: Readonly<Record<string, NdArray>>): Promise<Readonly<Record<string, NdArray>>>;
  /** Frees what a graph that was run has taken. */
  release(graph: Graph): Promise<void>;
  /** a [m, k] · b [k, n] → [m, n], f32. */
  matmul(a: NdArray, b: NdArray): Promise<NdArray>;
  /** The same of matrices, with no copy in f64. */
  product(a: Matrix, b: Matrix): Promise<Matrix>;
}
