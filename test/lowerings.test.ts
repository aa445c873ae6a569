/** Every lowering of a segment against the definition in f64 and against `batched`: every kind of expert, every router, one token and several, ties and experts that nobody picks. */

import { expect, test } from 'vitest';
import type { Graph } from '../src/graph/graph.ts';
import { count, type NdArray, ndArray } from '../src/graph/nd-array.ts';
import type { Source } from '../src/graph/source.ts';
import { type Found, modelOfSource } from '../src/run/find-model.ts';
import { planWeights } from '../src/run/place-weights.ts';
import type { Choice, Wish } from '../src/targets/mixture/choose.ts';
import { lowerModel } from '../src/targets/pipeline.ts';
import type { Storage } from '../src/targets/store.ts';
import { type LoweringName, loweringNames } from '../src/targets/target.ts';
import { defined, distance } from './definition.ts';
import { repository, repositoryReader } from './repository.ts';
import { must, open, targetOf, zooModel } from './running.ts';

/** f32 against f64, of the largest number. */
const tolerance = 1e-5;

const experts = {
  gated: 'SwiGLU(D, H)',
  biased: 'BiasedSwiGLU(D, H)',
  plain: 'Mlp(D, H, act: GeluTanh())',
  relu: 'Mlp(D, H, act: Relu())',
  exact: 'Mlp(D, H, act: Gelu())',
  nothing: 'Identity(D)',
  clamped: 'Clamped(D, H)',
  reversed: 'Reversed(D, H)',
  stepped: 'Stepped(D, H)',
  gatedStepped: 'GatedStepped(D, H)',
  spread: 'Spread(D, H)',
  half: 'HalfBiased(D, H)',
  normed: 'Normed(D, H)',
  scaled: 'Scaled(D, SwiGLU(D, H))',
  idle: '[SwiGLU(D, H), SwiGLU(D, H), SwiGLU(D, H), SwiGLU(D, H), Nothing(D)]',
  unlike: '[SwiGLU(D, H), SwiGLU(D, H), Mlp(D, H, act: Relu()), Identity(D), SwiGLU(D, 5)]',
  turned: 'Turned(D, H)',
  heads: 'Heads(D, 2, 4)',
  apart: 'Apart(D, 2, 4)',
} as const;

const routers = {
  picked: '{ score = linear  pick = top(2)  weigh = softmax(picked) }',
  all: '{ score = linear  pick = top(3)  weigh = softmax(all) }',
  every: '{ score = linear  pick = top(N)  weigh = softmax(all) }',
  one: '{ score = linear  pick = top(1)  weigh = one }',
  units: '{ score = linear  pick = top(2)  weigh = one }',
  biased: 'by SigmoidBiased(D, N, 2, scale: 2.5)',
  limited: 'by GroupLimited(D, N, 2, groups: 2, kept: 1, scale: 1.5)',
  greedy: 'by GroupLimitedGreedy(D, N, 2, groups: 2, kept: 1, scale: 1.5)',
  sparse: 'by SparseMixer(D, N, jitter: 0.1)',
  input: 'by Sigmoid1(D, N)',
  capacity: 'by Switch1(D, N, capacity: 2)',
  ties: 'by Tied(D, N, 2)',
  alone: 'by Alone(D)',
} as const;

