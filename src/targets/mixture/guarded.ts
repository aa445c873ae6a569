/** A segment with every expert's weights in one branch: rows are sorted by expert and split among them, an expert that nobody picked gets no rows and costs the start of its products. The oracle apart, the lowering that takes any expert; measured faster than a branch for each. */

import { constant } from '../../graph/dim.ts';
import type { Node, Value } from '../../graph/graph.ts';
import { ndArray } from '../../graph/nd-array.ts';
import { elementwise } from '../../passes/stepping.ts';
import type { Lowering, LoweringContext } from '../target.ts';
import { type Joined, joinedProduct, joinedProducts } from './join-products.ts';
import { gatherRows, type Picks, putBack, sortPicks } from './picks.ts';
import { type Kind, knownSizes, present, readSegment, type Segment, weightOfExpert } from './segment.ts';

/** Lowers a segment; sizes known only at run time stay inside the branch, where a runtime plans memory for few values at once. With `join`, matrices that read the same rows are written side by side. */
export const guarded =
  (join: boolean): Lowering =>
  (node, context, old) => {
    const { onnx } = context;
    const segment = readSegment(node, old);
    const picks = sortPicks(onnx, segment.experts, segment.n);
    const sorted = segment.rows.map(({ value, slotted }) => gatherRows(onnx, value, slotted, segment, picks));
    const run = context.branch(segment.name, (inside) => [experts(inside, segment, sorted, picks, join)]);
    const idle = context.branch(`${segment.name}/idle`, (inside) => [inside.onnx.array(ndArray([0, ...knownSizes(segment.out)], []))]);
    const [all] = onnx.all('If', [onnx.Greater(onnx.Shape(picks.order), onnx.ints([0]))], {}, 1, { bodies: { then_branch: run, else_branch: idle } });
    return [putBack(onnx, present(all), segment, picks)];
  };

/** What all experts give, in the order of picks. */
function experts(inside: LoweringContext, { kinds, rows }: Segment, sorted: readonly Value[], picks: Picks, join: boolean): Value {
  const { onnx } = inside;
  const [only] = kinds;
  if (kinds.length === 1 && only) return kindOf(inside, only, sorted, picks.counts, picks.sorted, join);
  const counts = onnx.all('Split', [picks.counts, onnx.ints(kinds.map(({ count }) => count))], { axis: 0 }, kinds.length);
  const totals = onnx.Concat(...counts.map((one) => onnx.ReduceSum(one, onnx.ints([0]), { keepdims: 1 })), { axis: 0 });
  const split = (one: Value): readonly Value[] => onnx.all('Split', [one, totals], { axis: 0 }, kinds.length);
  const each = rows.map((_, i) => split(present(sorted[i])));
  const ids = split(picks.sorted);
  const results = kinds.map((kind, i) =>
    kindOf(
      inside,
      kind,
      each.map((one) => present(one[i])),
      present(counts[i]),
      onnx.Sub(ids[i], onnx.scalar(kind.from, 'i64')),
      join,
    ),
  );
  return onnx.Concat(...results, { axis: 0 });
}

/**
 * What experts of one kind give. `rows` are sorted by expert, `counts` says how many each has, `ids` whose each is. Products with an expert's own matrix are
 * one node an expert; everything else, vectors of each expert too, is computed for all rows at once.
 */
function kindOf(inside: LoweringContext, kind: Kind, rows: readonly Value[], counts: Value, ids: Value, join: boolean): Value {
  const { onnx } = inside;
  const whole = new Map<Value, Value>();
  const pieces = new Map<Value, readonly Value[]>();
  const own = new Map(kind.body.inputs.slice(rows.length).map((input, i) => [input, i] as const));
  rows.forEach((one, i) => {
    const input = present(kind.body.inputs[i]);
    whole.set(input, inside.typed(one, input.type));
  });
  const joined = (old: Value): Value => {
    const parts = pieces.get(old);
    const known = whole.get(old) ?? (parts && inside.typed(onnx.Concat(...parts, { axis: 0 }), old.type));
    if (known) whole.set(old, known);
    return known ?? inside.lowered(old);
  };
  const apart = (old: Value): readonly Value[] => {
    const all = whole.get(old);
    const known =
      pieces.get(old) ?? (kind.count === 1 ? [joined(old)] : all && onnx.all('Split', [all, counts], { axis: 0 }, kind.count).map((one) => inside.typed(one, old.type)));
    if (known) pieces.set(old, known);
    return known ?? Array.from({ length: kind.count }, () => inside.lowered(old));
  };
  const together = join ? joinedProducts(kind, rows.length, inside) : new Map<Node, Joined>();
  for (const node of kind.body.nodes) {
    const joint = together.get(node);
    if (joint) {
      if (node !== joint.nodes[0]) continue;
      const all = onnx.Concat(...apart(present(node.inputs[0])).map((own, e) => joinedProduct(inside, kind, joint, own, e)), { axis: 0 });
      onnx.all('Split', [all, onnx.ints(joint.widths)], { axis: -1 }, joint.nodes.length).forEach((part, i) => {
        const old = present(joint.nodes[i]?.outputs[0]);
        whole.set(old, inside.typed(part, old.type));
      });
      continue;
    }
    if (!node.inputs.some((one) => one && own.has(one))) {
      const results = inside.apply(
        node,
        node.inputs.map((one) => one && joined(one)),
      );
      node.outputs.forEach((old, i) => whole.set(old, present(results[i])));
    } else if (elementwise.has(node.op.name)) {
      const results = inside.apply(
        node,
        node.inputs.map((one) => one && (own.has(one) ? vectorOfRows(inside, kind, own.get(one) ?? 0, node, ids) : joined(one))),
      );
      node.outputs.forEach((old, i) => whole.set(old, present(results[i])));
    } else {
      const inputs = node.inputs.map(
        (one) => one && (own.has(one) ? Array.from({ length: kind.count }, (_, e) => weightOfExpert(inside, kind, own.get(one) ?? 0, e)) : apart(one)),
      );
      const results = Array.from({ length: kind.count }, (_, e) =>
        inside.apply(
          node,
          inputs.map((one) => one?.[e]),
        ),
      );
      node.outputs.forEach((old, i) =>
        pieces.set(
          old,
          results.map((one) => present(one[i])),
        ),
      );
    }
  }
  return joined(present(kind.body.outputs[0]).value);
}

/** For each row the weight of its own expert, with axes to stand before the others of the result: [rows, 1.., weight..]. */
function vectorOfRows(inside: LoweringContext, kind: Kind, i: number, { outputs }: Node, ids: Value): Value {
  const { onnx } = inside;
  const lifted = present(kind.lifted[i]);
  const weight = inside.weightOf(lifted);
  const rows = onnx.Gather(weight ? inside.store(weight) : kind.stacked[i], ids, { axis: 0 });
  const dims = lifted.type?.dims.slice(1) ?? [];
  const missing = (outputs[0]?.type?.dims.length ?? 1) - 1 - dims.length;
  return missing > 0 ? onnx.Reshape(rows, onnx.ints([-1, ...Array.from({ length: missing }, () => 1), ...dims.map((size) => constant(size) ?? -1)])) : rows;
}
