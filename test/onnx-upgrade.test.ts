/** Old models and what they are lifted to give the same numbers: both are run by onnxruntime, which still knows every version from 7 on. */

import * as ort from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import { renderDiagnostic } from '../src/diagnostics/render.ts';
import { exportModel } from '../src/onnx/export.ts';
import { importModel, optionsOf } from '../src/onnx/import.ts';
import { type AttributeProto, attributeTypes, type GraphProto, type ModelProto, type NodeProto, type TensorProto } from '../src/onnx/messages.ts';
import { upgrade } from '../src/onnx/upgrade/upgrade.ts';
import { decodeModel, encodeModel } from '../src/onnx/wire.ts';
import { toBytes } from '../src/weights/elements.ts';
import { f32, imported, info, modelOf, node, placing, run, tensor } from './onnx-messages.ts';

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const i = (name: string, value: number): AttributeProto => ({ name, type: attributeTypes.int, i: value });
const f = (name: string, value: number): AttributeProto => ({ name, type: attributeTypes.float, f: value });
const is = (name: string, ...values: readonly (number | { readonly low: number; readonly high: number })[]): AttributeProto => ({ name, type: attributeTypes.ints, ints: values });
const fs = (name: string, ...values: readonly number[]): AttributeProto => ({ name, type: attributeTypes.floats, floats: values });
const s = (name: string, value: string): AttributeProto => ({ name, type: attributeTypes.string, s: utf8(value) });
const g = (name: string, graph: GraphProto): AttributeProto => ({ name, type: attributeTypes.graph, g: graph });
const longs = (name: string, ...values: readonly number[]): TensorProto => ({
  name,
  dims: [values.length],
  dataType: 7,
  rawData: toBytes('i64', Float64Array.from(values)),
});
/** A value of which only the element type is said. */
const open = (name: string, elemType = 1) => ({ name, type: { tensorType: { elemType } } });
const farthest = { low: -1, high: 0x7fff_ffff };

/** Numbers that differ from each other and fall on both sides of zero. */
const numbers = (...dims: readonly number[]) => {
  const length = dims.reduce((a, b) => a * b, 1);
  return f32(
    dims,
    Array.from({ length }, (_, n) => Math.sin(n * 1.7) * 3),
  );
};

interface Case {
  readonly opset: number;
  readonly graph: GraphProto;
  readonly feeds: Record<string, ort.Tensor>;
  readonly functions?: ModelProto['functions'];
  /** Ops that must be there afterwards. */
  readonly has?: readonly string[];
}

/** One node from x to y. */
const one = (
  opset: number,
  op: string,
  x: ort.Tensor,
  attribute: readonly AttributeProto[] = [],
  more: Partial<Case> & { readonly rest?: GraphProto; readonly inputs?: readonly string[] } = {},
): Case => ({
  opset,
  graph: { input: [info('x', ...x.dims)], output: [open('y')], node: [node(op, ['x', ...(more.inputs ?? [])], ['y'], { attribute })], ...more.rest },
  feeds: { x },
  ...more,
});

const x234 = numbers(2, 3, 4);
const image = numbers(1, 2, 4, 6);
const half: TensorProto = { name: 'scales', dims: [4], dataType: 1, rawData: toBytes('f32', Float64Array.from([1, 1, 0.5, 0.5])) };
const double = tensor('scales', [4], [1, 1, 2, 1.5]);

const step: GraphProto = {
  name: 'step',
  input: [info('sum', 2), info('row', 2)],
  output: [info('next', 2), info('out', 2)],
  node: [node('Add', ['sum', 'row'], ['next']), node('Clip', ['next'], ['out'], { attribute: [f('min', -1), f('max', 2)] })],
};