const layers = `import { SwiGLU, BiasedSwiGLU, Mlp, Gelu, GeluTanh, Relu, Identity, Rotation } from "std/layers"
import { SigmoidBiased, GroupLimited, GroupLimitedGreedy, SparseMixer, Sigmoid1, Scaled, Switch1 } from "std/routers"
dim B, S
/// All scores alike: the pick is the runtime's, and must be the same for all lowerings.
layer Tied(D: int, N: int, k: int) {
  weight gate: [D, N]
  forward(x: [.., D]) -> (experts: i64[.., k], weights: [.., k]) {
    s = x @ gate * 0.0
    e = top(s, k)
    return e, softmax(take(s, e))
  }
}
/// Expert 1 for all tokens: the others have none.
layer Alone(D: int) {
  weight w: [D, 1]
  forward(x: [.., D]) -> (experts: i64[.., 1], weights: [.., 1]) { return i64(x @ w * 0.0) + 1, x @ w }
}
/// What is picked where fewer are picked than may be.
layer Nothing(D: int) {
  weight zeros: [D] = 0.0
  forward(x: [.., D]) -> [.., D] { return x * zeros }
}
layer Clamped(D: int, H: int) {
  weight gate, up: [D, H]
  weight gate_bias, up_bias: [H]
  weight down: [H, D]
  weight down_bias: [D]
  forward(x: [.., D]) -> [.., D] {
    g = min(x @ gate + gate_bias, 0.5)
    u = clamp(x @ up + up_bias, -0.5, 0.5)
    return ((u + 1.0) * g * sigmoid(1.702 * g)) @ down + down_bias
  }
}
layer Reversed(D: int, H: int) {
  weight gate, up: [D, H]
  weight gate_bias, up_bias: [H]
  weight down: [H, D]
  forward(x: [.., D]) -> [.., D] {
    u = clamp(x @ up + up_bias, -0.5, 0.5) + 1.0
    g = min(x @ gate + gate_bias, 0.5)
    return (u * g * sigmoid(1.702 * g)) @ down
  }
}
/// As relu is, but between 0 and 0.2.
layer Stepped(D: int, H: int) {
  weight up: [D, H]
  weight down: [H, D]
  forward(x: [.., D]) -> [.., D] {
    h = x @ up
    return where(h > 0.2, h, 0.0) @ down
  }
}
/// As silu is, but between 0 and 0.2.
layer GatedStepped(D: int, H: int) {
  weight gate, up: [D, H]
  weight down: [H, D]
  forward(x: [.., D]) -> [.., D] {
    g = x @ gate
    return (silu(where(and(g > 0.0, g < 0.2), 0.0, g)) * (x @ up)) @ down
  }
}
layer Spread(D: int, H: int) {
  weight gate: [D, H]
  weight gate_bias: [1]
  weight up: [D, 1]
  weight up_bias: [H]
  weight down: [H, D]
  forward(x: [.., D]) -> [.., D] { return (silu(x @ gate + gate_bias) * (x @ up + up_bias)) @ down }
}
layer HalfBiased(D: int, H: int) {
  weight gate, up: [D, H]
  weight gate_bias: [H]
  weight down: [H, D]
  forward(x: [.., D]) -> [.., D] { return (silu(x @ gate + gate_bias) * (x @ up)) @ down }
}
layer Normed(D: int, H: int) {
  weight gain: [H] = 1.5
  weight up: [D, H]
  weight down: [H, D]
  forward(x: [.., D]) -> [.., D] {
    h = x @ up
    return (h * rsqrt(mean(h * h, axis: -1, keep: true) + 1e-5) * gain) @ down
  }
}
layer Turned(D: int, H: int) {
  weight up: [H, D]
  weight gain: [H]
  weight down: [H, D]
  forward(x: [.., D]) -> [.., D] { return (silu(x @ (up.T * gain)) * (gain + 1.0) + x @ up.T) @ (down * 0.5) }
}
layer Heads(D: int, G: int, W: int) {
  weight q: [D, G * W]
  weight o: [G * W, D]
  shared weight k, v: [D, G * W]
  shared rotation = Rotation(W, theta: 10_000.0)
  forward(x: [B, S, D]) -> [B, S, D] {
    qs = rope(split_heads(x @ q, G), rotation())
    ks = rope(split_heads(x @ k, G), rotation())
    return merge_heads(attend(qs, ks, split_heads(x @ v, G), causal: true)) @ o
  }
}
layer Apart(D: int, G: int, W: int) {
  weight q, k, v: [D, G * W]
  weight o: [G * W, D]
  forward(x: [B, S, D]) -> [B, S, D] {
    return merge_heads(attend(split_heads(x @ q, G), split_heads(x @ k, G), split_heads(x @ v, G), causal: true)) @ o
  }
}
param D = 8
param H = 12
`;

type Experts = keyof typeof experts;
type Router = keyof typeof routers;
type Pair = readonly [Experts, Router];

