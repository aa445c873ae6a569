/** Files of ONNX on the command line: compiled, run and explained as they are meant, and refused with the reason where they are spoilt. */

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { afterAll, expect, test } from 'vitest';
import { graphBuilder } from '../src/graph/builder.ts';
import { symbol } from '../src/graph/dim.ts';
import { foreign } from '../src/graph/foreign.ts';
import { value } from '../src/graph/graph.ts';
import { ndArray } from '../src/graph/nd-array.ts';
import { tensor as type } from '../src/graph/type.ts';
import { exportModel } from '../src/onnx/export.ts';
import { attributeTypes, type GraphProto, type ModelProto, type TensorProto } from '../src/onnx/messages.ts';
import { decodeModel, encodeModel } from '../src/onnx/wire.ts';
import { ops } from '../src/ops/index.ts';
import { filesOf, planCompile } from '../src/run/compile.ts';
import { modelOfOnnx } from '../src/run/find-onnx.ts';
import { lowerModel } from '../src/targets/pipeline.ts';
import { toBytes } from '../src/weights/elements.ts';
import { sourceBytes } from '../src/weights/source.ts';
import { info, modelOf, node, tensor } from './onnx-messages.ts';
import { must, targetOf } from './running.ts';
import { moec } from './terminal.ts';

const scratch = mkdtempSync(join(tmpdir(), 'moec-onnx-'));
afterAll(() => rmSync(scratch, { recursive: true }));

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const wave = (length: number): readonly number[] => Array.from({ length }, (_, n) => Math.sin(n * 1.3));
const metadataProps = [{ key: 'k', value: 'v' }];

/** A tensor whose bytes lie in another file. */
const afar = (name: string, dims: readonly number[], location: string, offset: number, more: readonly (readonly [string, string])[] = []): TensorProto => ({
  name,
  dims,
  dataType: 1,
  dataLocation: 1,
  externalData: [['location', location] as const, ['offset', String(offset)] as const, ...more].map(([key, text]) => ({ key, value: text })),
});

/** Opset 11: weights in the model, in a constant, beside the model, in a branch, and in half precision; a function, and words about all of it. */
const rich: ModelProto = modelOf(
  {
    docString: 'A graph.',
    input: [info('x', 'rows', 10), { name: 'yes', type: { tensorType: { elemType: 9, shape: { dim: [] } } } }],
    output: [info('y', 'rows', 10), { name: 'open', type: { tensorType: { elemType: 1 } } }],
    initializer: [
      { ...tensor('w', [10, 10], wave(100)), docString: 'Learned.', metadataProps },
      afar('far', [10, 10], 'data/far.bin', 16),
      { name: 'halved', dims: [10, 10], dataType: 10, rawData: toBytes('f16', Float64Array.from(wave(100))) },
    ],
    node: [
      node('Constant', [], ['held'], { attribute: [{ name: 'value', type: attributeTypes.tensor, t: tensor('any', [10, 10], wave(100).toReversed()) }] }),
      node('MatMul', ['x', 'w'], ['a'], { name: 'first product', metadataProps }),
      node('Cast', ['halved'], ['whole'], { attribute: [{ name: 'to', type: attributeTypes.int, i: 1 }] }),
      node('MatMul', ['a', 'whole'], ['b']),
      node('If', ['yes'], ['c'], {
        attribute: [
          branch(
            'then_branch',
            [
              tensor(
                'w',
                [10, 10],
                wave(100).map((one) => one * 2),
              ),
            ],
            [node('MatMul', ['b', 'w'], ['t'])],
            't',
          ),
          branch('else_branch', [], [node('MatMul', ['b', 'far'], ['e'])], 'e'),
        ],
      }),
      node('Twice', ['c'], ['d'], { domain: 'mine' }),
      node('Softmax', ['d'], ['y'], { attribute: [{ name: 'axis', type: attributeTypes.int, i: 1 }] }),
      node('ReduceSum', ['held'], ['open'], { attribute: [{ name: 'axes', type: attributeTypes.ints, ints: [0] }] }),
    ],
  },
  {
    irVersion: 8,
    opsetImport: [
      { domain: '', version: 11 },
      { domain: 'mine', version: 1 },
    ],
    producerName: 'somebody',
    docString: 'What it is for.',
    metadataProps,
    functions: [
      {
        name: 'Twice',
        domain: 'mine',
        input: ['x'],
        output: ['y'],
        node: [node('Add', ['x', 'x'], ['z']), node('Relu', ['z'], ['y'])],
        opsetImport: [{ domain: '', version: 11 }],
      },
    ],
  },
);

