/** What a model costs, layer by layer: parameters, multiplications, cache. Read off the graph, before anything runs. */

import { evaluate, symbolsOf } from '../graph/dim.ts';
import type { Graph, Node, Value } from '../graph/graph.ts';
import { count } from '../graph/nd-array.ts';
import type { Source } from '../graph/source.ts';
import { bytesOf } from '../graph/type.ts';

/** Costs of one layer, or of all. */
export interface Costs {
  /** Numbers that come with the model; tied ones count once, where they are first used. */
  readonly parameters: number;
  /** Bytes of those as they are stored. */
  readonly bytes: number;
  /** Floating-point operations for one token without its attention: two for each multiplication of a matrix product. */
  readonly flops: number;
  /** Operations for one token for each token it looks at. */
  readonly flopsPerContext: number;
  /** Bytes that a step keeps for each token, f32. */
  readonly cacheBytes: number;
}

export interface Account {
  /** By the path of the layer, in the order of the graph; the path of the model's own weights and operations is empty. */
  readonly layers: readonly { readonly path: string; readonly costs: Costs }[];
  readonly total: Costs;
}

const nothing: Costs = { parameters: 0, bytes: 0, flops: 0, flopsPerContext: 0, cacheBytes: 0 };

/** Counts what a whole-sequence graph costs for one token of one row. */
export function account(graph: Graph): Account {
  const layers = new Map<string, Costs>();
  const charge = (path: string, costs: Partial<Costs>): void => {
    const before = layers.get(path) ?? nothing;
    layers.set(path, plus(before, { ...nothing, ...costs }));
  };
  const counted = new Set<string>();
  for (const { path, source } of graph.weights) {
    const key = storedAs(source, path);
    if (!counted.has(key)) charge(layerOf(path), { parameters: count(source.dims), bytes: count(source.dims) * bytesOf[source.dtype] });
    counted.add(key);
  }
  const single = new Map(graph.inputs.flatMap(({ type }) => (type?.dims ?? []).flatMap(symbolsOf)).map((name) => [name, 1]));
  for (const node of graph.nodes) charge(layerOf(node.outputs[0]?.name ?? ''), costsOf(node, single));
  const listed = [...layers].map(([path, costs]) => ({ path, costs })).filter(({ costs }) => Object.values(costs).some((one) => one > 0));
  return { layers: listed, total: listed.reduce((sum, { costs }) => plus(sum, costs), nothing) };
}

function plus(a: Costs, b: Costs): Costs {
  return {
    parameters: a.parameters + b.parameters,
    bytes: a.bytes + b.bytes,
    flops: a.flops + b.flops,
    flopsPerContext: a.flopsPerContext + b.flopsPerContext,
    cacheBytes: a.cacheBytes + b.cacheBytes,
  };
}

/** Two weights stored as the same bytes have the same key. */
function storedAs(source: Source, path: string): string {
  return source.kind === 'literal' || source.kind === 'random' ? path : JSON.stringify(source);
}

/** `blocks.3` of `blocks.3.ffn.gate`; `embed` of `embed.table`; nothing of `head`, which is the model's own. */
function layerOf(path: string): string {
  return /^(.*?\.\d+)(?=\.|$)/.exec(path)?.[1] ?? path.split('.').slice(0, -1).join('.');
}

function costsOf(node: Node, sizes: ReadonlyMap<string, number>): Partial<Costs> {
  switch (node.op.name) {
    case 'matmul':
      return { flops: 2 * elements(node.outputs[0], sizes) * last(node.inputs[0], sizes) };
    case 'attend': {
      const [q, , v] = node.inputs;
      const rows = elements(q, sizes);
      return { flopsPerContext: 2 * rows + 2 * (rows / Math.max(1, last(q, sizes))) * last(v, sizes) };
    }
    case 'cache':
      return { cacheBytes: elements(node.inputs[0], sizes) * 4 };
    default:
      return {};
  }
}

function elements(value: Value | undefined, sizes: ReadonlyMap<string, number>): number {
  return count((value?.type?.dims ?? []).map((dim) => evaluate(dim, sizes) ?? 1));
}

function last(value: Value | undefined, sizes: ReadonlyMap<string, number>): number {
  const dim = value?.type?.dims.at(-1);
  return dim ? (evaluate(dim, sizes) ?? 1) : 1;
}
