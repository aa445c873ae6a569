/** Finds feed-forwards in a graph: two products with weights and elementwise work between them. Passes that turn a dense model into a mixture replace what is found here. */

import type { Span } from '../../grammar/span.ts';
import { constant } from '../graph/constant.ts';
import { constant as sizeOf } from '../graph/dim.ts';
import type { Graph, Node, Value, Weight } from '../graph/graph.ts';
import type { Source } from '../graph/source.ts';
import { sourceKeys } from '../graph/views.ts';
import { expertNames } from '../ops/routing.ts';
import { type Linear, type Matrices, refused, remedy, widthsOf } from './feed-forward/matrices.ts';
import { bends, type Middle, middleOf } from './feed-forward/middle.ts';
import { placesOf } from './feed-forward/places.ts';
import { type Product, productOf } from './feed-forward/products.ts';
import { type Readers, readersOf } from './feed-forward/readers.ts';
import { seenWeights } from './feed-forward/seen-weights.ts';
import { producersOf } from './producers.ts';

/** A feed-forward found in a graph of ops: y = inner(x · gate + gateBias, x · up + upBias) · down + outBias, where inner works on each number by itself. */
export interface FeedForward {
  /** The author's place, `blocks.3.ffn`; for an import `ffn.3`, numbered in order. Unique. */
  readonly path: string;
  /** What reports call it: for an import the names of its weights. */
  readonly label: string;
  /** [.., D]. */
  readonly x: Value;
  /** [.., D]. */
  readonly y: Value;
  /** The nodes between x and y, in order. Nothing else reads them; constants and views of weights stand beside them. */
  readonly nodes: readonly Node[];
  /** D. */
  readonly width: number;
  /** F. */
  readonly neurons: number;
  readonly kind: 'plain' | 'gated';
  /** [D, F]; its columns are the keys of the neurons. */
  readonly gate: Source;
  /** [F]. */
  readonly gateBias?: Source;
  /** [D, F]; gated only. */
  readonly up?: Source;
  /** [F]. */
  readonly upBias?: Source;
  /** [F, D]. */
  readonly down: Source;
  /** [D]. */
  readonly outBias?: Source;
  /** The elementwise nodes, in order, from the products with their biases to what meets `down`. They read nothing else but numbers: constants and weights of one element. */
  readonly inner: { readonly nodes: readonly Node[]; readonly gate: Value; readonly up?: Value; readonly hidden: Value };
  /** The weights of the graph that it reads. */
  readonly weights: readonly Weight[];
  /** Equal for feed-forwards that read the same weights. */
  readonly block: number;
}

/** A candidate that was not taken. */
export interface Missed {
  readonly name: string;
  /** Goes on from "not taken: ". */
  readonly why: string;
  readonly span?: Span;
}

/** All candidates of a graph. */
export interface FoundFeedForwards {
  readonly found: readonly FeedForward[];
  readonly missed: readonly Missed[];
}

/** A feed-forward without what only the whole graph gives it. */
type Draft = Omit<FeedForward, 'path' | 'label' | 'block'>;

/** Every feed-forward of a graph of ops, before or after the cleaning passes, and every candidate that is none, with the reason. Nodes of ONNX are read past: `recognise-ops` comes first. */
export function findFeedForwards(graph: Graph): FoundFeedForwards {
  const drafts: Draft[] = [];
  const missed: Missed[] = [];
  search(graph, graph.weights, (one) => void ('why' in one ? missed : drafts).push(one as never));
  const keyOf = sourceKeys();
  const blocks = new Map<string, number>();
  const places = placesOf(drafts);
  const found = drafts.map((draft, i): FeedForward => {
    const key = [draft.gate, draft.gateBias, draft.up, draft.upBias, draft.down, draft.outBias].map((source) => source && keyOf(source)).join('|');
    const block = blocks.get(key) ?? blocks.size;
    blocks.set(key, block);
    return { ...draft, ...(places[i] ?? { path: `ffn.${i}`, label: `ffn.${i}` }), block };
  });
  return { found, missed };
}

function search(graph: Graph, weights: readonly Weight[], found: (one: Draft | Missed) => void): void {
  const from = producersOf(graph);
  const among: Matrices = { from, seen: seenWeights(weights, from), isFixed: fixedValues(graph, weights) };
  const readers = readersOf(graph);
  for (const node of graph.nodes) {
    if (node.op.name === 'mixture') found(miss(node, `it is a mixture of ${expertCount(node)} already`));
    else if (/^onnx\.com\.microsoft\.Q?MoE$/.test(node.op.name)) found(miss(node, 'it is a mixture of experts already'));
    else if (node.bodies) for (const body of Object.values(node.bodies)) search(body, [...weights, ...body.weights], (one) => found(inside(one, node)));
    const candidate = candidateAt(node, among, readers);
    if (candidate) found(candidate);
  }
}

