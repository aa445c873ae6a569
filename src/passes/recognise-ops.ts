/** Raises nodes of ONNX to ops of moec where they mean exactly that, so that passes see one language. An import goes through this first. */

import { Bug } from '../diagnostics/bug.ts';
import { constantArray, isArray } from '../graph/attr.ts';
import { constant } from '../graph/constant.ts';
import { type Dim, constant as sizeOf, symbol } from '../graph/dim.ts';
import { type Graph, type Node, type Value, value, type Weight } from '../graph/graph.ts';
import { unusedName } from '../graph/names.ts';
import { rewriteNodes } from '../graph/rewrite.ts';
import { type TensorType, tensor } from '../graph/type.ts';
import { computableSizes } from './computable-sizes.ts';
import { removeDead } from './drop-dead.ts';
import { callOf, type Surroundings } from './foreign/call.ts';
import { knownNumbers } from './foreign/numbers.ts';
import { raised, tried } from './foreign/raise.ts';
import { inferredTypes } from './foreign/types.ts';
import type { Pass } from './pass.ts';
import { producersOf } from './producers.ts';

/** Constants of more numbers than this are weights. */
const largest = 64;

/** The graph with every node raised whose types are known. Meant for the ops of operator set 21 and later. */
export function recogniseOps(graph: Graph): Graph {
  const weights: Weight[] = [];
  const taken = new Set(graph.weights.map(({ path }) => path));
  const numbered = new Map<string, number>();
  let unknown = 0;
  const fresh = (): Dim => symbol(`unknown.${unknown++}`);
  let around: Surroundings | undefined;
  const { build, of } = rewriteNodes(graph, (given, into) => {
    around ??= surroundings(graph, into);
    const node = plainConstant(given);
    const weight = weightOf(node, taken, numbered);
    if (weight) {
      weights.push(weight);
      return [weight.value];
    }
    if (!node.op.foreign) {
      if (node === given) return undefined;
      into.push(node);
      return node.outputs;
    }
    const results = raised(node, into, around) ?? typed(node, into, around, fresh);
    around.numbers.learn(node, results);
    return results;
  });
  return removeDead(
    build.finish({
      name: graph.name,
      ...(graph.doc === undefined ? {} : { doc: graph.doc }),
      inputs: graph.inputs,
      outputs: graph.outputs.map((output) => ({ name: output.name, value: of(output.value) })),
      weights: [...graph.weights, ...weights],
    }),
  );
}

function surroundings(graph: Graph, build: Parameters<typeof producersOf>[0]): Surroundings {
  const from = producersOf(build);
  return { from, numbers: knownNumbers(from), isComputable: computableSizes(graph) };
}

/** A `Constant` node as the constant that it is: the importer leaves those that the file says something about. */
function plainConstant(node: Node): Node {
  const [setting, ...others] = Object.values(node.attrs);
  const [output] = node.outputs;
  const array = node.op.name === 'onnx.Constant' && others.length === 0 ? constantArray(setting) : undefined;
  return array && output ? { ...node, op: constant, attrs: { array }, outputs: [value(output.name, tensor(array.dtype, array.dims))] } : node;
}

/** A large constant as a weight: exporters write weights both ways. */
function weightOf({ op, attrs, outputs: [output] }: Node, taken: Set<string>, numbered: Map<string, number>): Weight | undefined {
  const { array } = attrs;
  if (op !== constant || !output || !isArray(array) || array.data.length <= largest) return undefined;
  const path = unusedName(output.name, taken, numbered);
  taken.add(path);
  const { dtype, dims } = array;
  return { value: value(output.name, tensor(dtype, dims)), path, source: { kind: 'literal', dtype, dims, array }, storage: 'constant' };
}

/** The node as it is, its results with the types that follow; where none does, with what the file says, sizes that have a name being known to nobody else. */
function typed(node: Node, build: { push(node: Node): void }, around: Surroundings, fresh: () => Dim): readonly Value[] {
  const inferred = tried(() => inferredTypes(callOf(node, refusing, around), fresh)) ?? [];
  const outputs = node.outputs.map((output, i) => {
    const type = inferred[i] ?? (output.type && declared(output.type, fresh));
    return type ? value(output.name, type) : output;
  });
  build.push({ ...node, outputs });
  return outputs;
}

const declared = ({ dtype, dims }: TensorType, fresh: () => Dim): TensorType => ({ dtype, dims: dims.map((size) => (sizeOf(size) === undefined ? fresh() : size)) });

const refuse = (): never => {
  throw new Bug('a type rule builds nothing');
};
const refusing = { add: refuse, one: refuse, constant: refuse };

export const recogniseOpsPass: Pass = {
  name: 'recognise-ops',
  summary: 'Makes nodes of ONNX the ops they mean, where their types are known.',
  options: {},
  run: recogniseOps,
};
