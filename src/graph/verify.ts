/** Whether a graph holds together: run between passes, so that a pass that breaks one is caught at its own name. */

import { Bug } from '../diagnostics/bug.ts';
import { TypeFault } from './fail.ts';
import type { Graph, Node, Value } from './graph.ts';
import { printGraph } from './text.ts';
import { constantDims, sameType, showType, type TensorType } from './type.ts';

/** Throws a `Bug` with the graph's text unless every value is defined once and before its uses, names of inputs and outputs are unique, weights are what their sources yield, and types are what the ops' rules say. */
export function verifyGraph(graph: Graph, after?: string): void {
  const [fault] = faultsOf(graph, new Set());
  if (fault !== undefined)
    throw new Bug(`the graph ${graph.name} does not hold together${after === undefined ? '' : ` after ${after}`}: ${fault}`, printGraph(graph, { longest: 64 }));
}

function* faultsOf(graph: Graph, outer: ReadonlySet<Value>): Iterable<string> {
  const defined = new Set(outer);
  yield* repeated(
    'inputs',
    graph.inputs.map(({ name }) => name),
  );
  yield* repeated(
    'outputs',
    graph.outputs.map(({ name }) => name),
  );
  yield* repeated(
    'weights',
    graph.weights.map(({ path }) => path),
  );
  for (const one of [...graph.inputs, ...graph.weights.map(({ value }) => value)]) yield* define(one, defined);
  for (const { value, path, source } of graph.weights) {
    const dims = value.type && constantDims(value.type.dims);
    const fits = value.type?.dtype === source.dtype && dims?.length === source.dims.length && dims.every((size, i) => size === source.dims[i]);
    if (!fits) yield `the weight ${path} is ${value.type ? showType(value.type) : 'of no type'}, its source ${source.dtype}[${source.dims.join(', ')}]`;
  }
  for (const node of graph.nodes) yield* faultsOfNode(node, defined);
  for (const { name, value } of graph.outputs) if (!defined.has(value)) yield `the output ${name} is never computed`;
}

function* repeated(what: string, names: readonly string[]): Iterable<string> {
  const seen = new Set<string>();
  const twice = names.find((name) => seen.size === seen.add(name).size);
  if (twice !== undefined) yield `two ${what} are called ${twice}`;
}

function* define(one: Value, defined: Set<Value>): Iterable<string> {
  if (defined.has(one)) yield `${one.name} is defined twice`;
  defined.add(one);
}

function* faultsOfNode(node: Node, defined: Set<Value>): Iterable<string> {
  const name = node.outputs[0]?.name ?? node.op.name;
  for (const input of node.inputs) if (input && !defined.has(input)) yield `${name} = ${node.op.name}(…) reads ${input.name} before it is computed`;
  for (const body of Object.values(node.bodies ?? {})) yield* faultsOf(body, defined);
  if (!node.op.foreign) yield* typeFaults(node, name);
  for (const output of node.outputs) yield* define(output, defined);
}

function* typeFaults(node: Node, name: string): Iterable<string> {
  const expected = inferred(node);
  if (typeof expected === 'string') {
    yield `${name} = ${node.op.name}(…): ${expected}`;
    return;
  }
  if (expected.length !== node.outputs.length) yield `${name} = ${node.op.name}(…) has ${node.outputs.length} results, its rule says ${expected.length}`;
  for (const [i, output] of node.outputs.entries()) {
    const type = expected[i];
    if (type && !(output.type && sameType(output.type, type)))
      yield `${output.name} is ${output.type ? showType(output.type) : 'of no type'}, the rule of ${node.op.name} says ${showType(type)}`;
  }
}

/** What the rule says again, or why it says nothing. */
function inferred(node: Node): readonly TensorType[] | string {
  if (node.inputs.some((one) => one && !one.type)) return 'an input has no type';
  try {
    return node.op.type(
      node.inputs.map((one) => one?.type),
      node.attrs,
    );
  } catch (fault) {
    if (fault instanceof TypeFault) return `${fault.code} ${JSON.stringify(fault.holes)}`;
    throw fault;
  }
}