function branch(name: string, initializer: readonly TensorProto[], nodes: GraphProto['node'], result: string) {
  return { name, type: attributeTypes.graph, g: { name, initializer, node: nodes ?? [], output: [info(result, 'rows', 10)] } };
}

let made = 0;
/** A folder with a model and files beside it. */
function folder(model: ModelProto | Uint8Array, beside: Readonly<Record<string, Uint8Array>> = {}): string {
  const path = join(scratch, `f${++made}`);
  mkdirSync(path);
  writeFileSync(join(path, 'old.onnx'), model instanceof Uint8Array ? model : encodeModel(model));
  for (const [name, bytes] of Object.entries(beside)) {
    mkdirSync(join(path, name, '..'), { recursive: true });
    writeFileSync(join(path, name), bytes);
  }
  return path;
}

const farData = { 'data/far.bin': Buffer.concat([new Uint8Array(16), toBytes('f32', Float64Array.from(wave(100).map((one) => one / 2)))]) };
const feeds = (yes: boolean) => ({ x: new ort.Tensor('float32', Float32Array.from(wave(20)), [2, 10]), yes: new ort.Tensor('bool', [yes], []) });

async function runFile(file: string, yes: boolean): Promise<Readonly<Record<string, readonly number[]>>> {
  const session = await ort.InferenceSession.create(file);
  const results = await session.run(feeds(yes));
  await session.release();
  return Object.fromEntries(Object.entries(results).map(([name, { data }]) => [name, Array.from(data as Float32Array)]));
}

/** Equal but for the order in which some sums are taken: six digits of f32. */
function close(a: Readonly<Record<string, readonly number[]>>, b: Readonly<Record<string, readonly number[]>>): void {
  expect(Object.keys(a)).toEqual(Object.keys(b));
  for (const [name, values] of Object.entries(b)) {
    const most = Math.max(...values.map(Math.abs));
    expect(values.length).toBeGreaterThan(0);
    expect(Math.max(...values.map((one, n) => Math.abs(one - (a[name]?.[n] ?? Number.NaN))))).toBeLessThan(1e-6 * most);
  }
}

test.each(['ort', 'portable'])('compiled for %s it stands alone and computes the same', async (target) => {
  const at = folder(rich, farData);
  const called = await moec(['compile', 'old.onnx', '--target', target, '-o', 'new'], { cwd: at });
  expect(called).toMatchObject({ code: 0, err: expect.stringContaining('next: moec run new --inputs inputs.json') });
  const before = { yes: await runFile(join(at, 'old.onnx'), true), no: await runFile(join(at, 'old.onnx'), false) };
  expect(before.yes).not.toEqual(before.no);
  rmSync(join(at, 'data'), { recursive: true });
  rmSync(join(at, 'old.onnx'));
  close(await runFile(join(at, 'new/model.onnx'), true), before.yes);
  close(await runFile(join(at, 'new/model.onnx'), false), before.no);
});

test('what the file says beside the graph is kept, and halves stay halves', async () => {
  const at = folder(rich, farData);
  expect(await moec(['compile', 'old.onnx', '-o', 'new'], { cwd: at })).toMatchObject({ code: 0 });
  const { graph: read } = decodeModel(encodeModel(rich));
  const { graph, functions, ...model } = decodeModel(readFileSync(join(at, 'new/model.onnx')));
  expect(model).toMatchObject({ producerName: 'somebody', docString: 'What it is for.', metadataProps });
  expect(graph).toMatchObject({ docString: 'A graph.', input: read?.input, output: read?.output });
  expect(graph?.node?.find(({ name }) => name === 'first product')).toMatchObject({ opType: 'MatMul', output: ['a'], metadataProps });
  expect(graph?.initializer?.find(({ name }) => name === 'w')).toMatchObject({ docString: 'Learned.', metadataProps });
  const halved = graph?.initializer?.find(({ name }) => name === 'halved');
  expect(halved).toMatchObject({ dataType: 10, dims: [10, 10] });
  expect(halved?.rawData?.length).toBe(200);
  expect(functions?.map(({ name, domain, opsetImport }) => ({ name, domain, opsetImport }))).toEqual([
    { name: 'Twice', domain: 'mine', opsetImport: [{ domain: '', version: 24 }] },
  ]);
  const manifest = JSON.parse(readFileSync(join(at, 'new/moec.json'), 'utf8'));
  expect(manifest).toMatchObject({
    model: 'old',
    source: 'old.onnx',
    form: 'whole',
    opset: 24,
    inputs: [
      { name: 'x', dtype: 'f32', dims: ['rows', 10] },
      { name: 'yes', dtype: 'bool', dims: [] },
    ],
    outputs: [
      { name: 'y', dtype: 'f32', dims: ['rows', 10] },
      { name: 'open', dtype: 'f32', dims: [], open: true },
    ],
  });
});

