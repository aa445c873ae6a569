/** Runs a graph in f64 by each op's plain reference: the oracle of the tests and of `moec verify`. */

import { Bug } from '../diagnostics/bug.ts';
import { constant, type Dim, evaluate, show, symbolsOf } from './dim.ts';
import type { Graph, Node, Value } from './graph.ts';
import type { NdArray } from './nd-array.ts';
import type { EvalBody, Sizes } from './op.ts';

/** What is known while a graph runs: arrays by value, numbers by name of a size. */
interface State {
  readonly held: Map<Value, NdArray>;
  readonly names: Map<string, number>;
}

/** Results by output name. `feeds` are by input name; `weights` gives the numbers of a weight by its path. Foreign nodes are a `Bug`. */
export function evaluateGraph(graph: Graph, feeds: Readonly<Record<string, NdArray>>, weights: (path: string) => NdArray): Readonly<Record<string, NdArray>> {
  const state: State = { held: new Map(), names: new Map() };
  const given = graph.inputs.map((input) => {
    const feed = feeds[input.name];
    if (!feed) throw new Bug(`no feed for ${input.name}`);
    return feed;
  });
  for (const { value, path } of graph.weights) state.held.set(value, weights(path));
  return run(graph, given, state);
}

function run(graph: Graph, given: readonly NdArray[], state: State): Readonly<Record<string, NdArray>> {
  const { held, names } = state;
  graph.inputs.forEach((input, i) => {
    const array = given[i];
    if (!array) throw new Bug(`nothing is given for ${input.name}`);
    bindSizes(input, array, names);
    held.set(input, array);
  });
  const sizes: Sizes = { of: (size) => sizeOf(size, names) };
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((one) => one && lookUp(held, one));
    const types = node.outputs.flatMap(({ type }) => (type ? [type] : []));
    const results = node.op.eval(inputs, node.attrs, { sizes, types, bodies: bodiesOf(node, state) });
    node.outputs.forEach((output, i) => {
      const result = results[i];
      if (result) held.set(output, result);
    });
  }
  return Object.fromEntries(graph.outputs.map(({ name, value }) => [name, lookUp(held, value)]));
}

/** The graphs inside a node; each run sees what is around it and leaves nothing behind. */
function bodiesOf({ bodies = {} }: Node, { held, names }: State): Readonly<Record<string, EvalBody>> {
  return Object.fromEntries(
    Object.entries(bodies).map(([name, body]) => [
      name,
      { inputs: body.inputs.map((input) => input.name), run: (inputs) => run(body, inputs, { held: new Map(held), names: new Map(names) }) },
    ]),
  );
}

function lookUp(held: ReadonlyMap<Value, NdArray>, one: Value): NdArray {
  const found = held.get(one);
  if (!found) throw new Bug(`${one.name} is read before it is computed`);
  return found;
}

function bindSizes(input: Value, given: NdArray, names: Map<string, number>): void {
  // A whole number that comes in by itself is the size of its name.
  if (input.type?.dims.length === 0 && input.type.dtype === 'i64') names.set(input.name, given.data[0] ?? 0);
  input.type?.dims.forEach((size, i) => {
    const [name, ...others] = symbolsOf(size);
    const actual = given.dims[i];
    if (name !== undefined && others.length === 0 && show(size) === name && actual !== undefined) names.set(name, names.get(name) ?? actual);
    const expected = evaluate(size, names);
    if (actual === undefined || (expected !== undefined && expected !== actual)) throw new Bug(`${input.name} is [${given.dims.join(', ')}], axis ${i} should be ${show(size)}`);
  });
}

function sizeOf(size: Dim, names: ReadonlyMap<string, number>): number {
  const found = constant(size) ?? evaluate(size, names);
  if (found === undefined) throw new Bug(`no value for a name in ${show(size)}`);
  return found;
}
