/** A segment whose weights are gathered for every pick, then multiplied in one batch: no sorting, no control flow, memory for tokens · k experts. For few tokens, and for devices that have nothing else. */

import { type GraphBuilder, graphBuilder } from '../../graph/builder.ts';
import { constant, dim } from '../../graph/dim.ts';
import { TypeFault } from '../../graph/fail.ts';
import { type Graph, type Node, type Value, value } from '../../graph/graph.ts';
import { scalar } from '../../graph/nd-array.ts';
import { add, cast, ge, lt, maximum, minimum, mul, sub } from '../../ops/elementwise.ts';
import { gather } from '../../ops/gather.ts';
import { sum } from '../../ops/reduce.ts';
import { broadcast, permute, squeeze, unsqueeze } from '../../ops/shape.ts';
import type { Lowering } from '../target.ts';
import { applyGraph, type Kind, present, readSegment, type Segment } from './segment.ts';

/** Lowers a segment to ops over [tokens.., k, 1, rest]: every pick is a batch of one row. */
export const gathered: Lowering = (node, context, old) => {
  const segment = readSegment(node, old);
  const { graph, given } = picksAsBatch(segment);
  return [applyGraph(context, graph, given)];
};

/** Whether an expert can be computed for a batch of picks, each with weights of its own. */
export function canGather(node: Node): boolean {
  try {
    picksAsBatch(readSegment(node, node));
    return true;
  } catch (fault) {
    if (fault instanceof TypeFault) return false;
    throw fault;
  }
}

/** The segment as a graph of moec's own ops, and what its inputs stand for. */
function picksAsBatch(segment: Segment): { readonly graph: Graph; readonly given: readonly Value[] } {
  const build = graphBuilder(`${segment.name}/`);
  const inputs: Value[] = [];
  const given: Value[] = [];
  const take = (one: Value, type = one.type): Value => {
    const input = value(one.name, type);
    inputs.push(input);
    given.push(one);
    return input;
  };
  const experts = take(segment.experts);
  const weights = segment.weights && take(segment.weights);
  const lead = segment.lead.length;
  const rows = segment.rows.map(({ value: row, slotted }) => {
    const one = take(row);
    const rank = one.type?.dims.length ?? 0;
    const picks = slotted ? build.one(permute, [one], { order: [...range(1, lead + 1), 0, ...range(lead + 1, rank)] }) : build.one(unsqueeze, [one], { axis: lead });
    return build.one(unsqueeze, [picks], { axis: lead + 1 });
  });
  const parts = segment.kinds.map((kind) => {
    const all = segment.kinds.length === 1;
    const stacked = kind.stacked.map((one, i) => take(one, present(kind.lifted[i]).type));
    const at = all ? experts : within(build, experts, kind);
    const y = wide(
      build,
      ofKind(
        build,
        segment,
        kind,
        rows,
        stacked.map((one) => build.one(gather, [one, at])),
      ),
      segment,
    );
    return all ? y : build.one(mul, [y, spread(build, belongs(build, experts, kind), y)]);
  });
  const each = parts.reduce((total, part) => build.one(add, [total, part]));
  const result = segment.summed
    ? summed(build, each, weights, lead)
    : build.one(permute, [each], { order: [lead, ...range(0, lead), ...range(lead + 1, lead + 1 + segment.out.length)] });
  return { graph: build.finish({ name: segment.name, inputs, outputs: [{ name: 'y', value: result }], weights: [] }), given };
}

const range = (from: number, to: number): readonly number[] => Array.from({ length: to - from }, (_, i) => from + i);

/** The number of a pick's expert among those of a kind; some number of the kind where it is of another. */
function within(build: GraphBuilder, experts: Value, { from, count }: Kind): Value {
  const number = (n: number): Value => build.constant(scalar(n, 'i64'));
  const local = from === 0 ? experts : build.one(sub, [experts, number(from)]);
  return build.one(minimum, [build.one(maximum, [local, number(0)]), number(count - 1)]);
}

/** 1 for picks of a kind, 0 for others: f32 [tokens.., k]. */
function belongs(build: GraphBuilder, experts: Value, { from, count }: Kind): Value {
  const number = (n: number): Value => build.constant(scalar(n, 'i64'));
  const after = build.one(cast, [build.one(ge, [experts, number(from)])], { to: 'f32' });
  return build.one(mul, [after, build.one(cast, [build.one(lt, [experts, number(from + count)])], { to: 'f32' })]);
}

/** [tokens.., k] with axes of one up to the rank of `like`. */
function spread(build: GraphBuilder, one: Value, like: Value): Value {
  const missing = (like.type?.dims.length ?? 0) - (one.type?.dims.length ?? 0);
  return range(0, Math.max(0, missing)).reduce<Value>((held) => build.one(unsqueeze, [held], { axis: -1 }), one);
}

/** The body over [tokens.., k, 1, rest], with each pick's own weights: [tokens.., k, out]. */
function ofKind(build: GraphBuilder, { lead }: Segment, { body }: Kind, rows: readonly Value[], weights: readonly Value[]): Value {
  const front = lead.length + 1;
  const became = new Map<Value, Value>(body.inputs.map((input, i) => [input, present(rows[i] ?? weights[i - rows.length])]));
  const own = new Set(body.inputs.slice(rows.length));
  for (const node of body.nodes) {
    const rank = node.outputs[0]?.type?.dims.length ?? 1;
    const widened = (old: Value, port: number): Value => {
      const one = became.get(old) ?? old;
      if (!own.has(old) || (node.op.name === 'matmul' && port === 1)) return one;
      const missing = front + rank - (one.type?.dims.length ?? 0);
      return range(0, Math.max(0, missing)).reduce<Value>((held) => build.one(unsqueeze, [held], { axis: front }), one);
    };
    const results = build.add(
      node.op,
      node.inputs.map((one, port) => one && widened(one, port)),
      node.attrs,
      { name: node.outputs[0]?.name ?? node.op.name },
    );
    node.outputs.forEach((old, i) => became.set(old, present(results[i])));
  }
  const result = present(body.outputs[0]).value;
  return build.one(squeeze, [became.get(result) ?? result], { axis: front });
}

/** The same for every pick where it does not depend on the pick. */
function wide(build: GraphBuilder, y: Value, { lead, slots, out }: Segment): Value {
  const at = y.type?.dims[lead.length];
  return at && constant(at) === 1 && constant(slots) !== 1 ? build.one(broadcast, [y], { dims: [...lead, slots, ...out] }) : y;
}

/** Σ over slots of weight · result. */
function summed(build: GraphBuilder, each: Value, weights: Value | undefined, lead: number): Value {
  const weighted = weights ? build.one(mul, [each, spread(build, weights, each)]) : each;
  return constant(each.type?.dims[lead] ?? dim(0)) === 1 ? build.one(squeeze, [weighted], { axis: lead }) : build.one(sum, [weighted], { axis: lead, keep: false });
}