test('it is run where it lies, and as compiled', async () => {
  const at = folder(rich, farData);
  writeFileSync(join(at, 'in.json'), JSON.stringify({ x: [wave(10)], yes: true }));
  expect(await moec(['compile', 'old.onnx', '-o', 'new'], { cwd: at })).toMatchObject({ code: 0 });
  const [here, compiled] = [await moec(['run', 'old.onnx', '--inputs', 'in.json'], { cwd: at }), await moec(['run', 'new', '--inputs', 'in.json'], { cwd: at })];
  expect(here).toMatchObject({ code: 0, err: '' });
  expect(here.out).toBe(compiled.out);
  expect(JSON.parse(here.out).y[0]).toHaveLength(10);
});

test('an input that the file gives no sizes is taken with any', async () => {
  const at = mkdtempSync(join(scratch, 'open-'));
  const open = (name: string) => ({ name, type: { tensorType: { elemType: 1 } } });
  writeFileSync(join(at, 'open.onnx'), encodeModel(modelOf({ input: [open('x')], output: [open('y')], node: [node('Neg', ['x'], ['y'])] })));
  expect(await moec(['compile', 'open.onnx', '-o', 'new'], { cwd: at })).toMatchObject({ code: 0 });
  for (const x of [[[1, 2]], [1], 5]) {
    writeFileSync(join(at, 'in.json'), JSON.stringify({ x }));
    for (const target of ['open.onnx', 'new']) {
      const { code, out } = await moec(['run', target, '--inputs', 'in.json', '--json'], { cwd: at });
      expect([code, JSON.stringify(JSON.parse(out).y).replaceAll('-', '')]).toEqual([0, JSON.stringify(x)]);
    }
    expect(await moec(['verify', 'new', 'open.onnx', '--inputs', 'in.json'], { cwd: at })).toMatchObject({ code: 0 });
  }
  for (const words of [
    ['verify', 'new', 'open.onnx'],
    ['bench', 'new', '--no-bound', '--rounds', '1'],
  ]) {
    const { code, err } = await moec(words, { cwd: at });
    expect([code, err]).toEqual([1, expect.stringContaining('error[input-without-sizes]: the model says nothing of the sizes of `x`, so no numbers can be made for it\n')]);
  }
});

test('explained it says what its weights take', async () => {
  const at = folder(rich, farData);
  const { code, out } = await moec(['explain', 'old.onnx', '--json'], { cwd: at });
  expect(code).toBe(0);
  // Four matrices of 100 numbers in the main graph, one of them of 2 bytes; one stands in a product there, 2 · 100.
  expect(JSON.parse(out)).toMatchObject({ model: 'old', total: { parameters: 400, bytes: 1400, flops: 200 } });
});

