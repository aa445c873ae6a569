/** Models read and written again: the same numbers in onnxruntime, the same bytes the second time, and nothing lost on the way. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import * as ort from 'onnxruntime-node';
import { expect, test } from 'vitest';
import { constant } from '../src/graph/constant.ts';
import type { Weight } from '../src/graph/graph.ts';
import { spellType } from '../src/graph/type.ts';
import { type Placement, exportModel } from '../src/onnx/export.ts';
import { flatten } from '../src/onnx/flatten.ts';
import { type Imported, importModel, optionsOf } from '../src/onnx/import.ts';
import type { GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto } from '../src/onnx/messages.ts';
import { decodeModel, encodeModel } from '../src/onnx/wire.ts';
import { toBytes } from '../src/weights/elements.ts';
import { openTensors } from '../src/weights/open.ts';
import { sourceArray } from '../src/weights/source.ts';

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const info = (name: string, ...dims: readonly (number | string)[]): ValueInfoProto => ({ name, type: { tensorType: { elemType: 1, shape: { dim: dims.map((size) => (typeof size === 'number' ? { dimValue: size } : { dimParam: size })) } } } });
const node = (opType: string, input: readonly string[], output: readonly string[], rest: NodeProto = {}): NodeProto => ({ opType, input, output, ...rest });
const tensor = (name: string, dims: readonly number[], data: readonly number[]): TensorProto => ({ name, dims, dataType: 1, rawData: toBytes('f32', Float64Array.from(data)) });
const modelOf = (graph: GraphProto, rest: ModelProto = {}): ModelProto => ({ irVersion: 10, opsetImport: [{ domain: '', version: 21 }, { domain: 'moec', version: 1 }], graph: { name: 'g', ...graph }, ...rest });

function imported(model: ModelProto): Imported & { readonly bytes: Uint8Array } {
  const bytes = encodeModel(model);
  const read = importModel(bytes, 'model.onnx');
  if (!read.ok) throw new Error(read.diagnostics[0]?.message);
  return { ...read.value, bytes };
}

/** Weights back where they were: in the model, or where the file pointed. */
const placing = ({ tensors, bytes }: Imported & { readonly bytes: Uint8Array }) => ({ source }: Weight): Placement => {
  if (source.kind === 'literal') return { kind: 'inline', bytes: toBytes(source.dtype, source.array.data) };
  const found = tensors.find(({ name }) => source.kind === 'tensor' && name === source.name);
  if (!found) throw new Error('a weight from nowhere');
  const { location, offset, length } = found;
  return location === undefined ? { kind: 'inline', bytes: bytes.subarray(offset, offset + length) } : { kind: 'external', location, offset, length };
};

const again = (model: ModelProto): ModelProto => {
  const read = imported(model);
  return decodeModel(exportModel(read.graph, { ...optionsOf(read), place: placing(read) }));
};

async function run(model: ModelProto, feeds: Record<string, ort.Tensor>): Promise<Record<string, number[]>> {
  const session = await ort.InferenceSession.create(encodeModel(model));
  const results = await session.run(feeds);
  await session.release();
  return Object.fromEntries(Object.entries(results).map(([name, { data }]) => [name, Array.from(data as Float32Array, Number)]));
}
const f32 = (dims: readonly number[], data: readonly number[]) => new ort.Tensor('float32', Float32Array.from(data), dims);

