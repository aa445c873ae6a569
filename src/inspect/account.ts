/** What a model costs, layer by layer: parameters, multiplications, cache. Read off the graph, before anything runs. */

import { evaluate, symbolsOf } from '../graph/dim.ts';
import type { Graph, Node, Value, Weight } from '../graph/graph.ts';
import { count } from '../graph/nd-array.ts';
import type { Source } from '../graph/source.ts';
import { bytesOf } from '../graph/type.ts';
import { cutMixtures } from '../passes/cut-mixtures.ts';
import { rowsName } from '../passes/emit-segments.ts';

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

/** What a model costs, layer by layer and in all. */
export interface Account {
  /** By the path of the layer, in the order of the graph; the path of the model's own weights and operations is empty. */
  readonly layers: readonly { readonly path: string; readonly costs: Costs }[];
  readonly total: Costs;
}

const nothing: Costs = { parameters: 0, bytes: 0, flops: 0, flopsPerContext: 0, cacheBytes: 0 };

/** Counts what a whole-sequence graph costs for one token of one row. Of a mixture, the experts that run count, not all there are. */
export function account(whole: Graph): Account {
  const graph = cutMixtures(whole, () => {});
  const layers = new Map<string, Costs>();
  const charge = (path: string, costs: Partial<Costs>): void => void layers.set(path, plus(layers.get(path) ?? nothing, { ...nothing, ...costs }));
  const sizes = new Map([rowsName, ...graph.inputs.flatMap(({ type }) => (type?.dims ?? []).flatMap(symbolsOf))].map((name) => [name, 1]));
  const weights = new Map(graph.weights.map((weight) => [weight.value, weight]));
  const counted = new Set<string>();
  const own = (one: Value, layer: string): void => {
    const weight = weights.get(one);
    const key = weight && storedAs(weight.source, weight.path);
    if (!weight || key === undefined || counted.has(key)) return;
    counted.add(key);
    const parameters = count(weight.source.dims);
    charge(layer, { parameters, bytes: parameters * bytesOf[weight.source.dtype] });
  };
  for (const node of graph.nodes) {
    if (node.op.foreign) {
      for (const weight of node.inputs.flatMap((one) => (one && weights.get(one)) ?? [])) charge(layerOf(weight.path), carriedCosts(node, weight));
      continue;
    }
    const layer = layerOf(node.outputs[0]?.name ?? '');
    charge(layer, costsOf(node, sizes));
    for (const one of readsOf(node)) own(one, layer);
  }
  for (const { value, path } of graph.weights) own(value, layerOf(path));
  const found = [...layers].map(([path, costs]) => ({ path, costs })).filter(({ costs }) => Object.values(costs).some((one) => one > 0));
  const listed = [...found.filter(({ path }) => path !== ''), ...found.filter(({ path }) => path === '')];
  return { layers: listed, total: listed.reduce((sum, { costs }) => plus(sum, costs), nothing) };
}

/** Every value a node reads, in the graphs inside it too. */
function readsOf(node: Node): readonly Value[] {
  const inner = Object.values(node.bodies ?? {}).flatMap((body) => body.nodes.flatMap(readsOf));
  return [...node.inputs.filter((one) => one !== undefined), ...inner];
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

/** Of a product with a weight in a model of ONNX, whose other sizes may not be known. */
function carriedCosts({ op }: Node, { source }: Weight): Partial<Costs> {
  return (op.foreign?.type === 'MatMul' || op.foreign?.type === 'Gemm') && source.dims.length > 1 ? { flops: 2 * count(source.dims) } : {};
}

function costsOf(node: Node, sizes: ReadonlyMap<string, number>): Partial<Costs> {
  switch (node.op.name) {
    case 'matmul':
      return { flops: 2 * elements(node.outputs[0], sizes) * last(node.inputs[0], sizes) };
    case 'segment':
      return { flops: last(node.inputs[0], sizes) * flopsOf(node.bodies?.['expert'], sizes) };
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

function flopsOf(body: Graph | undefined, sizes: ReadonlyMap<string, number>): number {
  return (body?.nodes ?? []).reduce((sum, node) => sum + (costsOf(node, sizes).flops ?? 0), 0);
}

function elements(value: Value | undefined, sizes: ReadonlyMap<string, number>): number {
  return count((value?.type?.dims ?? []).map((dim) => evaluate(dim, sizes) ?? 1));
}

function last(value: Value | undefined, sizes: ReadonlyMap<string, number>): number {
  const dim = value?.type?.dims.at(-1);
  return dim ? (evaluate(dim, sizes) ?? 1) : 1;
}