const cases: Readonly<Record<string, Case>> = {
  'Squeeze: axes': one(7, 'Squeeze', numbers(1, 3, 1, 2), [is('axes', 0, 2)]),
  'Squeeze: all axes of one': one(11, 'Squeeze', numbers(1, 3, 1, 2)),
  Unsqueeze: one(9, 'Unsqueeze', x234, [is('axes', 0, 3)]),
  'ReduceSum: axes': one(11, 'ReduceSum', x234, [is('axes', 0, -1), i('keepdims', 0)]),
  'ReduceSum: all': one(7, 'ReduceSum', x234, [i('keepdims', 0)]),
  ...Object.fromEntries(
    ['L1', 'L2', 'LogSumExp', 'Max', 'Mean', 'Min', 'Prod', 'SumSquare'].flatMap((name) =>
      [7, 13].map((opset) => [`Reduce${name} of ${opset}`, one(opset, `Reduce${name}`, x234, [is('axes', 1)])]),
    ),
  ),
  'ReduceLogSum of 13': one(13, 'ReduceLogSum', f32([2, 2], [1, 2, 3, 4]), [is('axes', 1)]),
  'Slice: to the end': one(7, 'Slice', x234, [is('axes', 1, 2), is('starts', 1, -3), is('ends', farthest, -1)]),
  'Slice: all axes': one(9, 'Slice', x234, [is('starts', 0, 1, 2), is('ends', 1, 3, 4)]),
  'Clip: both bounds': one(7, 'Clip', x234, [f('min', -0.5), f('max', 1.25)]),
  'Clip: one bound': one(10, 'Clip', x234, [f('max', 0.25)]),
  'Pad: a number around': one(9, 'Pad', x234, [is('pads', 0, 1, 0, 1, 0, 2), f('value', 1.5)]),
  'Pad: reflected': one(7, 'Pad', x234, [is('pads', 0, 1, 2, 0, 1, 0), s('mode', 'reflect')]),
  'TopK of 9': one(9, 'TopK', x234, [i('k', 2), i('axis', 1)], {
    rest: { output: [open('y'), open('at', 7)], node: [node('TopK', ['x'], ['y', 'at'], { attribute: [i('k', 2), i('axis', 1)] })] },
  }),
  'TopK of 10': one(10, 'TopK', x234, [], { rest: { initializer: [longs('k', 3)], output: [open('y'), open('at', 7)], node: [node('TopK', ['x', 'k'], ['y', 'at'])] } }),
  'Split: sizes': one(7, 'Split', x234, [], {
    rest: { output: [open('y'), open('z')], node: [node('Split', ['x'], ['y', 'z'], { attribute: [i('axis', 2), is('split', 1, 3)] })] },
  }),
  'Split: equal parts': one(13, 'Split', x234, [], { rest: { output: [open('y'), open('z')], node: [node('Split', ['x'], ['y', 'z'], { attribute: [i('axis', 2)] })] } }),
  'Softmax: the last axis': one(9, 'Softmax', x234, [i('axis', 2)], { has: ['Softmax'] }),
  'Softmax: flattened': one(9, 'Softmax', x234, [i('axis', 1)], { has: ['Flatten', 'Softmax', 'Reshape'] }),
  'Softmax: its default': one(11, 'Softmax', numbers(2, 3, 2, 2), []),
  'Softmax: from the end': one(11, 'Softmax', x234, [i('axis', -2)]),
  'LogSoftmax: flattened': one(7, 'LogSoftmax', x234, [i('axis', 1)]),
  'Hardmax: flattened': one(11, 'Hardmax', x234, [i('axis', 0)]),
  Dropout: one(7, 'Dropout', x234, [f('ratio', 0.9)], { has: ['Identity'] }),
  'Upsample of 7': one(7, 'Upsample', image, [fs('scales', 1, 1, 2, 1.5), s('mode', 'nearest')]),
  'Upsample of 9, linear': one(9, 'Upsample', image, [s('mode', 'linear')], { rest: { initializer: [double] }, inputs: ['scales'] }),
  'Resize of 10, larger': one(10, 'Resize', image, [], { rest: { initializer: [double] }, inputs: ['scales'] }),
  'Resize of 10, smaller': one(10, 'Resize', image, [], { rest: { initializer: [half] }, inputs: ['scales'] }),
  'Resize of 10, linear': one(10, 'Resize', image, [s('mode', 'linear')], { rest: { initializer: [double] }, inputs: ['scales'] }),
  'Resize of 11, sizes': one(11, 'Resize', image, [s('mode', 'linear'), s('coordinate_transformation_mode', 'half_pixel')], {
    rest: { initializer: [tensor('roi', [0], []), tensor('none', [0], []), longs('sizes', 1, 2, 3, 9)] },
    inputs: ['roi', 'none', 'sizes'],
  }),
  ...Object.fromEntries(
    [7, 9, 14].map((opset) => [
      `BatchNormalization of ${opset}`,
      one(opset, 'BatchNormalization', image, opset === 7 ? [i('spatial', 1)] : [], {
        rest: { initializer: [tensor('a', [2], [2, 3]), tensor('b', [2], [1, -1]), tensor('m', [2], [0.1, 0.2]), tensor('v', [2], [1.5, 0.5])] },
        inputs: ['a', 'b', 'm', 'v'],
      }),
    ]),
  ),
  Scatter: {
    opset: 9,
    graph: {
      input: [info('x', 3, 3)],
      output: [open('y')],
      initializer: [{ ...longs('at', 1, 0, 2), dims: [1, 3] }, tensor('new', [1, 3], [7, 8, 9])],
      node: [node('Scatter', ['x', 'at', 'new'], ['y'], { attribute: [i('axis', 0)] })],
    },
    feeds: { x: numbers(3, 3) },
  },
  RoiAlign: {
    opset: 10,
    graph: {
      input: [info('x', 1, 2, 4, 6)],
      output: [open('y')],
      initializer: [tensor('rois', [1, 4], [0.3, 0.4, 3.1, 2.9]), longs('batch', 0)],
      node: [node('RoiAlign', ['x', 'rois', 'batch'], ['y'], { attribute: [i('output_height', 2), i('output_width', 3), i('sampling_ratio', 2)] })],
    },
    feeds: { x: image },
  },
  GridSample: one(16, 'GridSample', image, [s('mode', 'bicubic')], {
    rest: { initializer: [tensor('grid', [1, 2, 2, 2], [0.1, -0.4, 0.3, 0.9, -0.8, 0.2, 0.6, -0.1])] },
    inputs: ['grid'],
  }),
  GroupNormalization: one(18, 'GroupNormalization', numbers(2, 6, 4), [i('num_groups', 3)], {
    rest: { initializer: [tensor('scale', [3], [1, 2, 3]), tensor('bias', [3], [0.5, -0.5, 0.25])] },
    inputs: ['scale', 'bias'],
  }),
  DFT: one(17, 'DFT', numbers(1, 5, 2, 1), [i('axis', 2)]),
  Scan: {
    opset: 8,
    graph: {
      input: [info('start', 2, 2), info('x', 2, 3, 2)],
      output: [open('end'), open('y')],
      node: [node('Scan', ['', 'start', 'x'], ['end', 'y'], { attribute: [g('body', step), i('num_scan_inputs', 1), is('directions', 1)] })],
    },
    feeds: { start: numbers(2, 2), x: numbers(2, 3, 2) },
    has: ['Scan'],
  },
  'branches are lifted too, and see constants from around': {
    opset: 9,
    graph: {
      input: [info('x', 2, 3, 4), { name: 'yes', type: { tensorType: { elemType: 9, shape: { dim: [] } } } }],
      output: [open('y')],
      node: [
        node('If', ['yes'], ['y'], {
          attribute: [
            g('then_branch', { name: 'then', output: [open('a')], node: [node('LogSoftmax', ['x'], ['a'], { attribute: [i('axis', 1)] })] }),
            g('else_branch', { name: 'else', output: [open('b')], node: [node('Pad', ['x'], ['b'], { attribute: [is('pads', 0, 0, 0, 0, 0, 0)] })] }),
          ],
        }),
      ],
    },
    feeds: { x: x234, yes: new ort.Tensor('bool', [true], []) },
  },
  'functions are lifted, with the attributes of their calls': {
    opset: 13,
    graph: { input: [info('x', 2, 3, 4)], output: [open('y')], node: [node('Total', ['x'], ['y'], { domain: 'mine', attribute: [is('over', 0, 2)] })] },
    functions: [
      {
        name: 'Total',
        domain: 'mine',
        input: ['x'],
        output: ['y'],
        attribute: ['over'],
        node: [node('ReduceMax', ['x'], ['y'], { attribute: [{ name: 'axes', type: attributeTypes.ints, refAttrName: 'over' }] })],
        opsetImport: [{ domain: '', version: 13 }],
      },
    ],
    feeds: { x: x234 },
  },
};

