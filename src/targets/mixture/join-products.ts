/** Products of the same rows with several matrices of an expert, as a gated feed-forward has, as one: fewer products for an expert that runs, and for one that nobody picked. */

import { constant, dim } from '../../graph/dim.ts';
import { type Node, type Value, value } from '../../graph/graph.ts';
import type { Source } from '../../graph/source.ts';
import { joinedView, transposedView } from '../../graph/views.ts';
import type { LoweringContext } from '../target.ts';
import { type Kind, present } from './segment.ts';

/** Products that are computed as one: their nodes, and the places of their matrices among the weights of an expert. */
export interface Joined {
  readonly nodes: readonly Node[];
  readonly ports: readonly number[];
  /** Columns of each matrix. */
  readonly widths: readonly number[];
}

/** By each product that is joined with others, all of them. Matrices can lie side by side where they are weights that one product reads. `rows` is the number of the body's arguments that are no weights. */
export function joinedProducts({ body, lifted }: Kind, rows: number, context: LoweringContext): ReadonlyMap<Node, Joined> {
  const own = body.inputs.slice(rows);
  const groups = new Map<Value, Node[]>();
  for (const node of body.nodes) {
    const [x, w] = node.inputs;
    const port = w ? own.indexOf(w) : -1;
    const known = lifted[port] && context.weightOf(lifted[port]) && w?.type?.dims.length === 2;
    const alone = body.nodes.flatMap(({ inputs }) => inputs).filter((input) => input === w).length === 1;
    if (node.op.name === 'matmul' && x && known && alone) groups.set(x, [...(groups.get(x) ?? []), node]);
  }
  const joined = [...groups.values()].filter((nodes) => nodes.length > 1);
  return new Map(joined.flatMap((nodes) => nodes.map((node) => [node, joinOf(nodes, own)] as const)));
}

function joinOf(nodes: readonly Node[], own: readonly Value[]): Joined {
  const matrices = nodes.map(({ inputs }) => present(inputs[1]));
  return { nodes, ports: matrices.map((one) => own.indexOf(one)), widths: matrices.map((one) => present(constant(present(one.type?.dims[1])))) };
}

/** What expert `e` gives for its rows: all products beside each other, [rows, Σ widths]. */
export function joinedProduct(context: LoweringContext, kind: Kind, { nodes, ports, widths }: Joined, rows: Value, e: number): Value {
  const weights = ports.map((port) => present(context.expertWeight(present(kind.lifted[port]), e)));
  const path = weights.map((weight) => weight.path).join('+');
  const source = sideBySide(weights.map((weight) => weight.source));
  const held = value(path, { dtype: source.dtype, dims: source.dims.map((size) => dim(size)) });
  const matrix = context.store({ path, source, storage: 'constant', value: held });
  const node = present(nodes[0]);
  const type = present(present(node.outputs[0]).type);
  const wide = { dtype: type.dtype, dims: [...type.dims.slice(0, -1), dim(widths.reduce((sum, width) => sum + width, 0))] };
  const [product] = context.apply({ ...node, outputs: [value(path, wide)] }, [rows, matrix]);
  return present(product);
}

/** [in, a], [in, b], … as [in, a + b + …]. Those that lie as [out, in] stay so, one after another. */
function sideBySide(sources: readonly Source[]): Source {
  const turned = sources.flatMap((source) => (source.kind === 'transpose' ? [source.of] : []));
  const joined = (axis: number, [first, ...others]: readonly Source[]): Source => joinedView([present(first), ...others], axis);
  return turned.length < sources.length ? joined(1, sources) : transposedView(joined(0, turned));
}
