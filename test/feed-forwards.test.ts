/** Feed-forwards found in graphs: each is computed again from the sources and the inner nodes that the finder gives, and held against the graph itself. */

import { describe, expect, test } from 'vitest';
import { constant } from '../src/graph/constant.ts';
import { evaluateGraph } from '../src/graph/eval.ts';
import type { Graph, Node } from '../src/graph/graph.ts';
import { count, type NdArray, ndArray } from '../src/graph/nd-array.ts';
import { parseGraph } from '../src/graph/parse-text.ts';
import type { Source } from '../src/graph/source.ts';
import { verifyGraph } from '../src/graph/verify.ts';
import { ops } from '../src/ops/index.ts';
import { type FeedForward, findFeedForwards } from '../src/passes/feed-forwards.ts';
import { sourceArray } from '../src/weights/source.ts';
import { distance } from './definition.ts';

const random = (name: string, type: string): string => `  weight ${name}: ${type} = random(seed: 1, deviation: 0.5)\n`;

/** A graph text with x: [2, 3, 4] and these weights, each with random numbers. */
function read(body: string, weights: Readonly<Record<string, string>> = {}, outputs = 'y'): Graph {
  const all = { up: 'f32[4, 6]', down: 'f32[6, 4]', gate: 'f32[4, 6]', b: 'f32[6]', c: 'f32[6]', d: 'f32[4]', ...weights };
  const lines = body
    .trim()
    .split('\n')
    .map((line) => `  ${line.trim()}\n`);
  const graph = parseGraph(
    `graph g(x: f32[2, 3, 4]) -> (${outputs})\n${Object.entries(all)
      .map(([name, type]) => random(name, type))
      .join('')}${lines.join('')}`,
    ops,
  );
  verifyGraph(graph);
  return graph;
}

const feeds = {
  x: ndArray(
    [2, 3, 4],
    Float64Array.from({ length: 24 }, (_, i) => Math.sin(i * 1.7) * 2),
  ),
};
const numbersOf =
  (graph: Graph) =>
  (path: string): NdArray => {
    const weight = graph.weights.find((one) => one.path === path);
    if (!weight) throw new Error(`no weight ${path}`);
    return sourceArray(weight.source, undefined);
  };

/** rows · matrix + bias, by the book. */
function affine(rows: NdArray, matrix: Source, bias: Source | undefined): NdArray {
  const [inner = 0, outer = 0] = matrix.dims;
  const [m, b] = [sourceArray(matrix, undefined).data, bias && sourceArray(bias, undefined).data];
  const lead = rows.dims.slice(0, -1);
  const data = new Float64Array(count(lead) * outer);
  for (let row = 0; row < count(lead); row++)
    for (let j = 0; j < outer; j++) {
      let sum = b?.[j] ?? 0;
      for (let i = 0; i < inner; i++) sum += (rows.data[row * inner + i] ?? 0) * (m[i * outer + j] ?? 0);
      data[row * outer + j] = sum;
    }
  return ndArray([...lead, outer], data);
}

/** What the feed-forward computes of its x, from nothing but what the finder says of it. */
function computed(graph: Graph, one: FeedForward, x: NdArray): NdArray {
  const { gate, up, hidden } = one.inner;
  const constants: readonly Node[] = graph.nodes.filter(({ op }) => op === constant);
  const inputs = [gate, ...(up ? [up] : [])];
  const inner: Graph = { name: 'inner', inputs, outputs: [{ name: 'hidden', value: hidden }], nodes: [...constants, ...one.inner.nodes], weights: graph.weights };
  const given = {
    [gate.name]: affine(x, one.gate, one.gateBias),
    ...(up && one.up ? { [up.name]: affine(x, one.up, one.upBias) } : {}),
  };
  const bent = evaluateGraph(inner, given, numbersOf(graph))['hidden'];
  if (!bent) throw new Error('nothing hidden');
  return affine(bent, one.down, one.outBias);
}

/** The graph's own value for the feed-forward's y, and for its x. */
function own(graph: Graph, one: FeedForward): { readonly x: NdArray; readonly y: NdArray } {
  const results = evaluateGraph(
    {
      ...graph,
      outputs: [
        { name: 'x', value: one.x },
        { name: 'y', value: one.y },
      ],
    },
    feeds,
    numbersOf(graph),
  );
  const { x, y } = results;
  if (!x || !y) throw new Error('nothing computed');
  return { x, y };
}

