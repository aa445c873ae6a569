/** Nodes of ONNX raised to ops: every row of the tables means what onnxruntime says that its node means, by the op's lowering and by its reference. */

import * as ort from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import { constant as sizeOf } from '../src/graph/dim.ts';
import { evaluateGraph } from '../src/graph/eval.ts';
import type { Graph } from '../src/graph/graph.ts';
import { count, type NdArray, ndArray } from '../src/graph/nd-array.ts';
import { parseGraph } from '../src/graph/parse-text.ts';
import { verifyGraph } from '../src/graph/verify.ts';
import { exportModel } from '../src/onnx/export.ts';
import { ops } from '../src/ops/index.ts';
import { elementwiseRows } from '../src/passes/foreign/elementwise.ts';
import { linearRows } from '../src/passes/foreign/linear.ts';
import { shapeRows } from '../src/passes/foreign/shapes.ts';
import { recogniseOps } from '../src/passes/recognise-ops.ts';
import { recognition } from '../src/passes/recognition.ts';
import { runPasses } from '../src/passes/run.ts';
import { lowerGraph } from '../src/targets/lower.ts';
import { toBytes } from '../src/weights/elements.ts';
import { sourceArray } from '../src/weights/source.ts';
import { distance } from './definition.ts';
import { targetOf } from './running.ts';

