/** Feed-forwards of files of ONNX in f16 as experts: computed in f32 between the file's own f16 values, and f16 again when they are merged. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { Numbers } from '../../src/graph/compute.ts';
import { constant } from '../../src/graph/constant.ts';
import { evaluateGraph } from '../../src/graph/eval.ts';
import type { Graph } from '../../src/graph/graph.ts';
import { ndArray } from '../../src/graph/nd-array.ts';
import { verifyGraph } from '../../src/graph/verify.ts';
import { emergentSettingsOf } from '../../src/model/index.ts';
import { attributeTypes, type NodeProto, type TensorProto, type ValueInfoProto } from '../../src/onnx/messages.ts';
import { decodeModel, encodeModel } from '../../src/onnx/wire.ts';
import { mergeExperts } from '../../src/passes/emergent/merge.ts';
import { replaceFeedForwards } from '../../src/passes/emergent/replace.ts';
import { findFeedForwards } from '../../src/passes/feed-forwards.ts';
import { digestOf } from '../../src/run/artefact.ts';
import type { Chosen } from '../../src/run/convert.ts';
import { emerge } from '../../src/run/emerge.ts';
import { modelOfOnnx, raisedModel } from '../../src/run/find-onnx.ts';
import { graphCompute } from '../../src/run/graph-compute.ts';
import { fromBytes, toBytes } from '../../src/weights/elements.ts';
import { sourceArray } from '../../src/weights/source.ts';
import { distance } from '../definition.ts';
import { info, modelOf, node } from '../onnx-messages.ts';
import { must } from '../running.ts';
import { moec } from '../terminal.ts';

const scratch = mkdtempSync(join(tmpdir(), 'moec-onnx-f16-'));
afterAll(() => rmSync(scratch, { recursive: true }));

const wave = (n: number, speed: number, size = 1): readonly number[] => Array.from({ length: n }, (_, i) => size * Math.sin((i + 1) * speed));
const [width, neurons] = [16, 48];

const f16 = 10;
const half = (name: string, dims: readonly number[], data: readonly number[]): TensorProto => ({ name, dims, dataType: f16, rawData: toBytes('f16', Float64Array.from(data)) });
const halfInfo = (name: string, ...dims: readonly (number | string)[]): ValueInfoProto => {
  const { type } = info(name, ...dims);
  return { name, type: { tensorType: { ...type?.tensorType, elemType: f16 } } };
};

interface Layer {
  readonly nodes: readonly NodeProto[];
  readonly weights: readonly TensorProto[];
}

/** v + relu(v · a + ba) · b + bb. */
const plain = (at: number): Layer => ({
  nodes: [
    node('MatMul', [`v${at}`, `a${at}`], [`h${at}`]),
    node('Add', [`h${at}`, `ba${at}`], [`hb${at}`]),
    node('Relu', [`hb${at}`], [`r${at}`]),
    node('MatMul', [`r${at}`, `b${at}`], [`y${at}`]),
    node('Add', [`y${at}`, `bb${at}`], [`yb${at}`]),
    node('Add', [`v${at}`, `yb${at}`], [`v${at + 1}`]),
  ],
  weights: [
    half(`a${at}`, [width, neurons], wave(width * neurons, 1.3 + at, 0.5)),
    half(`ba${at}`, [neurons], wave(neurons, 2.3 + at)),
    half(`b${at}`, [neurons, width], wave(width * neurons, 0.7 + at, 0.3)),
    half(`bb${at}`, [width], wave(width, 3.1 + at)),
  ],
});

/** v + ((v · a) · σ(scale · (v · a)) · (v · c)) · b, with a number of the file in the middle. */
const gated = (at: number): Layer => ({
  nodes: [
    node('MatMul', [`v${at}`, `a${at}`], [`g${at}`]),
    node('MatMul', [`v${at}`, `c${at}`], [`u${at}`]),
    node('Mul', [`g${at}`, 'scale'], [`m${at}`]),
    node('Sigmoid', [`m${at}`], [`s${at}`]),
    node('Mul', [`g${at}`, `s${at}`], [`w${at}`]),
    node('Mul', [`w${at}`, `u${at}`], [`h${at}`]),
    node('MatMul', [`h${at}`, `b${at}`], [`y${at}`]),
    node('Add', [`v${at}`, `y${at}`], [`v${at + 1}`]),
  ],
  weights: [
    half(`a${at}`, [width, neurons], wave(width * neurons, 1.7 + at, 0.4)),
    half(`c${at}`, [width, neurons], wave(width * neurons, 1.1 + at, 0.4)),
    half(`b${at}`, [neurons, width], wave(width * neurons, 0.9 + at, 0.3)),
    half('scale', [1], [1.702]),
  ],
});

