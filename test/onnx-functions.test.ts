/** Models with functions, branches and loops, read and written again, and put flat: the same numbers in onnxruntime, worked out by hand. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import * as ort from 'onnxruntime-node';
import { expect, test } from 'vitest';
import { exportModel } from '../src/onnx/export.ts';
import { flatten } from '../src/onnx/flatten.ts';
import { importModel, optionsOf } from '../src/onnx/import.ts';
import { attributeTypes, type ModelProto } from '../src/onnx/messages.ts';
import { decodeModel, encodeModel } from '../src/onnx/wire.ts';
import { distance } from './definition.ts';
import { again, f32, imported, info, modelOf, node, placing, run, tensor } from './onnx-messages.ts';
import { moec } from './terminal.ts';

/** Branches of the same inner names, a loop, a function with a default that calls another, optional inputs left out. */
const rich = modelOf(
  {
    input: [info('x', 'B', 2), { name: 'go', type: { tensorType: { elemType: 9, shape: {} } } }],
    output: [info('y', 'B', 2), info('all', 3, 'B', 2)],
    initializer: [
      tensor(
        'w',
        [40, 2],
        Array.from({ length: 80 }, (_, i) => i),
      ),
      { name: 'three', dataType: 7, int64Data: [3] },
      { name: 'yes', dataType: 9, int32Data: [1] },
    ],
    node: [
      node('Slice', ['w', 'one', 'two'], ['rows']),
      node('Add', ['x', 'rows'], ['moved']),
      node('Clip', ['moved', '', 'top'], ['clipped']),
      node('If', ['go'], ['branch'], {
        attribute: [
          {
            name: 'then_branch',
            type: 5,
            g: {
              name: 'yes',
              node: [node('Affine', ['clipped'], ['inner'], { domain: 'moec', attribute: [{ name: 'scale', type: 1, f: 2 }] }), node('Add', ['inner', 'v'], ['out'])],
              initializer: [tensor('v', [2], [100, 200])],
              output: [{ name: 'out' }],
            },
          },
          { name: 'else_branch', type: 5, g: { name: 'no', node: [node('Neg', ['clipped'], ['inner']), node('Neg', ['inner'], ['out'])], output: [{ name: 'out' }] } },
        ],
      }),
      node('Loop', ['three', 'yes', 'branch'], ['y', 'all'], {
        attribute: [
          {
            name: 'body',
            type: 5,
            g: {
              name: 'body',
              input: [
                { name: 'i', type: { tensorType: { elemType: 7, shape: {} } } },
                { name: 'on', type: { tensorType: { elemType: 9, shape: {} } } },
                { name: 'state', type: { tensorType: { elemType: 1 } } },
              ],
              output: [{ name: 'still' }, { name: 'next' }, { name: 'seen' }],
              node: [
                node('Identity', ['on'], ['still']),
                node('Affine', ['state'], ['next'], {
                  domain: 'moec',
                  attribute: [
                    { name: 'scale', type: 1, f: 1 },
                    { name: 'shift', type: 1, f: 10 },
                  ],
                }),
                node('Identity', ['next'], ['seen']),
              ],
            },
          },
        ],
      }),
    ],
  },
  {
    functions: [
      {
        name: 'Affine',
        domain: 'moec',
        input: ['a'],
        output: ['b'],
        attribute: ['scale'],
        attributeProto: [{ name: 'shift', type: 1, f: 0.5 }],
        opsetImport: [
          { domain: '', version: 21 },
          { domain: 'moec', version: 1 },
        ],
        docString: 'a · scale + shift',
        node: [
          node('Constant', [], ['s'], { attribute: [{ name: 'value_float', type: 1, refAttrName: 'scale' }] }),
          node('Mul', ['a', 's'], ['m']),
          node('Shift', ['m'], ['b'], { domain: 'moec', attribute: [{ name: 'by', type: 1, refAttrName: 'shift' }] }),
        ],
      },
      {
        name: 'Shift',
        domain: 'moec',
        input: ['a'],
        output: ['b'],
        attribute: ['by'],
        opsetImport: [{ domain: '', version: 21 }],
        node: [node('Constant', [], ['s'], { attribute: [{ name: 'value_float', type: 1, refAttrName: 'by' }] }), node('Add', ['a', 's'], ['b'])],
      },
    ],
  },
);
const withConstants: ModelProto = {
  ...rich,
  graph: {
    ...rich.graph,
    node: [
      node('Constant', [], ['one'], { attribute: [{ name: 'value_ints', type: 7, ints: [1] }] }),
      node('Constant', [], ['two'], { attribute: [{ name: 'value_ints', type: 7, ints: [2] }] }),
      node('Constant', [], ['top'], { attribute: [{ name: 'value_float', type: 1, f: 4 }] }),
      ...(rich.graph?.node ?? []),
    ],
  },
};
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
  const read = imported(
    modelOf(
      { input: [info('x', 1)], output: [info('y', 1)], node: [node('F', ['x'], ['y'], { domain: 'moec' })] },
      { functions: [{ name: 'F', domain: 'moec', input: ['a'], output: ['b'], node: [node('Neg', ['a'], ['b'])] }] },
    ),
  );
  // Importing refuses such a function: here one is given the graph that calls it.
  const functions = read.functions.map((fn) => ({ ...fn, graph: read.graph }));
  expect(() => flatten(read.graph, functions)).toThrow('F calls itself');
});

