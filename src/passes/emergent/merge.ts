/** Makes mixtures that came of feed-forwards dense again: the permutation in their weights' views is taken off, so that the numbers are the original ones, bit for bit. */

import { Bug } from '../../diagnostics/bug.ts';
import type { GraphBuilder } from '../../graph/builder.ts';
import { dim } from '../../graph/dim.ts';
import { type Graph, type Node, type Value, value, type Weight } from '../../graph/graph.ts';
import { rewrite } from '../../graph/rewrite.ts';
import type { Source } from '../../graph/source.ts';
import type { DType } from '../../graph/type.ts';
import { reshapedView, transposedView } from '../../graph/views.ts';
import { cast } from '../../ops/elementwise.ts';
import { matmul } from '../../ops/matmul.ts';
import { removeDead } from '../drop-dead.ts';
import type { Pass } from '../pass.ts';
import { again, present } from './hidden.ts';
import { readBy } from './stages.ts';

/** A mixture of experts that were neurons of one feed-forward. */
interface Converted {
  readonly node: Node;
  readonly x: Value;
  /** The sum of everything that the conversion put in the feed-forward's place, but for the bias at the end. */
  readonly result: Value;
  /** The whole matrices and vectors, for inputs of the expert's body. */
  readonly dense: ReadonlyMap<Value, { readonly weight: Weight; readonly source: Source }>;
}

/** The graph with every converted feed-forward dense again. Mixtures that an author wrote stay what they are. */
export function mergeExperts(graph: Graph): Graph {
  const weightOf = new Map(graph.weights.map((weight) => [weight.value, weight]));
  const readers = new Map<Value, Node[]>();
  for (const node of graph.nodes) for (const one of readBy(node)) readers.set(one, [...(readers.get(one) ?? []), node]);
  const makers = new Map(graph.nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)));
  const around: Around = { weightOf, makers, readers };
  const converted = new Map(graph.nodes.flatMap((node) => convertedAt(node, around) ?? []).map((one) => [one.result, one]));
  if (converted.size === 0) return graph;
  const weights: Weight[] = [];
  const merged = rewrite(graph, ({ outputs }, build) => {
    const one = outputs[0] && converted.get(outputs[0]);
    return one && [denseFor(build, one, weights)];
  });
  return removeDead({ ...merged, weights: [...merged.weights, ...weights] });
}

interface Around {
  readonly weightOf: ReadonlyMap<Value, Weight>;
  readonly makers: ReadonlyMap<Value, Node>;
  readonly readers: ReadonlyMap<Value, readonly Node[]>;
}

/** The parts of a converted feed-forward, where the mixture is one: every weight of its experts is a view of rows that were picked, each of them once. */
function convertedAt(node: Node, around: Around): Converted | undefined {
  const { expert } = node.bodies ?? {};
  const [mixed] = node.outputs;
  if (node.op.name !== 'mixture' || !expert || !mixed) return undefined;
  const given = (node.attrs['names'] as readonly string[]).length;
  const means = meansOf(expert);
  const lifted = expert.inputs.slice(given).flatMap((inside, i) => (inside === means ? [] : [[inside, around.weightOf.get(present(node.inputs[given + i]))] as const]));
  const dense = lifted.flatMap(([inside, weight]) => {
    const source = weight && unpicked(weight.source);
    return source && weight ? [[inside, { weight, ...source }] as const] : [];
  });
  if (dense.length === 0 || dense.length < lifted.length) return undefined;
  const { result, shared } = wholeOf(mixed, { reads: given > 1 ? node.inputs[1] : undefined, means: means !== undefined }, around);
  const all = dense.every(([, { order, rows }]) => coversAll([...order, ...shared], rows));
  const ends = all ? endsOf(node, result, dense[0]?.[1].source.dtype, around) : undefined;
  return ends && { node, ...ends, dense: new Map(dense) };
}

/** The first and the last value of a feed-forward: behind the casts where it was computed in another element type than its matrices have. */
function endsOf({ inputs }: Node, result: Value, dtype: DType | undefined, { makers, readers }: Around): Pick<Converted, 'x' | 'result'> | undefined {
  const x = present(inputs[0]);
  if (result.type?.dtype === dtype) return { x, result };
  const before = makers.get(x)?.op === cast ? makers.get(x)?.inputs[0] : undefined;
  const [next, ...others] = readers.get(result) ?? [];
  const after = next?.op === cast && others.length === 0 ? next.outputs[0] : undefined;
  return before?.type?.dtype === dtype && after?.type?.dtype === dtype && before && after ? { x: before, result: after } : undefined;
}

interface Unpicked {
  readonly source: Source;
  readonly order: readonly number[];
  /** How many there are to pick from. */
  readonly rows: number;
}

