import { expect, test } from 'vitest';
import { Bug } from '../src/diagnostics/bug.ts';
import { graphBuilder } from '../src/graph/builder.ts';
import { add, dim, divide, multiply, same, symbol } from '../src/graph/dim.ts';
import { foreign } from '../src/graph/foreign.ts';
import { type Graph, value } from '../src/graph/graph.ts';
import { nameValues } from '../src/graph/names.ts';
import { ndArray, scalar } from '../src/graph/nd-array.ts';
import { float, floats } from '../src/graph/onnx.ts';
import type { Op } from '../src/graph/op.ts';
import { parseGraph } from '../src/graph/parse-text.ts';
import { printGraph } from '../src/graph/text.ts';
import { tensor } from '../src/graph/type.ts';
import { verifyGraph } from '../src/graph/verify.ts';
import { add as addOp, cast, mul } from '../src/ops/elementwise.ts';
import { gather } from '../src/ops/gather.ts';
import { concat, split } from '../src/ops/join.ts';
import { reshape, slice } from '../src/ops/shape.ts';

const ops: ReadonlyMap<string, Op> = new Map([concat, split, addOp, cast, mul, gather, reshape, slice].map((op) => [op.name, op]));

const tiny = `/// A table and a product.
///
/// Small enough to read.
graph tiny(input_ids: i64[B, S]) -> (logits = y, x)
  weight embed.table: f32[512, 64] = "model.embed_tokens.weight"
  state gain: f32[64] at "norm.gain" = arithmetic(tensor("norm.weight", f32[64]), "+", operand: 1)
  x: f32[B, S, 64] = gather(embed.table, input_ids)
  y: f32[B, S, 64] = mul(x, gain)
`;

test('a graph reads as one value a line, and back', () => {
  const graph = parseGraph(tiny, ops);
  verifyGraph(graph);
  expect(printGraph(graph)).toBe(tiny);
  expect(graph.weights.map(({ path, storage }) => [path, storage])).toEqual([
    ['embed.table', 'constant'],
    ['norm.gain', 'state'],
  ]);
});

test('every kind of source, setting and size survives the text', () => {
  const text = `graph every(x: f32[B, 2 * H, 8], n: f32[B * S / 2 + 3, N / 4, (D + 1) / E]) -> (\`odd name\` = \`/model/out:0\`, y)
  weight a: f32[4, 8] = transpose(tensor("a", f32[8, 4]))
  weight b: f32[2, 8] = slice(transpose(tensor("a", f32[8, 4])), axis: 0, from: 1, to: 3)
  weight c: f32[8] = slice(tensor("a", f32[8, 8]), axis: 0, from: 1, to: 2, drop: true)
  weight d: f32[3, 8] = interleaved(tensor("a", f32[7, 8]), axis: 0, from: 1, step: 2)
  weight e: f32[2, 2, 8] = reshape(tensor("a", f32[4, 8]), f32[2, 2, 8])
  weight f: f32[6, 8] = concat([tensor("a", f32[4, 8]), tensor("b \\"quoted\\"", f32[2, 8])], axis: 0)
  weight g: f16[4] = cast(arithmetic(tensor("a", f32[4]), "/", operand: 2.5, left: true), f16)
  weight h: f32[4] = random(seed: 7, deviation: 0.02)
  weight i: f32[4] at "other.i" = random(f32[4], seed: 7, deviation: 0, value: 1)
  weight j: f32[2, 2] = f32[2, 2] {1, -0, inf, nan}
  half: f32[B, H, 8], rest: f32[B, H, 8] = split(x, count: 2, axis: 1)
  y: f32[B, 8 * H] = reshape(half, dims: [B, 8 * H])
  z: f32[B, H, 3] = slice(half, axis: -1, from: 1, to: 4)
  whole: i64[B, H, 3] = cast(z, to: i64)
  k: f32[] = 0.5
  minus: f32[] = -inf
  list: i64[3] = {1, -2, 3}
  \`/model/out:0\` = onnx.com.microsoft.Thing(half, _, y, axis: -1, epsilon: float 0.00001, scales: floats [1, 2.5], perm: [0, 2, 1], mode: "linear", names: ["a", "b"], value: f32[2] {1, 2}, shape: raw "CgFh")
`;
  const graph = parseGraph(text.replace('random(f32[4], seed: 7, deviation: 0, value: 1)', 'random(seed: 7, deviation: 0, value: 1)'), ops);
  const printed = printGraph(graph);
  expect(printed).toBe(text.replace('random(f32[4], ', 'random('));
  expect(printGraph(parseGraph(printed, ops))).toBe(printed);
  verifyGraph(graph);
});

test('graphs inside a node are indented and read what is around them', () => {
  const text = `graph outer(c: bool[], x: f32[B, 4]) -> (y)
  one: f32[] = 1
  y: f32[B, 4] = onnx.If(c)
    then_branch: graph then() -> (out)
      two: f32[] = 2
      out: f32[B, 4] = add(x, two)
    /// Nothing to do.
    else_branch: graph otherwise() -> (out = x)
  z: f32[B, 4] = add(y, one)
`;
  const graph = parseGraph(text, ops);
  verifyGraph(graph);
  expect(printGraph(graph)).toBe(text);
});