/** By row: lines of graph text that make `y` of x, z [B, 3, 4] (numbers of both signs), p (positive), v [4], w [5, 4], b [5], u [4, 3] and ids [2]. */
const cases: Readonly<Record<string, readonly string[]>> = {
  Abs: ['y = onnx.Abs(x)'],
  Add: ['y = onnx.Add(x, v)'],
  And: ['a = onnx.Greater(x, z)\nb = onnx.Less(x, v)\ny = onnx.And(a, b)'],
  ArgMax: ['y = onnx.ArgMax(x, axis: 1, keepdims: 0)', 'y = onnx.ArgMax(x, axis: -1)'],
  Cast: ['y = onnx.Cast(x, to: 7)', 'y = onnx.Cast(x, to: 9)', 'y = onnx.Cast(ids, to: 1)'],
  Ceil: ['y = onnx.Ceil(x)'],
  Celu: ['y = onnx.Celu(x, alpha: float 0.7)'],
  Clip: ['low: f32[] = -0.5\nhigh: f32[] = 1\ny = onnx.Clip(x, low, high)', 'high: f32[] = 1\ny = onnx.Clip(x, _, high)', 'low: i64[] = 1\ny = onnx.Clip(ids, low)'],
  Concat: ['y = onnx.Concat(x, z, axis: 1)'],
  ConstantOfShape: ['s = onnx.Shape(x)\ny = onnx.ConstantOfShape(s, value: f32[1]{0.25})', 's: i64[2] = {2, 3}\na = onnx.ConstantOfShape(s)\ny = onnx.Exp(a)'],
  Cos: ['y = onnx.Cos(x)'],
  CumSum: ['a: i64[] = 1\ny = onnx.CumSum(x, a)'],
  Div: ['y = onnx.Div(x, p)', 'k: i64[] = 2\ny = onnx.Div(ids, k)'],
  Dropout: ['y = onnx.Dropout(x)'],
  Einsum: ['y = onnx.Einsum(x, u, equation: "bsk,kn->bsn")', 'y = onnx.Einsum(x, w, equation: "... k, n k -> ... n")', 'y = onnx.Einsum(x, z, equation: "bik,bjk->bij")'],
  Elu: ['y = onnx.Elu(x, alpha: float 0.5)'],
  Equal: ['k: i64[] = 1\ny = onnx.Equal(ids, k)'],
  Erf: ['y = onnx.Erf(x)'],
  Exp: ['y = onnx.Exp(x)'],
  Expand: ['s: i64[3] = {2, 1, 4}\ny = onnx.Expand(v, s)', 's = onnx.Shape(x)\nk: f32[3, 1] = {1, 2, 3}\ny = onnx.Expand(k, s)', 's: i64[4] = {2, 1, 3, 1}\ny = onnx.Expand(x, s)'],
  Flatten: ['y = onnx.Flatten(x, axis: 2)', 'y = onnx.Flatten(x, axis: 0)'],
  Floor: ['y = onnx.Floor(x)'],
  Gather: ['y = onnx.Gather(v, ids)', 'k: i64[] = -1\ny = onnx.Gather(x, k, axis: 1)', 'y = onnx.Gather(w, ids, axis: 0)'],
  Gelu: ['y = onnx.Gelu(x)', 'y = onnx.Gelu(x, approximate: "tanh")'],
  Gemm: ['m = onnx.Flatten(x, axis: 2)\ny = onnx.Gemm(m, w, b, alpha: float 0.5, beta: float 2, transB: 1)', 'y = onnx.Gemm(u, u, transA: 1)'],
  Greater: ['y = onnx.Greater(x, z)'],
  GreaterOrEqual: ['y = onnx.GreaterOrEqual(x, v)'],
  HardSigmoid: ['y = onnx.HardSigmoid(x)', 'y = onnx.HardSigmoid(x, alpha: float 0.4, beta: float 0.3)'],
  HardSwish: ['y = onnx.HardSwish(x)'],
  Identity: ['a = onnx.Identity(x)\ny = onnx.Neg(a)'],
  LayerNormalization: ['y = onnx.LayerNormalization(x, v)', 'y = onnx.LayerNormalization(x, v, v, axis: 2, epsilon: float 0.01)'],
  LeakyRelu: ['y = onnx.LeakyRelu(x)', 'y = onnx.LeakyRelu(x, alpha: float 1.5)'],
  Less: ['y = onnx.Less(x, z)'],
  LessOrEqual: ['y = onnx.LessOrEqual(x, z)'],
  Log: ['y = onnx.Log(p)'],
  LogSoftmax: ['y = onnx.LogSoftmax(x, axis: 1)'],
  MatMul: ['t = onnx.Transpose(z, perm: [0, 2, 1])\ny = onnx.MatMul(x, t)', 'y = onnx.MatMul(x, v)'],
  Max: ['y = onnx.Max(x, z, v)'],
  Min: ['y = onnx.Min(x)', 'y = onnx.Min(x, z)'],
  Mish: ['y = onnx.Mish(x)'],
  Mod: ['k: i64[] = -2\ny = onnx.Mod(ids, k)'],
  Mul: ['y = onnx.Mul(x, z)'],
  Neg: ['y = onnx.Neg(x)'],
  Not: ['a = onnx.Less(x, z)\ny = onnx.Not(a)'],
  Or: ['a = onnx.Greater(x, z)\nb = onnx.Less(x, v)\ny = onnx.Or(a, b)'],
  PRelu: ['y = onnx.PRelu(x, v)'],
  Pow: [1, 2, 3, -1].map((k) => `k: f32[] = ${k}\ny = onnx.Pow(x, k)`).concat([0.5, -0.5].map((k) => `k: f32[] = ${k}\ny = onnx.Pow(p, k)`)),
  RMSNormalization: ['y = onnx.RMSNormalization(x, v, epsilon: float 0.01)'],
  Range: [
    's = onnx.Shape(x)\nk: i64[] = 1\nn = onnx.Gather(s, k)\ny = onnx.Range(k, n, k)',
    'o: i64[] = 0\nk: i64[] = 1\ns = onnx.Shape(x)\nn = onnx.Gather(s, o)\ny = onnx.Range(o, n, k)',
  ],
  Reciprocal: ['y = onnx.Reciprocal(p)'],
  ReduceL2: ['a: i64[1] = {1}\ny = onnx.ReduceL2(x, a)'],
  ReduceMax: ['a: i64[2] = {0, -1}\ny = onnx.ReduceMax(x, a, keepdims: 0)'],
  ReduceMean: ['a: i64[1] = {-1}\ny = onnx.ReduceMean(x, a)', 'y = onnx.ReduceMean(x)'],
  ReduceMin: ['a: i64[1] = {1}\ny = onnx.ReduceMin(x, a)'],
  ReduceSum: ['a: i64[2] = {1, 2}\ny = onnx.ReduceSum(x, a)'],
  ReduceSumSquare: ['a: i64[1] = {-1}\ny = onnx.ReduceSumSquare(x, a, keepdims: 0)'],
  Relu: ['y = onnx.Relu(x)'],
  Reshape: [
    's: i64[3] = {0, -1, 2}\ny = onnx.Reshape(x, s)',
    'a = onnx.Flatten(x, axis: 2)\nb = onnx.Softmax(a)\ns = onnx.Shape(x)\ny = onnx.Reshape(b, s)',
    's = onnx.Shape(x)\no: i64[1] = {0}\nt: i64[1] = {1}\nn = onnx.Slice(s, o, t)\nk: i64[1] = {12}\nr = onnx.Concat(n, k, axis: 0)\ny = onnx.Reshape(x, r)',
  ],
  Selu: ['y = onnx.Selu(x)'],
  Sigmoid: ['y = onnx.Sigmoid(x)'],
  SimplifiedLayerNormalization: ['y = onnx.SimplifiedLayerNormalization(x, v, epsilon: float 0.01)'],
  Sin: ['y = onnx.Sin(x)'],
  Slice: [
    'a: i64[2] = {-3, 0}\nb: i64[2] = {4000000000, -1}\nc: i64[2] = {2, 1}\ny = onnx.Slice(x, a, b, c)',
    'a: i64[1] = {1}\nb: i64[1] = {4}\nc: i64[1] = {-1}\nd: i64[1] = {2}\ny = onnx.Slice(x, a, b, c, d)',
    's = onnx.Shape(x)\na: i64[1] = {0}\nb: i64[1] = {1}\nn = onnx.Slice(s, a, b)\ny = onnx.Slice(w, a, n, b)',
  ],
  Softmax: ['y = onnx.Softmax(x)', 'y = onnx.Softmax(x, axis: 1)'],
  Softplus: ['y = onnx.Softplus(x)'],
  Softsign: ['y = onnx.Softsign(x)'],
  Split: ['y, b = onnx.Split(x, axis: -1, num_outputs: 2)', 's: i64[2] = {1, 2}\na, y = onnx.Split(x, s, axis: 1)', 'a, y = onnx.Split(x, axis: 1, num_outputs: 2)'],
  Sqrt: ['y = onnx.Sqrt(p)'],
  Squeeze: ['a: i64[2] = {0, 2}\nk: f32[1, 3, 1, 2] = {1, 2, 3, 4, 5, 6}\ny = onnx.Squeeze(k, a)', 'k: f32[1, 3, 1] = {1, 2, 3}\ny = onnx.Squeeze(k)'],
  Sub: ['y = onnx.Sub(x, z)'],
  Sum: ['y = onnx.Sum(x, z, v)'],
  Tanh: ['y = onnx.Tanh(x)'],
  ThresholdedRelu: ['y = onnx.ThresholdedRelu(x, alpha: float 0.5)'],
  Tile: ['r: i64[3] = {2, 1, 3}\ny = onnx.Tile(x, r)'],
  Transpose: ['y = onnx.Transpose(x)', 'y = onnx.Transpose(x, perm: [1, 0, 2])', 'y = onnx.Transpose(x, perm: [0, 2, 1])'],
  Unsqueeze: ['a: i64[2] = {0, -1}\ny = onnx.Unsqueeze(x, a)'],
  Where: ['a = onnx.Greater(x, z)\ny = onnx.Where(a, v, z)'],
  Xor: ['a = onnx.Greater(x, z)\nb = onnx.Less(x, v)\ny = onnx.Xor(a, b)'],
  'com.microsoft.BiasGelu': ['y = onnx.com.microsoft.BiasGelu(x, v)'],
  'com.microsoft.FastGelu': ['y = onnx.com.microsoft.FastGelu(x)', 'y = onnx.com.microsoft.FastGelu(x, v)'],
  'com.microsoft.FusedMatMul': [
    'y = onnx.com.microsoft.FusedMatMul(x, w, transB: 1, alpha: float 0.5)',
    't = onnx.Transpose(x, perm: [0, 2, 1])\ny = onnx.com.microsoft.FusedMatMul(t, z, transA: 1, transB: 1)',
  ],
  'com.microsoft.Gelu': ['y = onnx.com.microsoft.Gelu(x)'],
  'com.microsoft.QuickGelu': ['y = onnx.com.microsoft.QuickGelu(x)', 'y = onnx.com.microsoft.QuickGelu(x, alpha: float 1)'],
};