const pairs: readonly Pair[] = [
  ...(Object.keys(routers) as Router[]).filter((router) => router !== 'input').map((router) => ['gated', router] as const),
  ...(Object.keys(experts) as Experts[]).filter((expert) => !['gated', 'scaled'].includes(expert)).map((expert) => [expert, 'picked'] as const),
  ['unlike', 'every'],
  ['idle', 'units'],
  ['idle', 'every'],
  ['heads', 'units'],
  ['heads', 'every'],
  ['heads', 'biased'],
  ['heads', 'ties'],
  ['scaled', 'input'],
];
const nameOf = ([expert, router]: Pair): string => `${expert}_${router}`;

/** One model of all mixtures, each a result of its own. */
function model(): Found {
  const mixture = ([expert, router]: Pair): string => {
    const [copies, n] = expert === 'unlike' || expert === 'idle' ? [1, 5] : [6, 6];
    return `mixture ${copies} of ${experts[expert]} ${routers[router].replace(/\bN\b/g, String(n))}`;
  };
  const parts = pairs.map((pair) => `  ${nameOf(pair)} = ${mixture(pair)}\n`).join('');
  const results = pairs.map((pair) => `y_${nameOf(pair)}: [B, S, D]`).join(', ');
  const text = `${layers}model M {\n${parts}  forward(x: [B, S, D]) -> (${results}) {\n    return ${pairs.map((pair) => `${nameOf(pair)}(x)`).join(', ')}\n  }\n}\n`;
  const reader = { ...repositoryReader, read: (path: string) => (path === 'test/lowerings.moe' ? text : repositoryReader.read(path)) };
  return must(modelOfSource('test/lowerings.moe', { reader, zoo: repository, seed: 5 }));
}

const found = model();
const { graph } = found.model;
const rows = (dims: readonly number[]): NdArray =>
  ndArray(
    dims,
    Array.from({ length: count(dims) }, (_, i) => Math.sin((i + 1) * 12.9898) * 2),
  );
/** One token, and several of two texts. */
const feeds = [rows([1, 1, 8]), rows([2, 7, 8])];
const wanted = feeds.map((x) => defined(graph, { x }));

/** What is farther from the definition than the tolerance, for each feed. */
async function faults(target: 'ort' | 'portable', lowering: Wish): Promise<readonly string[]> {
  const session = await open(found, target, { form: 'whole', lowering });
  const far: string[] = [];
  for (const [i, x] of feeds.entries()) {
    const results = must(await session.run({ x: { dtype: 'f32', dims: x.dims, data: Float32Array.from(x.data) } }));
    for (const [name, right] of Object.entries(wanted[i] ?? {})) {
      const error = distance(results[name]?.data as Float32Array, right.data);
      if (!(error < tolerance)) far.push(`${name} of ${x.dims.join(' x ')}: ${error}`);
    }
  }
  await session.close();
  return far;
}

const choicesOf = async (lowering: Wish): Promise<readonly Choice[]> =>
  must(await lowerModel(graph, { target: targetOf('ort'), form: 'whole', storage: 'written', lowering })).mixtures;
const single = (name: LoweringName): Wish => ({ few: name, many: name });

test('the definition tells all mixtures apart', () => {
  const [, several = {}] = wanted;
  const sums = Object.values(several).map(({ data }) => data.reduce((sum, one) => sum + Math.abs(one), 0).toFixed(6));
  expect(sums).toHaveLength(pairs.length);
  expect(new Set(sums).size).toBe(pairs.length);
});

test.each(loweringNames)('%s on ort computes the definition', async (name) => expect(await faults('ort', single(name))).toEqual([]), 60_000);

test.each(['batched', 'gathered'] as const)('%s on portable computes the definition', async (name) => expect(await faults('portable', single(name))).toEqual([]), 60_000);

test.each([
  ['gathered', 'guarded'],
  ['guarded', 'looped'],
  ['fused', 'guarded'],
] as const)('%s for few tokens and %s for many compute the definition', async (few, many) => expect(await faults('ort', { few, many })).toEqual([]), 60_000);

