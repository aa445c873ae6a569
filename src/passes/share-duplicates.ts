/** Computes once what is written twice: the same op on the same values with the same settings. */

import { isArray, keyOfAttr } from '../graph/attr.ts';
import type { Graph, Node, Value } from '../graph/graph.ts';
import type { Attr } from '../graph/op.ts';
import type { Pass } from './pass.ts';

/** Ops of ONNX that give different numbers each time. */
const random = /^onnx\.(Random|Bernoulli|Multinomial|Dropout)/;

/** Domains whose ops are known; others may do anything. */
const knownDomains: readonly (string | undefined)[] = [undefined, '', 'moec', 'com.microsoft'];

const commutes: ReadonlySet<string> = new Set(['add', 'mul', 'maximum', 'minimum', 'and', 'or', 'eq', 'ne', 'onnx.Add', 'onnx.Mul', 'onnx.And', 'onnx.Or', 'onnx.Equal']);

/** Arrays longer than this are told apart by identity: their text would cost more than the copy. */
const longest = 4096;

/** The graph with equal nodes computed once. What a body computes that the graph around it has already, it reads from there. */
export function removeDuplicates(graph: Graph): Graph {
  return share(graph, { became: new Map(), ids: new Map(), outer: undefined });
}

/** What is known where a graph is read: stand-ins and numbers of values (shared by all graphs inside), expressions computed so far. */
interface Known {
  readonly became: Map<Value, Value>;
  readonly ids: Map<object, number>;
  readonly outer: Scope | undefined;
}

interface Scope {
  readonly seen: ReadonlyMap<string, Node>;
  readonly outer: Scope | undefined;
}

function share(graph: Graph, known: Known): Graph {
  const seen = new Map<string, Node>();
  const scope: Scope = { seen, outer: known.outer };
  const of = (one: Value): Value => known.became.get(one) ?? one;
  const nodes: Node[] = [];
  const results = new Set(graph.outputs.map(({ value }) => value));
  for (const old of graph.nodes) {
    const node = moved(old, of, (body) => share(body, { ...known, outer: scope }));
    const key = keyOf(node, known.ids);
    // A body may read what is around it, but not hand it on as its own result: ONNX wants a node for that.
    const isResult = node.outputs.some((output) => results.has(output));
    const earlier = key === undefined ? undefined : isResult ? seen.get(key) : find(key, scope);
    if (earlier && node.outputs.every((output, i) => earlier.outputs[i]?.type || !output.type)) {
      node.outputs.forEach((output, i) => known.became.set(output, earlier.outputs[i] ?? output));
    } else {
      nodes.push(node);
      if (key !== undefined) seen.set(key, node);
    }
  }
  const outputs = graph.outputs.map((output) => (of(output.value) === output.value ? output : { ...output, value: of(output.value) }));
  const same = nodes.length === graph.nodes.length && nodes.every((node, i) => node === graph.nodes[i]);
  return same && outputs.every((output, i) => output === graph.outputs[i]) ? graph : { ...graph, nodes, outputs };
}

function find(key: string, scope: Scope | undefined): Node | undefined {
  return scope && (scope.seen.get(key) ?? find(key, scope.outer));
}

function moved(node: Node, of: (one: Value) => Value, inner: (body: Graph) => Graph): Node {
  const inputs = node.inputs.map((one) => one && of(one));
  const bodies = node.bodies && Object.fromEntries(Object.entries(node.bodies).map(([name, body]) => [name, inner(body)]));
  const same = inputs.every((one, i) => one === node.inputs[i]) && Object.entries(bodies ?? {}).every(([name, body]) => body === node.bodies?.[name]);
  return same ? node : { ...node, inputs, ...(bodies ? { bodies } : {}) };
}

/** Equal for nodes that compute the same; undefined where a node must stay as it is. */
function keyOf(node: Node, ids: Map<object, number>): string | undefined {
  if (node.bodies || random.test(node.op.name) || !knownDomains.includes(node.op.foreign?.domain)) return undefined;
  const idOf = (one: object | undefined): number => {
    if (!one) return -1;
    const known = ids.get(one) ?? ids.size;
    ids.set(one, known);
    return known;
  };
  const inputs = node.inputs.map(idOf);
  const ordered = commutes.has(node.op.name) ? inputs.toSorted((a, b) => a - b) : inputs;
  const keyOfSetting = (attr: Attr): string => (isArray(attr) && attr.data.length > longest ? `array ${idOf(attr.data)} ${attr.dtype} ${attr.dims.join()}` : keyOfAttr(attr));
  const attrs = Object.entries(node.attrs)
    .filter(([, attr]) => attr !== undefined)
    .map(([name, attr]) => `${name}: ${keyOfSetting(attr)}`)
    .sort();
  return `${node.op.name}(${ordered.join()}; ${attrs.join(', ')}) ${node.outputs.length}`;
}

export const shareDuplicates: Pass = {
  name: 'share-duplicates',
  summary: 'Computes once what is computed twice from the same values.',
  options: {},
  run: removeDuplicates,
};