const miss = (node: Node, why: string): Missed => ({ name: node.outputs[0]?.name ?? node.op.name, why, ...(node.span ? { span: node.span } : {}) });

function inside(one: Draft | Missed, node: Node): Missed {
  const op = node.op.foreign?.type ?? node.op.name;
  const why = `it stands inside \`${node.outputs[0]?.name}\`, ${/^[aeiou]/i.test(op) ? 'an' : 'a'} ${op}`;
  return { ...miss(node, why), name: 'why' in one ? one.name : one.y.name };
}

function expertCount({ attrs, bodies }: Node): string {
  const n = attrs['n'];
  const known = typeof n === 'object' && n !== null && 'terms' in n ? n.terms[0]?.numerator : undefined;
  return known === undefined ? `experts (${expertNames(bodies ?? {}).length} kinds)` : `${known} experts`;
}

/** Whether values follow from weights and constants alone. */
function fixedValues(graph: Graph, weights: readonly Weight[]): (one: Value) => boolean {
  const fixed = new Set<Value>(weights.map(({ value }) => value));
  for (const node of graph.nodes) {
    const still = node.op === constant || node.op.name === 'onnx.Constant' || (node.inputs.length > 0 && !node.bodies && node.inputs.every((one) => !one || fixed.has(one)));
    if (still) for (const output of node.outputs) fixed.add(output);
  }
  return (one) => fixed.has(one);
}

/** The feed-forward whose last product is this node. */
function candidateAt(node: Node, among: Matrices, readers: Readers): Draft | Missed | undefined {
  const last = lastOf(node, among);
  const hidden = last && readBy(last);
  if (!last || !hidden) return undefined;
  const middle = middleOf(hidden, among);
  const first = [...middle.products.values()];
  // Sums of several branches, normalised, are what a residual stream is made of.
  const joins = middle.blockers.length > 0 && new Set(first.map(readBy)).size > 1;
  if (first.length === 0 || middle.strays.length > 0 || joins || !bends(middle)) return undefined;
  const whole = { last, first, middle, hidden };
  const round = first.every((one) => widthsOf(one, among)[0] === widthsOf(last, among)[1]);
  if (!round && [last, ...first].some((one) => one.kind === 'refused' && !one.always)) return undefined;
  const end = endOf(node, among, readers);
  const why = reason(whole, round, among) ?? readElsewhere(whole, end, readers, node);
  return why === undefined ? draftOf(whole, end, readers) : miss(end.node, why);
}

const readBy = (one: Linear): Value | undefined => (one.kind === 'product' ? one.product.x : one.x);

/** The product that begins at this node: its matrix, without the bias that may follow. */
function lastOf(node: Node, among: Matrices): Linear | undefined {
  const product = node.op.name === 'matmul' ? productOf(node.outputs[0], among) : undefined;
  return product ? { kind: 'product', product } : (refused(node, among) ?? computed(node, among));
}

/** A product with a second matrix that only runs know: attention is this, and layers that make their own weights. */
function computed(node: Node, among: Matrices): Linear | undefined {
  const [x, right] = node.inputs;
  if (node.op.name !== 'matmul' || !x || !right || among.seen(right) || among.isFixed(x)) return undefined;
  return { kind: 'refused', node, x, why: 'its second matrix is computed while the model runs', always: true };
}

interface Whole {
  readonly last: Linear;
  readonly first: readonly Linear[];
  readonly middle: Middle;
  readonly hidden: Value;
}

/** Why it is not taken, where that shows in its parts. */
function reason({ last, first, middle }: Whole, round: boolean, among: Matrices): string | undefined {
  for (const one of [last, ...first]) if (one.kind === 'refused') return one.why;
  const out = widthsOf(last, among)[1];
  if (!round) return `it goes from ${widthsOf(first[0] ?? last, among)[0]} numbers to ${out}; one that ends as wide as it began is taken`;
  const [blocker] = middle.blockers;
  if (blocker) return `what stands between its products is not elementwise: ${blocker.what} at \`${blocker.node.outputs[0]?.name}\``;
  const products = first.flatMap((one) => (one.kind === 'product' ? [one.product] : []));
  if (products.length > 2) return `${products.length} products meet in it; one (plain) or two (gated) are taken`;
  const [gate, up] = products;
  if (!gate || last.kind !== 'product') return 'it has no product';
  const sizes = gate.x.type?.dims ?? [];
  if (sizes.some((size) => sizeOf(size) === 0)) return `\`${gate.x.name}\` has no numbers: one of its sizes is 0`;
  if (sizes.length < 2) return `\`${gate.x.name}\` is one row without an axis of tokens, which experts are picked for`;
  if (up && gate.x !== up.x) return `its two products read different values, \`${gate.x.name}\` and \`${up.x.name}\``;
  const strange = otherNumbers(gate, middle);
  if (strange !== undefined) return strange;
  const [, neurons] = gate.matrix.dims;
  if (up && up.matrix.dims[1] !== neurons) return `its two products give ${neurons} and ${up.matrix.dims[1]} numbers`;
  return neurons === last.product.matrix.dims[0] ? undefined : `its first product gives ${neurons} numbers, its second takes ${last.product.matrix.dims[0]}`;
}