test('a function that passes an input on, and one whose optional input is left out', async () => {
  const functions = [
    { name: 'Both', domain: 'moec', input: ['a', 'low'], output: ['a', 'clipped'], opsetImport: [{ domain: '', version: 21 }], node: [node('Clip', ['a', 'low'], ['clipped'])] },
  ];
  const model = modelOf(
    { input: [info('x', 2)], output: [info('y', 2)], node: [node('Both', ['x'], ['p', 'q'], { domain: 'moec' }), node('Add', ['p', 'q'], ['y'])] },
    { functions },
  );
  const read = imported(model);
  const flat = decodeModel(exportModel(flatten(read.graph, read.functions), { ...optionsOf(read), functions: [], place: placing(read) }));
  expect(await run(flat, { x: f32([2], [-1, 2]) })).toEqual({ y: [-2, 4] });
  expect(await run(again(model), { x: f32([2], [-1, 2]) })).toEqual({ y: [-2, 4] });
  const through = modelOf({ input: [info('x', 2)], output: [info('x', 2)] });
  expect(again(through).graph?.node ?? []).toEqual([]);
  expect(await run(again(through), { x: f32([2], [-1, 2]) })).toEqual({ x: [-1, 2] });
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

test('a function whose branches hold weights, and one of whose results nobody reads', async () => {
  const large = Array.from({ length: 100 }, (_, i) => Math.sin(i));
  const branch = (name: string, op: string) => ({
    name,
    type: attributeTypes.graph,
    g: { name, output: [{ name: 'r' }], initializer: [tensor('w', [100], large)], node: [node(op, ['x', 'w'], ['r'])] },
  });
  const model = modelOf(
    {
      input: [info('x', 100), { name: 'go', type: { tensorType: { elemType: 9, shape: {} } } }],
      output: [info('y', 100)],
      node: [node('Choose', ['x', 'go'], ['y', ''], { domain: 'moec' })],
    },
    {
      functions: [
        {
          ...{ name: 'Choose', domain: 'moec', input: ['x', 'go'], output: ['y', 'z'], opsetImport: [{ domain: '', version: 21 }] },
          node: [node('If', ['go'], ['y'], { attribute: [branch('then_branch', 'Add'), branch('else_branch', 'Sub')] }), node('Neg', ['x'], ['z'])],
        },
      ],
    },
  );
  const x = f32([100], Array(100).fill(1));
  const wanted = large.map((one) => Math.fround(1 - Math.fround(one)));
  const feeds = { x, go: new ort.Tensor('bool', Uint8Array.of(0), []) };
  const read = imported(model);
  const flat = decodeModel(exportModel(flatten(read.graph, read.functions), { ...optionsOf(read), functions: [], place: placing(read) }));
  expect([await run(again(model), feeds), await run(flat, feeds)]).toEqual([{ y: wanted }, { y: wanted }]);
});

test('feed-forwards in functions become experts', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'moec-functions-'));
  const wave = (n: number, step: number): readonly number[] => Array.from({ length: n }, (_, i) => Math.sin(i * step));
  const held = (name: string, dims: readonly number[], step: number) =>
    node('Constant', [], [name], {
      attribute: [
        {
          name: 'value',
          type: attributeTypes.tensor,
          t: tensor(
            '',
            dims,
            wave(
              dims.reduce((a, b) => a * b, 1),
              step,
            ),
          ),
        },
      ],
    });
  const slope = { attribute: [{ name: 'alpha', type: attributeTypes.float, refAttrName: 'slope' }] };
  const inDomain = {
    domain: 'moec',
    opsetImport: [
      { domain: '', version: 21 },
      { domain: 'moec', version: 1 },
    ],
  };
  const model = modelOf(
    {
      input: [info('x', 'rows', 8)],
      output: [info('y', 'rows', 8)],
      initializer: [tensor('a', [8, 16], wave(128, 0.7)), tensor('b', [16, 8], wave(128, 0.3))],
      node: [
        node('Ffn', ['x', 'a', 'b'], ['m'], { domain: 'moec', attribute: [{ name: 'slope', type: attributeTypes.float, f: 0.3 }] }),
        node('Own', ['m'], ['y'], { domain: 'moec' }),
      ],
    },
    {
      functions: [
        {
          name: 'Ffn',
          ...inDomain,
          input: ['x', 'a', 'b'],
          output: ['y'],
          attribute: ['slope'],
          node: [node('MatMul', ['x', 'a'], ['h']), node('LeakyRelu', ['h'], ['r'], slope), node('MatMul', ['r', 'b'], ['y'])],
        },
        {
          name: 'Own',
          ...inDomain,
          input: ['x'],
          output: ['y'],
          node: [held('a', [8, 16], 0.9), held('b', [16, 8], 0.4), node('MatMul', ['x', 'a'], ['h']), node('Relu', ['h'], ['r']), node('MatMul', ['r', 'b'], ['y'])],
        },
      ],
    },
  );
  writeFileSync(join(folder, 'calls.onnx'), encodeModel(model));
  writeFileSync(join(folder, 'x.json'), JSON.stringify({ x: [wave(8, 1.1), wave(8, 1.9)] }));
  const call = async (...words: readonly string[]): Promise<string> => {
    const { code, out, err } = await moec(words, { cwd: folder });
    expect([code, code === 0 ? '' : err]).toEqual([0, '']);
    return out;
  };
  await call('emerge', 'calls.onnx', '--experts', '4', '--top', '4', '--evaluate', 'none', '--speed', 'none', '--threads', '1', '-o', 'experts');
  const numbers = async (target: string): Promise<readonly number[]> =>
    (JSON.parse(await call('run', target, '--inputs', 'x.json', '--json', '--full')) as { readonly y: number[][] }).y.flat();
  const [dense, experts] = [await numbers('calls.onnx'), await numbers('experts')];
  expect(distance(Float64Array.from(experts), Float64Array.from(dense))).toBeLessThan(1e-4);
  expect(await call('emerge', 'calls.onnx', '--experts', '4', '--dry-run')).toContain('2 would be converted');
  rmSync(folder, { recursive: true });
});
