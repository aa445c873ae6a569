/** A segment as one `If` per expert: picks are sorted by expert, each expert runs on its own stretch of rows or not at all, and what they give is put back in order. */

import { Bug } from '../../diagnostics/bug.ts';
import { constant, type Dim } from '../../graph/dim.ts';
import type { Graph, Value } from '../../graph/graph.ts';
import { ndArray } from '../../graph/nd-array.ts';
import { expertNames } from '../../ops/routing.ts';
import type { Lowering, LoweringContext } from '../target.ts';
import { gatherRows, putBack, sortPicks } from './picks.ts';

/** Lowers a segment with branches; leaves it alone where an expert's weights are computed. */
export const guarded: Lowering = (node, context, old) => {
  const { onnx } = context;
  const { n, rows, slotted } = node.attrs as { readonly n: number; readonly rows: number; readonly slotted: readonly number[] };
  const [experts, weights, ...args] = node.inputs;
  const lifted = old.inputs.slice(2 + rows);
  const [result] = node.outputs;
  if (!experts?.type || !result?.type || lifted.some((one) => !one || !context.expertWeight(one, 0))) return undefined;
  const out = (node.attrs['out'] as readonly Dim[]).map(constant);
  if (out.some((size) => size === undefined)) return undefined;
  const picks = sortPicks(onnx, experts, n);
  const sorted = args.slice(0, rows).map((arg, i) => {
    if (!arg?.type) throw new Bug('a row argument without a type');
    return gatherRows(onnx, arg, slotted[i] === 1, experts, picks);
  });
  const parts = branches(node.bodies ?? {}, node.attrs['counts'] as readonly number[], rows).map(({ body, from, at, e }) => {
    const owned = new Map(body.inputs.slice(rows).map((input, i) => [input, weightOf(context, lifted[at + i], e - from)] as const));
    const name = `${result.name}/${e}`;
    const run = context.branch(name, (inside, lower) => {
      const stretch = new Map(body.inputs.slice(0, rows).map((input, i) => [input, context.typed(inside.Slice(sorted[i], picks.starts[e], picks.ends[e], inside.ints([0])), input.type)] as const));
      return lower(body, stretch, owned);
    });
    const idle = context.branch(`${name}/idle`, (inside) => inside.array(ndArray([0, ...out.map((size) => size ?? 0)], [])));
    const [y] = onnx.all('If', [picks.active[e]], {}, 1, { bodies: { then_branch: run, else_branch: idle } });
    if (!y) throw new Bug('If has no result');
    return y;
  });
  const all = parts.length === 1 && parts[0] ? parts[0] : onnx.Concat(...parts, { axis: 0 });
  return [putBack(onnx, all, node, experts, weights, picks)];
};

interface Branch {
  readonly body: Graph;
  readonly e: number;
  /** The first expert of this kind, and where its weights begin. */
  readonly from: number;
  readonly at: number;
}

/** Every expert with its body. */
export function branches(bodies: Readonly<Record<string, Graph>>, counts: readonly number[], rows: number): readonly Branch[] {
  let [from, at] = [0, 0];
  return expertNames(bodies).flatMap((name, i) => {
    const body = bodies[name];
    if (!body) throw new Bug(`no body ${name}`);
    const [first, begin] = [from, at];
    from += counts[i] ?? 0;
    at += body.inputs.length - rows;
    return Array.from({ length: counts[i] ?? 0 }, (_, j) => ({ body, e: first + j, from: first, at: begin }));
  });
}

function weightOf(context: LoweringContext, lifted: Value | undefined, e: number): NonNullable<ReturnType<LoweringContext['expertWeight']>> {
  const weight = lifted && context.expertWeight(lifted, e);
  if (!weight) throw new Bug('an expert without its weight');
  return weight;
}