interface Form {
  readonly body: string;
  readonly weights?: Readonly<Record<string, string>>;
  readonly kind?: 'plain' | 'gated';
  readonly biases?: readonly ('gateBias' | 'upBias' | 'outBias')[];
}

const forms: Readonly<Record<string, Form>> = {
  'plain, without biases': { body: 'h = matmul(x, up)\na = relu(h)\ny = matmul(a, down)' },
  'plain, with biases on either side': {
    body: 'h = matmul(x, up)\nhb = add(b, h)\na = gelu(hb)\no = matmul(a, down)\ny = add(o, d)',
    biases: ['gateBias', 'outBias'],
  },
  'an activation of several steps': { body: 'h = matmul(x, up)\nk: f32[] = 1.702\ns = mul(h, k)\nt = sigmoid(s)\na = mul(h, t)\ny = matmul(a, down)' },
  'gated by the first product': { body: 'g = matmul(x, gate)\nu = matmul(x, up)\na = silu(g)\nh = mul(a, u)\ny = matmul(h, down)', kind: 'gated' },
  'gated by the second product, with biases': {
    body: 'u = matmul(x, up)\nub = add(u, c)\ng = matmul(x, gate)\ngb = add(g, b)\na = gelu_tanh(gb)\nh = mul(ub, a)\no = matmul(h, down)\ny = add(o, d)',
    kind: 'gated',
    biases: ['gateBias', 'upBias', 'outBias'],
  },
  'matrices behind an axis of size 1': { body: 'h = matmul(x, wide)\na = relu(h)\ny = matmul(a, down)', weights: { wide: 'f32[1, 4, 6]' } },
  'matrices stored in half precision': {
    body: 'w = cast(up16, to: f32)\nd16 = transpose(down16)\nv = cast(d16, to: f32)\nh = matmul(x, w)\na = relu(h)\ny = matmul(a, v)',
    weights: { up16: 'f16[4, 6]', down16: 'bf16[4, 6]' },
  },
  'clamped on both sides, as gpt-oss is': {
    body: `g = matmul(x, gate)
      u = matmul(x, up)
      gc = clamp(g, low: -inf, high: 1.5)
      uc = clamp(u, low: -1.5, high: 1.5)
      k: f32[] = 1.702
      s = mul(gc, k)
      t = sigmoid(s)
      a = mul(gc, t)
      one: f32[] = 1
      v = add(uc, one)
      h = mul(v, a)
      y = matmul(h, down)`,
    kind: 'gated',
  },
  'fused, split': {
    body: 'p = matmul(x, both)\nu, g = split(p, count: 2)\na = silu(g)\nh = mul(a, u)\ny = matmul(h, down)',
    weights: { both: 'f32[4, 12]' },
    kind: 'gated',
  },
  'fused with a bias, sliced': {
    body: 'p = matmul(x, both)\nq = add(p, wide)\ng = slice(q, axis: 2, from: 0, to: 6)\nu = slice(q, axis: -1, from: 6, to: 12)\na = silu(g)\nh = mul(a, u)\ny = matmul(h, down)',
    weights: { both: 'f32[4, 12]', wide: 'f32[12]' },
    kind: 'gated',
    biases: ['gateBias', 'upBias'],
  },
  'fused, interleaved': {
    body: `p = matmul(x, both)
      q = add(p, wide)
      r = reshape(q, dims: [2, 3, 6, 2])
      gs = slice(r, axis: -1, from: 0, to: 1)
      us = slice(r, axis: 3, from: 1, to: 2)
      g = squeeze(gs, axis: 3)
      u = squeeze(us, axis: -1)
      a = silu(g)
      h = mul(a, u)
      y = matmul(h, down)`,
    weights: { both: 'f32[4, 12]', wide: 'f32[12]' },
    kind: 'gated',
    biases: ['gateBias', 'upBias'],
  },
  'fused, as two rows of an axis': {
    body: 'p = matmul(x, both)\nr = reshape(p, dims: [2, 3, 2, 6])\ngs, us = split(r, count: 2, axis: -2)\ng = squeeze(gs, axis: -2)\nu = squeeze(us, axis: -2)\na = silu(g)\nh = mul(a, u)\ny = matmul(h, down)',
    weights: { both: 'f32[4, 12]' },
    kind: 'gated',
  },
  'weights the other way around': {
    body: 'ut = transpose(upt)\ndt = permute(downt, order: [1, 0])\nh = matmul(x, ut)\na = relu(h)\ny = matmul(a, dt)',
    weights: { upt: 'f32[6, 4]', downt: 'f32[4, 6]' },
  },
  'weights cut out of one': {
    body: `packed = reshape(flat, dims: [12, 4])
      g = slice(packed, axis: 0, from: 0, to: 6)
      gt = transpose(g)
      apart = reshape(packed, dims: [6, 2, 4])
      us = slice(apart, axis: 1, from: 1, to: 2)
      u2 = squeeze(us, axis: 1)
      ut = transpose(u2)
      bs, cs = split(wide, sizes: [6, 6])
      p = matmul(x, gt)
      pb = add(p, bs)
      q = matmul(x, ut)
      qb = add(q, cs)
      a = silu(pb)
      h = mul(a, qb)
      y = matmul(h, down)`,
    weights: { flat: 'f32[48]', wide: 'f32[12]' },
    kind: 'gated',
    biases: ['gateBias', 'upBias'],
  },
  'weights interleaved in one': {
    body: `t = transpose(both)
      apart = reshape(t, dims: [4, 6, 2])
      gs, us = split(apart, count: 2)
      g2 = squeeze(gs, axis: -1)
      u2 = squeeze(us, axis: -1)
      g = matmul(x, g2)
      u = matmul(x, u2)
      a = silu(g)
      h = mul(a, u)
      y = matmul(h, down)`,
    weights: { both: 'f32[12, 4]' },
    kind: 'gated',
  },
  'weights joined of two': {
    body: 'j = concat(left, right, axis: 1)\nh = matmul(x, j)\na = tanh(h)\ny = matmul(a, down)',
    weights: { left: 'f32[4, 2]', right: 'f32[4, 4]' },
  },
};