const read = (lines: string): Graph => {
  const body = lines
    .split('\n')
    .map((line) => `  ${line}\n`)
    .join('');
  return parseGraph(
    `graph g(x: f32[B, 3, 4], z: f32[B, 3, 4], p: f32[B, 3, 4], u: f32[4, 3], ids: i64[2]) -> (y)
  weight v: f32[4] = random(seed: 3, deviation: 1)
  weight w: f32[5, 4] = random(seed: 4, deviation: 1)
  weight b: f32[5] = random(seed: 5, deviation: 1)
${body}`,
    ops,
  );
};

const ort24 = targetOf('ort');
const written = (graph: Graph): Uint8Array =>
  exportModel(lowerGraph(graph, ort24, 'written'), {
    opset: ort24.opset,
    ir: ort24.ir,
    domains: { 'com.microsoft': 1 },
    place: ({ source }) => ({ kind: 'inline', bytes: toBytes(source.dtype, sourceArray(source, undefined).data) }),
  });

const wave = (dims: readonly number[], phase: number, lift = 0): NdArray =>
  ndArray(
    dims,
    Float64Array.from({ length: count(dims) }, (_, i) => Math.fround(Math.sin(phase + i * 1.7) * 3 + lift)),
  );
const arrays: Readonly<Record<string, NdArray>> = {
  x: wave([2, 3, 4], 1),
  z: wave([2, 3, 4], 2),
  p: wave([2, 3, 4], 3, 4),
  u: wave([4, 3], 4),
  ids: ndArray([2], [3, 1], 'i64'),
};

