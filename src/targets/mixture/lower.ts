/** Lowers segments by what was chosen for each: one lowering, or two and an `If` on the number of tokens. */

import { Bug } from '../../diagnostics/bug.ts';
import { constant, product } from '../../graph/dim.ts';
import type { Graph, Value } from '../../graph/graph.ts';
import { computableSizes } from '../../passes/computable-sizes.ts';
import type { Lowering, LoweringName } from '../target.ts';
import { type Choice, type ChooseOptions, choose } from './choose.ts';
import type { Layout } from './expert-products.ts';
import { fusedIn, fusedOrder } from './fused.ts';
import { gathered } from './gathered.ts';
import { guarded } from './guarded.ts';
import { looped } from './looped.ts';
import { present } from './segment.ts';

/** The lowering of segments in `graph`. Those that are batched are ops of their own by then. */
export function lowerSegments(graph: Graph, options: ChooseOptions): Lowering {
  const computable = computableSizes(graph);
  return (node, context, old) => {
    const choice = choose(old, graph, options);
    const { few, many, upTo, path } = choice;
    const lowerings = loweringsIn(graph, layoutFor(choice, graph));
    const { onnx } = context;
    const experts = present(node.inputs[0]);
    const dims = present(experts.type).dims;
    const tokens = product(dims.slice(0, -1));
    const known = constant(tokens);
    if (few === many) return lowerings[many](node, context, old);
    if (known !== undefined) return lowerings[known <= upTo ? few : many](node, context, old);
    const inside = (lowering: LoweringName): Graph => context.branch(`${path}/${lowering}`, (branch) => [only(lowerings[lowering](node, branch, old))]);
    // Computed from the model's inputs, so that layers of as many tokens share one comparison.
    const rows = computable(tokens) ? onnx.size(tokens) : onnx.Div(onnx.Size(experts), onnx.size(present(dims.at(-1))));
    return [only(onnx.all('If', [onnx.LessOrEqual(rows, onnx.scalar(upTo, 'i64'))], {}, 1, { bodies: { then_branch: inside(few), else_branch: inside(many) } }))];
  };
}

/** Two lowerings read the same bytes: as the operator has them where they are written anew, else stacks, and a checkpoint's where they lie. */
function layoutFor({ few, many, written }: Choice, graph: Graph): Layout {
  if (few === many) return { kind: written ? 'beside' : 'apart' };
  return written && [few, many].includes('fused') ? { kind: 'in turn', order: fusedOrder(graph) } : { kind: 'stacked' };
}

const loweringsIn = (graph: Graph, layout: Layout): Readonly<Record<LoweringName, Lowering>> => ({
  batched: (node) => {
    throw new Bug(`${node.outputs[0]?.name ?? 'a segment'} is batched, and should have been expanded`);
  },
  guarded: guarded(layout),
  gathered,
  looped,
  fused: fusedIn(graph),
});

const only = (values: readonly Value[] | undefined): Value => present(values?.[0]);

/** What was chosen for every segment of a graph, in order. */
export function choices(graph: Graph, options: ChooseOptions): readonly Choice[] {
  return graph.nodes.filter(({ op }) => op.name === 'segment').map((node) => choose(node, graph, options));
}
