/** Graphs of foreign nodes to GraphProto: the part of writing that models and functions share. */

import { Bug } from '../diagnostics/bug.ts';
import { constant } from '../graph/constant.ts';
import type { Graph, Node, Value, Weight } from '../graph/graph.ts';
import { unusedName } from '../graph/names.ts';
import type { NdArray } from '../graph/nd-array.ts';
import { attributeOf } from './attributes.ts';
import type { Extras } from './extras.ts';
import { type AttributeProto, attributeTypes, type GraphProto, type NodeProto, type TensorProto, type ValueInfoProto } from './messages.ts';
import { directResults, type Names, passesOn } from './names.ts';
import { tensorOf } from './tensor.ts';
import { typeProto } from './type-proto.ts';

/** What writing a graph needs from around it. */
export interface Scope {
  readonly names: Names;
  /** The tensor of a weight, in the file or beside it. */
  readonly initializer: (weight: Weight, name: string) => TensorProto;
  readonly extras: Extras;
  /** Domains met so far; the writer of the model lists them. */
  readonly domains: Set<string>;
  /** Whether constants go into initializers, as graphs have them and functions do not. */
  readonly initializers: boolean;
  /** Whether the types of inner values are written too, or of which. */
  readonly types: boolean | ReadonlySet<Value>;
}

/** The graph with everything in it. `main` graphs keep the names of their results. */
export function emitGraph(graph: Graph, scope: Scope, main: boolean): GraphProto {
  const extra = scope.extras.graphs.get(graph) ?? {};
  const initializer = graph.weights.map((weight) => scope.initializer(weight, scope.names.of(weight.value)));
  for (const node of graph.nodes) {
    const array = scope.initializers ? arrayIn(node) : undefined;
    if (array) initializer.push(...node.outputs.map((output) => tensorOf(array, scope.names.of(output))));
  }
  const direct = directResults(graph);
  const node = emitNodes(graph, scope);
  const output = graph.outputs.map(({ name, value }): ValueInfoProto => {
    if (direct.get(name) === value || (main && passesOn(graph, name, value))) return valueInfo(scope.names.of(value), value, scope);
    const outgoing = main ? name : scope.names.fresh(name);
    node.push({ input: [scope.names.of(value)], output: [outgoing], name: outgoing, opType: 'Identity' });
    return { name: outgoing, ...(value.type ? { type: typeProto(value.type) } : {}) };
  });
  const inner = scope.types ? innerTypes(graph, new Set(direct.values()), scope) : [];
  return {
    ...extra,
    node,
    name: graph.name === '' ? 'graph' : graph.name,
    ...(initializer.length > 0 ? { initializer } : {}),
    ...(graph.doc === undefined ? {} : { docString: graph.doc }),
    input: graph.inputs.map((input) => valueInfo(scope.names.of(input), input, scope)),
    output,
    ...(inner.length > 0 ? { valueInfo: inner } : {}),
  };
}

/** The nodes of a graph in order; constants are left to the initializers where the scope has them. */
export function emitNodes(graph: Graph, scope: Scope): NodeProto[] {
  const named = nodeNames(graph, scope);
  return graph.nodes.flatMap((node) => {
    const array = arrayIn(node);
    if (!array) return [emitNode(node, scope, named(node))];
    return scope.initializers ? [] : node.outputs.map((output) => constantNode(array, scope.names.of(output)));
  });
}

function constantNode(array: NdArray, name: string): NodeProto {
  return { output: [name], name, opType: 'Constant', attribute: [{ name: 'value', type: attributeTypes.tensor, t: tensorOf(array) }] };
}

/** The array of a `constant` node. */
function arrayIn(node: Node): NdArray | undefined {
  if (node.op !== constant) return undefined;
  const { array } = node.attrs;
  if (typeof array !== 'object' || !('data' in array)) throw new Bug('a constant without an array');
  return array;
}

/** What nodes are called: as in the file, else as their first result is, with a number behind it where a node has that name; runtimes want each once. */
function nodeNames(graph: Graph, { names, extras }: Scope): (node: Node) => string {
  const given = ({ outputs: [first] }: Node): string | undefined => first && extras.nodes.get(first)?.name;
  const taken = new Set(graph.nodes.flatMap((node) => given(node) ?? []));
  const next = new Map<string, number>();
  return (node) => {
    const own = given(node);
    if (own !== undefined) return own;
    const name = unusedName(node.outputs.map((one) => names.of(one)).find((one) => one !== '') ?? node.op.foreign?.type ?? '', taken, next);
    taken.add(name);
    return name;
  };
}

function emitNode(node: Node, scope: Scope, name: string): NodeProto {
  const { foreign } = node.op;
  if (!foreign) throw new Bug(`${node.op.name} is no op of ONNX: it should have been lowered`);
  scope.domains.add(foreign.domain);
  const [first] = node.outputs;
  const output = node.outputs.map((one) => scope.names.of(one));
  const input = node.inputs.map((one) => (one ? scope.names.of(one) : ''));
  while (input.at(-1) === '') input.pop();
  const attribute = emitAttributes(node, scope);
  const [opType = '', overload] = foreign.type.split(':');
  return {
    input,
    output,
    name,
    opType,
    ...(attribute.length > 0 ? { attribute } : {}),
    ...(foreign.domain === '' ? {} : { domain: foreign.domain }),
    ...(overload === undefined ? {} : { overload }),
    ...(first && scope.extras.nodes.get(first)),
  };
}

function emitAttributes(node: Node, scope: Scope): readonly AttributeProto[] {
  const settings = Object.entries(node.attrs).flatMap(([name, attr]) => attributeOf(name, attr) ?? []);
  const bodies = Object.entries(node.bodies ?? {}).map(
    ([name, body]): AttributeProto => ({ name, type: attributeTypes.graph, g: emitGraph(body, { ...scope, initializers: true }, false) }),
  );
  return [...settings, ...bodies];
}

function valueInfo(name: string, value: Value, { extras }: Scope): ValueInfoProto {
  return { name, ...(value.type ? { type: typeProto(value.type) } : {}), ...extras.values.get(value) };
}

function innerTypes(graph: Graph, results: ReadonlySet<Value>, scope: Scope): readonly ValueInfoProto[] {
  const inner = graph.nodes.flatMap((node) => (node.op === constant ? [] : node.outputs)).filter((value) => !results.has(value) && scope.names.of(value) !== '');
  const wanted = (value: Value): boolean => typeof scope.types === 'boolean' || scope.types.has(value);
  return inner.filter((value) => wanted(value) && (value.type || scope.extras.values.has(value))).map((value) => valueInfo(scope.names.of(value), value, scope));
}
