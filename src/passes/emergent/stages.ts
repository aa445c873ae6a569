/** Cuts a model where its feed-forwards stand, so that calibration runs it once, a piece at a time, and holds what one layer needs. */

import { Bug } from '../../diagnostics/bug.ts';
import { constant } from '../../graph/constant.ts';
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
  return ordered.map((feedForward, stage) => stageAt(graph, feedForward, stage, stageOf));
}

function stageAt(graph: Graph, feedForward: FeedForward, stage: number, stageOf: ReadonlyMap<Node, number>): Stage {
  const weights = new Set(graph.weights.map((weight) => weight.value));
  const own = graph.nodes.filter((node) => stageOf.get(node) === stage);
  const constants = graph.nodes.filter((node) => node.op === constant && stageOf.get(node) !== stage);
  const made = new Set([...own, ...constants].flatMap((node) => node.outputs));
  const reads = [...new Set(own.flatMap(readBy))].filter((one) => !made.has(one) && !weights.has(one));
  const later = new Set(graph.nodes.filter((node) => (stageOf.get(node) ?? -1) > stage).flatMap(readBy));
  const gives = [feedForward.x, ...own.filter((node) => node.op !== constant).flatMap((node) => node.outputs.filter((output) => output !== feedForward.x && later.has(output)))];
  if (!made.has(feedForward.x) && !reads.includes(feedForward.x)) reads.push(feedForward.x);
  const read = new Set(own.flatMap(readBy));
  const inputs = reads.map((one, i) => value(`in.${i}`, one.type));
  const whole: Graph = {
    name: `${graph.name}.${feedForward.path}`,
    inputs: reads,
    outputs: gives.map((one, i): Output => ({ name: `out.${i}`, value: one })),
    nodes: graph.nodes.filter((node) => stageOf.get(node) === stage || (node.op === constant && node.outputs.some((output) => read.has(output)))),
    weights: graph.weights.filter((weight) => read.has(weight.value)),
  };
  const replace = new Map(reads.map((one, i) => [one, inputs[i] ?? one]));
  return { feedForward, reads, gives, graph: rewrite(whole, () => undefined, { replace }) };
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

/** What a node reads, in the graphs inside it too. */
export function readBy(node: Node): readonly Value[] {
  const inside = (body: Graph): readonly Value[] => [...body.outputs.map((output) => output.value), ...body.nodes.flatMap(readBy)];
  return [...node.inputs.flatMap((one) => one ?? []), ...Object.values(node.bodies ?? {}).flatMap(inside)];
}