/** A file of these nodes, from `v0` to `last`. */
function written(name: string, nodes: readonly NodeProto[], weights: readonly TensorProto[], last: string): string {
  const file = join(scratch, name);
  const [input, output] = [halfInfo('v0', 'batch', 'length', width), halfInfo(last, 'batch', 'length', width)];
  writeFileSync(file, encodeModel(modelOf({ input: [input], output: [output], initializer: weights, node: nodes })));
  return file;
}

const both = [plain(0), gated(1)];
const file = written(
  'halves.onnx',
  both.flatMap(({ nodes }) => nodes),
  both.flatMap(({ weights }) => weights),
  'v2',
);

const rows = (count: number, speed: number): readonly (readonly number[])[] => Array.from({ length: count }, (_, r) => wave(width, speed + r / 7, 1 + (r % 5) / 4));
const calibration = join(scratch, 'inputs.json');
writeFileSync(calibration, JSON.stringify([64, 48, 32].map((count, i) => ({ v0: [rows(count, 0.3 + i)] }))));
const given = join(scratch, 'given.json');
writeFileSync(given, JSON.stringify({ v0: [rows(9, 5)] }));

/** Two values that are rounded to f16 last differ by one step of it, of the largest number at most. */
const oneStep = 2 ** -10;

async function resultOf(model: string): Promise<Float64Array> {
  const { code, out, err } = await moec(['run', model, '--inputs', given, '--json']);
  expect(code, err).toBe(0);
  return Float64Array.from((JSON.parse(out) as { readonly v2: readonly (readonly (readonly number[])[])[] }).v2.flat(2));
}

/** What `moec emerge` says of each layer. */
async function emerged(out: string, ...more: readonly string[]): Promise<readonly { readonly path: string; readonly identity: number }[]> {
  const { code, out: said, err } = await moec(['emerge', file, '--experts', '4', '--speed', 'none', '--json', '-o', out, ...more]);
  expect(code, `${said}${err}`).toBe(0);
  return (JSON.parse(said) as { readonly layers: Awaited<ReturnType<typeof emerged>> }).layers;
}

describe.each(['ort', 'portable'])('moec emerge of a file in f16, for %s', (target) => {
  const out = join(scratch, target);

  test('with every expert gives what the file gives, to the last step of f16, with and without calibration', { timeout: 120_000 }, async () => {
    const dense = await resultOf(file);
    await emerged(out, '--top', '4', '--target', target);
    expect(distance(await resultOf(out), dense)).toBeLessThanOrEqual(oneStep);
    const layers = await emerged(out, '--top', '4', '--target', target, '--calibrate', calibration);
    expect(layers.map(({ path }) => path)).toEqual(['ffn.0', 'ffn.1']);
    for (const { identity } of layers) expect(identity).toBeLessThanOrEqual(oneStep);
    expect(distance(await resultOf(out), dense)).toBeLessThanOrEqual(oneStep);
    const { graph } = decodeModel(readFileSync(join(out, 'model.onnx')));
    expect([...(graph?.input ?? []), ...(graph?.output ?? [])].map(({ type }) => type?.tensorType?.elemType)).toEqual([f16, f16]);
  });
});

test('the source beside the experts compiles to the same numbers', { timeout: 120_000 }, async () => {
  const [out, again] = [join(scratch, 'stored'), join(scratch, 'again')];
  await emerged(out, '--top', '2', '--calibrate', calibration);
  const { code, err } = await moec(['compile', join(out, 'halves.moe'), '-o', again]);
  expect(code, err).toBe(0);
  expect(await resultOf(again)).toEqual(await resultOf(out));
});

test('several sizes are tried on it', { timeout: 120_000 }, async () => {
  const { code, out, err } = await moec(['emerge', file, '--sweep', '4,8:0.5', '--calibrate', calibration, '--json']);
  expect(code, err).toBe(0);
  expect((JSON.parse(out) as { readonly rows: readonly { readonly experts: number }[] }).rows.map(({ experts }) => experts)).toEqual([4, 8]);
});

