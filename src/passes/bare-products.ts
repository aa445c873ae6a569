/** The products of a model with its weights and nothing else: what any way of running it has to compute at least, for `moec bench`. */

import { graphBuilder } from '../graph/builder.ts';
import { constant, dim, symbol } from '../graph/dim.ts';
import { type Graph, type Node, type Value, value, type Weight } from '../graph/graph.ts';
import { transposedView } from '../graph/views.ts';
import { concat } from '../ops/join.ts';
import { matmul } from '../ops/matmul.ts';
import { slice } from '../ops/shape.ts';
import { cutMixtures } from './cut-mixtures.ts';
import { expertWeights, liftedWeights } from './expert-weights.ts';
import { elementwise } from './stepping.ts';

/** Rows of x that go through one weight. */
export interface Operand {
  /** The input that takes them: [rows, width]. */
  readonly name: string;
  readonly width: number;
  readonly rows: number;
}

/** A graph of products, each reduced to one number, and its inputs. */
export interface BareProducts {
  readonly graph: Graph;
  readonly operands: readonly Operand[];
  /** Equal where the graphs are. */
  readonly key: string;
}

/** A weight that x is multiplied by. */
interface Product {
  readonly weight: Weight;
  /** Which rows: those of all tokens, of the last one, or of those that pick an expert. */
  readonly of: 'tokens' | 'last' | 'picked';
  readonly rows: number;
}

/** A node of ONNX that multiplies by weights in a way of its own, where there is one: the products of its graph are not all known. */
export function hiddenProducts(graph: Graph): Node | undefined {
  const held = liftedWeights(graph);
  const known = new Set(matmulsOf(graph.nodes, held).map(({ node }) => node));
  const readsMatrix = ({ inputs }: Node): boolean => inputs.some((one) => (one ? (held.get(one)?.source.dims.length ?? 0) : 0) > 1);
  return graph.nodes.find((node) => node.op.foreign && !known.has(node) && !lookups.has(node.op.foreign.type) && (node.bodies !== undefined || readsMatrix(node)));
}

/** Nodes of ONNX that read matrices without multiplying by them. */
const lookups: ReadonlySet<string> = new Set(['Gather', 'RotaryEmbedding', 'Add', 'Mul', 'Shape', 'Slice']);

/** The products for `tokens` tokens of one row: all of them once for every token, an expert's for the tokens that pick it (as many for each, where there are fewer tokens for the first ones alone); with `last`, those that only the logits need for the last token alone. Undefined where there are none. */
export function bareProducts(whole: Graph, tokens: number, { last }: { readonly last: boolean }): BareProducts | undefined {
  const graph = cutMixtures(whole, () => {});
  const products = [...plainProducts(graph, tokens, last), ...expertProducts(graph, tokens)];
  if (products.length === 0) return undefined;
  const build = graphBuilder();
  const inputs = new Map<string, Value & Operand>();
  const times = new Map<string, number>();
  const weights = new Map<string, Weight>();
  const ends = products.map(({ weight: { path, source, ...rest }, of, rows }) => {
    const held = weights.get(path) ?? { path, source, ...rest, value: value(path, { dtype: source.dtype, dims: source.dims.map((size) => dim(size)) }) };
    weights.set(path, held);
    // A weight that is used again multiplies other numbers, or the product would be shared.
    const use = times.get(path) ?? 0;
    times.set(path, use + 1);
    const [width = 1] = source.dims;
    const name = `${of}.${width}.${use}`;
    const x = inputs.get(name) ?? { ...value(name, { dtype: source.dtype, dims: [symbol(of), dim(width)] }), width, rows };
    inputs.set(name, x);
    const product = build.one(matmul, [x, held.value], {}, `${path}.${use}`);
    return [0, 1].reduce((one, axis) => build.one(slice, [one], { axis, from: dim(0), to: dim(1) }), product);
  });
  const y = build.one(concat, ends, { axis: 0 }, 'y');
  return {
    graph: build.finish({ name: 'products', inputs: [...inputs.values()], outputs: [{ name: 'y', value: y }], weights: [...weights.values()] }),
    operands: [...inputs.values()].map(({ name, width, rows }) => ({ name, width, rows })),
    key: JSON.stringify(products.map(({ weight: { path }, of }) => [path, of])),
  };
}