async function results(graph: Graph, given = arrays): Promise<NdArray> {
  const session = await ort.InferenceSession.create(written(graph), { logSeverityLevel: 3 });
  const feeds = Object.fromEntries(
    graph.inputs.map(({ name }) => {
      const { dims = [], data = new Float64Array(), dtype } = given[name] ?? {};
      return [name, dtype === 'i64' ? new ort.Tensor('int64', BigInt64Array.from(data, BigInt), dims) : new ort.Tensor('float32', Float32Array.from(data), dims)];
    }),
  );
  const { y } = await session.run(feeds);
  await session.release();
  return ndArray(y?.dims ?? [], Float64Array.from(y?.data as Float32Array, Number));
}

const byReference = (graph: Graph): NdArray | undefined => {
  const numbers = new Map(graph.weights.map(({ path, source }) => [path, sourceArray(source, undefined)]));
  return evaluateGraph(graph, arrays, (path) => numbers.get(path) ?? ndArray([0], []))['y'];
};

describe('every row', () => {
  test.each(Object.entries(cases).flatMap(([name, lines]) => lines.map((line) => [name, line] as const)))('%s: %s', async (_, lines) => {
    const graph = read(lines);
    const raised = recogniseOps(graph);
    verifyGraph(raised);
    expect(raised.nodes.filter(({ op }) => op.foreign).map(({ op }) => op.name)).toEqual([]);
    const [before, after] = [await results(graph), await results(raised)];
    expect(after.dims).toEqual(before.dims);
    expect(distance(after.data, before.data)).toBeLessThan(1e-6);
    // The reference is in f64, the run in f32.
    expect(distance(byReference(raised)?.data ?? [], before.data)).toBeLessThan(1e-5);
  });

  test('has a case', () => {
    const rows = [elementwiseRows, shapeRows, linearRows].flatMap((table) => Object.keys(table));
    expect(rows.filter((name) => !(name in cases) && name !== 'Swish').sort()).toEqual([]);
    expect(Object.keys(cases).filter((name) => !rows.includes(name))).toEqual([]);
  });
});

test.each([
  ['of types that are not known', 'a = onnx.Mystery(x)\ny = onnx.Relu(a)', ['onnx.Mystery', 'onnx.Relu']],
  ['of another domain', 'y = onnx.other.Relu(x)', ['onnx.other.Relu']],
  ['with sizes that only a run knows', 'a = onnx.NonZero(x)\ns = onnx.Shape(a)\ny = onnx.ConstantOfShape(s)', ['onnx.NonZero', 'onnx.Shape', 'onnx.ConstantOfShape']],
  ['of powers that no op has', 'k: f32[] = 1.5\ny = onnx.Pow(p, k)', ['onnx.Pow']],
  ['of remainders by another rule', 'y = onnx.Mod(x, p, fmod: 1)', ['onnx.Mod']],
  ['of a mask that is dropped by chance', 'r: f32[] = 0.5\nt: bool[] = 1\ny = onnx.Dropout(x, r, t)', ['onnx.Dropout']],
  ['of the last of equals', 'y = onnx.ArgMax(x, axis: 1, select_last_index: 1)', ['onnx.ArgMax']],
  ['of a sum without itself', 'a: i64[] = 1\ny = onnx.CumSum(x, a, exclusive: 1)', ['onnx.CumSum']],
  ['of a norm over two axes', 'g: f32[3, 4] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}\ny = onnx.LayerNormalization(x, g, axis: 1)', ['onnx.LayerNormalization']],
  ['of sums over several axes', 'y = onnx.Einsum(x, z, equation: "bij,bij->b")', ['onnx.Einsum']],
  ['of a transposed result', 'y = onnx.Einsum(x, u, equation: "bsk,kn->bns")', ['onnx.Einsum']],
  ['of columns by a list', 'y = onnx.Gather(x, ids, axis: 2)', ['onnx.Gather']],
])('nodes stay: %s', (_, lines, left) => {
  const raised = recogniseOps(read(lines));
  verifyGraph(raised);
  expect(raised.nodes.filter(({ op }) => op.foreign).map(({ op }) => op.name)).toEqual(left);
});

