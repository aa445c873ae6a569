/** Lifts an imported model to a later version of ai.onnx, op by op, by the table. What the table does not name passes as it is. */

import { Bug } from '../../diagnostics/bug.ts';
import { type Diagnostic, diagnose, type Outcome } from '../../diagnostics/diagnostic.ts';
import { isArray } from '../../graph/attr.ts';
import { type GraphBuilder, graphBuilder } from '../../graph/builder.ts';
import { constant } from '../../graph/constant.ts';
import { foreign } from '../../graph/foreign.ts';
import type { Graph, Node, Value } from '../../graph/graph.ts';
import type { NdArray } from '../../graph/nd-array.ts';
import type { FunctionGraph } from '../functions.ts';
import type { Imported } from '../import.ts';
import { valuesRead } from '../names.ts';
import { forms } from './forms.ts';
import type { Upgrading } from './rule.ts';
import { newest, oldest, rules } from './table.ts';

/** The least version that a model can be lifted to: what rules write has its form. */
const leastWanted = 21;

/** The model at version `wanted` of ai.onnx, or at its own where that is newer; `file` is what messages call it. Values keep their identity, so that what is said beside the graph still holds. */
export function upgrade(imported: Imported, wanted: number, file: string): Outcome<Imported> {
  if (wanted < leastWanted || wanted > newest) throw new Bug(`models are lifted to ${leastWanted} up to ${newest}, not to ${wanted}`);
  const versions = [imported.opset, ...imported.functions.map((fn) => fn.opsets?.[''] ?? imported.opset)];
  const strange = versions.find((one) => one < oldest || one > newest);
  if (strange !== undefined) return { ok: false, diagnostics: [diagnose('onnx-opset-unknown', { file, opset: strange, oldest, newest })] };
  const to = Math.max(wanted, ...versions);
  const found: Diagnostic[] = [];
  const graphs = new Map(imported.extras.graphs);
  const lift = (graph: Graph, from: number): Graph => {
    const read = valuesRead(graph);
    const arrays = new Map<Value, NdArray>();
    const lifting: Lifting = { from, to, file, found, read: (one) => read.has(one), arrays, forms: forms(arrays), graphs };
    return liftGraph(graph, lifting);
  };
  const graph = lift(imported.graph, imported.opset);
  const functions = imported.functions.map((fn): FunctionGraph => {
    const from = fn.opsets?.[''] ?? imported.opset;
    return { ...fn, graph: lift(fn.graph, from), ...(fn.opsets?.[''] === undefined ? {} : { opsets: { ...fn.opsets, '': to } }) };
  });
  if (found.some(({ severity }) => severity === 'error')) return { ok: false, diagnostics: found };
  return { ok: true, value: { ...imported, graph, functions, opset: to, extras: { ...imported.extras, graphs } }, diagnostics: found };
}

/** What one graph, and the graphs inside it, share while they are lifted. */
interface Lifting {
  readonly from: number;
  readonly to: number;
  readonly file: string;
  readonly found: Diagnostic[];
  readonly read: (one: Value) => boolean;
  readonly arrays: Map<Value, NdArray>;
  readonly forms: ReturnType<typeof forms>;
  /** What the file says of graphs, which are other objects afterwards. */
  readonly graphs: Map<Graph, NonNullable<ReturnType<Imported['extras']['graphs']['get']>>>;
}

function liftGraph(graph: Graph, lifting: Lifting): Graph {
  const build = graphBuilder();
  for (const node of graph.nodes) {
    const bodies = node.bodies && Object.fromEntries(Object.entries(node.bodies).map(([name, body]) => [name, liftGraph(body, lifting)]));
    const lifted = liftNode(bodies ? { ...node, bodies } : node, lifting, build);
    note(lifted, lifting);
    build.push(lifted);
  }
  const { nodes: _, ...rest } = graph;
  const lifted = build.finish(rest);
  const said = lifting.graphs.get(graph);
  if (said) lifting.graphs.set(lifted, said);
  return lifted;
}

function note(node: Node, { arrays, forms: known }: Lifting): void {
  const { array } = node.attrs;
  const [first] = node.outputs;
  if (node.op === constant && first && isArray(array)) arrays.set(first, array);
  known.learn(node);
}

/** The node through every version of its op. A step without a rule leaves it. */
function liftNode(node: Node, lifting: Lifting, build: GraphBuilder): Node {
  let now = node;
  for (let version = lifting.from + 1; version <= lifting.to; version++) {
    const type = typeOf(now);
    const rule = type === undefined ? undefined : rules[`${type}@${version}`];
    if (!rule) continue;
    const next = rule(now, upgrading(now, lifting, build));
    if (typeof next === 'string') {
      const [first] = node.outputs;
      lifting.found.push(diagnose('onnx-op-not-lifted', { file: lifting.file, op: type ?? '', name: first?.name ?? '', version, reason: next }));
      return now;
    }
    now = next;
  }
  return now;
}

const typeOf = ({ op }: Node): string | undefined => (op.foreign?.domain === '' ? op.foreign.type : undefined);

function upgrading(node: Node, lifting: Lifting, build: GraphBuilder): Upgrading {
  const name = node.outputs[0]?.name ?? node.op.name;
  const { arrays, forms: known, read, found, file } = lifting;
  const last = (): void => {
    const pushed = build.nodes.at(-1);
    if (pushed) note(pushed, lifting);
  };
  return {
    push(type, inputs, attrs = {}) {
      const [made] = build.foreign(foreign(type), inputs, attrs, [{ name: `${name}/${type}` }]);
      if (!made) throw new Bug(`${type} has no result`);
      last();
      return made;
    },
    array(array) {
      const made = build.constant(array, `${name}/constant`);
      last();
      return made;
    },
    known: (one) => one && arrays.get(one),
    rank: (one) => known.of(one)?.rank,
    dtype: (one) => known.of(one)?.dtype,
    read,
    assume: (what) => found.push(diagnose('onnx-op-assumed', { file, op: typeOf(node) ?? '', name, what })),
  };
}