function plainProducts(graph: Graph, tokens: number, last: boolean): readonly Product[] {
  const held = liftedWeights(graph);
  const head = last ? headOf(graph) : undefined;
  return matmulsOf(graph.nodes, held).map(({ node, weight }) => (node === head ? { weight, of: 'last', rows: 1 } : { weight, of: 'tokens', rows: tokens }));
}

/** Products with a matrix that is a weight, in order. */
function matmulsOf(nodes: readonly Node[], held: ReadonlyMap<Value, Weight>): readonly { readonly node: Node; readonly weight: Weight }[] {
  return nodes.flatMap((node) => {
    const [, right] = node.inputs;
    const weight = right && isProduct(node) ? held.get(right) : undefined;
    if (weight?.source.dims.length !== 2) return [];
    return [{ node, weight: node.op.foreign?.type === 'Gemm' && node.attrs['transB'] === 1 ? transposed(weight) : weight }];
  });
}

/** A product in the language or of ONNX. */
const isProduct = ({ op }: Node): boolean => op === matmul || (op.foreign?.domain === '' && ['MatMul', 'Gemm'].includes(op.foreign.type));

const transposed = (weight: Weight): Weight => ({ ...weight, path: `${weight.path}.T`, source: transposedView(weight.source) });

/** The product that gives the logits, where nothing but elementwise nodes stand after it. */
function headOf({ nodes, outputs }: Graph): Node | undefined {
  let wanted = outputs.find(({ name }) => name === 'logits')?.value;
  for (const node of [...nodes].reverse()) {
    if (!wanted || !node.outputs.includes(wanted)) continue;
    if (isProduct(node)) return node;
    if (node.op.foreign?.type === 'Reshape') wanted = node.inputs[0];
    else wanted = elementwise.has(node.op.name) ? node.inputs.find((one) => one?.type && one.type.dims.length === wanted?.type?.dims.length) : undefined;
  }
  return undefined;
}

function expertProducts(graph: Graph, tokens: number): readonly Product[] {
  const experts = expertWeights(graph);
  return graph.nodes
    .filter(({ op }) => op.name === 'segment')
    .flatMap(({ inputs: [routed, , ...args], attrs, bodies = {} }) => {
      const rowArguments = Number(attrs['rows']);
      const counts = attrs['counts'] as readonly number[];
      const n = counts.reduce((sum, count) => sum + count, 0);
      const k = constant(routed?.type?.dims.at(-1) ?? dim(n)) ?? n;
      const [rows, picked] = [Math.ceil((tokens * k) / n), Math.min(n, tokens * k)];
      let [at, before] = [rowArguments, 0];
      return Object.values(bodies).flatMap((body, kind) => {
        const owned = body.inputs.slice(rowArguments);
        const lifted = new Map(owned.map((one, i) => [one, args[at + i]] as const));
        at += owned.length;
        const running = Math.max(0, Math.min(counts[kind] ?? 0, picked - before));
        before += counts[kind] ?? 0;
        return Array.from({ length: running }, (_, e) =>
          matmulsIn(body, (one) => {
            const all = lifted.get(one);
            return all && experts.weightOf(all, e);
          }).map((weight): Product => ({ weight, of: 'picked', rows })),
        ).flat();
      });
    });
}

/** The matrices of a body that x is multiplied by, by what its inputs stand for. */
function matmulsIn(body: Graph, weightOf: (input: Value) => Weight | undefined): readonly Weight[] {
  const held = new Map(
    body.inputs.flatMap((input) => {
      const weight = weightOf(input);
      return weight ? [[input, weight] as const] : [];
    }),
  );
  const inner = { ...body, weights: [...held].map(([input, weight]) => ({ ...weight, value: input })) };
  return matmulsOf(body.nodes, liftedWeights(inner)).map(({ weight }) => weight);
}
