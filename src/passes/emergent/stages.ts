/** Cuts a model where its feed-forwards stand, so that calibration runs it once, a piece at a time, and holds what one layer needs. */

import { Bug } from '../../diagnostics/bug.ts';
import { constant } from '../../graph/constant.ts';
import { same, symbol, symbolsOf } from '../../graph/dim.ts';
import { type Graph, type Node, type Output, type Value, value } from '../../graph/graph.ts';
import { rewrite } from '../../graph/rewrite.ts';
import type { FeedForward } from '../feed-forwards.ts';

/** A piece of a model: from what is at hand to the input of one feed-forward. */
export interface Stage {
  readonly feedForward: FeedForward;
  /** Inputs are those of `reads`, results those of `gives`, in the same order. */
  readonly graph: Graph;
  /** What it is given: inputs of the model, results of earlier stages and of feed-forwards before. */
  readonly reads: readonly Value[];
  /** The feed-forward's input first, then what later stages read. */
  readonly gives: readonly Value[];
}

/** The stages before each feed-forward, in the order in which the model runs them. What no feed-forward depends on is left out. */
export function cutStages(graph: Graph, feedForwards: readonly FeedForward[]): readonly Stage[] {
  const ordered = inOrder(graph, feedForwards);
  const ends = new Set(ordered.map(({ y }) => y));
  const makers = new Map(graph.nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)));
  const stageOf = new Map<Node, number>();
  const visit = (one: Value, stage: number): void => {
    const node = ends.has(one) ? undefined : makers.get(one);
    if (!node || stageOf.has(node)) return;
    stageOf.set(node, stage);
    for (const input of readBy(node)) visit(input, stage);
  };
  ordered.forEach(({ x }, stage) => visit(x, stage));
  const parts = ordered.map((feedForward, stage) => partOf(graph, feedForward, stage, stageOf, makers));
  return parts.map((part, stage) => {
    const later = new Set(parts.slice(stage + 1).flatMap(({ reads }) => reads));
    const { x } = part.feedForward;
    const given = graph.nodes.filter((node) => stageOf.get(node) === stage && node.op !== constant).flatMap(({ outputs }) => outputs.filter((one) => one !== x && later.has(one)));
    return stageAt(graph, part, [x, ...given]);
  });
}

/** What one stage runs, and what it does not make itself. */
interface Part extends Pick<Stage, 'feedForward' | 'reads'> {
  readonly nodes: ReadonlySet<Node>;
}

type Makers = ReadonlyMap<Value, Node>;

function partOf(graph: Graph, feedForward: FeedForward, stage: number, stageOf: ReadonlyMap<Node, number>, makers: Makers): Part {
  const { x } = feedForward;
  const nodes = withMakers(
    graph.nodes.filter((node) => stageOf.get(node) === stage),
    x,
    makers,
  );
  const weights = new Set(graph.weights.map((weight) => weight.value));
  const made = new Set([...nodes].flatMap((node) => node.outputs));
  const reads = [...new Set([...[...nodes].flatMap(readBy), x])].filter((one) => !made.has(one) && !weights.has(one));
  return { feedForward, nodes, reads: [...reads, ...inputsOfSizes(graph, nodes, reads)] };
}

function stageAt(graph: Graph, { feedForward, nodes, reads }: Part, gives: readonly Value[]): Stage {
  const read = new Set([...nodes].flatMap(readBy));
  const whole: Graph = {
    name: `${graph.name}.${feedForward.path}`,
    inputs: reads,
    outputs: gives.map((one, i): Output => ({ name: `out.${i}`, value: one })),
    nodes: graph.nodes.filter((node) => nodes.has(node)),
    weights: graph.weights.filter((weight) => read.has(weight.value)),
  };
  const replace = new Map(reads.map((one, i) => [one, value(`in.${i}`, one.type)]));
  return { feedForward, reads, gives, graph: rewrite(whole, () => undefined, { replace }) };
}

/** The nodes of a stage with constants and those of earlier stages that make what no type is known of: that is not handed on but made again. */
function withMakers(own: readonly Node[], x: Value, makers: Makers): ReadonlySet<Node> {
  const all = new Set(own);
  const visit = (one: Value): void => {
    const node = makers.get(one);
    if (!node || all.has(node) || one === x || (one.type && node.op !== constant)) return;
    all.add(node);
    readBy(node).forEach(visit);
  };
  own.flatMap(readBy).forEach(visit);
  return all;
}

/** Inputs of the model that have sizes which a stage names and nothing that it reads has. */
function inputsOfSizes(graph: Graph, own: ReadonlySet<Node>, reads: readonly Value[]): readonly Value[] {
  const has = (one: Value, name: string): boolean => one.type?.dims.some((size) => same(size, symbol(name))) ?? false;
  const named = [...own].flatMap(({ outputs }) => outputs.flatMap(({ type }) => type?.dims.flatMap(symbolsOf) ?? []));
  const missing = [...new Set(named)].filter((name) => !reads.some((one) => has(one, name)));
  return graph.inputs.filter((input) => !reads.includes(input) && missing.some((name) => has(input, name)));
}

/** Feed-forwards by where their results are made. */
function inOrder(graph: Graph, feedForwards: readonly FeedForward[]): readonly FeedForward[] {
  const place = new Map(graph.nodes.flatMap((node, i) => node.outputs.map((output) => [output, i] as const)));
  return [...feedForwards].sort((a, b) => (place.get(a.y) ?? 0) - (place.get(b.y) ?? 0));
}

/** The feed-forward alone: from `x` to `y`. */
export function feedForwardGraph(graph: Graph, { x, y, path }: FeedForward): Graph {
  const needed = neededBy(graph, [y], new Set([x]));
  return { name: path, inputs: [x], outputs: [{ name: 'y', value: y }], ...needed };
}

/** The nodes and weights that values follow from, up to those that are `given`. None may follow from an input of the graph. */
export function neededBy(graph: Graph, values: readonly Value[], given: ReadonlySet<Value>): Pick<Graph, 'nodes' | 'weights'> {
  const makers = new Map(graph.nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)));
  const needed = new Set<Node>();
  const read = new Set<Value>();
  const visit = (one: Value): void => {
    if (given.has(one)) return;
    read.add(one);
    const node = makers.get(one);
    if (!node || needed.has(node)) return;
    needed.add(node);
    for (const input of readBy(node)) visit(input);
  };
  for (const one of values) visit(one);
  const open = graph.inputs.find((input) => read.has(input));
  if (open) throw new Bug(`a feed-forward reads ${open.name}`);
  return { nodes: graph.nodes.filter((node) => needed.has(node)), weights: graph.weights.filter((weight) => read.has(weight.value)) };
}

/** What a node reads, in the graphs inside it too, but for what these make themselves. */
export function readBy(node: Node): readonly Value[] {
  const inside = (body: Graph): readonly Value[] => {
    const own = new Set([...body.inputs, ...body.weights.map((weight) => weight.value), ...body.nodes.flatMap(({ outputs }) => outputs)]);
    return [...body.outputs.map((output) => output.value), ...body.nodes.flatMap(readBy)].filter((one) => !own.has(one));
  };
  return [...node.inputs.flatMap((one) => one ?? []), ...Object.values(node.bodies ?? {}).flatMap(inside)];
}