test('types are known past nodes that stay', () => {
  const raised = recogniseOps(read('a = onnx.Gather(x, ids, axis: 2)\nb = onnx.Trilu(a)\nc = onnx.IsNaN(b)\nd = onnx.Where(c, b, b)\ny = onnx.Relu(d)'));
  expect(raised.nodes.map(({ op }) => op.name)).toEqual(['onnx.Gather', 'onnx.Trilu', 'onnx.IsNaN', 'where', 'relu']);
});

/** Products behind nodes that stay, with the sizes of what they give; `n` stands for one that nobody knows. */
test.each([
  ['of whole numbers', 'a = onnx.Abs(ids)\nk: i64[] = 1\nb = onnx.Less(a, k)\nc = onnx.Cast(b, to: 1)\ny = onnx.MatMul(c, r)', '5'],
  ['that turn an axis around', 'd: i64[1] = {1}\nf: i64[1] = {-9}\na = onnx.Slice(x, o, f, d, m)\ny = onnx.MatMul(a, u)', 'n, 3, 3'],
  ['that turn it around from before its first', 'd: i64[1] = {1}\nf: i64[1] = {-9}\na = onnx.Slice(x, f, f, d, m)\ny = onnx.MatMul(a, u)', 'n, 1, 3'],
  ['that end before they begin', 'd: i64[1] = {1}\nf: i64[1] = {2}\na = onnx.Slice(x, f, d, d)\ny = onnx.MatMul(a, u)', 'n, 0, 3'],
  ['of a norm with a gain', 'f = onnx.NonZero(x)\nc = onnx.Cast(f, to: 1)\na = onnx.LayerNormalization(c, v)\ny = onnx.MatMul(a, u)', '3, 3'],
  ['whose keys are narrower than queries', 'k = onnx.MatMul(x, u)\na = onnx.com.microsoft.GroupQueryAttention(x, k, k)\ny = onnx.MatMul(a, u)', 'n, 3, 3'],
  [
    'whose values have a width of their own',
    'k = onnx.MatMul(x, u)\na = onnx.com.microsoft.MultiHeadAttention(x, x, k)\nt = onnx.Transpose(u, perm: [1, 0])\ny = onnx.MatMul(a, t)',
    'n, 3, 4',
  ],
  [
    'of channels in blocks',
    'a = onnx.com.microsoft.nchwc.ReorderInput(x)\nc = onnx.com.microsoft.nchwc.ReorderOutput(a, channels: 4, channels_last: 1)\ny = onnx.MatMul(c, u)',
    'n, n, 3',
  ],
  ['of padding that a run works out', 'g = onnx.NonZero(x)\np = onnx.Reshape(g, m)\na = onnx.Pad(x, p)\nc = onnx.Add(a, v)\ny = onnx.MatMul(c, u)', 'n, n, 3'],
])('types are known past nodes %s', (_, lines, sizes) => {
  const raised = recogniseOps(read(`r: f32[2, 5] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}\no: i64[1] = {-1}\nm: i64[1] = {-1}\n${lines}`));
  expect(raised.nodes.at(-1)?.op.name).toBe('matmul');
  const dims = raised.outputs[0]?.value.type?.dims ?? [];
  expect(dims.map((size) => sizeOf(size) ?? 'n').join(', ')).toBe(sizes);
});