const modelFor = ({ opset, graph, functions }: Case): ModelProto =>
  modelOf(graph, {
    irVersion: functions ? 8 : 4,
    opsetImport: [{ domain: '', version: opset }, ...(functions ? [{ domain: 'mine', version: 1 }] : [])],
    ...(functions ? { functions } : {}),
  });

function lifted(model: ModelProto, opset: number): ModelProto {
  const read = imported(model);
  const up = upgrade(read, opset, 'model.onnx');
  if (!up.ok) throw new Error(up.diagnostics[0]?.message);
  return decodeModel(exportModel(up.value.graph, { ...optionsOf(up.value), place: placing(read) }));
}

const opsIn = (graph: GraphProto | undefined): readonly string[] => (graph?.node ?? []).map(({ opType }) => opType ?? '');

/** Ops that onnxruntime 1.30 has no kernel for under the versions of 22, though nothing but element types was added. */
const without22: readonly string[] = ['RoiAlign'];

describe.each(Object.entries(cases))('%s', (name, given) => {
  test.each(without22.includes(name) ? [21] : [21, 24])('gives the same numbers at %i', async (opset) => {
    const model = modelFor(given);
    const after = lifted(model, opset);
    expect(after.opsetImport?.find(({ domain }) => !domain)?.version).toBe(opset);
    for (const op of given.has ?? []) expect(opsIn(after.graph)).toContain(op);
    const [before, now] = [await run(model, given.feeds), await run(after, given.feeds)];
    expect(Object.keys(now)).toEqual(Object.keys(before));
    for (const [name, values] of Object.entries(before)) {
      expect(values.length).toBeGreaterThan(0);
      expect(now[name]?.length).toBe(values.length);
      const most = Math.max(1e-30, ...values.map(Math.abs));
      // The kernels are the same but for the order of some sums: six digits of f32.
      expect(Math.max(...values.map((value, n) => Math.abs(value - (now[name]?.[n] ?? Number.NaN)))) / most).toBeLessThan(1e-6);
    }
  });
});