describe('what is found computes what the graph computes', () => {
  test.each(Object.entries(forms))('%s', (_, { body, weights, kind = 'plain', biases = [] }) => {
    const graph = read(body, weights);
    const { found, missed } = findFeedForwards(graph);
    expect(missed).toEqual([]);
    expect(found).toHaveLength(1);
    const [one] = found as [FeedForward];
    expect(one).toMatchObject({ kind, width: 4, neurons: 6, gate: { dims: [4, 6] }, down: { dims: [6, 4] } });
    expect((['gateBias', 'upBias', 'outBias'] as const).filter((bias) => one[bias])).toEqual(biases);
    const { x, y } = own(graph, one);
    // Sums in f64, in another order.
    expect(distance(computed(graph, one, x).data, y.data)).toBeLessThan(1e-13);
    expect(one.y).toBe(graph.outputs[0]?.value);
    const rest = graph.nodes.filter((node) => !one.nodes.includes(node));
    expect(rest.flatMap(({ inputs }) => inputs).filter((value) => one.nodes.some(({ outputs }) => value && outputs.includes(value)))).toEqual([]);
    expect([...one.nodes]).toEqual(graph.nodes.filter((node) => one.nodes.includes(node)));
  });

  test('the gate is the product that is bent', () => {
    const one = findFeedForwards(read(forms['gated by the second product, with biases']?.body ?? '')).found[0];
    expect([one?.gate, one?.up].map((source) => source?.kind === 'random' && source.path)).toEqual(['gate', 'up']);
    expect(one?.weights.map(({ path }) => path).sort()).toEqual(['b', 'c', 'd', 'down', 'gate', 'up']);
  });
});

const plain = 'h = matmul(x, up)\na = relu(h)\n';

interface Near extends Pick<Form, 'body' | 'weights'> {
  readonly why: string;
  readonly outputs?: string;
}

