/** Who reads a value: passes that replace several nodes at once ask whether anything else looks inside. */

import type { Graph, Node, Value } from '../../graph/graph.ts';

/** Looks up readers in one graph. */
export interface Readers {
  /** The nodes that read a value, by themselves or in a graph inside them, in order. */
  of(one: Value): readonly Node[];
  /** Whether the value is a result of the graph. */
  isResult(one: Value | undefined): boolean;
  /** Nodes in the order of the graph. */
  inOrder(nodes: Iterable<Node>): readonly Node[];
  /** A number that orders the results of nodes as the graph does. */
  place(one: Value): number;
}

/** For the nodes of a graph. */
export function readersOf(graph: Graph): Readers {
  const readers = new Map<Value, Node[]>();
  const results = new Set(graph.outputs.map(({ value }) => value));
  const places = new Map(graph.nodes.map((node, i) => [node, i]));
  const made = new Map(graph.nodes.flatMap(({ outputs }) => outputs).map((one, i) => [one, i]));
  for (const node of graph.nodes) {
    for (const one of new Set(readBy(node))) {
      const known = readers.get(one);
      if (known) known.push(node);
      else readers.set(one, [node]);
    }
  }
  return {
    of: (one) => readers.get(one) ?? [],
    isResult: (one) => one !== undefined && results.has(one),
    place: (one) => made.get(one) ?? -1,
    inOrder: (nodes) => [...nodes].sort((a, b) => (places.get(a) ?? 0) - (places.get(b) ?? 0)),
  };
}

function* readBy({ inputs, bodies = {} }: Node): Iterable<Value> {
  for (const input of inputs) if (input) yield input;
  for (const body of Object.values(bodies)) {
    for (const { value } of body.outputs) yield value;
    for (const node of body.nodes) yield* readBy(node);
  }
}