/** The source whose rows were picked, turned as a feed-forward has it; undefined where none were. */
function unpicked(stacked: Source): Unpicked | undefined {
  const own = stacked.kind === 'concat' && stacked.dims.length === 3 ? stacked.of[0] : stacked;
  if (!own) return undefined;
  const [experts = 0, size = 0, ...rest] = own.dims;
  const rows = reshapedView(narrowed(own), [experts * size, ...rest]);
  if (rows.kind === 'picked' && rows.axis === 0) return { source: rows.of, order: rows.order, rows: rows.of.dims[0] ?? 0 };
  if (own.dims.length < 3) return undefined;
  const [width = 0] = rest;
  const columns = reshapedView(narrowed(transposedView(own)), [experts * width, size]);
  return columns.kind === 'picked' && columns.axis === 0 ? { source: transposedView(columns.of), order: columns.order, rows: columns.of.dims[0] ?? 0 } : undefined;
}

/** As the dense matrix has it. */
const narrowed = (source: Source): Source => (source.kind === 'cast' ? source.of : source);

/** Whether an order, but for rows of zeros, has each of so many rows once. */
function coversAll(order: readonly number[], rows: number): boolean {
  const real = order.filter((row) => row >= 0);
  return real.length === rows && new Set(real).size === rows;
}

/** The vector of an expert's own that is added to its last product: the mean that stands in for it, taken back. */
function meansOf({ inputs, nodes, outputs }: Graph): Value | undefined {
  const last = nodes.find((node) => node.outputs[0] === outputs[0]?.value);
  return last?.op.name === 'add' ? last.inputs.find((one) => one && inputs.includes(one)) : undefined;
}

/** What stands in for experts: what maps of it read, or that means do. */
interface StandsIn {
  readonly reads: Value | undefined;
  readonly means: boolean;
}

/** What is added to the mixture on the way to the feed-forward's result: what stands in for experts, and neurons that always run. */
function wholeOf(mixed: Value, { reads, means }: StandsIn, around: Around): { readonly result: Value; readonly shared: readonly number[] } {
  let [result, shared]: [Value, readonly number[]] = [mixed, []];
  for (;;) {
    const [next, ...others] = around.readers.get(result) ?? [];
    const [sum] = next?.outputs ?? [];
    if (next?.op.name !== 'add' || others.length > 0 || !sum) return { result, shared };
    const part = next.inputs.find((one) => one !== result);
    const neurons = sharedNeurons(part, around);
    if (neurons) shared = neurons;
    else if (!(means && result === mixed && part && around.weightOf.get(part)) && !mapsOf(part, reads, around)) return { result, shared };
    result = sum;
  }
}

/** The source of the matrix that a value is a product with, and what meets it. */
function productOf(part: Value | undefined, { makers, weightOf }: Around): { readonly x: Value | undefined; readonly source: Source | undefined } | undefined {
  const product = part && makers.get(part);
  if (product?.op !== matmul) return undefined;
  const [x, matrix] = product.inputs;
  return { x, source: matrix && weightOf.get(matrix)?.source };
}

/** The neurons of a product with rows that were picked: those that always run. */
function sharedNeurons(part: Value | undefined, around: Around): readonly number[] | undefined {
  const { source } = productOf(part, around) ?? {};
  const own = source && narrowed(source);
  return own?.kind === 'picked' ? own.order : undefined;
}

/** Whether a value is what maps of `reads` give for all experts. */
function mapsOf(part: Value | undefined, reads: Value | undefined, around: Around): boolean {
  const product = productOf(part, around);
  return reads !== undefined && product?.x === reads && product.source?.kind === 'literal';
}

/** The feed-forward up to the bias at its end, computed by the expert's own nodes over all neurons. */
function denseFor(build: GraphBuilder, { node, x, dense, result }: Converted, weights: Weight[]): Value {
  const { expert } = node.bodies ?? {};
  const last = expert?.nodes.findLast(({ op }) => op === matmul);
  if (!expert || !last) throw new Bug('an expert has no product');
  const dtype = x === node.inputs[0] ? undefined : x.type?.dtype;
  const became = new Map<Value, Value>();
  expert.inputs.forEach((inside, i) => {
    const whole = dense.get(inside);
    became.set(inside, whole ? declared(whole.weight, whole.source, weights) : i === 0 ? x : present(node.inputs[i]));
  });
  // Stand-ins are joined to what meets the last product, or added to what it gives.
  const [joined, down] = last.inputs;
  const join = expert.nodes.find(({ op, outputs }) => op.name === 'concat' && outputs[0] === joined);
  for (const one of expert.nodes.slice(0, expert.nodes.indexOf(last))) {
    const [from] = one.inputs;
    const [to] = one.outputs;
    // A number that followed the experts into another element type.
    if (dtype && one.op === cast && from && to && !became.has(from)) became.set(to, from);
    else if (one !== join) again(build, one, became, dtype);
  }
  const hidden = present(join ? join.inputs[0] : joined);
  return build.one(matmul, [present(became.get(hidden)), present(became.get(present(down)))], {}, result.name);
}

function declared({ path, storage }: Weight, source: Source, weights: Weight[]): Value {
  const name = path.replace('.experts.', '.');
  const held = value(name, { dtype: source.dtype, dims: source.dims.map((size) => dim(size)) });
  weights.push({ value: held, path: name, source, storage });
  return held;
}

/** Makes converted feed-forwards dense again. */
export const mergeExpertsPass: Pass = {
  name: 'merge-experts',
  summary: 'Makes feed-forwards that became mixtures dense again, with their original weights.',
  options: {},
  run: mergeExperts,
};