/** Branches of the same inner names, a loop, a function with a default that calls another, optional inputs left out. */
const rich = modelOf(
  {
    input: [info('x', 'B', 2), { name: 'go', type: { tensorType: { elemType: 9, shape: {} } } }],
    output: [info('y', 'B', 2), info('all', 3, 'B', 2)],
    initializer: [tensor('w', [40, 2], Array.from({ length: 80 }, (_, i) => i)), { name: 'three', dataType: 7, int64Data: [3] }, { name: 'yes', dataType: 9, int32Data: [1] }],
    node: [
      node('Slice', ['w', 'one', 'two'], ['rows']), node('Add', ['x', 'rows'], ['moved']), node('Clip', ['moved', '', 'top'], ['clipped']),
      node('If', ['go'], ['branch'], {
        attribute: [
          { name: 'then_branch', type: 5, g: { name: 'yes', node: [node('Affine', ['clipped'], ['inner'], { domain: 'moec', attribute: [{ name: 'scale', type: 1, f: 2 }] }), node('Add', ['inner', 'v'], ['out'])], initializer: [tensor('v', [2], [100, 200])], output: [{ name: 'out' }] } },
          { name: 'else_branch', type: 5, g: { name: 'no', node: [node('Neg', ['clipped'], ['inner']), node('Neg', ['inner'], ['out'])], output: [{ name: 'out' }] } },
        ],
      }),
      node('Loop', ['three', 'yes', 'branch'], ['y', 'all'], {
        attribute: [{ name: 'body', type: 5, g: { name: 'body', input: [{ name: 'i', type: { tensorType: { elemType: 7, shape: {} } } }, { name: 'on', type: { tensorType: { elemType: 9, shape: {} } } }, { name: 'state', type: { tensorType: { elemType: 1 } } }], output: [{ name: 'still' }, { name: 'next' }, { name: 'seen' }], node: [node('Identity', ['on'], ['still']), node('Affine', ['state'], ['next'], { domain: 'moec', attribute: [{ name: 'scale', type: 1, f: 1 }, { name: 'shift', type: 1, f: 10 }] }), node('Identity', ['next'], ['seen'])] } }],
      }),
    ],
  },
  {
    functions: [
      { name: 'Affine', domain: 'moec', input: ['a'], output: ['b'], attribute: ['scale'], attributeProto: [{ name: 'shift', type: 1, f: 0.5 }], opsetImport: [{ domain: '', version: 21 }, { domain: 'moec', version: 1 }], docString: 'a · scale + shift', node: [node('Constant', [], ['s'], { attribute: [{ name: 'value_float', type: 1, refAttrName: 'scale' }] }), node('Mul', ['a', 's'], ['m']), node('Shift', ['m'], ['b'], { domain: 'moec', attribute: [{ name: 'by', type: 1, refAttrName: 'shift' }] })] },
      { name: 'Shift', domain: 'moec', input: ['a'], output: ['b'], attribute: ['by'], opsetImport: [{ domain: '', version: 21 }], node: [node('Constant', [], ['s'], { attribute: [{ name: 'value_float', type: 1, refAttrName: 'by' }] }), node('Add', ['a', 's'], ['b'])] },
    ],
  },
);
const withConstants: ModelProto = { ...rich, graph: { ...rich.graph, node: [node('Constant', [], ['one'], { attribute: [{ name: 'value_ints', type: 7, ints: [1] }] }), node('Constant', [], ['two'], { attribute: [{ name: 'value_ints', type: 7, ints: [2] }] }), node('Constant', [], ['top'], { attribute: [{ name: 'value_float', type: 1, f: 4 }] }), ...(rich.graph?.node ?? [])] } };
const feeds = (on: boolean) => ({ x: f32([1, 2], [0, 5]), go: new ort.Tensor('bool', Uint8Array.of(on ? 1 : 0), []) });
// x + w[1] = [2, 8], at most 4: [2, 4]; then · 2 + 0.5 + v = [104.5, 208.5], or itself; three times + 10.
const yes = { y: [134.5, 238.5], all: [114.5, 218.5, 124.5, 228.5, 134.5, 238.5] };
const no = { y: [32, 34], all: [12, 14, 22, 24, 32, 34] };

test('a model with branches, a loop and functions computes the same after reading and writing', async () => {
  expect([await run(withConstants, feeds(true)), await run(withConstants, feeds(false))]).toEqual([yes, no]);
  const second = again(withConstants);
  expect([await run(second, feeds(true)), await run(second, feeds(false))]).toEqual([yes, no]);
  expect(Buffer.from(encodeModel(again(second))).equals(encodeModel(second))).toBe(true);
});

test('flattened it computes the same without functions', async () => {
  const read = imported(withConstants);
  const flat = flatten(read.graph, read.functions);
  const model = decodeModel(exportModel(flat, { ...optionsOf(read), functions: [], place: placing(read) }));
  expect(JSON.stringify(model, (key, value: unknown) => (key === 'rawData' ? null : value))).not.toContain('Affine');
  expect([await run(model, feeds(true)), await run(model, feeds(false))]).toEqual([yes, no]);
});