const near: Readonly<Record<string, Near>> = {
  'hidden numbers read elsewhere': { body: `${plain}y = matmul(a, down)\nz = sigmoid(a)`, outputs: 'y, z', why: '`a` inside it is read by `z` as well' },
  'hidden numbers as a result': { body: `${plain}y = matmul(a, down)`, outputs: 'y, h', why: '`h` inside it is a result of the model as well' },
  'another width': { body: `${plain}y = matmul(a, wide)`, weights: { wide: 'f32[6, 5]' }, why: 'it goes from 4 numbers to 5; one that ends as wide as it began is taken' },
  'a norm in the middle': {
    body: `${plain}n = rms_norm(a, b)\ny = matmul(n, down)`,
    why: 'what stands between its products is not elementwise: rms_norm at `n`',
  },
  'a softmax for activation': {
    body: 'h = matmul(x, up)\na = softmax(h)\ny = matmul(a, down)',
    why: 'what stands between its products is not elementwise: softmax at `a`',
  },
  'sizes that are not known': {
    body: 'm = onnx.Mystery(x)\nh = onnx.MatMul(m, up)\na = onnx.com.microsoft.BiasGelu(h, b)\ny = onnx.MatMul(a, down)',
    why: 'the sizes at its MatMul are not known',
  },
  "an op of somebody's own": {
    body: 'h = matmul(x, up)\na: f32[2, 3, 6] = onnx.acme.Fancy(h)\ny = matmul(a, down)',
    why: 'what stands between its products is not elementwise: acme.Fancy at `a`',
  },
  'a number for each neuron': {
    body: `${plain}s = mul(a, b)\ny = matmul(s, down)`,
    why: 'what stands between its products is not elementwise: mul with b at `s`',
  },
  'a number for each neuron of each place': {
    body: 'h = matmul(x, up)\ns = add(h, places)\na = relu(s)\ny = matmul(a, down)',
    weights: { places: 'f32[3, 6]' },
    why: 'what stands between its products is not elementwise: add with places at `s`',
  },
  'matrices that bring an axis': {
    body: 'r = reshape(x, dims: [6, 4])\nh = matmul(r, wide)\na = relu(h)\ny = matmul(a, down)',
    weights: { wide: 'f32[1, 4, 6]' },
    why: 'its weights have 3 axes',
  },
  'one row': {
    body: 'r = slice(x, axis: 0, from: 0, to: 1)\ns = slice(r, axis: 1, from: 0, to: 1)\nt = reshape(s, dims: [4])\nh = matmul(t, up)\na = relu(h)\ny = matmul(a, down)',
    why: '`t` is one row without an axis of tokens, which experts are picked for',
  },
  'weights computed': {
    body: 'l = matmul(left, right)\nw = add(up, l)\nh = matmul(x, w)\na = relu(h)\ny = matmul(a, down)',
    weights: { left: 'f32[4, 2]', right: 'f32[2, 6]' },
    why: 'its weights are computed in the graph; fold constants first',
  },
  'a second matrix from the run': {
    body: `${plain}k = matmul(x, up)\nt = transpose(k)\nm = matmul(t, k)\ny = matmul(a, m)`,
    why: 'its second matrix is computed while the model runs',
  },
  'products of two values': {
    body: 'v = sin(x)\ng = matmul(v, gate)\nu = matmul(x, up)\nt = silu(g)\nh = mul(t, u)\ny = matmul(h, down)',
    why: 'its two products read different values, `v` and `x`',
  },
  'three products': {
    body: 'p = matmul(x, up)\nq = matmul(x, gate)\nr = matmul(x, third)\ns = mul(p, q)\nh = mul(s, r)\ny = matmul(h, down)',
    weights: { third: 'f32[4, 6]' },
    why: '3 products meet in it; one (plain) or two (gated) are taken',
  },
  'a stack of matrices': { body: 'h = matmul(x, stack)\na = relu(h)\ny = matmul(a, down)', weights: { stack: 'f32[2, 4, 6]' }, why: 'its weights have 3 axes' },
};

test.each(Object.entries(near))('not taken: %s', (_, { body, weights, outputs, why }) => {
  const { found, missed } = findFeedForwards(read(body, weights, outputs));
  expect(found).toEqual([]);
  expect(missed.map((one) => one.why)).toEqual([why]);
});

