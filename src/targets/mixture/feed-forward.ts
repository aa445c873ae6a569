/** Recognises experts that onnxruntime's `MoE` computes: a product, an activation, a product. The activation is told by its numbers, however it is spelled. */

import { isArray } from '../../graph/attr.ts';
import { constant as constantOp } from '../../graph/constant.ts';
import { constant } from '../../graph/dim.ts';
import { evaluateGraph } from '../../graph/eval.ts';
import { type Graph, type Node, type Value, value } from '../../graph/graph.ts';
import { type NdArray, ndArray } from '../../graph/nd-array.ts';
import { tensor } from '../../graph/type.ts';
import { probes } from '../../passes/probes.ts';
import { elementwise } from '../../passes/stepping.ts';

/** A product with a matrix of the expert's own, and the bias it has; both by their place among the expert's weights. */
export interface Product {
  readonly matrix: number;
  readonly bias: number | undefined;
}

/** act(x · up) · down, or the gated one: g = x · gate, l = x · up, min(g, limit) · σ(alpha · g) · (clamp(l, ±limit) + beta), times down. */
export type FeedForward = { readonly into: readonly Product[]; readonly down: Product } & (
  | { readonly activation: 'relu' | 'gelu' | 'silu' | 'identity' }
  | { readonly activation: 'swiglu'; readonly alpha: number; readonly beta: number; readonly limit: number }
);

/** The feed-forward that a body over one argument of rows computes, or undefined. `constantOf` gives the numbers of constants in the graph around. */
export function feedForward(body: Graph, constantOf: (one: Value) => NdArray | undefined): FeedForward | undefined {
  const [x, ...own] = body.inputs;
  const result = body.outputs[0]?.value;
  const made = new Map(body.nodes.flatMap((node) => node.outputs.map((one) => [one, node] as const)));
  const readers = (one: Value): number => body.nodes.filter((node) => node.inputs.includes(one)).length;
  const sizes = (port: number): readonly (number | undefined)[] => own[port]?.type?.dims.map(constant) ?? [];
  const product = (one: Value | undefined): (Product & { readonly of: Value }) | undefined => {
    const node = one && made.get(one);
    if (!node) return undefined;
    const at = (input: Value | undefined): number | undefined => (input && own.includes(input) ? own.indexOf(input) : undefined);
    if (node.op.name === 'matmul') {
      const [of, w] = node.inputs;
      const matrix = at(w);
      return of && matrix !== undefined ? { matrix, bias: undefined, of } : undefined;
    }
    if (node.op.name !== 'add') return undefined;
    const port = node.inputs.findIndex((input) => at(input) !== undefined);
    const bias = at(node.inputs[port]);
    const inner = node.inputs[1 - port];
    const within = bias === undefined || !inner || readers(inner) > 1 ? undefined : product(inner);
    if (!within || within.bias !== undefined || bias === undefined) return undefined;
    return sizes(bias).length === 1 && sizes(bias)[0] === sizes(within.matrix)[1] ? { ...within, bias } : undefined;
  };
  const down = product(result);
  if (!x || !down) return undefined;
  const into: (Product & { readonly value: Value })[] = [];
  const between: Node[] = [];
  const constants = new Map<Value, NdArray>();
  if (!collect(down.of, x, { made, product, into, between, constants, constantOf })) return undefined;
  const spent = new Set([down, ...into].flatMap(({ matrix, bias }) => [matrix, bias]));
  if (into.length < 1 || into.length > 2 || own.some((_, i) => !spent.has(i))) return undefined;
  const order = body.nodes.filter((node) => between.includes(node));
  const found = activationOf(
    order,
    constants,
    into.map((one) => one.value),
    down.of,
  );
  return found && { ...found.activation, into: found.order.map((i) => into[i] ?? down), down };
}

interface Scene {
  readonly made: ReadonlyMap<Value, Node>;
  readonly product: (one: Value) => (Product & { readonly of: Value }) | undefined;
  readonly into: (Product & { readonly value: Value })[];
  readonly between: Node[];
  readonly constants: Map<Value, NdArray>;
  readonly constantOf: (one: Value) => NdArray | undefined;
}

/** Walks from what goes into the last product back to products of x; false where anything else is met. */
function collect(one: Value, x: Value, scene: Scene): boolean {
  if (scene.into.some(({ value: known }) => known === one)) return true;
  const found = scene.product(one);
  if (found) {
    scene.into.push({ ...found, value: one });
    return found.of === x;
  }
  const node = scene.made.get(one);
  const numbers = node ? undefined : scene.constantOf(one);
  if (numbers) scene.constants.set(one, numbers);
  if (!node) return numbers !== undefined;
  if (scene.between.includes(node)) return true;
  scene.between.push(node);
  return (elementwise.has(node.op.name) || node.op === constantOp) && node.inputs.every((input) => !input || collect(input, x, scene));
}