test('a function that calls itself is a fault', () => {
  const read = imported(modelOf({ input: [info('x', 1)], output: [info('y', 1)], node: [node('F', ['x'], ['y'], { domain: 'moec' })] }, { functions: [{ name: 'F', domain: 'moec', input: ['a'], output: ['b'], node: [node('F', ['a'], ['b'], { domain: 'moec' })] }] }));
  expect(() => flatten(read.graph, read.functions)).toThrow('F calls itself');
});

test('a function that passes an input on, and one whose optional input is left out', async () => {
  const functions = [{ name: 'Both', domain: 'moec', input: ['a', 'low'], output: ['a', 'clipped'], opsetImport: [{ domain: '', version: 21 }], node: [node('Clip', ['a', 'low'], ['clipped'])] }];
  const model = modelOf({ input: [info('x', 2)], output: [info('y', 2)], node: [node('Both', ['x'], ['p', 'q'], { domain: 'moec' }), node('Add', ['p', 'q'], ['y'])] }, { functions });
  const read = imported(model);
  const flat = decodeModel(exportModel(flatten(read.graph, read.functions), { ...optionsOf(read), functions: [], place: placing(read) }));
  expect(await run(flat, { x: f32([2], [-1, 2]) })).toEqual({ y: [-2, 4] });
  expect(await run(again(model), { x: f32([2], [-1, 2]) })).toEqual({ y: [-2, 4] });
  const through = modelOf({ input: [info('x', 2)], output: [info('x', 2)] });
  expect(again(through).graph?.node ?? []).toEqual([]);
  expect(await run(again(through), { x: f32([2], [-1, 2]) })).toEqual({ x: [-1, 2] });
});

test('types are read: names of sizes, sizes nobody named, and none', () => {
  const read = imported(modelOf({
    input: [info('x', 'batch', 3), { name: 'open', type: { tensorType: { elemType: 1, shape: { dim: [{}, { dimValue: 2 }] } } } }, { name: 'rankless', type: { tensorType: { elemType: 1 } } }],
    output: [info('y', 'batch', 3)],
    valueInfo: [info('inner', 'batch', 3)],
    node: [node('Neg', ['x'], ['inner']), node('Neg', ['inner'], ['y']), node('Neg', ['rankless'], ['unknown'])],
  }));
  expect(read.graph.inputs.map(({ type }) => type && spellType(type))).toEqual(['[batch, 3]', '[open.0, 2]', undefined]);
  expect(read.graph.nodes.map(({ outputs }) => outputs[0]?.type && spellType(outputs[0].type))).toEqual(['[batch, 3]', '[batch, 3]', undefined]);
});

