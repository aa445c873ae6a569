/** Graphs written as models run in onnxruntime and give the numbers worked out by hand. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { expect, test } from 'vitest';
import { graphBuilder } from '../src/graph/builder.ts';
import { add, multiply, symbol } from '../src/graph/dim.ts';
import { foreign } from '../src/graph/foreign.ts';
import { type Graph, value } from '../src/graph/graph.ts';
import { ndArray, scalar } from '../src/graph/nd-array.ts';
import { float } from '../src/graph/onnx.ts';
import { tensor } from '../src/graph/type.ts';
import { reference } from '../src/onnx/attributes.ts';
import { type ExportOptions, exportModel, modelOf } from '../src/onnx/export.ts';
import { toBytes } from '../src/weights/elements.ts';

const options: ExportOptions = {
  opset: 21,
  ir: 10,
  place: ({ source }) => {
    if (source.kind !== 'literal') throw new Error('the tests give literals');
    return { kind: 'inline', bytes: toBytes(source.dtype, source.array.data) };
  },
};

const literal = (dims: readonly number[], data: readonly number[]) => ({ kind: 'literal', dims, dtype: 'f32', array: ndArray(dims, data) }) as const;
const weight = (name: string, dims: readonly number[], data: readonly number[]) =>
  ({ value: value(name, tensor('f32', dims)), path: name, source: literal(dims, data), storage: 'constant' }) as const;
const f32 = (dims: readonly number[], data: readonly number[]) => new ort.Tensor('float32', Float32Array.from(data), dims);

async function run(model: Uint8Array | string, feeds: Record<string, ort.Tensor>): Promise<Record<string, number[]>> {
  const session = typeof model === 'string' ? await ort.InferenceSession.create(model) : await ort.InferenceSession.create(model);
  const results = await session.run(feeds);
  await session.release();
  return Object.fromEntries(Object.entries(results).map(([name, { data }]) => [name, Array.from(data as Float32Array, Number)]));
}

/** y = x · w + b with dims [B, 2] · [2, 3]. */
function linear(): Graph {
  const build = graphBuilder();
  const x = value('x', tensor('f32', [symbol('B'), 2]));
  const w = weight('ffn.w', [2, 3], [1, 2, 3, 4, 5, 6]);
  const b = weight('ffn.b', [3], [10, 20, 30]);
  const [product] = build.foreign(foreign('MatMul'), [x, w.value], {}, [{ name: 'ffn' }]);
  const [sum] = build.foreign(foreign('Add'), [product, b.value], {}, [{ name: 'ffn', type: tensor('f32', [symbol('B'), 3]) }]);
  if (!sum) throw new Error('no sum');
  return build.finish({ name: 'linear', doc: 'A line.', inputs: [x], outputs: [{ name: 'y', value: sum }], weights: [w, b] });
}

test('weights in the model', async () => {
  const result = await run(exportModel(linear(), options), { x: f32([2, 2], [1, 0, 1, 1]) });
  expect(result['y']).toEqual([11, 22, 33, 15, 27, 39]);
});

test('weights beside the model, at an odd offset', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'moec-'));
  try {
    const data = Buffer.concat([Buffer.alloc(7), toBytes('f32', Float64Array.of(1, 2, 3, 4, 5, 6)), toBytes('f32', Float64Array.of(10, 20, 30))]);
    writeFileSync(join(folder, 'data.bin'), data);
    const model = exportModel(linear(), {
      ...options,
      place: ({ path }) => ({ kind: 'external', location: 'data.bin', ...(path === 'ffn.w' ? { offset: 7, length: 24 } : { offset: 31, length: 12 }) }),
    });
    writeFileSync(join(folder, 'model.onnx'), model);
    expect((await run(join(folder, 'model.onnx'), { x: f32([1, 2], [1, 1]) }))['y']).toEqual([15, 27, 39]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a location outside the folder is refused', () => {
  for (const location of ['../data', '/data', 'a/../../data', 'a\\b']) {
    expect(() => exportModel(linear(), { ...options, place: () => ({ kind: 'external', location, offset: 0, length: 24 }) })).toThrow('outside the model');
  }
});

