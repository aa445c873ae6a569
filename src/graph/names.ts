/** Names for writing a graph down: the author's paths, each made unique. Used by the graph text and by whoever needs values by name. */

import type { Graph, Value } from './graph.ts';

/** Every value of the graph and of the graphs inside it under a name of its own. Inputs keep theirs, then weights, then results in order; a repeated name gets `.2`, `.3`. */
export function nameValues(graph: Graph): ReadonlyMap<Value, string> {
  const names = new Map<Value, string>();
  nameInto(graph, names, new Set(), new Map());
  return names;
}

function nameInto(graph: Graph, names: Map<Value, string>, taken: Set<string>, next: Map<string, number>): void {
  const give = (value: Value): void => {
    if (names.has(value)) return;
    const name = unusedName(value.name === '' ? 'value' : value.name, taken, next);
    taken.add(name);
    names.set(value, name);
  };
  graph.inputs.forEach(give);
  for (const { value } of graph.weights) give(value);
  for (const node of graph.nodes) node.outputs.forEach(give);
  for (const { bodies } of graph.nodes) for (const body of Object.values(bodies ?? {})) nameInto(body, names, taken, next);
}

/** The name itself where it is free, else with the first number behind it that is; `next` remembers where to look. */
export function unusedName(base: string, taken: ReadonlySet<string>, next: Map<string, number>): string {
  if (!taken.has(base)) return base;
  let n = next.get(base) ?? 2;
  while (taken.has(`${base}.${n}`)) n++;
  next.set(base, n + 1);
  return `${base}.${n}`;
}