test('what the graph has no place for survives', () => {
  const unknown = [Uint8Array.of(0xc0, 0x3e, 5)];
  const metadataProps = [{ key: 'k', value: 'v' }];
  const big = { low: -1, high: 0x7fff_ffff };
  const model = modelOf(
    {
      docString: 'A graph.',
      metadataProps,
      unknown,
      input: [{ ...info('x', 2), docString: 'Fed.', metadataProps }, { name: 'list', type: { sequenceType: { elemType: { tensorType: { elemType: 1 } } } } }, { name: 'open', type: { tensorType: { elemType: 1, shape: { dim: [{ denotation: 'DATA_BATCH' }] } } } }],
      output: [info('y', 2)],
      valueInfo: [{ ...info('z', 2), metadataProps }],
      initializer: [{ ...tensor('w', [100], Array(100).fill(3)), docString: 'Learned.', metadataProps }, { name: 'packed', dataType: 22, dims: [2], rawData: Uint8Array.of(0x21) }, { name: 'words', dataType: 8, dims: [1], stringData: [utf8('a')] }],
      quantizationAnnotation: [{ tensorName: 'w', quantParameterTensorNames: metadataProps }],
      node: [
        node('Odd', ['x', '', 'w', 'packed', 'words'], ['z', '', 'also'], {
          name: 'mine', domain: 'other', overload: 'second', docString: 'Why.', metadataProps, unknown, deviceConfigurations: [{ configurationId: 'c' }],
          attribute: [
            { name: 'none', type: 8 }, { name: 'bytes', type: 3, s: Uint8Array.of(0xff) }, { name: 'far', type: 2, i: big }, { name: 'ends', type: 7, ints: [big] }, { name: 'type', type: 13, tp: { tensorType: { elemType: 1 } } },
            { name: 'tensors', type: 9, tensors: [tensor('t', [1], [1])] }, { name: 'said', type: 2, i: 1, docString: 'Why.' }, { name: 'i', type: 2, i: 3 }, { name: 'f', type: 1, f: 0.5 }, { name: 's', type: 3, s: utf8('é') }, { name: 'strings', type: 8, strings: [utf8('a'), utf8('b')] },
            { name: 'half', type: 4, t: { dims: [1], dataType: 10, rawData: Uint8Array.of(0, 0x3c) } },
          ],
        }),
        node('Neg', ['z'], ['y'], { name: 'y' }),
      ],
    },
    {
      opsetImport: [{ domain: '', version: 21 }, { domain: 'other', version: 7 }], producerName: 'somebody', producerVersion: '9', domain: 'd', modelVersion: 5, docString: 'A model.', metadataProps, unknown, configuration: [{ name: 'c', numDevices: 2 }],
    },
  );
  const sorted = (graph: GraphProto | undefined): unknown => ({ ...graph, node: graph?.node?.filter(({ opType }) => opType !== 'Constant').map((one) => ({ ...one, attribute: [...(one.attribute ?? [])].sort((a, b) => ((a.name ?? '') < (b.name ?? '') ? -1 : 1)) })), initializer: graph?.initializer?.filter(({ name }) => name === 'w') });
  const second = again(model);
  expect({ ...second, graph: sorted(second.graph) }).toEqual({ ...model, graph: sorted(model.graph) });
  const carried = second.graph?.node?.filter(({ opType }) => opType === 'Constant').map(({ output, attribute }) => ({ ...attribute?.[0]?.t, name: output?.[0] }));
  expect(carried).toEqual(model.graph?.initializer?.filter(({ name }) => name !== 'w'));
});