test('the names of inputs and results are kept, the others are made unique, and the same graph gives the same bytes', () => {
  const model = modelOf(linear(), { ...options, version: '1.2.3', doc: 'All of it.', metadata: { source: 'a.moe' }, types: true });
  expect(model.graph?.node?.map(({ name, input, output }) => ({ name, input, output }))).toEqual([
    { name: 'ffn', input: ['x', 'ffn.w'], output: ['ffn'] },
    { name: 'y', input: ['ffn', 'ffn.b'], output: ['y'] },
  ]);
  expect(model.graph?.input).toEqual([{ name: 'x', type: { tensorType: { elemType: 1, shape: { dim: [{ dimParam: 'B' }, { dimValue: 2 }] } } } }]);
  expect(model.graph?.docString).toBe('A line.');
  expect(model).toMatchObject({ producerName: 'moec', producerVersion: '1.2.3', docString: 'All of it.', irVersion: 10, metadataProps: [{ key: 'source', value: 'a.moe' }] });
  expect(Buffer.from(exportModel(linear(), options)).equals(exportModel(linear(), options))).toBe(true);
});

test('a size that is no name is written as it reads', () => {
  const build = graphBuilder();
  const x = value('x', tensor('f32', [add(multiply(symbol('B'), symbol('S')), 1)]));
  const [y] = build.foreign(foreign('Neg'), [x], {}, [{ name: 'x' }]);
  const model = modelOf(build.finish({ name: 'g', inputs: [x], outputs: y ? [{ name: 'y', value: y }] : [], weights: [] }), options);
  expect(model.graph?.input?.[0]?.type?.tensorType?.shape?.dim).toEqual([{ dimParam: 'B * S + 1' }]);
});

test('an input, a weight, a constant and one value twice may be results', async () => {
  const build = graphBuilder();
  const x = value('x', tensor('f32', [2]));
  const w = weight('w', [2], [3, 4]);
  const c = build.constant(ndArray([2], [5, 6]), 'c');
  const [y] = build.foreign(foreign('Neg'), [x], {}, [{ name: 'neg', type: tensor('f32', [2]) }]);
  if (!y) throw new Error('no result');
  const outputs = [
    { name: 'in', value: x },
    { name: 'weight', value: w.value },
    { name: 'constant', value: c },
    { name: 'a', value: y },
    { name: 'b', value: y },
  ];
  const result = await run(exportModel(build.finish({ name: 'g', inputs: [x], outputs, weights: [w] }), options), { x: f32([2], [1, 2]) });
  expect(result).toEqual({ in: [1, 2], weight: [3, 4], constant: [5, 6], a: [-1, -2], b: [-1, -2] });
});

/** If(cond) { x + w } else { x }, where w lies in the branch and x outside. */
function branching(): Graph {
  const build = graphBuilder();
  const x = value('x', tensor('f32', [2]));
  const cond = value('cond', tensor('bool', []));
  const inner = graphBuilder();
  const w = weight('x.w', [2], [10, 20]);
  const half = inner.constant(scalar(0.5), 'half');
  const [sum] = inner.foreign(foreign('Add'), [x, w.value], {}, [{ name: 'sum' }]);
  const [halved] = inner.foreign(foreign('Mul'), [sum, half], {}, [{ name: 'x' }]);
  if (!halved) throw new Error('no result');
  const yes = inner.finish({ name: 'yes', inputs: [], outputs: [{ name: 'out', value: halved }], weights: [w] });
  const no: Graph = { name: 'no', inputs: [], outputs: [{ name: 'out', value: x }], nodes: [], weights: [] };
  const [y] = build.foreign(foreign('If'), [cond], {}, [{ name: 'y', type: tensor('f32', [2]) }], { then_branch: yes, else_branch: no });
  if (!y) throw new Error('no result');
  return build.finish({ name: 'branching', inputs: [x, cond], outputs: [{ name: 'y', value: y }], weights: [] });
}

test('branches with weights of their own read what stands around them', async () => {
  const model = exportModel(branching(), options);
  const cond = (on: boolean) => new ort.Tensor('bool', Uint8Array.of(on ? 1 : 0), []);
  expect((await run(model, { x: f32([2], [1, 2]), cond: cond(true) }))['y']).toEqual([5.5, 11]);
  expect((await run(model, { x: f32([2], [1, 2]), cond: cond(false) }))['y']).toEqual([1, 2]);
});