test('a size that only a node of ONNX knows is read from what the node makes', async () => {
  const graph = parseGraph(
    `graph g(x: f32[2, 3, 4]) -> (y)
  found: i64[3, n] = onnx.NonZero(x)
  counts: i64[n] = range(n: n)
  y: i64[3, n] = add(found, counts)
`,
    ops,
  );
  const zeros = {
    ...arrays,
    x: ndArray(
      [2, 3, 4],
      Float64Array.from({ length: 24 }, (_, i) => (i % 5 === 2 ? i : 0)),
    ),
  };
  expect(await results(graph, zeros)).toMatchObject({ dims: [3, 5], data: Float64Array.of(0, 1, 3, 4, 5, 0, 2, 2, 4, 6, 2, 4, 2, 4, 6) });
});

test('a large constant becomes a weight', () => {
  const graph = read(`q: f32[4, 20] = {${Array.from({ length: 80 }, (_, i) => i).join(', ')}}\ny = onnx.MatMul(x, q)`);
  const { weights, nodes } = recogniseOps(graph);
  expect(weights.find(({ path }) => path === 'q')?.source).toMatchObject({ kind: 'literal', dims: [4, 20] });
  expect(nodes.map(({ op }) => op.name)).toEqual(['matmul']);
});

const spelled: Readonly<Record<string, { readonly lines: string; readonly op: string }>> = {
  'GELU by erf': {
    lines: 'r: f32[] = 1.4142135381698608\no: f32[] = 1\nh: f32[] = 0.5\na = onnx.Div(x, r)\nb = onnx.Erf(a)\nc = onnx.Add(b, o)\nd = onnx.Mul(x, c)\ny = onnx.Mul(d, h)',
    op: 'gelu',
  },
  'GELU by tanh': {
    lines:
      't: f32[] = 3\nc: f32[] = 0.044714998453855515\ns: f32[] = 0.7978845834732056\no: f32[] = 1\nh: f32[] = 0.5\na = onnx.Pow(x, t)\nq = onnx.Mul(a, c)\nd = onnx.Add(x, q)\ne = onnx.Mul(d, s)\nf = onnx.Tanh(e)\ng = onnx.Add(f, o)\ni = onnx.Mul(x, h)\ny = onnx.Mul(i, g)',
    op: 'gelu_tanh',
  },
  SiLU: { lines: 'a = onnx.Sigmoid(x)\ny = onnx.Mul(a, x)', op: 'silu' },
  'an RMS norm': {
    lines:
      'a: i64[1] = {-1}\nt: f32[] = 2\ne: f32[] = 0.01\nq = onnx.Pow(x, t)\nm = onnx.ReduceMean(q, a)\ns = onnx.Add(m, e)\nr = onnx.Sqrt(s)\ni = onnx.Reciprocal(r)\nn = onnx.Mul(x, i)\ny = onnx.Mul(v, n)',
    op: 'rms_norm',
  },
  'a layer norm': {
    lines:
      'a: i64[1] = {-1}\nt: f32[] = 2\ne: f32[] = 0.01\nm = onnx.ReduceMean(x, a)\nd = onnx.Sub(x, m)\nq = onnx.Pow(d, t)\nu = onnx.ReduceMean(q, a)\ns = onnx.Add(u, e)\nr = onnx.Sqrt(s)\nn = onnx.Div(d, r)\nl = onnx.Mul(n, v)\ny = onnx.Add(l, v)',
    op: 'layer_norm',
  },
  attention: {
    lines:
      's: i64[4] = {0, 0, 2, 2}\nf: f32[] = 0.70710677\na = onnx.Reshape(x, s)\nb = onnx.Reshape(z, s)\nq = onnx.Transpose(a, perm: [0, 2, 1, 3])\nt = onnx.Transpose(b, perm: [0, 2, 3, 1])\nm = onnx.MatMul(q, t)\nn = onnx.Mul(m, f)\nc = onnx.Softmax(n)\nr = onnx.Transpose(b, perm: [0, 2, 1, 3])\ny = onnx.MatMul(c, r)',
    op: 'attend',
  },
};

test.each(Object.entries(spelled))('%s is folded', async (_, { lines, op }) => {
  const graph = read(lines);
  const folded = await runPasses(graph, recognition);
  expect(folded.nodes.map((node) => node.op.name)).toContain(op);
  expect(folded.nodes.filter((node) => node.op.name !== 'constant' && node.op.name !== 'split_heads')).toHaveLength(1);
  expect(distance((await results(folded)).data, (await results(graph)).data)).toBeLessThan(1e-6);
});