/** What is in the way of computing it in f32, as experts are: f16 is widened as a whole. */
function otherNumbers({ matrix: { dtype } }: Product, { nodes }: Middle): string | undefined {
  if (dtype === 'f32') return undefined;
  if (dtype !== 'f16') return `its numbers are ${dtype}; ${remedy}`;
  const cast = [...nodes].findLast(({ op }) => op.name === 'cast');
  return cast && `its numbers are f16 in part, and cast at \`${cast.outputs[0]?.name}\`; export all of the model in f32 or in f16`;
}

/** The bias behind a product, where that is all that reads it. */
function endOf(node: Node, among: Matrices, readers: Readers): { readonly node: Node; readonly product: Product | undefined } {
  const [only] = node.outputs;
  const [next, ...others] = only ? readers.of(only) : [];
  const biased = next?.op.name === 'add' && others.length === 0 && !readers.isResult(only) ? productOf(next.outputs[0], among) : undefined;
  return next && biased?.nodes.includes(node) && biased.bias ? { node: next, product: biased } : { node, product: productOf(only, among) };
}

/** A reader of the middle that is not part of it. */
function readElsewhere({ first, middle }: Whole, end: { readonly node: Node }, readers: Readers, last: Node): string | undefined {
  const own = new Set<Node>([...first.flatMap((one) => (one.kind === 'product' ? one.product.nodes : [])), ...middle.nodes, last, end.node]);
  for (const node of own) {
    if (node === end.node) continue;
    for (const output of node.outputs) {
      const other = readers.of(output).find((reader) => !own.has(reader));
      if (other) return `\`${output.name}\` inside it is read by \`${other.outputs[0]?.name}\` as well`;
      if (readers.isResult(output)) return `\`${output.name}\` inside it is a result of the model as well`;
    }
  }
  return undefined;
}

/** The parts in order; the gate is the product that the activation bends, or the first. */
function draftOf({ middle, hidden }: Whole, end: { readonly node: Node; readonly product: Product | undefined }, readers: Readers): Draft | undefined {
  const inner = readers.inOrder(middle.nodes);
  const products = [...middle.products].flatMap(([one, linear]) => (linear.kind === 'product' ? [{ one, product: linear.product }] : []));
  const [a, b] = products.sort((one, other) => readers.place(one.one) - readers.place(other.one));
  const [gate, up] = a && b && bent(b.one, a.one, inner) && !bent(a.one, b.one, inner) ? [b, a] : [a, b];
  const [y] = end.node.outputs;
  if (!gate || !end.product || !y) return undefined;
  const { matrix, bias, x } = gate.product;
  const { matrix: down, bias: outBias } = end.product;
  const [width = 0, neurons = 0] = matrix.dims;
  const parts = [gate.product, ...(up ? [up.product] : []), end.product];
  return {
    ...{ x, y, width, neurons, kind: up ? 'gated' : 'plain' },
    nodes: readers.inOrder(new Set([...parts.flatMap(({ nodes }) => nodes), ...inner])),
    ...{ gate: matrix, ...(bias ? { gateBias: bias } : {}) },
    ...(up ? { up: up.product.matrix, ...(up.product.bias ? { upBias: up.product.bias } : {}) } : {}),
    ...{ down, ...(outBias ? { outBias } : {}) },
    inner: { nodes: inner, gate: gate.one, ...(up ? { up: up.one } : {}), hidden },
    weights: [...new Set(parts.flatMap((one) => one.weights))],
  };
}

const straight: ReadonlySet<string> = new Set(['add', 'sub', 'mul', 'div', 'neg', 'cast', 'clamp', 'minimum', 'maximum']);

/** Whether some node bends what follows from `one` before `other` meets it. */
function bent(one: Value, other: Value, inner: readonly Node[]): boolean {
  const [own, met] = [new Set([one]), new Set([other])];
  return inner.some(({ op, inputs, outputs }) => {
    const mixed = inputs.some((input) => input && met.has(input));
    const reads = inputs.some((input) => input && own.has(input));
    for (const output of outputs) if (mixed || reads) (mixed ? met : own).add(output);
    return reads && !mixed && !straight.has(op.name);
  });
}