test('a loop carries a value and reads one from outside', async () => {
  const build = graphBuilder();
  const x = value('x', tensor('f32', []));
  const step = value('step', tensor('f32', []));
  const trips = build.constant(scalar(4, 'i64'), 'trips');
  const yes = build.constant(scalar(1, 'bool'), 'yes');
  const inner = graphBuilder();
  const inputs = [value('i', tensor('i64', [])), value('go', tensor('bool', [])), value('x', tensor('f32', []))] as const;
  const [next] = inner.foreign(foreign('Add'), [inputs[2], step], {}, [{ name: 'x' }]);
  if (!next) throw new Error('no result');
  const body = inner.finish({
    name: 'body',
    inputs,
    outputs: [
      { name: 'go', value: inputs[1] },
      { name: 'x', value: next },
      { name: 'seen', value: next },
    ],
    weights: [],
  });
  const [last, seen] = build.foreign(foreign('Loop'), [trips, yes, x], {}, [{ name: 'last' }, { name: 'seen' }], { body });
  if (!last || !seen) throw new Error('no result');
  const graph = build.finish({
    name: 'g',
    inputs: [x, step],
    outputs: [
      { name: 'last', value: last },
      { name: 'seen', value: seen },
    ],
    weights: [],
  });
  expect(await run(exportModel(graph, options), { x: f32([], [1]), step: f32([], [2]) })).toEqual({ last: [9], seen: [3, 5, 7, 9] });
});

test('functions take attributes with and without defaults and hold constants', async () => {
  const inner = graphBuilder();
  const x = value('x');
  const [scale] = inner.foreign(foreign('Constant'), [], { value_float: reference('scale', 'float') }, [{ name: 'scale' }]);
  const [shift] = inner.foreign(foreign('Constant'), [], { value_float: reference('shift', 'float') }, [{ name: 'shift' }]);
  const one = inner.constant(scalar(1), 'one');
  const [scaled] = inner.foreign(foreign('Mul'), [x, scale], {}, [{ name: 'scaled' }]);
  const [shifted] = inner.foreign(foreign('Add'), [scaled, shift], {}, [{ name: 'shifted' }]);
  const [y] = inner.foreign(foreign('Add'), [shifted, one], {}, [{ name: 'y' }]);
  if (!y) throw new Error('no result');
  const body = inner.finish({ name: 'Line', doc: 'x · scale + shift + 1', inputs: [x], outputs: [{ name: 'y', value: y }], weights: [] });
  const build = graphBuilder();
  const outer = value('x', tensor('f32', [2]));
  const [first] = build.foreign(foreign('Line', 'moec'), [outer], { scale: float(3) }, [{ name: 'first' }]);
  const [second] = build.foreign(foreign('Line', 'moec'), [first], { scale: float(2), shift: float(100) }, [{ name: 'second', type: tensor('f32', [2]) }]);
  if (!second) throw new Error('no result');
  const graph = build.finish({ name: 'g', inputs: [outer], outputs: [{ name: 'y', value: second }], weights: [] });
  const model = exportModel(graph, { ...options, functions: [{ domain: 'moec', name: 'Line', graph: body, attributes: ['scale'], defaults: { shift: float(0.5) } }] });
  // (1·3 + 0.5 + 1)·2 + 100 + 1 = 110; (2·3 + 1.5)·2 + 101 = 116
  expect((await run(model, { x: f32([2], [1, 2]) }))['y']).toEqual([110, 116]);
});

test('what was not lowered, has no type or is made nowhere is a fault of moec', () => {
  const x = value('x', tensor('f32', [2]));
  const graph = linear();
  expect(() => exportModel({ ...graph, inputs: [value('x')] }, options)).toThrow('x has no type');
  expect(() => exportModel({ ...graph, inputs: [x] }, options)).toThrow('x is read in linear but made nowhere');
  expect(() => exportModel({ ...graph, outputs: [...graph.outputs, ...graph.outputs] }, options)).toThrow('called y');
});
