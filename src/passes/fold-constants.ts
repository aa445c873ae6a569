/** Computes what depends on constants alone, by the f64 reference of each op. */

import { Bug } from '../diagnostics/bug.ts';
import { isArray, isDim } from '../graph/attr.ts';
import { constant } from '../graph/constant.ts';
import { constant as constantSize } from '../graph/dim.ts';
import type { Graph, Node, Value } from '../graph/graph.ts';
import { count, type NdArray } from '../graph/nd-array.ts';
import type { Attr, Sizes } from '../graph/op.ts';
import { rewrite } from '../graph/rewrite.ts';
import { constantDims, type TensorType } from '../graph/type.ts';
import { removeDead } from './drop-dead.ts';
import type { Pass } from './pass.ts';

/** Results with more elements than this stay computed: a file should not hold what one op makes. */
const largest = 65_536;

/** Ops whose meaning changes when the graph becomes a step. */
const stepped: ReadonlySet<string> = new Set(['positions', 'cache']);

const sizes: Sizes = {
  of: (size) => constantSize(size) ?? fail(),
};

function fail(): never {
  throw new Bug('a node with a size that is not constant was folded');
}

/** The graph with every small result of constants as a constant. */
function foldGraph(graph: Graph): Graph {
  const known = new Map<Value, NdArray>();
  const folded = rewrite(graph, (node, build) => {
    const { array } = node.attrs;
    const [first] = node.outputs;
    if (node.op === constant && isArray(array) && first) known.set(first, array);
    const types = foldable(node, known);
    if (!types) return undefined;
    const results = node.op.eval(
      node.inputs.map((one) => one && known.get(one)),
      node.attrs,
      { sizes, types, bodies: {} },
    );
    return node.outputs.map((output, i) => {
      const result = results[i];
      if (!result) throw new Bug(`${node.op.name} evaluates to ${results.length} results`);
      const made = build.constant({ ...result, dtype: types[i]?.dtype ?? result.dtype }, output.name);
      known.set(made, result);
      return made;
    });
  });
  return removeDead(folded);
}

/** The types of the results where the node can be folded. */
function foldable(node: Node, known: ReadonlyMap<Value, NdArray>): readonly TensorType[] | undefined {
  if (node.op === constant || node.op.foreign || node.bodies || stepped.has(node.op.name)) return undefined;
  if (!node.inputs.every((one) => one === undefined || known.has(one)) || !Object.values(node.attrs).every(isConstant)) return undefined;
  const types = node.outputs.flatMap(({ type }) => (type ? [type] : []));
  const small = types.every(({ dims }) => {
    const known = constantDims(dims);
    return known !== undefined && count(known) <= largest;
  });
  return small && types.length === node.outputs.length ? types : undefined;
}

function isConstant(attr: Attr): boolean {
  if (isDim(attr)) return constantSize(attr) !== undefined;
  return !Array.isArray(attr) || attr.every((one: Attr) => isConstant(one));
}

export const foldConstants: Pass = {
  name: 'fold-constants',
  summary: 'Computes what depends on constants alone, up to 65,536 elements.',
  options: {},
  run: foldGraph,
};