/** Places of one side of a pair, where the other is tried at all of them. */
const few = [-9, -7.5, -3.3, -1.2, -0.4, 0, 0.3, 1.1, 2.7, 6.9, 7.2, 11];
const all = Array.from(probes);
/** Both sides of what two products meet in: each is tried at all places, with the other at a few. */
const pairs = [...all.flatMap((a) => few.map((b) => [a, b] as const)), ...few.flatMap((a) => all.map((b) => [a, b] as const))];
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const plain = {
  relu: (x: number) => Math.max(0, x),
  gelu: (x: number) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044_715 * x ** 3))),
  silu: (x: number) => x * sigmoid(x),
  identity: (x: number) => x,
} as const;

type Activation = { readonly activation: keyof typeof plain } | { readonly activation: 'swiglu'; readonly alpha: number; readonly beta: number; readonly limit: number };

/** What elementwise nodes compute, by trying: the activation, and in which order it takes the products. */
function activationOf(
  nodes: readonly Node[],
  constants: ReadonlyMap<Value, NdArray>,
  inputs: readonly Value[],
  result: Value,
): { readonly activation: Activation; readonly order: readonly number[] } | undefined {
  const grid = inputs.length === 1 ? [all] : [pairs.map(([a]) => a), pairs.map(([, b]) => b)];
  const found = evaluate(nodes, constants, inputs, result, grid);
  if (!found) return undefined;
  const fits = (f: (j: number) => number): boolean => found.every((one, j) => Math.abs(one - f(j)) <= 1e-9 * Math.max(1, Math.abs(one)));
  const [a = [], b = []] = grid;
  if (inputs.length === 1) {
    const name = (Object.keys(plain) as (keyof typeof plain)[]).find((one) => fits((j) => plain[one](a[j] ?? 0)));
    return name && { activation: { activation: name }, order: [0] };
  }
  const inside = nodes.flatMap(({ op, attrs }) => (op === constantOp && isArray(attrs['array']) ? [attrs['array']] : []));
  const numbers = [
    ...new Set(
      [...inside, ...constants.values()]
        .flatMap(({ data }) => (data.length === 1 ? Array.from(data) : []))
        .concat(nodes.flatMap(({ attrs }) => Object.values(attrs).filter((one) => typeof one === 'number'))),
    ),
  ];
  for (const order of [
    [0, 1],
    [1, 0],
  ]) {
    const [g, l] = order[0] === 0 ? [a, b] : [b, a];
    for (const limit of [Number.POSITIVE_INFINITY, ...numbers.filter((one) => one > 0)]) {
      for (const alpha of [1, ...numbers]) {
        for (const beta of [0, ...numbers]) {
          const gated = (j: number): number => {
            const gate = Math.min(g[j] ?? 0, limit);
            return gate * sigmoid(alpha * gate) * (Math.min(limit, Math.max(-limit, l[j] ?? 0)) + beta);
          };
          if (fits(gated)) return { activation: { activation: 'swiglu', alpha, beta, limit }, order };
        }
      }
    }
  }
  return undefined;
}

function evaluate(
  nodes: readonly Node[],
  constants: ReadonlyMap<Value, NdArray>,
  inputs: readonly Value[],
  result: Value,
  grid: readonly (readonly number[])[],
): Float64Array | undefined {
  const [first = []] = grid;
  const typed = inputs.map((_, i) => value(`in${i}`, tensor('f32', [first.length, 1])));
  const of = (one: Value): Value => typed[inputs.indexOf(one)] ?? one;
  const moved = nodes.map((node) => ({ ...node, inputs: node.inputs.map((one) => one && of(one)) }));
  const weights = [...constants].map(
    ([held, array], i) => ({ value: held, path: String(i), storage: 'constant', source: { kind: 'literal', array, dims: array.dims, dtype: array.dtype } }) as const,
  );
  const graph: Graph = { name: 'activation', inputs: typed, outputs: [{ name: 'y', value: of(result) }], nodes: moved, weights };
  const feeds = Object.fromEntries(typed.map(({ name }, i) => [name, ndArray([first.length, 1], grid[i] ?? [])]));
  return evaluateGraph(graph, feeds, (path) => [...constants.values()][Number(path)] ?? ndArray([0], []))['y']?.data;
}
