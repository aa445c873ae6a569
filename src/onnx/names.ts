/** Names for a graph about to be written: inputs and results keep theirs, everything else is the author's path, made unique across the graphs inside. */

import { Bug } from '../diagnostics/bug.ts';
import { constant } from '../graph/constant.ts';
import type { Graph, Node, Value } from '../graph/graph.ts';
import { unusedName } from '../graph/names.ts';

/** The names of one scope: a model or a function, with the graphs inside it. */
export interface Names {
  /** The name of a value; `''` for a nameless result that nobody reads. */
  of(value: Value): string;
  /** A name nothing else has. */
  fresh(base: string): string;
}

/** Names every value of a graph and of the graphs inside it. */
export function nameGraph(graph: Graph): Names {
  const names = new Map<Value, string>();
  const taken = new Set<string>();
  const next = new Map<string, number>();
  const fresh = (base: string): string => {
    const name = unusedName(base === '' ? 'value' : base, taken, next);
    taken.add(name);
    return name;
  };
  const reserve = (value: Value | undefined, name: string): void => {
    if (taken.has(name)) throw new Bug(`two inputs or results of ${graph.name} are called ${name}`);
    taken.add(name);
    if (value) names.set(value, name);
  };
  for (const input of graph.inputs) reserve(input, input.name);
  const own = directResults(graph);
  for (const { name, value } of graph.outputs) {
    if (!passesOn(graph, name, value)) reserve(own.get(name) === value ? value : undefined, name);
  }

  const read = valuesRead(graph);
  const give = (value: Value): void => {
    if (!names.has(value)) names.set(value, value.name === '' && !read.has(value) ? '' : fresh(value.name));
  };
  const visit = (inner: Graph): void => {
    inner.inputs.forEach(give);
    for (const { value } of inner.weights) give(value);
    for (const node of inner.nodes) {
      node.outputs.forEach(give);
      for (const body of Object.values(node.bodies ?? {})) visit(body);
    }
  };
  visit(graph);

  return {
    fresh,
    of(value) {
      const name = names.get(value);
      if (name === undefined) throw new Bug(`${value.name || 'a value without a name'} is read in ${graph.name} but made nowhere`);
      return name;
    },
  };
}

/** Whether a result is an input under the input's own name. */
export function passesOn(graph: Graph, name: string, value: Value): boolean {
  return value.name === name && graph.inputs.includes(value);
}

/** Results that a node of this very graph makes, by the first name each goes out under; the others need an `Identity`. */
export function directResults(graph: Graph): ReadonlyMap<string, Value> {
  const made = new Set<Value>(graph.nodes.flatMap((node) => (node.op === constant ? [] : node.outputs)));
  const direct = new Map<string, Value>();
  for (const { name, value } of graph.outputs) {
    if (made.delete(value)) direct.set(name, value);
  }
  return direct;
}

/** Every value that a graph reads, in the graphs inside it too, and every result. */
export function valuesRead(graph: Graph, read = new Set<Value>()): ReadonlySet<Value> {
  const visit = (node: Node): void => {
    for (const input of node.inputs) if (input) read.add(input);
    for (const body of Object.values(node.bodies ?? {})) valuesRead(body, read);
  };
  graph.nodes.forEach(visit);
  for (const { value } of graph.outputs) read.add(value);
  return read;
}