test('every mixture takes what is asked for, but for the fused operator', async () => {
  for (const name of loweringNames.filter((one) => one !== 'fused')) {
    const other = (await choicesOf(single(name))).filter(({ few, many }) => few !== name || many !== name);
    expect(other.map(({ path }) => path)).toEqual([]);
  }
  const taken = (await choicesOf(single('fused'))).filter(({ many }) => many === 'fused').map(({ path }) => path.split('.')[0]);
  const open: readonly Experts[] = ['exact', 'stepped', 'gatedStepped', 'nothing', 'normed', 'scaled', 'unlike', 'turned', 'heads', 'apart', 'spread', 'half'];
  expect(new Set(taken)).toEqual(new Set(pairs.filter(([expert, router]) => !open.includes(expert) && router !== 'alone').map(nameOf)));
});

test('two lowerings store every weight once', async () => {
  const sizes = (sources: readonly Source[]): number => sources.reduce((sum, { dims }) => sum + count(dims), 0);
  const written = async (lowering: Wish): Promise<readonly Source[]> => {
    const lowered = must(await lowerModel(graph, { target: targetOf('ort'), form: 'whole', storage: 'written', lowering }));
    return planWeights([lowered.graph], 'written', undefined, 0).written.map(({ source }) => source);
  };
  const all = graph.weights.map(({ source }) => source);
  for (const lowering of [{ few: 'gathered', many: 'guarded' }, single('gathered'), single('guarded')] as const) expect(sizes(await written(lowering))).toBe(sizes(all));
  // Biases alone stand twice: the operator has those of all experts in one, and a product those of its expert.
  expect(sizes(await written({ few: 'fused', many: 'guarded' }))).toBeLessThan(1.02 * sizes(all));
});

test('matrices that read the same rows are one product where weights are written anew, and left apart where they lie', async () => {
  const lying: Graph = {
    ...graph,
    weights: graph.weights.map((weight) => ({ ...weight, source: { kind: 'tensor', name: weight.path, dims: weight.source.dims, dtype: weight.source.dtype } })),
  };
  const products = async (of: Graph, storage: Storage, lowering: Wish): Promise<number> => {
    const within = ({ nodes }: Graph): number =>
      nodes.reduce((sum, { op, bodies = {} }) => Object.values(bodies).reduce((all, body) => all + within(body), sum + (/^onnx\.(MatMul|Gemm)$/.test(op.name) ? 1 : 0)), 0);
    return within(must(await lowerModel(of, { target: targetOf('ort'), form: 'whole', storage, lowering })).graph);
  };
  const apart = await products(lying, 'checkpoint', single('guarded'));
  // Every expert of these kinds has a gate, and there are six of each.
  const gated = pairs.filter(([expert]) => ['gated', 'biased', 'clamped', 'gatedStepped', 'scaled'].includes(expert)).length;
  for (const [of, storage] of [
    [lying, 'written'],
    [graph, 'checkpoint'],
  ] as const)
    expect(apart - (await products(of, storage, single('guarded')))).toBeGreaterThanOrEqual(gated * 6);
  expect(await products(lying, 'written', { few: 'gathered', many: 'guarded' })).toBeGreaterThanOrEqual(apart);
  // Beside the operator too: in its order they would be cut out of a copy of all, expert by expert.
  const pair = { few: 'fused', many: 'guarded' } as const;
  expect((await products(lying, 'checkpoint', pair)) - (await products(lying, 'written', pair))).toBeGreaterThanOrEqual(6);
});

test('layers with two lowerings share one comparison', async () => {
  const found = zooModel('olmoe', { set: { V: '32', D: '16', H: '8', L: '3', N: '2', E: '4', k: '2' } });
  const lowered = must(await lowerModel(found.model.graph, { target: targetOf('ort'), form: 'whole', storage: 'written', lowering: { few: 'gathered', many: 'guarded' } }));
  const conditions = lowered.graph.nodes.filter(({ op }) => op.name === 'onnx.If').map(({ inputs }) => inputs[0]);
  expect(conditions).toHaveLength(3);
  expect(new Set(conditions).size).toBe(1);
});

test('small experts are one operator: an `If` between two lowerings would cost more than it saves', async () => {
  const found = zooModel('olmoe', { set: { V: '32', D: '576', H: '96', L: '1', N: '9', E: '16', k: '8' } });
  const [choice] = must(await lowerModel(found.model.graph, { target: targetOf('ort'), form: 'step', storage: 'written' })).mixtures;
  expect(choice).toMatchObject({ few: 'fused', many: 'fused' });
});
