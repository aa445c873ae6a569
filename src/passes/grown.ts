/** Positions of a whole sequence are i64[S], those of a step i64[B, S]: what is computed from them grows an axis of the batch in front. This follows that axis through the graph. */

import type { GraphBuilder } from '../graph/builder.ts';
import { type Dim, same } from '../graph/dim.ts';
import type { Node, Value } from '../graph/graph.ts';
import type { Attr } from '../graph/op.ts';
import { sameDims } from '../graph/type.ts';
import { unsqueeze } from '../ops/shape.ts';
import { elementwise } from './stepping.ts';

/** Values that have the batch in front though they had not in the graph of the whole sequence. */
export interface Grown {
  has(one: Value): boolean;
  add(one: Value): void;
  /** The node with inputs and settings that make room for the batch. */
  fit(old: Node, node: Node, build: GraphBuilder): Pick<Node, 'inputs' | 'attrs'>;
  /** Whether each result is what it was, or that with the batch in front; the latter are remembered. */
  settle(old: Node, results: readonly Value[]): boolean;
}

/** Follows the axis `batch`; `shorten` gives a size of a step as it is in the graph of the whole sequence. */
export function batchAxis(batch: Dim, shorten: (size: Dim) => Dim): Grown {
  const grown = new Set<Value>();
  const has = (one: Value): boolean => grown.has(one);
  const alike = (before: readonly Dim[], now: readonly Dim[]): boolean => sameDims(before, now.map(shorten));
  return {
    has,
    add: (one) => void grown.add(one),
    fit(old, node, build) {
      const { inputs } = node;
      if (!inputs.some((one) => one && has(one))) return node;
      if (elementwise.has(old.op.name) || old.op.name === 'broadcast') return broadcasting(old, node, batch, has, build);
      if (old.op.name === 'attend') return { attrs: node.attrs, inputs: inputs.map((one, port) => (one && port === 4 && has(one) ? bias(old, one, build) : one)) };
      return inputs[0] && has(inputs[0]) ? { inputs, attrs: shifted(old, batch) } : node;
    },
    settle: (old, results) =>
      results.every((result, i) => {
        const before = old.outputs[i]?.type?.dims ?? [];
        const now = result.type?.dims ?? [];
        if (alike(before, now)) return true;
        const [front, ...rest] = now;
        if (!front || !same(front, batch) || !alike(before, rest)) return false;
        grown.add(result);
        return true;
      }),
  };
}

/** Grown inputs with axes of size 1 after the batch, so that the batch meets the batch of the others or stands in front of them. */
function broadcasting(old: Node, node: Node, batch: Dim, has: (one: Value) => boolean, build: GraphBuilder): Pick<Node, 'inputs' | 'attrs'> {
  const before = old.outputs[0]?.type?.dims ?? [];
  const [front] = before;
  const hasBatch = front !== undefined && same(front, batch);
  const rank = hasBatch ? before.length : before.length + 1;
  const inputs = node.inputs.map((one) => {
    if (!one || !has(one)) return one;
    const missing = rank - (one.type?.dims.length ?? 0);
    return Array.from({ length: Math.max(missing, 0) }).reduce<Value>((wide) => build.one(unsqueeze, [wide], { axis: 1 }, one.name), one);
  });
  const { dims } = node.attrs;
  return { inputs, attrs: old.op.name === 'broadcast' && !hasBatch ? { ...node.attrs, dims: [batch, ...(dims as readonly Dim[])] } : node.attrs };
}

/** A bias over rows and columns alone gets an axis for heads after the batch. */
function bias(old: Node, one: Value, build: GraphBuilder): Value {
  return old.inputs[4]?.type?.dims.length === 2 ? build.one(unsqueeze, [one], { axis: 1 }, one.name) : one;
}

/** Axes counted from the front move by one; orders and shapes begin with the batch. */
function shifted({ op, attrs }: Node, batch: Dim): Node['attrs'] {
  const move: Readonly<Record<string, (attr: Attr) => Attr>> = {
    axis: (attr) => (typeof attr === 'number' && attr >= 0 ? attr + 1 : attr),
    order: (attr) => [0, ...(attr as readonly number[]).map((axis) => axis + 1)],
    ...(op.name === 'reshape' ? { dims: (attr: Attr): Attr => [batch, ...(attr as readonly Dim[])] } : {}),
  };
  return Object.fromEntries(Object.entries(attrs).map(([name, attr]) => [name, move[name]?.(attr) ?? attr]));
}
