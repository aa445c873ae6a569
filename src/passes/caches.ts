/** Which values a step keeps: the `cache` nodes of a graph, one on the keys and one on the values of every causal attention that has none before it, and what loaders call them. */

import type { Graph, Node, Value } from '../graph/graph.ts';
import { rewrite } from '../graph/rewrite.ts';
import { cache } from '../ops/shape.ts';
import { producersOf } from './producers.ts';
import { rebuild } from './rebuild.ts';

/** Whether the node is an attention that sees only what came before. */
export function isCausal(node: Node): boolean {
  return node.op.name === 'attend' && node.attrs['causal'] === true;
}

/** The graph with caches on keys and values that have none before them, back to the attention before. */
export function withCaches(graph: Graph): Graph {
  const cached = new Set<Value>();
  return rewrite(graph, (node, build) => {
    if (node.op.name === 'cache') {
      for (const output of node.outputs) cached.add(output);
      return undefined;
    }
    if (!isCausal(node)) {
      if (node.op.name !== 'attend' && node.inputs.some((one) => one && cached.has(one))) for (const output of node.outputs) cached.add(output);
      return undefined;
    }
    const [q, k, v, ...masks] = node.inputs;
    const path = node.outputs[0]?.name ?? node.op.name;
    const keep = (one: Value | undefined, name: string): Value | undefined =>
      one && !cached.has(one) ? build.one(cache, [one], { axis: -2, path: `${path}/${name}` }, `${path}.${name}`) : one;
    const [keys, values] = [keep(k, 'key'), keep(v, 'value')];
    if (keys === k && values === v) return undefined;
    return rebuild(build, node, { inputs: [q, keys, values, ...masks] });
  });
}

/** What each cache is called, without what says that it comes in or goes out: `3.key`. Attentions are counted where they are the first to read a cache; its caches are the key, the value, and then by number. */
export function nameCaches(graph: Graph): ReadonlyMap<Node, string> {
  const from = producersOf(graph);
  const names = new Map<Node, string>();
  const order = new Map(graph.nodes.map((node, i) => [node, i]));
  let layer = 0;
  for (const attention of graph.nodes.filter(isCausal)) {
    const found = new Set<Node>();
    for (const input of attention.inputs.slice(1)) collect(from.any(input), from.any, found);
    const own = [...found].filter((one) => !names.has(one)).sort((a, b) => (order.get(a) ?? 0) - (order.get(b) ?? 0));
    own.forEach((one, i) => names.set(one, `${layer}.${['key', 'value'][i] ?? `state_${i}`}`));
    if (own.length > 0) layer++;
  }
  const rest = graph.nodes.filter((node) => node.op.name === 'cache' && !names.has(node) && !cachesPositions(node, from.any));
  rest.forEach((node, i) => names.set(node, `${layer + i}.key`));
  return names;
}

/** Whether the cache holds positions, which a step knows without keeping them. */
function cachesPositions(node: Node, producer: (one: Value | undefined) => Node | undefined): boolean {
  return producer(node.inputs[0])?.op.name === 'positions';
}

function collect(node: Node | undefined, producer: (one: Value | undefined) => Node | undefined, found: Set<Node>): void {
  const pending = [node];
  const seen = new Set<Node>();
  for (let one = pending.pop(); one || pending.length > 0; one = pending.pop()) {
    if (!one || seen.has(one) || one.op.name === 'attend') continue;
    seen.add(one);
    if (one.op.name !== 'cache') for (const input of one.inputs) pending.push(producer(input));
    else if (!cachesPositions(one, producer)) found.add(one);
  }
}
