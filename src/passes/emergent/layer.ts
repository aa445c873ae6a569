/** One feed-forward as numbers: its keys and values, and what its neurons do on the calibration tokens. */

import { Bug } from '../../diagnostics/bug.ts';
import { graphBuilder } from '../../graph/builder.ts';
import type { Compute } from '../../graph/compute.ts';
import { symbol } from '../../graph/dim.ts';
import { type Graph, value, type Weight } from '../../graph/graph.ts';
import { count } from '../../graph/nd-array.ts';
import type { Source } from '../../graph/source.ts';
import { tensor } from '../../graph/type.ts';
import { transposedView } from '../../graph/views.ts';
import type { Checkpoint } from '../../weights/checkpoint.ts';
import { fromBytes } from '../../weights/elements.ts';
import { sourceBytes } from '../../weights/source.ts';
import type { FeedForward } from '../feed-forwards.ts';
import { declareInto, hiddenOf } from './hidden.ts';
import { type Matrix, matrix, row, squaredNorms } from './matrix.ts';
import { neededBy, readBy } from './stages.ts';
import { computedIn, widened } from './views.ts';

/** What grouping, scores and repair are computed from. Neurons are rows. */
export interface Layer {
  readonly feedForward: FeedForward;
  /** Columns of `gate`: [F, D]. */
  readonly keys: Matrix;
  /** Columns of `up`, for gated ones: [F, D]. */
  readonly ups?: Matrix;
  /** Rows of `down`: [F, D]. */
  readonly values: Matrix;
  /** ‖vᵢ‖, [F]. */
  readonly lengths: Float64Array;
  /** The inputs, [tokens, D], in batches. */
  readonly inputs: readonly Matrix[];
  /** What meets `down`, [tokens, F], for the same batches. */
  readonly hidden: readonly Matrix[];
}

/** Thrown where a weight of a feed-forward is no finite number: neurons cannot be told apart by it. */
export class NotFinite extends Error {
  /** The path of the feed-forward. */
  readonly path: string;

  constructor(path: string) {
    super(`a weight of ${path} is not finite`);
    this.path = path;
  }
}

/** The numbers of a feed-forward over its calibration inputs; without inputs, of its weights alone. Holds tokens · F numbers in f32. */
export async function layerOf(around: Graph, feedForward: FeedForward, inputs: readonly Matrix[], checkpoint: Checkpoint | undefined, compute: Compute): Promise<Layer> {
  const { gate, up, down } = feedForward;
  const values = matrixOf(down, checkpoint);
  const lengths = squaredNorms(values).map(Math.sqrt);
  const hidden: Matrix[] = [];
  if (inputs.length > 0) {
    const graph = hiddenGraph(around, feedForward);
    for (const batch of inputs) {
      const { h } = await compute.run(graph, { x: { dtype: 'f32', dims: [batch.rows, batch.columns], data: batch.data } });
      if (!h) throw new Bug('a feed-forward without hidden values');
      hidden.push(matrix(batch.rows, feedForward.neurons, h.data instanceof Float32Array ? h.data : new Float32Array(h.data)));
    }
    await compute.release(graph);
  }
  const [keys, ups] = [matrixOf(transposedView(gate), checkpoint), up && matrixOf(transposedView(up), checkpoint)];
  if ([keys, values, ups].some((one) => one && !one.data.every(Number.isFinite))) throw new NotFinite(feedForward.path);
  return { feedForward, keys, ...(ups ? { ups } : {}), values, lengths, inputs, hidden };
}

/** The numbers of a source of two axes in f32. */
export function matrixOf(source: Source, checkpoint: Checkpoint | undefined): Matrix {
  const [rows = 1, columns = 1] = source.dims;
  const data = new Float32Array(count(source.dims));
  let at = 0;
  for (const piece of sourceBytes(source, checkpoint)) {
    const numbers = fromBytes(source.dtype, piece);
    data.set(numbers, at);
    at += numbers.length;
  }
  return matrix(rows, columns, data);
}

/** x [tokens, D] → h [tokens, F]. */
function hiddenGraph(around: Graph, feedForward: FeedForward): Graph {
  const build = graphBuilder();
  const weights: Weight[] = [];
  const declare = declareInto(weights, feedForward.path);
  const x = value('x', tensor(computedIn, [symbol('tokens'), feedForward.width]));
  const { gate, gateBias, up, upBias } = feedForward;
  const h = hiddenOf(build, feedForward, x, {
    gate: declare('gate', widened(gate)),
    ...(gateBias ? { gateBias: declare('gate_bias', widened(gateBias)) } : {}),
    ...(up ? { up: declare('up', widened(up)) } : {}),
    ...(upBias ? { upBias: declare('up_bias', widened(upBias)) } : {}),
  });
  const { inner } = feedForward;
  const made = new Set([...inner.nodes.flatMap((node) => node.outputs), inner.gate, ...(inner.up ? [inner.up] : [])]);
  const numbers = neededBy(around, inner.nodes.flatMap(readBy), made);
  const graph = build.finish({ name: `${feedForward.path}.hidden`, inputs: [x], outputs: [{ name: 'h', value: h }], weights: [...numbers.weights, ...weights] });
  return { ...graph, nodes: [...numbers.nodes, ...graph.nodes] };
}

/** The layer with neurons of zeros at its end, so that `neurons` of them can be dealt out. */
export function padded(layer: Layer, neurons: number): Layer {
  const missing = neurons - layer.values.rows;
  if (missing === 0) return layer;
  const taller = (of: Matrix): Matrix => {
    const all = matrix(neurons, of.columns);
    all.data.set(of.data);
    return all;
  };
  const wider = (of: Matrix): Matrix => {
    const all = matrix(of.rows, neurons);
    for (let t = 0; t < of.rows; t++) all.data.set(row(of, t), t * neurons);
    return all;
  };
  const lengths = new Float64Array(neurons);
  lengths.set(layer.lengths);
  return { ...layer, keys: taller(layer.keys), ...(layer.ups ? { ups: taller(layer.ups) } : {}), values: taller(layer.values), lengths, hidden: layer.hidden.map(wider) };
}