describe('experts', () => {
  const found = raisedModel(must(modelOfOnnx(file)));
  afterAll(() => found.checkpoint?.close());
  const { graph } = found.model;
  const { found: dense } = findFeedForwards(graph);
  const x = ndArray([1, 32, width], rows(32, 0.3).flat());
  const samples = [64, 48].map((count, i) => ({ feeds: { v0: ndArray([1, count, width], rows(count, 1.3 + i).flat(), 'f16') } }));

  async function converted(texts: Readonly<Record<string, string>>, chosen: Chosen): Promise<Graph> {
    const settings = must(emergentSettingsOf({ experts: '4', pick: 'top(2)', text: '"given"', ...texts }, (name) => name));
    const { replacements } = must(await emerge(found, { settings, chosen, samples, version: 'test', threads: 1 }));
    const of = replaceFeedForwards(graph, replacements);
    verifyGraph(of);
    return of;
  }

  async function resultOf(of: Graph): Promise<Numbers['data']> {
    const compute = graphCompute(found, { threads: 1 });
    const { v2 } = await compute.run(of, { v0: { ...x, dtype: 'f16' } });
    await compute.close();
    return v2?.data ?? new Float64Array();
  }

  /** By the f64 reference: every expert on every token, nothing rounded. */
  function defined(of: Graph): Float64Array {
    const numbers = new Map(of.weights.map(({ path, source }) => [path, sourceArray(source, found.checkpoint)]));
    return evaluateGraph(of, { v0: x }, (path) => numbers.get(path) ?? ndArray([0], []))['v2']?.data ?? new Float64Array();
  }

  const asked: readonly Readonly<Record<string, string>>[] = [
    { repair: 'low_rank(4)', score: 'fitted(features: 8)' },
    { repair: 'means', shared: '1', score: 'representative' },
    { pick: 'threshold(0.5, most: 3)' },
    { group: 'carved', repair: 'none', score: 'mean_key' },
    { score: 'oracle', repair: 'none' },
  ];

  describe.each(asked)('%o', (texts) => {
    test.each(['ffn.0', 'ffn.1'])('%s runs as it is defined, to three steps of f16', { timeout: 60_000 }, async (path) => {
      const of = await converted(texts, { kind: 'paths', paths: [path] });
      const meant = defined(of);
      expect(distance(await resultOf(of), meant)).toBeLessThan(3 * oneStep);
      expect(distance(defined(graph), meant)).toBeGreaterThan(10 * oneStep);
    });

    test('merged, it is the file again: bits, nodes and results', { timeout: 60_000 }, async () => {
      const merged = mergeExperts(await converted(texts, { kind: 'all' }));
      verifyGraph(merged);
      const { found: again } = findFeedForwards(merged);
      expect(again.map((one) => digestOf(one, found.checkpoint))).toEqual(dense.map((one) => digestOf(one, found.checkpoint)));
      const opsOf = ({ nodes }: Graph): readonly string[] => nodes.flatMap(({ op }) => (op === constant ? [] : [op.name]));
      expect(opsOf(merged)).toEqual(opsOf(graph));
      expect(await resultOf(merged)).toEqual(await resultOf(graph));
    });
  });
});

describe('not taken', () => {
  const missedIn = (...given: Parameters<typeof written>): readonly string[] => {
    const found = raisedModel(must(modelOfOnnx(written(...given))));
    const { found: taken, missed } = findFeedForwards(found.model.graph);
    found.checkpoint?.close();
    expect(taken).toEqual([]);
    return missed.map(({ why }) => why);
  };
  const cast = (from: string, to: string, elemType: number): NodeProto => node('Cast', [from], [to], { attribute: [{ name: 'to', type: attributeTypes.int, i: elemType }] });

  test('numbers that are neither f32 nor f16', () => {
    const { nodes, weights } = plain(0);
    const others = weights.map(({ rawData = new Uint8Array(), ...one }) => ({ ...one, dataType: 16, rawData: toBytes('bf16', fromBytes('f16', rawData)) }));
    expect(
      missedIn(
        'other.onnx',
        [cast('v0', 'wide', 16), ...nodes.map((one) => ({ ...one, input: one.input?.map((name) => (name === 'v0' ? 'wide' : name)) ?? [] })), cast('v1', 'out', f16)],
        others,
        'out',
      ),
    ).toEqual(['its numbers are bf16; export the model with f32 or f16 weights']);
  });

  test('numbers that are f16 in part', () => {
    const { nodes, weights } = plain(0);
    const relu = nodes.findIndex(({ opType }) => opType === 'Relu');
    const between = [cast('hb0', 'wide', 1), node('Sigmoid', ['wide'], ['bent']), cast('bent', 'r0', f16)];
    expect(missedIn('part.onnx', nodes.toSpliced(relu, 1, ...between), weights, 'v1')).toEqual([
      'its numbers are f16 in part, and cast at `wide`; export all of the model in f32 or in f16',
    ]);
  });
});
