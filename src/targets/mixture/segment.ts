/** What lowerings of a segment read off its node, and how they lower the bodies of experts. */

import { Bug } from '../../diagnostics/bug.ts';
import { constant, type Dim, dim } from '../../graph/dim.ts';
import { type Graph, type Node, type Value, value, type Weight } from '../../graph/graph.ts';
import type { Onnx } from '../../graph/onnx.ts';
import type { Source } from '../../graph/source.ts';
import { expertNames } from '../../ops/routing.ts';
import type { LoweringContext } from '../target.ts';

/** Experts of one kind: those numbered `from` to `from + count`. */
export interface Kind {
  readonly body: Graph;
  readonly from: number;
  readonly count: number;
  /** What their weights are taken from, with an expert axis in front: before lowering, and lowered. */
  readonly lifted: readonly Value[];
  readonly stacked: readonly Value[];
}

/** A segment with its inputs lowered. */
export interface Segment {
  readonly node: Node;
  readonly n: number;
  readonly summed: boolean;
  /** i64 [tokens.., k]. */
  readonly experts: Value;
  /** f32 [tokens.., k]; absent where every weight is one. */
  readonly weights: Value | undefined;
  /** What rows are made of; [k, tokens.., rest] where slotted, else [tokens.., rest]. */
  readonly rows: readonly { readonly value: Value; readonly slotted: boolean }[];
  readonly kinds: readonly Kind[];
  /** Sizes of the tokens' axes, of slots, and of what a result has after those. */
  readonly lead: readonly Dim[];
  readonly slots: Dim;
  readonly out: readonly Dim[];
  readonly name: string;
}

/** The segment of a node whose inputs are lowered; `old` is the node before. */
export function readSegment(node: Node, old: Node): Segment {
  const { n, rows, slotted, counts, summed, out } = node.attrs as unknown as {
    readonly n: number;
    readonly rows: number;
    readonly slotted: readonly number[];
    readonly counts: readonly number[];
    readonly summed: boolean;
    readonly out: readonly Dim[];
  };
  const [experts, weights, ...args] = node.inputs;
  const dims = experts?.type?.dims;
  if (!experts || !dims) throw new Bug('a segment without experts');
  let [from, at] = [0, rows];
  const kinds = expertNames(node.bodies ?? {}).map((name, i): Kind => {
    const body = present(node.bodies?.[name]);
    const count = counts[i] ?? 0;
    const owned = body.inputs.length - rows;
    const kind = { body, from, count, lifted: old.inputs.slice(2 + at, 2 + at + owned).map(present), stacked: args.slice(at, at + owned).map(present) };
    from += count;
    at += owned;
    return kind;
  });
  return {
    node,
    n,
    summed,
    experts,
    weights: summed ? weights : undefined,
    rows: args.slice(0, rows).map((value, i) => ({ value: present(value), slotted: slotted[i] === 1 })),
    kinds,
    lead: dims.slice(0, -1),
    slots: dims.at(-1) ?? dim(1),
    out,
    name: node.outputs[0]?.name ?? 'segment',
  };
}

/** Lowers a graph where `context` writes, with values for its inputs. */
export function applyGraph(context: LoweringContext, graph: Graph, given: readonly Value[]): Value {
  const became = new Map<Value, Value>(graph.inputs.map((input, i) => [input, context.typed(present(given[i]), input.type)]));
  for (const node of graph.nodes) {
    const results = context.apply(
      node,
      node.inputs.map((one) => one && (became.get(one) ?? context.lowered(one))),
    );
    node.outputs.forEach((old, i) => became.set(old, present(results[i])));
  }
  const result = present(graph.outputs[0]).value;
  return became.get(result) ?? context.lowered(result);
}

/** The weight of expert `e` of a kind, as an initializer of the graph that `context` writes where it is a weight. */
export function weightOfExpert(context: LoweringContext, kind: Kind, i: number, e: number): Value {
  const weight: Weight | undefined = context.expertWeight(present(kind.lifted[i]), e);
  if (weight) return context.store(weight);
  const { onnx } = context;
  return onnx.Gather(kind.stacked[i], onnx.scalar(e, 'i64'), { axis: 0 });
}

/** A source as an initializer of the graph that `context` writes. */
export function storeSource(context: LoweringContext, path: string, source: Source): Value {
  return context.store({ path, source, storage: 'constant', value: value(path, { dtype: source.dtype, dims: source.dims.map((size) => dim(size)) }) });
}

/** A shape whose first open size is left to `Reshape`. */
export function openShape(onnx: Onnx, dims: readonly Dim[]): Value {
  const open = dims.findIndex((size) => constant(size) === undefined);
  return onnx.shape(dims.map((size, i): Dim => (i === open ? dim(-1) : size)));
}

/** Sizes that are known, as they must be after those of the tokens. */
export function knownSizes(dims: readonly Dim[]): readonly number[] {
  return dims.map((size) => {
    const known = constant(size);
    if (known === undefined) throw new Bug('a row of open size');
    return known;
  });
}

/** What must be there. */
export function present<T>(one: T | undefined): T {
  if (one === undefined) throw new Bug('a segment lacks a part');
  return one;
}