test.each<readonly [string, string]>([
  ['two linear maps in a row', 'h = matmul(x, up)\ny = matmul(h, down)'],
  ['attention', 'q = matmul(x, p)\nk = matmul(x, p)\nv = matmul(x, p)\nt = transpose(k)\ns = matmul(q, t)\na = softmax(s)\nw = matmul(a, v)\ny = matmul(w, o)'],
  ['a residual stream', 'h = matmul(x, p)\ns = add(x, h)\nn = rms_norm(s, d)\ny = matmul(n, o)'],
  ['a sum of branches', 'h = matmul(x, p)\nv = sin(x)\ng = matmul(v, p)\ns = add(g, h)\nn = rms_norm(s, d)\ny = matmul(n, o)'],
])('no candidate: %s', (_, body) => {
  expect(findFeedForwards(read(body, { p: 'f32[4, 4]', o: 'f32[4, 4]' }))).toEqual({ found: [], missed: [] });
});

describe('quantised weights are named', () => {
  const quantised = (lines: string): readonly string[] => {
    const text = `graph g(x: f32[3, 4]) -> (y)\n  weight up: u8[4, 6] = "up"\n  weight down: u8[6, 4] = "down"\n${lines}`;
    return findFeedForwards(parseGraph(text, ops)).missed.map(({ why }) => why);
  };
  test('DequantizeLinear before the product', () => {
    expect(
      quantised(`  scale: f32[] = 0.5
  u: f32[4, 6] = onnx.DequantizeLinear(up, scale)
  d: f32[6, 4] = onnx.DequantizeLinear(down, scale)
  h = matmul(x, u)
  a = relu(h)
  y = matmul(a, d)
`),
    ).toEqual(['its weights are quantised (DequantizeLinear); export the model with f32 or f16 weights']);
  });
  test('an op on quantised weights', () => {
    expect(
      quantised(`  scale: f32[] = 0.5
  h: f32[3, 6] = onnx.com.microsoft.MatMulNBits(x, up, scale, K: 4, N: 6)
  a = relu(h)
  y: f32[3, 4] = onnx.com.microsoft.MatMulNBits(a, down, scale, K: 6, N: 4)
`),
    ).toEqual(['its weights are quantised (MatMulNBits); export the model with f32 or f16 weights']);
  });
});

test('convolutions are told of where they make a pair', () => {
  const text = (kernel: number): string => `graph g(x: f32[1, 4, 8, 8]) -> (y)
  weight up: f32[6, 4, ${kernel}, ${kernel}] = random(seed: 0, deviation: 1)
  weight down: f32[4, 6, 1, 1] = random(seed: 0, deviation: 1)
  h: f32[1, 6, 8, 8] = onnx.Conv(x, up)
  a = relu(h)
  y: f32[1, 4, 8, 8] = onnx.Conv(a, down)
`;
  expect(findFeedForwards(parseGraph(text(1), ops)).missed.map(({ why }) => why)).toEqual(['it is made of convolutions; only products of matrices are taken']);
  expect(findFeedForwards(parseGraph(text(3), ops)).missed).toEqual([]);
});

test('inside a graph of ONNX it is not taken', () => {
  const text = `graph g(x: f32[3, 4], c: bool[]) -> (y)
  weight up: f32[4, 6] = random(seed: 0, deviation: 1)
  weight down: f32[6, 4] = random(seed: 0, deviation: 1)
  y: f32[3, 4] = onnx.If(c)
    then_branch: graph then() -> (r)
      h = matmul(x, up)
      a = relu(h)
      r = matmul(a, down)
    else_branch: graph else() -> (i = x)
`;
  const inside = { found: [], missed: [{ name: 'r', why: 'it stands inside `y`, an If' }] };
  expect(findFeedForwards(parseGraph(text, ops))).toMatchObject(inside);
  // As it is read from a file: nodes inside graphs are left as they are.
  const raw = text.replace('matmul(x, up)', 'onnx.MatMul(x, up)').replace('relu(h)', 'onnx.Relu(h)').replace('matmul(a, down)', 'onnx.MatMul(a, down)');
  expect(findFeedForwards(parseGraph(raw, ops))).toMatchObject(inside);
});