test('types that are left out are inferred', () => {
  const graph = parseGraph('graph g(x: f32[B, 4]) -> (y)\n  k = 2\n  y = mul(x, k)\n', ops);
  expect(printGraph(graph)).toBe('graph g(x: f32[B, 4]) -> (y)\n  k: f32[] = 2\n  y: f32[B, 4] = mul(x, k)\n');
});

test('repeated names get numbers, and inputs keep theirs', () => {
  const x = value('x', tensor('f32', [2]));
  const build = graphBuilder();
  const first = build.one(addOp, [x, x], {}, 'x');
  const second = build.one(addOp, [first, x], {}, 'x');
  const graph = build.finish({ name: 'g', inputs: [x], outputs: [{ name: 'y', value: second }], weights: [] });
  expect([...nameValues(graph).values()]).toEqual(['x', 'x.2', 'x.3']);
  expect(printGraph(parseGraph(printGraph(graph), ops))).toBe(printGraph(graph));
});

test('sizes read back as the sizes they were', () => {
  const [b, s, d] = [symbol('B'), symbol('S'), symbol('D')];
  const sizes = [add(multiply(b, s), -3), divide(multiply(d, 3), 2), divide(b, add(s, 1)), multiply(b, multiply(b, b)), add(multiply(b, -1), s), dim(0)];
  for (const size of sizes) {
    const x = value('x', tensor('f32', [size ?? dim(1)]));
    const graph: Graph = { name: 'g', inputs: [x], outputs: [], nodes: [], weights: [] };
    const [back] = parseGraph(printGraph(graph), ops).inputs[0]?.type?.dims ?? [];
    expect(back && size && same(back, size), printGraph(graph)).toBe(true);
  }
});

test('long arrays can be cut short', () => {
  const build = graphBuilder();
  const long = build.constant(
    ndArray(
      [100],
      Array.from({ length: 100 }, (_, i) => i),
    ),
    'long',
  );
  const graph = build.finish({ name: 'g', inputs: [], outputs: [{ name: 'long', value: long }], weights: [] });
  expect(printGraph(graph, { longest: 3 })).toBe('graph g() -> (long)\n  long: f32[100] = {0, 1, 2, …}\n');
});

test('float settings of ONNX are told from whole numbers', () => {
  const build = graphBuilder();
  const x = value('x', tensor('f32', [2]));
  const [y] = build.foreign(foreign('Foo'), [x], { a: float(1), b: 1, c: floats([1]), d: [1], e: scalar(1) }, [{ name: 'y' }]);
  const graph = build.finish({ name: 'g', inputs: [x], outputs: [{ name: 'y', value: y ?? x }], weights: [] });
  expect(parseGraph(printGraph(graph), ops).nodes[0]?.attrs).toEqual({ a: float(1), b: 1, c: floats([1]), d: [1], e: scalar(1) });
});

const broken: readonly (readonly [string, (graph: Graph) => Graph])[] = [
  ['reads x before it is computed', (graph) => ({ ...graph, nodes: graph.nodes.slice(1) })],
  ['is defined twice', (graph) => ({ ...graph, nodes: [...graph.nodes, ...graph.nodes.slice(0, 1)] })],
  ['two inputs are called input_ids', (graph) => ({ ...graph, inputs: [...graph.inputs, value('input_ids', tensor('i64', [1]))] })],
  ['two outputs are called x', (graph) => ({ ...graph, outputs: graph.outputs.map((output) => ({ ...output, name: 'x' })) })],
  ['the output extra is never computed', (graph) => ({ ...graph, outputs: [...graph.outputs, { name: 'extra', value: value('extra') }] })],
  [
    'the rule of mul says f32[B, S, 64]',
    (graph) => ({ ...graph, nodes: graph.nodes.map((node, i) => (i === 1 ? { ...node, outputs: [value('y', tensor('f32', [64]))] } : node)), outputs: graph.outputs.slice(1) }),
  ],
  [
    'its source f32[64, 512]',
    (graph) => ({ ...graph, weights: graph.weights.map((weight, i) => (i === 0 ? { ...weight, source: { kind: 'tensor', name: 't', dtype: 'f32', dims: [64, 512] } } : weight)) }),
  ],
];

for (const [fault, hurt] of broken) {
  test(`a graph is refused when: ${fault}`, () => {
    const graph = hurt(parseGraph(tiny, ops));
    expect(() => verifyGraph(graph, 'some-pass')).toThrow(fault);
    try {
      verifyGraph(graph);
    } catch (bug) {
      expect(bug instanceof Bug && bug.detail).toContain('graph tiny(');
    }
  });
}

test('text that is no graph is refused with its line', () => {
  expect(() => parseGraph('graph g(x: f32[2]) -> (y)\n  y = nothing(x)\n', ops)).toThrow('line 2');
  expect(() => parseGraph('graph g() -> (y)\n', ops)).toThrow('y');
});
