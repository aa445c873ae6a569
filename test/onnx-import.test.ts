/** Models read and written again: nothing is lost on the way, and what cannot be read is told. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { constant } from '../src/graph/constant.ts';
import { spellType } from '../src/graph/type.ts';
import { importModel } from '../src/onnx/import.ts';
import { attributeTypes, type GraphProto, type TensorProto } from '../src/onnx/messages.ts';
import { encodeModel } from '../src/onnx/wire.ts';
import { recogniseOps } from '../src/passes/recognise-ops.ts';
import { toBytes } from '../src/weights/elements.ts';
import { openTensors } from '../src/weights/open.ts';
import { sourceArray } from '../src/weights/source.ts';
import { again, f32, imported, info, modelOf, node, run, tensor } from './onnx-messages.ts';

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

test('types are read: names of sizes, sizes nobody named, and none', () => {
  const read = imported(
    modelOf({
      input: [
        info('x', 'batch', 3),
        { name: 'open', type: { tensorType: { elemType: 1, shape: { dim: [{}, { dimValue: 2 }] } } } },
        { name: 'rankless', type: { tensorType: { elemType: 1 } } },
      ],
      output: [info('y', 'batch', 3)],
      valueInfo: [info('inner', 'batch', 3)],
      node: [node('Neg', ['x'], ['inner']), node('Neg', ['inner'], ['y']), node('Neg', ['rankless'], ['unknown'])],
    }),
  );
  expect(read.graph.inputs.map(({ type }) => type && spellType(type))).toEqual(['[batch, 3]', '[open.0, 2]', undefined]);
  expect(read.graph.nodes.map(({ outputs }) => outputs[0]?.type && spellType(outputs[0].type))).toEqual(['[batch, 3]', '[batch, 3]', undefined]);
});

test('a node without a name is not called like another', async () => {
  const model = modelOf({
    input: [info('x', 2)],
    output: [info('y', 2)],
    node: [node('Neg', ['x'], ['inner'], { name: 'y' }), node('Exp', ['inner'], ['outer']), node('Neg', ['outer'], ['y'])],
  });
  const written = again(model);
  const names = (written.graph?.node ?? []).map(({ name }) => name);
  expect(new Set(names).size).toBe(3);
  expect(names[0]).toBe('y');
  expect(await run(written, { x: f32([2], [0, 1]) })).toEqual({ y: [-1, Math.fround(-Math.exp(-1))] });
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
      input: [
        { ...info('x', 2), docString: 'Fed.', metadataProps },
        { name: 'list', type: { sequenceType: { elemType: { tensorType: { elemType: 1 } } } } },
        { name: 'open', type: { tensorType: { elemType: 1, shape: { dim: [{ denotation: 'DATA_BATCH' }] } } } },
      ],
      output: [info('y', 2)],
      valueInfo: [{ ...info('z', 2), metadataProps }],
      initializer: [
        { ...tensor('w', [100], Array(100).fill(3)), docString: 'Learned.', metadataProps },
        { name: 'packed', dataType: 22, dims: [2], rawData: Uint8Array.of(0x21) },
        { name: 'words', dataType: 8, dims: [1], stringData: [utf8('a')] },
      ],
      quantizationAnnotation: [{ tensorName: 'w', quantParameterTensorNames: metadataProps }],
      node: [
        node('Odd', ['x', '', 'w', 'packed', 'words'], ['z', '', 'also'], {
          name: 'mine',
          domain: 'other',
          overload: 'second',
          docString: 'Why.',
          metadataProps,
          unknown,
          deviceConfigurations: [{ configurationId: 'c' }],
          attribute: [
            { name: 'none', type: 8 },
            { name: 'bytes', type: 3, s: Uint8Array.of(0xff) },
            { name: 'far', type: 2, i: big },
            { name: 'ends', type: 7, ints: [big] },
            { name: 'type', type: 13, tp: { tensorType: { elemType: 1 } } },
            { name: 'tensors', type: 9, tensors: [tensor('t', [1], [1])] },
            { name: 'said', type: 2, i: 1, docString: 'Why.' },
            { name: 'i', type: 2, i: 3 },
            { name: 'f', type: 1, f: 0.5 },
            { name: 's', type: 3, s: utf8('é') },
            { name: 'strings', type: 8, strings: [utf8('a'), utf8('b')] },
            { name: 'half', type: 4, t: { dims: [1], dataType: 10, rawData: Uint8Array.of(0, 0x3c) } },
          ],
        }),
        node('Neg', ['z'], ['y'], { name: 'y' }),
      ],
    },
    {
      opsetImport: [
        { domain: '', version: 21 },
        { domain: 'other', version: 7 },
      ],
      producerName: 'somebody',
      producerVersion: '9',
      domain: 'd',
      modelVersion: 5,
      docString: 'A model.',
      metadataProps,
      unknown,
      configuration: [{ name: 'c', numDevices: 2 }],
    },
  );
  const sorted = (graph: GraphProto | undefined): unknown => ({
    ...graph,
    node: graph?.node
      ?.filter(({ opType }) => opType !== 'Constant')
      .map((one) => ({ ...one, attribute: [...(one.attribute ?? [])].sort((a, b) => ((a.name ?? '') < (b.name ?? '') ? -1 : 1)) })),
    initializer: graph?.initializer?.filter(({ name }) => name === 'w'),
  });
  const second = again(model);
  expect({ ...second, graph: sorted(second.graph) }).toEqual({ ...model, graph: sorted(model.graph) });
  const carried = second.graph?.node?.filter(({ opType }) => opType === 'Constant').map(({ output, attribute }) => ({ ...attribute?.[0]?.t, name: output?.[0] }));
  expect(carried).toEqual(model.graph?.initializer?.filter(({ name }) => name !== 'w'));
});

test('tensors in other files, in the model and in its fields', () => {
  const folder = mkdtempSync(join(tmpdir(), 'moec-'));
  try {
    const numbers = Array.from({ length: 100 }, (_, i) => i / 4);
    const external = (name: string, rest: readonly (readonly [string, string])[]): TensorProto => ({
      name,
      dims: [100],
      dataType: 1,
      dataLocation: 1,
      externalData: rest.map(([key, value]) => ({ key, value })),
    });
    const model = modelOf({
      input: [info('x', 100)],
      output: [info('y', 100)],
      initializer: [
        tensor('inside', [100], numbers),
        { name: 'field', dims: [100], dataType: 1, floatData: numbers },
        external('beside', [
          ['location', './data'],
          ['offset', '8'],
          ['length', '400'],
        ]),
        external('plain', [['location', 'data']]),
        external('around', [
          ['location', 'sub/../data'],
          ['offset', '8'],
          ['length', '0'],
        ]),
      ],
      node: [node('Sum', ['x', 'inside', 'field', 'beside', 'plain', 'around'], ['y'])],
    });
    const read = imported(model);
    writeFileSync(join(folder, 'model.onnx'), read.bytes);
    writeFileSync(join(folder, 'data'), Buffer.concat([Buffer.alloc(8), toBytes('f32', Float64Array.from(numbers))]));
    const opened = openTensors(
      folder,
      read.tensors.map((one) => ({ ...one, file: join(folder, one.location ?? 'model.onnx') })),
    );
    if (!opened.ok) throw new Error(opened.diagnostics[0]?.message);
    const held = new Map(read.graph.weights.map(({ path, source }) => [path, sourceArray(source, opened.value).data]));
    for (const name of ['inside', 'field', 'beside', 'around']) expect([name, [...(held.get(name) ?? [])]]).toEqual([name, numbers]);
    expect(held.get('plain')?.slice(2)).toEqual(Float64Array.from(numbers.slice(0, 98)));
    opened.value.close();
    writeFileSync(join(folder, 'data'), 'short');
    expect(
      openTensors(
        folder,
        read.tensors.map((one) => ({ ...one, file: join(folder, one.location ?? 'model.onnx') })),
      ).diagnostics[0],
    ).toMatchObject({ code: 'tensor-out-of-file' });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('small arrays are constants, which passes fold', () => {
  const read = imported(
    modelOf({
      input: [info('x', 4)],
      output: [info('y', 2, 2)],
      initializer: [{ name: 'shape', dims: [2], dataType: 7, int64Data: [2, 2] }],
      node: [node('Reshape', ['x', 'shape'], ['y'])],
    }),
  );
  expect(read.graph.nodes[0]).toMatchObject({ op: constant, attrs: { array: { dtype: 'i64', dims: [2], data: Float64Array.of(2, 2) } } });
});

test('constants that the file says something about are constants, with what it says', () => {
  const said = { docString: 'Why.', metadataProps: [{ key: 'k', value: 'v' }] };
  const held = (name: string, dims: readonly number[]) =>
    node('Constant', [], [name], { ...said, attribute: [{ name: 'value', type: attributeTypes.tensor, t: tensor('', dims, Array(dims.reduce((a, b) => a * b, 1)).fill(2)) }] });
  const model = modelOf({
    input: [info('x', 'rows', 10)],
    output: [info('y', 'rows', 10)],
    node: [held('w', [10, 10]), held('b', [10]), node('MatMul', ['x', 'w'], ['h']), node('Add', ['h', 'b'], ['y'])],
  });
  const raised = recogniseOps(imported(model).graph);
  expect(raised.weights.map(({ path }) => path)).toEqual(['w']);
  expect(raised.nodes.map(({ op }) => op.name)).toEqual(['constant', 'matmul', 'add']);
  const { graph } = again(model);
  expect(graph?.initializer).toMatchObject([{ name: 'w', ...said }]);
  expect(graph?.node?.[0]).toMatchObject({ opType: 'Constant', ...said });
});

test('a tensor in an attribute is an array, whatever name it has there', () => {
  const value = { name: 'value', type: attributeTypes.tensor, t: tensor('any', [1], [3]) };
  const read = imported(
    modelOf({
      input: [{ ...info('s', 2), type: { tensorType: { elemType: 7, shape: { dim: [{ dimValue: 2 }] } } } }],
      output: [info('y', 'a', 'b')],
      node: [node('ConstantOfShape', ['s'], ['y'], { attribute: [value] })],
    }),
  );
  expect(read.graph.nodes[0]?.attrs).toMatchObject({ value: { dtype: 'f32', dims: [1], data: Float64Array.of(3) } });
});

test('the first versions of the format: weights among the inputs, kinds of attributes left out', () => {
  const model = {
    ...modelOf({
      input: [info('x', 100), info('w', 100)],
      output: [info('y', 100)],
      initializer: [tensor('w', [100], Array(100).fill(1))],
      node: [node('LeakyRelu', ['w'], ['v'], { attribute: [{ name: 'alpha', f: 0.5 }] }), node('Add', ['x', 'v'], ['y'])],
    }),
    irVersion: 3,
  };
  const read = imported(model);
  expect(read.graph.inputs.map(({ name }) => name)).toEqual(['x']);
  expect(read.graph.nodes[0]?.attrs).toEqual({ alpha: { kind: 'float', value: 0.5 } });
  expect(importModel(encodeModel(model), 'm').diagnostics).toEqual([]);
  expect(importModel(encodeModel({ ...model, irVersion: 8 }), 'm').diagnostics).toMatchObject([
    { code: 'input-default-fixed', message: 'w of m is an input with a default; moec takes the default as a constant' },
  ]);
});

test.each([
  ['no model', Uint8Array.of(0x3a, 9, 1), 'm is no model of ONNX: '],
  ['nothing', new Uint8Array(), 'm cannot be read as a graph: it has no graph'],
  ['a value from nowhere', encodeModel(modelOf({ node: [node('Neg', ['gone'], ['y'], { name: 'n' })] })), 'Neg `n` reads `gone`, which nothing before it makes'],
  ['a value from later', encodeModel(modelOf({ node: [node('Neg', ['b'], ['a']), node('Neg', ['c'], ['b'])] })), 'Neg reads `b`, which nothing before it makes'],
  ['a result from nowhere', encodeModel(modelOf({ output: [info('y', 1)] })), 'a result reads `y`'],
  ['an initializer twice', encodeModel(modelOf({ initializer: [tensor('w', [1], [1]), tensor('w', [1], [2])] })), '`w` is made twice'],
  [
    'a constant under the name of an initializer',
    encodeModel(modelOf({ initializer: [tensor('w', [1], [1])], node: [node('Constant', [], ['w'], { attribute: [{ name: 'value_int', type: 2, i: 1 }] })] })),
    '`w` is made twice',
  ],
  ['a value twice', encodeModel(modelOf({ input: [info('x', 1)], node: [node('Neg', ['x'], ['x'])] })), '`x` is made twice'],
  [
    'data outside the folder',
    encodeModel(modelOf({ initializer: [{ name: 'w', dims: [100], dataType: 1, dataLocation: 1, externalData: [{ key: 'location', value: '../../etc/passwd' }] }] })),
    '`w` lies at `../../etc/passwd`, outside the model',
  ],
  [
    'data outside the folder by way of it',
    encodeModel(modelOf({ initializer: [{ name: 'w', dims: [100], dataType: 1, dataLocation: 1, externalData: [{ key: 'location', value: 'a/../../b' }] }] })),
    '`w` lies at `a/../../b`, outside the model',
  ],
  ['too few bytes', encodeModel(modelOf({ initializer: [{ name: 'w', dims: [100], dataType: 1, rawData: new Uint8Array(4) }] })), '`w` has 4 bytes and needs 400'],
  ['a result twice', encodeModel(modelOf({ input: [info('x', 1)], output: [info('x', 1), info('x', 1)] })), 'two results are called `x`'],
  [
    'a tensor of a node in another file',
    encodeModel(
      modelOf({
        node: [node('ConstantOfShape', ['s'], ['y'], { attribute: [{ name: 'value', type: attributeTypes.tensor, t: { dims: [1], dataType: 1, dataLocation: 1 } }] })],
        input: [info('s', 1)],
      }),
    ),
    'the tensor of ConstantOfShape lies in another file',
  ],
  ['a list of graphs', encodeModel(modelOf({ node: [node('Odd', [], ['y'], { attribute: [{ name: 'all', type: 10, graphs: [{}] }] })] })), 'Odd has a list of graphs'],
])('%s', (_, bytes, says) => {
  const read = importModel(bytes, 'm');
  expect(read.ok).toBe(false);
  expect(read.diagnostics[0]?.message).toContain(says);
});
