/** What experts are made of, read off a model's graph: for every mixture its matrices, by neurons, and the router's vector for each expert. */

import { Bug } from '../diagnostics/bug.ts';
import { constant, type Dim } from '../graph/dim.ts';
import type { Graph, Node, Value, Weight } from '../graph/graph.ts';
import type { Source } from '../graph/source.ts';
import { type ExpertWeights, expertWeights } from '../passes/expert-weights.ts';

/** One matrix that every expert has its own of. */
export interface ExpertMatrix {
  /** The author's name, such as `gate`. */
  readonly name: string;
  /** `keys` decide how much a neuron is used, [width, neurons]; `values` are what it adds, [neurons, width]. */
  readonly role: 'keys' | 'values';
  readonly neurons: number;
  readonly width: number;
  /** The numbers of one expert, two axes. */
  source(expert: number): Source;
  /** Which axis of those the neurons stand on. */
  readonly axis: 0 | 1;
}

/** A mixture with what can be read about its experts. */
export interface MixtureParts {
  /** Such as `blocks.3.ffn`. */
  readonly path: string;
  readonly experts: number;
  readonly matrices: readonly ExpertMatrix[];
  /** The matrix that scores experts, [width, experts]; absent where the router has none. */
  readonly gate: Source | undefined;
}

/** The mixtures of a graph. Experts of several kinds are left out: their matrices are not each other's. */
export function mixturesOf(graph: Graph): readonly MixtureParts[] {
  const weights = new Map(graph.weights.map((weight) => [weight.value, weight]));
  const each = expertWeights(graph);
  return graph.nodes.flatMap((node) => {
    const { expert, router } = node.bodies ?? {};
    const experts = node.op.name === 'mixture' ? constant(node.attrs['n'] as Dim) : undefined;
    if (!expert || !router || experts === undefined || node.bodies?.['expert1']) return [];
    return [{ path: node.outputs[0]?.name ?? 'mixture', experts, matrices: matricesOf(node, expert, weights, each), gate: gateOf(router, experts, weights) }];
  });
}

function matricesOf(node: Node, expert: Graph, weights: ReadonlyMap<Value, Weight>, each: ExpertWeights): readonly ExpertMatrix[] {
  const given = (node.attrs['names'] as readonly string[]).length;
  const lifted = node.inputs.slice(given);
  const own = new Map(expert.inputs.slice(-lifted.length || expert.inputs.length).map((input, i) => [input, lifted[i]]));
  const turned = new Set<Value>();
  const inner = new Set<Value>();
  return expert.nodes.flatMap((one): readonly ExpertMatrix[] => {
    const [x, w] = one.inputs;
    const [y] = one.outputs;
    const isMatrix = one.op.name === 'matmul' && w !== undefined && own.has(w) && w.type?.dims.length === 2;
    if (one.op.name === 'transpose' && x && own.has(x) && y) {
      own.set(y, own.get(x));
      if (!turned.has(x)) turned.add(y);
      return [];
    }
    const afterNeurons = one.inputs.some((input) => input && inner.has(input));
    if (isMatrix || afterNeurons) for (const output of one.outputs) inner.add(output);
    const around = isMatrix ? own.get(w) : undefined;
    const weight = around && weights.get(around);
    return weight && w ? [matrixOf(weight, afterNeurons ? 'values' : 'keys', turned.has(w), each)] : [];
  });
}

function matrixOf({ path, source, value }: Weight, role: ExpertMatrix['role'], isTurned: boolean, each: ExpertWeights): ExpertMatrix {
  const sourceFor = (e: number): Source => {
    const own = each.weightOf(value, e);
    if (!own) throw new Bug(`no ${path} of expert ${e}`);
    return own.source;
  };
  const [, rows = 1, columns = 1] = source.dims;
  const axis = (role === 'keys') === isTurned ? 0 : 1;
  return { name: path.replace(/^.*\./, ''), role, axis, neurons: axis === 0 ? rows : columns, width: axis === 0 ? columns : rows, source: sourceFor };
}

/** The weight of the router with an axis for the experts behind the width of what it reads. */
function gateOf(router: Graph, experts: number, weights: ReadonlyMap<Value, Weight>): Source | undefined {
  const scores = router.nodes.filter((node) => node.op.name === 'matmul').flatMap(({ inputs: [, w] }) => (w && weights.has(w) ? [weights.get(w)] : []));
  return scores.find((weight) => weight?.source.dims.length === 2 && weight.source.dims[1] === experts)?.source;
}
