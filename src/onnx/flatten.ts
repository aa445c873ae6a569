/** Puts the bodies of functions where they are called, for runtimes that read no functions. */

import { Bug } from '../diagnostics/bug.ts';
import type { GraphBuilder } from '../graph/builder.ts';
import { type Graph, type Node, type Value, value } from '../graph/graph.ts';
import type { ForeignAttrs } from '../graph/onnx.ts';
import type { Attr } from '../graph/op.ts';
import { rewrite } from '../graph/rewrite.ts';
import type { FunctionGraph } from './functions.ts';
import { decode } from './wire.ts';

/** The graph without calls of these functions, those inside functions and inside graphs included. */
export function flatten(graph: Graph, functions: readonly FunctionGraph[]): Graph {
  const known = new Map(functions.map((fn) => [keyOf(fn.domain, fn.name), fn]));
  return flattenGraph(graph, known, []);
}

type Known = ReadonlyMap<string, FunctionGraph>;

const keyOf = (domain: string, name: string): string => `${domain}::${name}`;

function calleeOf(node: Node, known: Known): FunctionGraph | undefined {
  return node.op.foreign && known.get(keyOf(node.op.foreign.domain, node.op.foreign.type));
}

function flattenGraph(graph: Graph, known: Known, inside: readonly FunctionGraph[]): Graph {
  return rewrite(graph, (node, build) => {
    const fn = calleeOf(node, known);
    if (fn) return inline(node, fn, known, inside, build);
    if (!node.bodies) return undefined;
    const bodies = Object.fromEntries(Object.entries(node.bodies).map(([name, body]) => [name, flattenGraph(body, known, inside)]));
    build.push({ ...node, bodies });
    return node.outputs;
  });
}

/** A call replaced by a copy of the body. */
function inline(call: Node, fn: FunctionGraph, known: Known, inside: readonly FunctionGraph[], build: GraphBuilder): readonly Value[] {
  if (inside.includes(fn)) throw new Bug(`${fn.name} calls itself`);
  const [first] = call.outputs;
  const became = new Map<Value, Value | undefined>(fn.graph.inputs.map((input, i) => [input, call.inputs[i]]));
  fn.graph.outputs.forEach((output, i) => {
    const result = call.outputs[i];
    // A result keeps the name and type that the caller gave it, unless it is an input passed on, goes out twice, or has no name because nothing reads it.
    if (result && result.name !== '' && !became.has(output.value)) became.set(output.value, value(result.name, result.type));
  });
  const copy: Copy = { became, prefix: first?.name ?? fn.name, attrs: { ...fn.defaults, ...call.attrs } };
  for (const node of fn.graph.nodes) {
    const copied = copyNode(node, copy);
    const callee = calleeOf(copied, known);
    if (callee) {
      const results = inline(copied, callee, known, [...inside, fn], build);
      node.outputs.forEach((output, i) => became.set(output, results[i]));
    } else {
      build.push(flattenBodies(copied, known, [...inside, fn]));
    }
  }
  return call.outputs.map((_, i) => {
    const output = fn.graph.outputs[i];
    const result = output && became.get(output.value);
    if (!result) throw new Bug(`${fn.name} has no result ${i}`);
    return result;
  });
}

function flattenBodies(node: Node, known: Known, inside: readonly FunctionGraph[]): Node {
  if (!node.bodies) return node;
  return { ...node, bodies: Object.fromEntries(Object.entries(node.bodies).map(([name, body]) => [name, flattenGraph(body, known, inside)])) };
}

interface Copy {
  /** Undefined stands for an input that the call leaves out. */
  readonly became: Map<Value, Value | undefined>;
  readonly prefix: string;
  /** The call's attributes, the defaults where it gives none. */
  readonly attrs: Readonly<Record<string, Attr>> | ForeignAttrs;
}

function copyNode(node: Node, copy: Copy): Node {
  return {
    ...node,
    inputs: node.inputs.map((input) => input && copied(input, copy)),
    outputs: node.outputs.map((output) => made(output, copy)),
    attrs: Object.fromEntries(Object.entries(node.attrs).map(([name, attr]) => [name, resolve(attr, copy)])),
    ...(node.bodies ? { bodies: Object.fromEntries(Object.entries(node.bodies).map(([name, body]) => [name, copyGraph(body, copy)])) } : {}),
  };
}

function copyGraph(body: Graph, copy: Copy): Graph {
  if (body.weights.length > 0) throw new Bug(`${body.name} stands in a function and has weights of its own`);
  return {
    ...body,
    inputs: body.inputs.map((input) => made(input, copy)),
    nodes: body.nodes.map((node) => copyNode(node, copy)),
    outputs: body.outputs.map(({ name, value: output }) => {
      const result = copied(output, copy);
      if (!result) throw new Bug(`${name} is an input that the call leaves out`);
      return { name, value: result };
    }),
  };
}

function copied(one: Value, { became }: Copy): Value | undefined {
  if (!became.has(one)) throw new Bug(`${one.name} is read before it is made`);
  return became.get(one);
}

function made(one: Value, { became, prefix }: Copy): Value {
  const known = became.get(one);
  if (known) return known;
  const fresh = value(one.name === '' ? '' : `${prefix}.${one.name}`, one.type);
  became.set(one, fresh);
  return fresh;
}

/** What a reference to an attribute of the function stands for at this call. */
function resolve(attr: Attr, { attrs }: Copy): Attr {
  if (typeof attr !== 'object' || !('kind' in attr) || attr.kind !== 'raw') return attr;
  const { refAttrName } = decode('AttributeProto', attr.bytes);
  return refAttrName ? attrs[refAttrName] : attr;
}
