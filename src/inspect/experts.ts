/**
 * What the weights of experts say about them, without running anything: how alike they are, whether they kept the order of their neurons, and whether the
 * router looks for what they look for. The static analyses of "A Closer Look into Mixture-of-Experts in Large Language Models" (Lo et al. 2024).
 */

import type { Graph } from '../graph/graph.ts';
import type { Source } from '../graph/source.ts';
import type { Checkpoint } from '../weights/checkpoint.ts';
import { sourceArray } from '../weights/source.ts';
import { type ExpertMatrix, mixturesOf } from './expert-matrices.ts';
import { cosinesOf, likenessOf, type Pairs, type Reordered, reorderedOf } from './similarity.ts';

/** What one matrix of all experts says. */
export interface MatrixReport {
  readonly name: string;
  readonly role: ExpertMatrix['role'];
  readonly neurons: number;
  readonly width: number;
  /** Cosines of whole matrices. */
  readonly whole: Pairs;
  /** Cosines of mean neurons. */
  readonly averaged: Pairs;
  /** After reordering neurons; absent where that was left out for its cost. */
  readonly reordered?: Reordered;
  /** Correlation, over pairs of experts, of the router's vectors' cosine with that of mean neurons; absent without a gate or with fewer than three experts. */
  readonly gateCorrelation?: number;
}

/** What a mixture's weights say. */
export interface MixtureReport {
  readonly path: string;
  readonly experts: number;
  /** Cosines of the router's vectors. */
  readonly gate?: Pairs;
  readonly matrices: readonly MatrixReport[];
}

/** Which mixtures are looked at, and how closely. */
export interface InspectOptions {
  /** Put neurons in order whatever it costs, or never; where left out, while that is seconds. */
  readonly neurons?: boolean;
  /** Which mixtures, by their number from 0; all where left out. */
  readonly which?: readonly number[];
}

/** Products of numbers that reordering one matrix may take where nobody asked for it. */
const affordable = 2e10;

/** Reports on the mixtures of a graph, one after the other as they are asked for. */
export function* inspectExperts(graph: Graph, checkpoint: Checkpoint | undefined, { neurons, which }: InspectOptions = {}): Generator<MixtureReport, void, undefined> {
  for (const [i, { path, experts, matrices, gate }] of mixturesOf(graph).entries()) {
    if (which && !which.includes(i)) continue;
    const scores = gate && cosinesOf(columnsOf(gate, checkpoint));
    yield {
      path,
      experts,
      ...(scores ? { gate: scores } : {}),
      matrices: matrices.map((matrix): MatrixReport => {
        const { name, role, width } = matrix;
        const likeness = likenessOf(matrix, experts, checkpoint);
        const correlation = scores && correlationOf(lower(likeness.averaged), lower(scores));
        const reorders = neurons ?? costOf(matrix, experts) <= affordable;
        return {
          name,
          role,
          neurons: matrix.neurons,
          width,
          ...likeness,
          ...(reorders ? { reordered: reorderedOf(matrix, experts, checkpoint) } : {}),
          ...(correlation === undefined ? {} : { gateCorrelation: correlation }),
        };
      }),
    };
  }
}

/** Cosines of all pairs of neurons, then an assignment that takes some passes over them. */
const costOf = ({ neurons, width }: ExpertMatrix, experts: number): number => ((experts * (experts - 1)) / 2) * neurons * neurons * (width + neurons);

function columnsOf(source: Source, checkpoint: Checkpoint | undefined): readonly Float64Array[] {
  const { data, dims } = sourceArray(source, checkpoint);
  const [rows = 0, columns = 0] = dims;
  return Array.from({ length: columns }, (_, e) => Float64Array.from({ length: rows }, (__, d) => data[d * columns + e] ?? 0));
}

/** The pairs below the diagonal, each once. */
export function lower(pairs: Pairs): readonly number[] {
  return pairs.flatMap((row, i) => row.slice(0, i));
}

/** Pearson's correlation, whose square is the R² of the regression of one on the other; undefined for fewer than three or for lists that do not vary. */
export function correlationOf(xs: readonly number[], ys: readonly number[]): number | undefined {
  const n = xs.length;
  if (n < 3) return undefined;
  const [mx, my] = [mean(xs), mean(ys)];
  let [xx, yy, xy] = [0, 0, 0];
  for (let i = 0; i < n; i++) {
    const [dx, dy] = [(xs[i] ?? 0) - mx, (ys[i] ?? 0) - my];
    [xx, yy, xy] = [xx + dx * dx, yy + dy * dy, xy + dx * dy];
  }
  return xx > 0 && yy > 0 ? xy / Math.sqrt(xx * yy) : undefined;
}

/** The mean; 0 of nothing. */
export function mean(list: readonly number[]): number {
  return list.reduce((sum, one) => sum + one, 0) / Math.max(1, list.length);
}
