/** Drops what no output depends on: the broom after every other pass. */

import type { Graph, Node, Value } from '../graph/graph.ts';
import type { Pass } from './pass.ts';

/** The graph without nodes and weights that no output depends on, in the graphs inside it too. Inputs stay: they are the signature. */
export function removeDead(graph: Graph): Graph {
  const live = new Set<Value>(graph.outputs.map(({ value }) => value));
  const kept: Node[] = [];
  for (const node of graph.nodes.toReversed()) {
    if (!node.outputs.some((output) => live.has(output))) continue;
    const bodies = node.bodies && Object.fromEntries(Object.entries(node.bodies).map(([name, body]) => [name, removeDead(body)]));
    const same = !bodies || Object.entries(bodies).every(([name, body]) => body === node.bodies?.[name]);
    kept.push(same ? node : { ...node, bodies });
    for (const input of node.inputs) if (input) live.add(input);
    for (const body of Object.values(bodies ?? {})) readBy(body, live);
  }
  const weights = graph.weights.filter(({ value }) => live.has(value));
  return kept.length === graph.nodes.length && weights.length === graph.weights.length && kept.every((node, i) => node === graph.nodes[kept.length - 1 - i])
    ? graph
    : { ...graph, nodes: kept.reverse(), weights };
}

/** Adds every value a body reads; those it defines itself do no harm. */
function readBy(body: Graph, live: Set<Value>): void {
  for (const { value } of body.outputs) live.add(value);
  for (const node of body.nodes) {
    for (const input of node.inputs) if (input) live.add(input);
    for (const inner of Object.values(node.bodies ?? {})) readBy(inner, live);
  }
}

export const dropDead: Pass = {
  name: 'drop-dead',
  summary: 'Drops nodes and weights that no output depends on.',
  options: {},
  run: removeDead,
};
