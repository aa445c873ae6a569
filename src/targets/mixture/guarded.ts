/** A segment with every expert's weights in one branch: rows are sorted by expert and split among them, an expert that nobody picked gets no rows and costs the start of its products. The oracle apart, the lowering that takes any expert; measured faster than a branch for each. */

import { constant } from '../../graph/dim.ts';
import type { Node, Value } from '../../graph/graph.ts';
import { ndArray } from '../../graph/nd-array.ts';
import { elementwise } from '../../passes/stepping.ts';
import type { Lowering, LoweringContext } from '../target.ts';
import { type ExpertProduct, expertProducts, type Layout, partsOf, productOfExpert, resultsOf } from './expert-products.ts';
import { type ExpertRows, expertRows } from './expert-rows.ts';
import { gatherRows, type Picks, putBack, sortPicks } from './picks.ts';
import { type Kind, knownSizes, present, readSegment, type Segment, weightOfExpert } from './segment.ts';

/** Lowers a segment; sizes known only at run time stay inside the branch, where a runtime plans memory for few values at once. `layout` says how the matrices of an expert lie. */
export const guarded =
  (layout: Layout): Lowering =>
  (node, context, old) => {
    const { onnx } = context;
    const segment = readSegment(node, old);
    const picks = sortPicks(onnx, segment.experts, segment.n);
    const sorted = segment.rows.map(({ value, slotted }) => gatherRows(onnx, value, slotted, segment, picks));
    const run = context.branch(segment.name, (inside) => [experts(inside, segment, sorted, picks, layout)]);
    const idle = context.branch(`${segment.name}/idle`, (inside) => [inside.onnx.array(ndArray([0, ...knownSizes(segment.out)], []))]);
    const [all] = onnx.all('If', [onnx.Greater(onnx.Shape(picks.order), onnx.ints([0]))], {}, 1, { bodies: { then_branch: run, else_branch: idle } });
    return [putBack(onnx, present(all), segment, picks)];
  };

/** What all experts give, in the order of picks. */
function experts(inside: LoweringContext, { kinds, rows }: Segment, sorted: readonly Value[], picks: Picks, layout: Layout): Value {
  const { onnx } = inside;
  const [only] = kinds;
  if (kinds.length === 1 && only) return kindOf(inside, only, sorted, picks.counts, picks.sorted, layout);
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
      layout,
    ),
  );
  return onnx.Concat(...results, { axis: 0 });
}

/**
 * What experts of one kind give. `rows` are sorted by expert, `counts` says how many each has, `ids` whose each is. Products with an expert's own matrix are
 * one node an expert; everything else, vectors of each expert too, is computed for all rows at once.
 */
function kindOf(inside: LoweringContext, kind: Kind, rows: readonly Value[], counts: Value, ids: Value, layout: Layout): Value {
  const { body } = kind;
  const values = expertRows(inside, kind, counts);
  const products = expertProducts(kind, rows.length, inside, layout);
  const own = new Map(body.inputs.slice(rows.length).map((input, i) => [input, i] as const));
  rows.forEach((one, i) => values.setJoined(present(body.inputs[i]), one));
  for (const node of body.nodes) {
    const product = products.get(node);
    const owns = node.inputs.some((one) => one && own.has(one));
    if (product && node !== product.nodes[0]) continue;
    if (product) applyProduct(inside, kind, product, values);
    else if (owns && !elementwise.has(node.op.name)) applyEach(inside, kind, node, own, values);
    else {
      const vector = (port: number): Value => vectorOfRows(inside, kind, port, node, ids);
      const inputs = node.inputs.map((one) => one && (own.has(one) ? vector(own.get(one) ?? 0) : values.joined(one)));
      const results = inside.apply(node, inputs);
      node.outputs.forEach((old, i) => values.setJoined(old, present(results[i])));
    }
  }
  return values.joined(present(body.outputs[0]).value);
}

/** Computes a product for each expert, and what it stands for out of it. */
function applyProduct(inside: LoweringContext, kind: Kind, product: ExpertProduct, values: ExpertRows): void {
  const results = values.apart(product.x).map((rows, e) => productOfExpert(inside, kind, product, rows, e));
  const [only, ...others] = resultsOf(product);
  if (only && others.length === 0) return values.setApart(only, results);
  const parts = partsOf(inside, product, inside.onnx.Concat(...results, { axis: 0 }));
  resultsOf(product).forEach((old, i) => values.setJoined(old, present(parts[i])));
}

/** Computes a node for each expert, with weights of its own. */
function applyEach(inside: LoweringContext, kind: Kind, node: Node, own: ReadonlyMap<Value, number>, values: ExpertRows): void {
  const experts = Array.from({ length: kind.count }, (_, e) => e);
  const inputs = node.inputs.map((one) => one && (own.has(one) ? experts.map((e) => weightOfExpert(inside, kind, own.get(one) ?? 0, e)) : values.apart(one)));
  const results = experts.map((e) =>
    inside.apply(
      node,
      inputs.map((one) => one?.[e]),
    ),
  );
  node.outputs.forEach((old, i) =>
    values.setApart(
      old,
      results.map((one) => present(one[i])),
    ),
  );
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
