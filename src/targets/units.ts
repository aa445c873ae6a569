/** Turns the nodes of each router, lowered, into a call of a function in the domain `moec`, so that a viewer shows a router as one node. Routers that compute the same share a function. */

import { Bug } from '../diagnostics/bug.ts';
import { keyOfAttr } from '../graph/attr.ts';
import { constant } from '../graph/constant.ts';
import { foreign } from '../graph/foreign.ts';
import { type Graph, type Node, type Output, type Unit, type Value, value } from '../graph/graph.ts';
import type { FunctionGraph } from '../onnx/functions.ts';
import { opNames } from '../onnx/op-names.ts';

/** The domain of moec's functions. */
const functionDomain = 'moec';

/** A lowered graph whose units are calls, with what they call. */
export interface Outlined {
  readonly graph: Graph;
  readonly functions: readonly FunctionGraph[];
}

/** The graph with every unit outlined. A unit that holds graphs of its own, or shares all it computes, stays as it is. */
export function outlineUnits(graph: Graph): Outlined {
  const known: Functions = { byKey: new Map(), names: new Set() };
  const constants = new Map<Value, Node>(graph.nodes.filter((node) => node.op === constant).flatMap((node) => node.outputs.map((output) => [output, node])));
  const sizes = sizesOf(graph, constants);
  const reads = new Map<Node, ReadonlySet<Value>>();
  const units = new Set(graph.nodes.flatMap(({ unit }) => unit ?? []));
  let nodes = graph.nodes;
  for (const unit of units) nodes = outline({ unit, nodes, constants, sizes, reads, results: graph.outputs, weights: new Set(graph.weights.map((weight) => weight.value)) }, known);
  return { graph: { ...graph, nodes }, functions: [...known.byKey.values()] };
}

interface Functions {
  readonly byKey: Map<string, FunctionGraph>;
  readonly names: Set<string>;
}

/** What outlining one unit looks at. */
interface Scene {
  readonly unit: Unit;
  readonly nodes: readonly Node[];
  readonly constants: ReadonlyMap<Value, Node>;
  /** Values computed from sizes alone: the whole graph shares them. */
  readonly sizes: ReadonlySet<Value>;
  /** What nodes read, each looked up once: experts hold many nodes. */
  readonly reads: Map<Node, ReadonlySet<Value>>;
  readonly results: readonly Output[];
  readonly weights: ReadonlySet<Value>;
}

function sizesOf(graph: Graph, constants: ReadonlyMap<Value, Node>): ReadonlySet<Value> {
  const sizes = new Set<Value>(graph.inputs.filter(({ type }) => type?.dtype === 'i64' && type.dims.length === 0));
  for (const { op, inputs, outputs } of graph.nodes) {
    const type = op.foreign?.domain === '' ? op.foreign.type : '';
    const counted = type === 'Shape' || type === 'Size' || (inputs.some((one) => one && sizes.has(one)) && inputs.every((one) => !one || sizes.has(one) || constants.has(one)));
    if (counted) for (const output of outputs) sizes.add(output);
  }
  return sizes;
}

/** The nodes with those of the unit replaced by a call. */
function outline(scene: Scene, known: Functions): readonly Node[] {
  const { nodes, constants } = scene;
  const inside = regionOf(scene);
  const [first] = inside;
  if (!first || [...inside].some((node) => node.bodies)) return nodes;
  const made = new Set([...inside].flatMap((node) => node.outputs));
  const needed = new Set(scene.results.map((output) => output.value));
  for (const node of nodes) if (!inside.has(node)) for (const one of readsOf(node, scene)) needed.add(one);
  const outputs = [...made].filter((one) => needed.has(one));
  const inputs = [...new Set([...inside].flatMap((node) => node.inputs).filter((one) => one !== undefined))].filter((one) => !made.has(one) && !constants.has(one));
  if (outputs.length === 0 || inputs.length === 0) return nodes;
  const fn = functionFor(scene, [...inside], inputs, outputs, known);
  const call: Node = { op: foreign(fn.name, functionDomain), inputs, outputs, attrs: {} };
  return placed(scene, inside, call);
}

/** The nodes of the unit, without sizes that others read too, and with whatever stands between two of them. */
function regionOf(scene: Scene): ReadonlySet<Node> {
  const { unit, nodes, constants, sizes } = scene;
  const own = (node: Node): boolean => node.unit === unit && node.op !== constant && !node.outputs.some((one) => sizes.has(one));
  const first = nodes.findIndex(own);
  const last = nodes.findLastIndex(own);
  const stretch = first < 0 ? [] : nodes.slice(first, last + 1);
  const after = new Set<Value>();
  for (const node of stretch) if (own(node) || [...readsOf(node, scene)].some((one) => after.has(one))) for (const one of node.outputs) after.add(one);
  const before = new Set<Value>();
  for (const node of stretch.toReversed())
    if (own(node) || node.outputs.some((one) => before.has(one))) for (const one of readsOf(node, scene)) if (!constants.has(one)) before.add(one);
  return new Set(stretch.filter((node) => own(node) || (node.outputs.some((one) => after.has(one)) && node.outputs.some((one) => before.has(one)))));
}