test('types that the file does not say are worked out, so that a softmax stays one', () => {
  const model = modelOf(
    {
      input: [info('x', 'n', 4, 6)],
      output: [open('y')],
      initializer: [longs('shape', 2, -1, 3), tensor('w', [6, 6], Array(36).fill(0.5))],
      node: [
        node('MatMul', ['x', 'w'], ['p']),
        node('Reshape', ['p', 'shape'], ['r']),
        node('Transpose', ['r'], ['t']),
        node('Softmax', ['t'], ['y'], { attribute: [i('axis', 2)] }),
      ],
    },
    { opsetImport: [{ domain: '', version: 9 }] },
  );
  expect(opsIn(lifted(model, 21).graph)).toEqual(['MatMul', 'Reshape', 'Transpose', 'Softmax']);
});

test('a model of a newer version keeps it, and what moec does not know passes', () => {
  const model = modelOf(
    { input: [info('x', 2)], output: [info('y', 2)], node: [node('Odd', ['x'], ['z'], { domain: 'other' }), node('Novel', ['z'], ['y'])] },
    { opsetImport: [{ domain: '', version: 25 }] },
  );
  const after = lifted(model, 21);
  expect(after.opsetImport?.[0]?.version).toBe(25);
  expect(after.graph?.node).toEqual(modelDecoded(model).graph?.node?.map((each) => ({ ...each, name: each.output?.[0] })));
});