test('ops of moec among the nodes are lowered, in the graphs inside too', async () => {
  const at = folder(
    modelOf({
      input: [info('x', 'rows', 10), { name: 'yes', type: { tensorType: { elemType: 9, shape: { dim: [] } } } }],
      output: [info('y', 'rows', 10)],
      node: [
        node('If', ['yes'], ['a'], { attribute: [branch('then_branch', [], [node('Neg', ['x'], ['t'])], 't'), branch('else_branch', [], [node('Abs', ['x'], ['e'])], 'e')] }),
        node('Sigmoid', ['a'], ['y']),
      ],
    }),
  );
  const found = must(modelOfOnnx(join(at, 'old.onnx')));
  const { graph } = found.model;
  const rows = type('f32', [symbol('rows'), 10]);
  const silu = ops.get('silu');
  if (!silu) throw new Error('no silu');
  const [choice, last] = graph.nodes;
  const [x] = graph.inputs;
  if (!choice?.bodies || !last || !x) throw new Error('other nodes than were written');
  const [thenGraph, elseGraph] = [choice.bodies['then_branch'], choice.bodies['else_branch']];
  if (!thenGraph || !elseGraph) throw new Error('no branches');
  const inside = graphBuilder();
  const added = inside.one(silu, [inside.one(ops.get('add') ?? silu, [x, inside.constant(ndArray([], [1]))])]);
  const then = inside.finish({ ...thenGraph, outputs: [{ name: 't', value: added }] });
  const chosen = value('a', rows);
  const build = graphBuilder();
  build.push({ ...choice, bodies: { then_branch: then, else_branch: elseGraph }, outputs: [chosen] });
  const doubled = build.one(ops.get('mul') ?? silu, [chosen, build.constant(ndArray([], [2]))]);
  build.push({ op: foreign('Sigmoid'), inputs: [doubled], outputs: last.outputs, attrs: {} });
  const mixed = build.finish(graph);
  const lowered = must(await lowerModel(mixed, { target: targetOf('ort'), form: 'whole', storage: 'written', ports: 'kept' }));
  const bytes = exportModel(lowered.graph, { opset: 24, ir: 12, place: ({ source }) => ({ kind: 'inline', bytes: Buffer.concat([...sourceBytes(source, found.checkpoint)]) }) });
  writeFileSync(join(at, 'mixed.onnx'), bytes);
  const sigmoid = (n: number): number => 1 / (1 + Math.exp(-n));
  const expected = (f: (n: number) => number) => ({ y: wave(20).map((one) => sigmoid(2 * f(Math.fround(one)))) });
  close(
    await runFile(join(at, 'mixed.onnx'), true),
    expected((n) => (n + 1) * sigmoid(n + 1)),
  );
  close(await runFile(join(at, 'mixed.onnx'), false), expected(Math.abs));
});

test('a newer model keeps its version and says so', async () => {
  const at = folder(modelOf({ input: [info('x', 2)], output: [info('y', 2)], node: [node('Neg', ['x'], ['y'])] }, { opsetImport: [{ domain: '', version: 23 }] }));
  const called = await moec(['compile', 'old.onnx', '--target', 'portable', '-o', 'new'], { cwd: at });
  expect(called).toMatchObject({
    code: 0,
    err: expect.stringContaining('note[opset-kept]: old.onnx has version 23 of ai.onnx, which is newer than that of portable; it keeps it'),
  });
  expect(JSON.parse(readFileSync(join(at, 'new/moec.json'), 'utf8'))).toMatchObject({ opset: 23 });
});

const plain = (graph: GraphProto = {}, rest: ModelProto = {}): ModelProto =>
  modelOf({ input: [info('x', 2, 10)], output: [info('y', 2, 10)], node: [node('MatMul', ['x', 'w'], ['y'])], initializer: [tensor('w', [10, 10], wave(100))], ...graph }, rest);
const sequence = { sequenceType: { elemType: { tensorType: { elemType: 1 } } } };

