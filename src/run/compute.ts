/** `Compute` on onnxruntime: what passes that calibrate or cluster are handed to run graphs with. */

import { Bug } from '../diagnostics/bug.ts';
import { graphBuilder } from '../graph/builder.ts';
import type { Compute } from '../graph/compute.ts';
import { symbol } from '../graph/dim.ts';
import { type Graph, value } from '../graph/graph.ts';
import type { NdArray } from '../graph/nd-array.ts';
import { tensor } from '../graph/type.ts';
import { matmul } from '../ops/index.ts';
import type { Tensors } from './protocol.ts';
import { openSession, type Session, type SessionOptions } from './session.ts';
import { fromNdArray, toNdArray } from './tensor.ts';

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

/** Runs graphs in sessions that stay open until it is closed. What a graph cannot do is a `Bug` of the pass that made it. */
export function sessionCompute({ toModel, dataFolder = '.', ...options }: ComputeOptions): SessionCompute {
  const sessions = new Map<Graph, Promise<Session>>();

  const open = async (graph: Graph): Promise<Session> => {
    const opened = await openSession({ model: { kind: 'bytes', bytes: await toModel(graph), dataFolder }, form: 'whole', tokenizer: undefined, stop: [] }, options);
    if (!opened.ok) throw new Bug(`${graph.name} does not load`, opened.diagnostics.map(({ message }) => message).join('\n'));
    return opened.value;
  };
  const run = async (graph: Graph, feeds: Readonly<Record<string, NdArray>>): Promise<Readonly<Record<string, NdArray>>> => {
    const known = sessions.get(graph) ?? open(graph);
    sessions.set(graph, known);
    const given: Tensors = Object.fromEntries(Object.entries(feeds).map(([name, array]) => [name, fromNdArray(array)]));
    const results = await (await known).run(given);
    if (!results.ok) throw new Bug(`${graph.name} does not run`, results.diagnostics.map(({ message }) => message).join('\n'));
    return Object.fromEntries(Object.entries(results.value).map(([name, one]) => [name, toNdArray(one)]));
  };
  return {
    run,
    async matmul(a, b) {
      const { product } = await run(product2d, { a, b });
      if (!product) throw new Bug('a product has no result');
      return product;
    },
    async close() {
      const opened = await Promise.allSettled(sessions.values());
      sessions.clear();
      await Promise.all(opened.map((one) => one.status === 'fulfilled' && one.value.close()));
    },
  };
}

/** [M, K] · [K, N], for any sizes. */
const product2d = ((): Graph => {
  const build = graphBuilder();
  const a = value('a', tensor('f32', [symbol('M'), symbol('K')]));
  const b = value('b', tensor('f32', [symbol('K'), symbol('N')]));
  const product = build.one(matmul, [a, b], {}, 'product');
  return build.finish({ name: 'product', inputs: [a, b], outputs: [{ name: 'product', value: product }], weights: [] });
})();