const modelDecoded = (model: ModelProto): ModelProto => decodeModel(encodeModel(model));

/** What is said of a model, rendered. */
function said(graph: GraphProto, opset: number): string {
  const read = importModel(encodeModel(modelOf(graph, { opsetImport: [{ domain: '', version: opset }] })), 'old.onnx');
  if (!read.ok) throw new Error('it cannot be read');
  return upgrade(read.value, 24, 'old.onnx')
    .diagnostics.map((each) => renderDiagnostic(each, () => undefined))
    .join('\n');
}

const batchNorm = (rest: NodeProto, outputs: readonly string[] = ['y']): GraphProto => ({
  input: ['x', 'a', 'b', 'm', 'v'].map((name) => open(name)),
  output: outputs.map((name) => open(name)),
  node: [node('BatchNormalization', ['x', 'a', 'b', 'm', 'v'], outputs, rest)],
});

test.each([
  ['a version before 7', {}, 6, 'error[onnx-opset-unknown]: old.onnx has version 6 of ai.onnx; moec reads 7 to 26'],
  ['a version to come', {}, 99, 'error[onnx-opset-unknown]: old.onnx has version 99 of ai.onnx; moec reads 7 to 26'],
  [
    'a mask that is read',
    { input: [open('x')], output: [open('y'), open('m', 9)], node: [node('Dropout', ['x'], ['y', 'm'])] },
    10,
    'error[onnx-op-not-lifted]: Dropout `y` of old.onnx cannot be lifted to version 12 of ai.onnx: its mask is read, and what it holds outside training is said from version 12 on',
  ],
  [
    'statistics of each place',
    batchNorm({ attribute: [i('spatial', 0)] }),
    7,
    'error[onnx-op-not-lifted]: BatchNormalization `y` of old.onnx cannot be lifted to version 9 of ai.onnx: statistics of each place, `spatial = 0`, have no successor',
  ],
  [
    'statistics that come out',
    batchNorm({}, ['y', 'mean']),
    9,
    'error[onnx-op-not-lifted]: BatchNormalization `y` of old.onnx cannot be lifted to version 14 of ai.onnx: it gives statistics of the batch, as training does',
  ],
  [
    'scales known only at run time',
    { input: [open('x'), open('scales')], output: [open('y')], node: [node('Resize', ['x', 'scales'], ['y'])] },
    10,
    'warning[onnx-op-assumed]: Resize `y` of old.onnx: takes the nearest lower place, as it does where it makes its input larger',
  ],
  [
    'larger and smaller at once',
    { input: [open('x')], output: [open('y')], initializer: [tensor('scales', [2], [2, 0.5])], node: [node('Resize', ['x', 'scales'], ['y'])] },
    10,
    'error[onnx-op-not-lifted]: Resize `y` of old.onnx cannot be lifted to version 11 of ai.onnx: it makes one axis larger and another smaller, each by the nearest place',
  ],
  [
    'a mode that went',
    {
      input: [open('x')],
      output: [open('y')],
      initializer: [tensor('none', [0], []), tensor('scales', [1], [2])],
      node: [node('Resize', ['x', 'none', 'scales'], ['y'], { attribute: [s('coordinate_transformation_mode', 'tf_half_pixel_for_nn')] })],
    },
    11,
    'error[onnx-op-not-lifted]: Resize `y` of old.onnx cannot be lifted to version 13 of ai.onnx: `tf_half_pixel_for_nn` has no successor',
  ],
  [
    'sequences of unequal length',
    {
      input: [open('lengths', 7), open('start'), open('x')],
      output: [open('end'), open('y')],
      node: [node('Scan', ['lengths', 'start', 'x'], ['end', 'y'], { attribute: [g('body', step), i('num_scan_inputs', 1)] })],
    },
    8,
    'error[onnx-op-not-lifted]: Scan `end` of old.onnx cannot be lifted to version 9 of ai.onnx: its sequences have lengths of their own',
  ],
] as const)('%s is told', (_, graph, opset, text) => {
  expect(said(graph as GraphProto, opset).trim()).toBe(text);
});
