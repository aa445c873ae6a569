/** Runs a graph in f64 by each op's plain reference: the oracle of the tests and of `moec verify`. */

import { Bug } from '../diagnostics/bug.ts';
import { constant, type Dim, evaluate, show, symbolsOf } from './dim.ts';
import type { Graph, Value } from './graph.ts';
import type { NdArray } from './nd-array.ts';
import type { Sizes } from './op.ts';

/** Results by output name. `feeds` are by input name; `weights` gives the numbers of a weight by its path. Foreign nodes are a `Bug`. */
export function evaluateGraph(graph: Graph, feeds: Readonly<Record<string, NdArray>>, weights: (path: string) => NdArray): Readonly<Record<string, NdArray>> {
  const held = new Map<Value, NdArray>();
  const names = new Map<string, number>();
  for (const input of graph.inputs) {
    const given = feeds[input.name];
    if (!given) throw new Bug(`no feed for ${input.name}`);
    bindSizes(input, given, names);
    held.set(input, given);
  }
  for (const { value, path } of graph.weights) held.set(value, weights(path));
  const sizes: Sizes = { of: (size) => sizeOf(size, names) };
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((one) => one && lookUp(held, one));
    const types = node.outputs.flatMap(({ type }) => (type ? [type] : []));
    const results = node.op.eval(inputs, node.attrs, { sizes, types });
    node.outputs.forEach((output, i) => {
      const result = results[i];
      if (result) held.set(output, result);
    });
  }
  return Object.fromEntries(graph.outputs.map(({ name, value }) => [name, lookUp(held, value)]));
}

function lookUp(held: ReadonlyMap<Value, NdArray>, one: Value): NdArray {
  const found = held.get(one);
  if (!found) throw new Bug(`${one.name} is read before it is computed`);
  return found;
}

function bindSizes(input: Value, given: NdArray, names: Map<string, number>): void {
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
