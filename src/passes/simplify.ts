/** Rewrites that leave the meaning and drop work: a table by op, each row a sentence with its rule. */

import { isDim } from '../graph/attr.ts';
import type { GraphBuilder } from '../graph/builder.ts';
import { same, constant as sizeOf } from '../graph/dim.ts';
import type { Graph, Node, Value } from '../graph/graph.ts';
import { scalar } from '../graph/nd-array.ts';
import type { Attr } from '../graph/op.ts';
import { rewrite } from '../graph/rewrite.ts';
import { sameType } from '../graph/type.ts';
import { removeDead } from './drop-dead.ts';
import type { Pass } from './pass.ts';
import { type Producers, producersOf } from './producers.ts';
import { rebuild } from './rebuild.ts';

/** What a rule sees. It answers with the value that stands for the node's one result, or undefined. */
interface Match {
  readonly node: Node;
  readonly inputs: readonly (Value | undefined)[];
  readonly from: Producers;
  readonly build: GraphBuilder;
  /** Values that go out of the graph. */
  readonly results: ReadonlySet<Value>;
}

type Simplification = (match: Match) => Value | undefined;

/** The input, where it has the result's type: dropping the node must not undo a broadcast. */
function through({ node }: Match, one: Value | undefined): Value | undefined {
  const [result] = node.outputs;
  return one?.type && result?.type && sameType(one.type, result.type) ? one : undefined;
}

/** x with a neutral number on the right, or on either side. */
const neutral =
  (number: number, sides: 'right' | 'both'): Simplification =>
  (match) => {
    const [a, b] = match.inputs;
    if (match.from.number(b) === number) return through(match, a);
    return sides === 'both' && match.from.number(a) === number ? through(match, b) : undefined;
  };

/** (x · 2) · 3 is x · 6, (x + 2) + 3 is x + 5: one constant where there were two. */
const merged =
  (join: (a: number, b: number) => number): Simplification =>
  (match) => {
    const { node, from, build } = match;
    const outer = byConstant(node, from);
    const inner = outer && from.of(outer.x, node.op.name);
    const before = inner && byConstant(inner, from);
    if (!outer || !before?.x.type || before.x.type.dtype !== 'f32') return undefined;
    return again(match, [before.x, build.constant(scalar(join(before.number, outer.number)))]);
  };

/** The two sides of a node where one is a number without axes. */
function byConstant(node: Node, from: Producers): { readonly x: Value; readonly number: number } | undefined {
  const [a, b] = node.inputs;
  for (const [x, c] of [
    [a, b],
    [b, a],
  ] as const) {
    const number = from.number(c);
    if (x && number !== undefined && c?.type?.dims.length === 0) return { x, number };
  }
  return undefined;
}

/** The same op on other inputs or with other settings, under the name it had. */
function again({ node, build }: Match, inputs: readonly (Value | undefined)[], attrs: Readonly<Record<string, Attr>> = node.attrs): Value | undefined {
  return rebuild(build, node, { inputs, attrs })[0];
}

/** An op that undoes itself: not(not(x)). */
const undone =
  (inverse: string): Simplification =>
  (match) =>
    through(match, match.from.of(match.inputs[0], inverse)?.inputs[0]);

const unchanged: Simplification = (match) => through(match, match.inputs[0]);

/** unsqueeze after squeeze of the same axis, or the reverse. */
const sameAxis =
  (inverse: string): Simplification =>
  (match) => {
    const before = match.from.of(match.inputs[0], inverse);
    const [wide, other] = [before?.inputs[0]?.type?.dims.length ?? 0, match.inputs[0]?.type?.dims.length ?? 0];
    const rank = Math.max(wide, other);
    const axis = (attr: Attr): number => (typeof attr === 'number' ? (attr < 0 ? attr + rank : attr) : -1);
    return before && axis(before.attrs['axis']) === axis(match.node.attrs['axis']) ? through(match, before.inputs[0]) : undefined;
  };

const composedPermutation: Simplification = (match) => {
  const { node, from, inputs } = match;
  const order = node.attrs['order'] as readonly number[];
  if (order.every((axis, i) => axis === i)) return inputs[0];
  const before = from.of(inputs[0], 'permute');
  if (!before) return undefined;
  const first = before.attrs['order'] as readonly number[];
  const whole = order.map((axis) => first[axis] ?? axis);
  return whole.every((axis, i) => axis === i) ? before.inputs[0] : again(match, before.inputs, { order: whole });
};