test('tensors in other files, in the model and in its fields', () => {
  const folder = mkdtempSync(join(tmpdir(), 'moec-'));
  try {
    const numbers = Array.from({ length: 100 }, (_, i) => i / 4);
    const external = (name: string, rest: readonly (readonly [string, string])[]): TensorProto => ({ name, dims: [100], dataType: 1, dataLocation: 1, externalData: rest.map(([key, value]) => ({ key, value })) });
    const model = modelOf({
      input: [info('x', 100)], output: [info('y', 100)],
      initializer: [tensor('inside', [100], numbers), { name: 'field', dims: [100], dataType: 1, floatData: numbers }, external('beside', [['location', './data'], ['offset', '8'], ['length', '400']]), external('plain', [['location', 'data']])],
      node: [node('Sum', ['x', 'inside', 'field', 'beside', 'plain'], ['y'])],
    });
    const read = imported(model);
    writeFileSync(join(folder, 'model.onnx'), read.bytes);
    writeFileSync(join(folder, 'data'), Buffer.concat([Buffer.alloc(8), toBytes('f32', Float64Array.from(numbers))]));
    const opened = openTensors(folder, read.tensors.map((one) => ({ ...one, file: join(folder, one.location ?? 'model.onnx') })));
    if (!opened.ok) throw new Error(opened.diagnostics[0]?.message);
    const held = new Map(read.graph.weights.map(({ path, source }) => [path, sourceArray(source, opened.value).data]));
    for (const name of ['inside', 'field', 'beside']) expect([name, [...(held.get(name) ?? [])]]).toEqual([name, numbers]);
    expect(held.get('plain')?.slice(2)).toEqual(Float64Array.from(numbers.slice(0, 98)));
    opened.value.close();
    writeFileSync(join(folder, 'data'), 'short');
    expect(openTensors(folder, read.tensors.map((one) => ({ ...one, file: join(folder, one.location ?? 'model.onnx') }))).diagnostics[0]).toMatchObject({ code: 'tensor-out-of-file' });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('small arrays are constants, which passes fold', () => {
  const read = imported(modelOf({ input: [info('x', 4)], output: [info('y', 2, 2)], initializer: [{ name: 'shape', dims: [2], dataType: 7, int64Data: [2, 2] }], node: [node('Reshape', ['x', 'shape'], ['y'])] }));
  expect(read.graph.nodes[0]).toMatchObject({ op: constant, attrs: { array: { dtype: 'i64', dims: [2], data: Float64Array.of(2, 2) } } });
});

test('the first versions of the format: weights among the inputs, kinds of attributes left out', () => {
  const model = { ...modelOf({ input: [info('x', 100), info('w', 100)], output: [info('y', 100)], initializer: [tensor('w', [100], Array(100).fill(1))], node: [node('LeakyRelu', ['w'], ['v'], { attribute: [{ name: 'alpha', f: 0.5 }] }), node('Add', ['x', 'v'], ['y'])] }), irVersion: 3 };
  const read = imported(model);
  expect(read.graph.inputs.map(({ name }) => name)).toEqual(['x']);
  expect(read.graph.nodes[0]?.attrs).toEqual({ alpha: { kind: 'float', value: 0.5 } });
  expect(importModel(encodeModel(model), 'm').diagnostics).toEqual([]);
  expect(importModel(encodeModel({ ...model, irVersion: 8 }), 'm').diagnostics).toMatchObject([{ code: 'input-default-fixed', message: 'w of m is an input with a default; moec takes the default as a constant' }]);
});

test.each([
  ['no model', Uint8Array.of(0x3a, 9, 1), 'm is no model of ONNX: '],
  ['nothing', new Uint8Array(), 'm cannot be read as a graph: it has no graph'],
  ['a value from nowhere', encodeModel(modelOf({ node: [node('Neg', ['gone'], ['y'], { name: 'n' })] })), 'Neg `n` reads `gone`, which nothing before it makes'],
  ['a value from later', encodeModel(modelOf({ node: [node('Neg', ['b'], ['a']), node('Neg', ['c'], ['b'])] })), 'Neg reads `b`, which nothing before it makes'],
  ['a result from nowhere', encodeModel(modelOf({ output: [info('y', 1)] })), 'a result reads `y`'],
  ['a value twice', encodeModel(modelOf({ input: [info('x', 1)], node: [node('Neg', ['x'], ['x'])] })), '`x` is made twice'],
  ['data outside the folder', encodeModel(modelOf({ initializer: [{ name: 'w', dims: [100], dataType: 1, dataLocation: 1, externalData: [{ key: 'location', value: '../../etc/passwd' }] }] })), '`w` lies at `../../etc/passwd`, outside the model'],
  ['too few bytes', encodeModel(modelOf({ initializer: [{ name: 'w', dims: [100], dataType: 1, rawData: new Uint8Array(4) }] })), '`w` has 4 bytes and needs 400'],
  ['a result twice', encodeModel(modelOf({ input: [info('x', 1)], output: [info('x', 1), info('x', 1)] })), 'two results are called `x`'],
  ['a list of graphs', encodeModel(modelOf({ node: [node('Odd', [], ['y'], { attribute: [{ name: 'all', type: 10, graphs: [{}] }] })] })), 'Odd has a list of graphs'],
])('%s', (_, bytes, says) => {
  const read = importModel(bytes, 'm');
  expect(read.ok).toBe(false);
  expect(read.diagnostics[0]?.message).toContain(says);
});

test('a damaged model is a diagnostic or another model', () => {
  const sound = encodeModel(withConstants);
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(sound.length - 1), fc.nat(255)), { minLength: 1, maxLength: 3 }), (changes) => {
      const changed = sound.slice();
      for (const [at, byte] of changes) changed[at] = byte;
      const read = importModel(changed, 'm');
      return read.ok || read.diagnostics.length === 1;
    }),
    { numRuns: 2000 },
  );
});
