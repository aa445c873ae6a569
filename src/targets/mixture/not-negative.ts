/** Whether the numbers of a value can be shown never to be negative: what logarithms of weights need. */

import type { Graph, Value } from '../../graph/graph.ts';
import { type Producers, producersOf } from '../../passes/producers.ts';

/** Ops whose results are never negative. */
const always: ReadonlySet<string> = new Set(['softmax', 'sigmoid', 'exp', 'relu', 'softplus', 'abs', 'sqrt', 'rsqrt', 'one_hot']);
/** Ops whose results are not where none of their inputs (from the port on) is. */
const passing: Readonly<Record<string, readonly number[]>> = {
  add: [0, 1],
  mul: [0, 1],
  div: [0, 1],
  minimum: [0, 1],
  where: [1, 2],
  take: [0],
  gather: [0],
  sum: [0],
  mean: [0],
  max: [0],
  min: [0],
  cumsum: [0],
  reshape: [0],
  broadcast: [0],
  unsqueeze: [0],
  squeeze: [0],
  permute: [0],
  slice: [0],
  cast: [0],
  split: [0],
};

/** Whether no number of `one` can be below zero; false where that is not known. */
export function notNegative(one: Value, around: Graph): boolean {
  return look(one, producersOf(around), new Map());
}

function look(one: Value, producers: Producers, known: Map<Value, boolean>): boolean {
  const before = known.get(one);
  if (before !== undefined) return before;
  const array = producers.array(one);
  const node = producers.any(one);
  const answer = array ? array.data.every((number) => number >= 0) : node !== undefined && (always.has(node.op.name) || passes(node.op.name, node.inputs, producers, known));
  known.set(one, answer);
  return answer;
}

function passes(op: string, inputs: readonly (Value | undefined)[], producers: Producers, known: Map<Value, boolean>): boolean {
  if (op === 'concat') return inputs.every((input) => input && look(input, producers, known));
  if (op === 'maximum') return inputs.some((input) => input && look(input, producers, known));
  const ports = passing[op];
  return (
    ports?.every((port) => {
      const input = inputs[port];
      return input !== undefined && look(input, producers, known);
    }) ?? false
  );
}