/** Every value a node reads, in the graphs inside it too. */
function readsOf(node: Node, { reads }: Pick<Scene, 'reads'>): ReadonlySet<Value> {
  const known = reads.get(node);
  if (known) return known;
  const found = new Set<Value>();
  const read = (one: Node): void => {
    for (const input of one.inputs) if (input) found.add(input);
    for (const body of Object.values(one.bodies ?? {})) {
      for (const output of body.outputs) found.add(output.value);
      body.nodes.forEach(read);
    }
  };
  read(node);
  reads.set(node, found);
  return found;
}

/** The call where the last node stood; what stood among the unit's nodes and reads its results comes after it. */
function placed(scene: Scene, inside: ReadonlySet<Node>, call: Node): readonly Node[] {
  const { nodes } = scene;
  const last = nodes.findLastIndex((node) => inside.has(node));
  const results = new Set<Value>(call.outputs);
  const [before, later]: [Node[], Node[]] = [[], []];
  for (const node of nodes.slice(0, last + 1)) {
    if (inside.has(node)) continue;
    const waits = [...readsOf(node, scene)].some((one) => results.has(one));
    if (waits) for (const one of node.outputs) results.add(one);
    (waits ? later : before).push(node);
  }
  return [...before, call, ...later, ...nodes.slice(last + 1)];
}

/** The function of these nodes: one that is there already where it computes the same. */
function functionFor(scene: Scene, inside: readonly Node[], inputs: readonly Value[], outputs: readonly Value[], known: Functions): FunctionGraph {
  const key = keyOf(scene, inside, inputs, outputs);
  const same = known.byKey.get(key);
  if (same) return same;
  const name = freshName(scene.unit.name, known.names);
  const fn: FunctionGraph = { domain: functionDomain, name, graph: bodyOf(scene, name, inside, inputs, outputs) };
  known.byKey.set(key, fn);
  return fn;
}

/** Equal for routers that are the same but for where their inputs come from. */
function keyOf({ unit, constants }: Scene, inside: readonly Node[], inputs: readonly Value[], outputs: readonly Value[]): string {
  const ids = new Map<Value, string>(inputs.map((one, i) => [one, `in${i}`]));
  const idOf = (one: Value | undefined): string => {
    if (!one) return '-';
    const held = constants.get(one);
    return held ? keyOfAttr(held.attrs['array']) : (ids.get(one) ?? '?');
  };
  const lines = inside.map((node, n) => {
    node.outputs.forEach((one, i) => ids.set(one, `${n}.${i}`));
    const attrs = Object.entries(node.attrs).map(([name, attr]) => `${name}=${keyOfAttr(attr)}`);
    return `${node.op.name}(${node.inputs.map(idOf).join()}; ${attrs.sort().join()})`;
  });
  return [unit.name, ...lines, outputs.map(idOf).join()].join('\n');
}

/** The author's name; with `Router` behind it where an op has it, and a number where another router has it. */
function freshName(wanted: string, names: Set<string>): string {
  const base = opNames.has(wanted) ? `${wanted}Router` : wanted;
  let name = base;
  for (let n = 2; names.has(name); n++) name = `${base}_${n}`;
  names.add(name);
  return name;
}

/** A copy of the nodes with constants of its own; values are called as in the unit, without the path to it. */
function bodyOf(scene: Scene, name: string, inside: readonly Node[], inputs: readonly Value[], outputs: readonly Value[]): Graph {
  const { unit, constants, weights } = scene;
  const taken = new Set<string>();
  const fresh = (wanted: string): string => {
    let one = wanted;
    for (let n = 2; taken.has(one); n++) one = `${wanted}_${n}`;
    taken.add(one);
    return one;
  };
  const within = (one: Value): string => (one.name.startsWith(`${unit.path}.`) ? one.name.slice(unit.path.length + 1) : one.name);
  const short = (one: Value): string => within(one).replace(/\/.*$/, '').replace(/^.*\./, '') || 'value';
  const copies = new Map<Value, Value>();
  const tokens = inputs.find((one) => !weights.has(one) && one.type?.dtype === 'f32');
  for (const one of inputs) copies.set(one, value(fresh(one === tokens ? 'x' : short(one)), one.type));
  const names = new Map(outputs.map((one) => [one, fresh(short(one))]));
  const nodes: Node[] = [];
  const of = (one: Value): Value => {
    const copied = copies.get(one);
    if (copied) return copied;
    const held = constants.get(one);
    if (!held) throw new Bug(`${name} reads ${one.name} before it is made`);
    const own = value(fresh(one.name), one.type);
    nodes.push({ op: held.op, inputs: [], outputs: [own], attrs: held.attrs });
    copies.set(one, own);
    return own;
  };
  for (const node of inside) {
    const given = node.inputs.map((one) => one && of(one));
    for (const one of node.outputs) copies.set(one, value(names.get(one) ?? fresh(within(one)), one.type));
    nodes.push({ op: node.op, inputs: given, outputs: node.outputs.map(of), attrs: node.attrs });
  }
  const results = outputs.map((one): Output => ({ name: names.get(one) ?? one.name, value: of(one) }));
  return { name, ...(unit.doc === undefined ? {} : { doc: unit.doc }), inputs: inputs.map(of), outputs: results, nodes, weights: [] };
}
