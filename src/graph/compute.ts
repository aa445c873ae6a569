/** How a pass has a graph run without knowing what runs it. Declared here, implemented in `src/run`, handed in by whoever calls the pass. */

import type { Graph } from './graph.ts';
import type { DType } from './type.ts';

/** Numbers in f32 with two axes, row-major: what passes that calibrate or cluster hold by the million. */
export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  /** `rows` · `columns` numbers. */
  readonly data: Float32Array;
}

/** An array as graphs take and give it: f32 as it is, so that nothing large is copied; other element types in f64. An `NdArray` is one. */
export interface Numbers {
  readonly dtype: DType;
  readonly dims: readonly number[];
  readonly data: Float32Array | Float64Array;
}

/** Runs graphs and multiplies matrices. */
export interface Compute {
  /** Results by output name, for feeds by input name. */
  run(graph: Graph, feeds: Readonly<Record<string, Numbers>>): Promise<Readonly<Record<string, Numbers>>>;
  /** Frees what a graph that was run has taken. */
  release(graph: Graph): Promise<void>;
  /** a [m, k] · b [k, n] → [m, n]. */
  product(a: Matrix, b: Matrix): Promise<Matrix>;
}