const composedReshape: Simplification = (match) => {
  const before = match.from.of(match.inputs[0], 'reshape');
  return before ? (through(match, before.inputs[0]) ?? again(match, before.inputs)) : unchanged(match);
};

const wholeSlice: Simplification = (match) => {
  const { from: start, to } = match.node.attrs;
  const { axis } = match.node.attrs;
  const size = typeof axis === 'number' ? match.inputs[0]?.type?.dims.at(axis) : undefined;
  const whole = size !== undefined && isDim(start) && isDim(to) && sizeOf(start) === 0 && same(to, size);
  return whole ? match.inputs[0] : undefined;
};

/** All parts of one split, joined again in order. */
const joinedSplit: Simplification = (match) => {
  if (match.inputs.length === 1) return match.inputs[0];
  const source = match.from.of(match.inputs[0], 'split');
  const rank = match.inputs[0]?.type?.dims.length ?? 0;
  const axis = (attr: Attr): number => (typeof attr === 'number' ? (attr < 0 ? attr + rank : attr) : -1);
  const all = source && source.outputs.length === match.inputs.length && source.outputs.every((part, i) => part === match.inputs[i]);
  return all && axis(source.attrs['axis']) === axis(match.node.attrs['axis']) ? source.inputs[0] : undefined;
};

const unbounded: Simplification = (match) =>
  match.node.attrs['low'] === Number.NEGATIVE_INFINITY && match.node.attrs['high'] === Number.POSITIVE_INFINITY ? match.inputs[0] : undefined;

/** A condition that is the same everywhere picks one side. */
const decided: Simplification = (match) => {
  const condition = match.from.array(match.inputs[0])?.data;
  const first = condition?.[0];
  if (first === undefined || !condition?.every((one) => one === first)) return undefined;
  return through(match, match.inputs[first !== 0 ? 1 : 2]);
};

/** A mask that keeps everything, a bias of zero: as if they were not given. */
const emptyMasks: Simplification = (match) => {
  const [q, k, v, keep, bias, sinks] = match.inputs;
  const all = (one: Value | undefined, number: number): boolean => match.from.array(one)?.data.every((value) => value === number) ?? false;
  const [dropKeep, dropBias] = [all(keep, 1), all(bias, 0)];
  return dropKeep || dropBias ? again(match, [q, k, v, dropKeep ? undefined : keep, dropBias ? undefined : bias, sinks]) : undefined;
};

/** A copy, unless it says more of its type than what it copies. */
const copied: Simplification = ({ node, inputs: [one], results }) => {
  const [copy] = node.outputs;
  return one?.type || (copy && !copy.type && !results.has(copy)) ? one : undefined;
};

const table: Readonly<Record<string, readonly Simplification[]>> = {
  add: [neutral(0, 'both'), merged((a, b) => a + b)],
  sub: [neutral(0, 'right')],
  mul: [neutral(1, 'both'), merged((a, b) => a * b)],
  div: [neutral(1, 'right')],
  neg: [undone('neg')],
  not: [undone('not')],
  and: [neutral(1, 'both')],
  or: [neutral(0, 'both')],
  where: [decided],
  clamp: [unbounded],
  cast: [unchanged],
  transpose: [undone('transpose')],
  permute: [composedPermutation],
  reshape: [composedReshape],
  broadcast: [unchanged],
  repeat_axis: [unchanged],
  unsqueeze: [sameAxis('squeeze')],
  squeeze: [sameAxis('unsqueeze')],
  slice: [wholeSlice],
  split: [unchanged],
  concat: [joinedSplit],
  attend: [emptyMasks],
  'onnx.Identity': [copied],
};

/** The graph with every rule applied where it holds. */
function simplifyGraph(graph: Graph): Graph {
  let from: Producers | undefined;
  const results = new Set(graph.outputs.map((output) => output.value));
  const simplified = rewrite(graph, (node, build) => {
    from ??= producersOf(build);
    if (node.outputs.length !== 1) return undefined;
    for (const rule of table[node.op.name] ?? []) {
      const found = rule({ node, inputs: node.inputs, from, build, results });
      if (found) return [found];
    }
    return undefined;
  });
  return removeDead(simplified);
}

export const simplify: Pass = {
  name: 'simplify',
  summary: 'Drops steps that change nothing and joins steps that undo or repeat each other.',
  options: {},
  run: simplifyGraph,
};
