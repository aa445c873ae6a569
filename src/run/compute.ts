/** `Compute` on onnxruntime: what passes that calibrate or cluster are handed to run graphs with. */

import type { Worker } from 'node:worker_threads';
import { Bug } from '../diagnostics/bug.ts';
import type { Diagnostic } from '../diagnostics/diagnostic.ts';
import { graphBuilder } from '../graph/builder.ts';
import type { Compute, Matrix, Numbers } from '../graph/compute.ts';
import { symbol } from '../graph/dim.ts';
import { type Graph, value } from '../graph/graph.ts';
import { tensor } from '../graph/type.ts';
import { matmul } from '../ops/index.ts';
import type { Tensors } from './protocol.ts';
import { openSession, type Session, type SessionOptions } from './session.ts';
import { floatsOf, numbersOf, type Tensor, tensorOf } from './tensor.ts';

/** What a graph has to become to be run. */
export interface ComputeOptions extends SessionOptions {
  /** The graph as a model of ONNX, with weights inside or in `dataFolder`. */
  readonly toModel: (graph: Graph) => Uint8Array | Promise<Uint8Array>;
  /** Where external data lie; the working folder where left out. */
  readonly dataFolder?: string;
}

/** A `Compute` with sessions behind it, one for each graph it has run. */
export interface SessionCompute extends Compute {
  /** Frees every session. */
  close(): Promise<void>;
}

/** A graph that stopped on its inputs: a fault of the pass that made it, unless the inputs are somebody's and the model itself cannot take them. */
export class Stopped extends Bug {
  /** What onnxruntime said. */
  readonly diagnostics: readonly Diagnostic[];

  constructor(name: string, diagnostics: readonly Diagnostic[]) {
    super(`${name} does not run`, diagnostics.map(({ message }) => message).join('\n'));
    this.diagnostics = diagnostics;
  }
}

/** Runs graphs in sessions that stay open until it is closed. What a graph cannot do is a `Bug` of the pass that made it. */
export function sessionCompute({ toModel, dataFolder = '.', ...options }: ComputeOptions): SessionCompute {
  const sessions = new Map<Graph, Promise<Session>>();
  // A worker takes longer to start than most graphs to load.
  const spare: Worker[] = [];

  const open = async (graph: Graph): Promise<Session> => {
    const opened = await openSession({ model: { kind: 'bytes', bytes: await toModel(graph), dataFolder }, form: 'whole', tokenizer: undefined, stop: [] }, { ...options, spare });
    if (!opened.ok) throw new Bug(`${graph.name} does not load`, opened.diagnostics.map(({ message }) => message).join('\n'));
    return opened.value;
  };
  const runTensors = async (graph: Graph, feeds: Tensors): Promise<Tensors> => {
    const known = sessions.get(graph) ?? open(graph);
    sessions.set(graph, known);
    const results = await (await known).run(feeds);
    if (!results.ok) throw new Stopped(graph.name, results.diagnostics);
    return results.value;
  };
  const run: SessionCompute['run'] = async (graph, feeds) => {
    const results = await runTensors(graph, Object.fromEntries(Object.entries(feeds).map(([name, one]) => [name, tensorOfNumbers(one)])));
    return Object.fromEntries(
      Object.entries(results).map(([name, one]) => [name, { dtype: one.dtype, dims: one.dims, data: one.dtype === 'f32' ? floatsOf(one) : numbersOf(one) }]),
    );
  };
  return {
    run,
    async product(a, b) {
      const { product } = await runTensors(product2d, { a: ofMatrix(a), b: ofMatrix(b) });
      if (!product) throw new Bug('a product has no result');
      return { rows: a.rows, columns: b.columns, data: floatsOf(product) };
    },
    async release(graph) {
      const session = sessions.get(graph);
      sessions.delete(graph);
      await (await session)?.close();
    },
    async close() {
      const opened = await Promise.allSettled(sessions.values());
      sessions.clear();
      await Promise.all(opened.map((one) => one.status === 'fulfilled' && one.value.close()));
      await Promise.all(spare.splice(0).map((worker) => worker.terminate()));
    },
  };
}

const tensorOfNumbers = ({ dtype, dims, data }: Numbers): Tensor => (dtype === 'f32' && data instanceof Float32Array ? { dtype, dims, data } : tensorOf(dtype, dims, data));

const ofMatrix = ({ rows, columns, data }: Matrix): Tensor => ({ dtype: 'f32', dims: [rows, columns], data });

/** [M, K] · [K, N], for any sizes. */
const product2d = ((): Graph => {
  const build = graphBuilder();
  const a = value('a', tensor('f32', [symbol('M'), symbol('K')]));
  const b = value('b', tensor('f32', [symbol('K'), symbol('N')]));
  const product = build.one(matmul, [a, b], {}, 'product');
  return build.finish({ name: 'product', inputs: [a, b], outputs: [{ name: 'product', value: product }], weights: [] });
})();