/** What is asked, of which model with which files beside it, and what is said of it. */
const refusals: Readonly<Record<string, readonly [ModelProto | Uint8Array, Readonly<Record<string, Uint8Array>>, string, (readonly string[])?]>> = {
  'a file that is no model': [utf8('<html>404</html>'), {}, 'error[onnx-unreadable]: old.onnx'],
  'an empty file': [new Uint8Array(), {}, 'error[onnx-not-understood]: old.onnx cannot be read as a graph: it has no graph'],
  'a model cut short': [encodeModel(plain()).subarray(0, 200), {}, 'error[onnx-unreadable]: old.onnx'],
  'a version before 7': [plain({}, { opsetImport: [{ domain: '', version: 6 }] }), {}, 'error[onnx-opset-unknown]: old.onnx has version 6 of ai.onnx; moec reads 7 to 26'],
  'a version to come': [plain({}, { opsetImport: [{ domain: '', version: 27 }] }), {}, 'error[onnx-opset-unknown]: old.onnx has version 27 of ai.onnx; moec reads 7 to 26'],
  'data that are not there': [plain({ initializer: [afar('w', [10, 10], 'w.bin', 0)] }), {}, 'w.bin: it is not there'],
  'data cut short': [plain({ initializer: [afar('w', [10, 10], 'w.bin', 8)] }), { 'w.bin': new Uint8Array(400) }, 'error[tensor-out-of-file]'],
  'data that begin before the file': [plain({ initializer: [afar('w', [10, 10], 'w.bin', -4)] }), {}, '`w` begins at -4'],
  'data of another length': [plain({ initializer: [afar('w', [10, 10], 'w.bin', 0, [['length', '4']])] }), {}, '`w` has 4 bytes and needs 400'],
  'data above the folder': [plain({ initializer: [afar('w', [10, 10], '../w.bin', 0)] }), {}, 'outside the model'],
  'data at an absolute path': [plain({ initializer: [afar('w', [10, 10], '/etc/passwd', 0)] }), {}, 'outside the model'],
  'a tensor of more numbers than there are': [plain({ initializer: [{ ...tensor('w', [10, 10], []), dims: [2 ** 20, 2 ** 20] }] }), {}, '`w` has 0 bytes and needs'],
  'a function that calls itself': [
    plain({}, { functions: [{ name: 'F', domain: 'mine', input: ['x'], output: ['y'], node: [node('F', ['x'], ['y'], { domain: 'mine' })] }] }),
    {},
    'error[onnx-not-understood]: old.onnx cannot be read as a graph: the function F calls itself',
  ],
  'an input that is a list': [plain({ input: [info('x', 2, 10), { name: 'list', type: sequence }] }), {}, 'its input `list` is no tensor that moec knows'],
  'a device that needs every op': [plain(), {}, 'error[target-needs-ops]: the target webgpu takes ops that moec knows; MatMul is one it only carries', ['--target', 'webgpu']],
  'a model to write beside': [plain(), {}, 'error[in-place-needs-checkpoint]: --in-place', ['--in-place']],
  'a generation': [plain(), {}, 'error[loop-needs-source]: --generate puts a model of the language in a loop', ['--generate']],
};

test.each(Object.entries(refusals))('%s is refused, and nothing is left', async (_, [model, beside, says, options = []]) => {
  const at = folder(model, beside);
  const there = readdirSync(at, { recursive: true }).sort();
  const called = await moec(['compile', 'old.onnx', ...(options.includes('--in-place') ? [] : ['-o', 'new']), ...options], { cwd: at });
  expect(called).toMatchObject({ code: 1, out: '', err: expect.stringContaining(says) });
  expect(called.err).not.toMatch(/\n\s+at .*:\d+|^fault:|undefined|\[object/m);
  expect(readdirSync(at, { recursive: true }).sort()).toEqual(there);
});

test('a damaged model is refused or another model, and never a fault', async () => {
  const whole = encodeModel(rich);
  const at = folder(whole, farData);
  let [random, refused, planned] = [7, 0, 0];
  const draw = (below: number): number => {
    random = (Math.imul(random, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return Math.floor((random / 2 ** 31) * below);
  };
  for (let round = 0; round < 120; round++) {
    const bytes = Uint8Array.from(whole);
    // Names and numbers alike: most of the file are numbers, so half of the hits are aimed behind them.
    for (let hit = 0; hit <= draw(3); hit++) bytes[draw(2) === 0 ? draw(bytes.length) : bytes.length - 1 - draw(900)] = draw(256);
    writeFileSync(join(at, 'old.onnx'), bytes);
    const found = modelOfOnnx(join(at, 'old.onnx'));
    if (!found.ok) {
      refused++;
      continue;
    }
    for (const target of ['ort', 'portable'] as const) {
      const settings = { target: targetOf(target), whole: false, generate: false, placing: 'written', version: 'test' } as const;
      const plan = await planCompile(found.value, settings);
      if (plan.ok && filesOf(plan.value).ok) planned++;
    }
    found.value.checkpoint?.close();
  }
  expect(refused).toBeGreaterThan(10);
  expect(planned).toBeGreaterThan(10);
});

test('what is named .onnx and is no file is told', async () => {
  mkdirSync(join(scratch, 'folder.onnx'));
  symlinkSync('nowhere', join(scratch, 'broken.onnx'));
  expect(await moec(['compile', 'none.onnx'], { cwd: scratch })).toMatchObject({ code: 1, err: expect.stringContaining('error[target-missing]') });
  expect(await moec(['run', 'broken.onnx', '--inputs', 'x.json'], { cwd: scratch })).toMatchObject({ code: 1, err: expect.stringContaining('error[target-missing]') });
  expect(await moec(['explain', 'folder.onnx'], { cwd: scratch })).toMatchObject({ code: 1, err: expect.stringContaining('error[target-unknown]') });
});
