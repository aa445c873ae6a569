/** Feed-forwards of files of ONNX as experts: calibrated piece by piece, compiled with everything else that the file says, in every form that runs. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { ndArray } from '../../src/graph/nd-array.ts';
import { type AttributeProto, attributeTypes, type NodeProto } from '../../src/onnx/messages.ts';
import { decodeModel, encodeModel } from '../../src/onnx/wire.ts';
import { calibrate } from '../../src/passes/emergent/calibrate.ts';
import type { Matrix } from '../../src/passes/emergent/matrix.ts';
import { findFeedForwards } from '../../src/passes/feed-forwards.ts';
import { modelOfOnnx, raisedModel } from '../../src/run/find-onnx.ts';
import { graphCompute } from '../../src/run/graph-compute.ts';
import { distance } from '../definition.ts';
import { info, modelOf, node, tensor } from '../onnx-messages.ts';
import { must } from '../running.ts';
import { moec } from '../terminal.ts';

const scratch = mkdtempSync(join(tmpdir(), 'moec-emerge-onnx-'));
afterAll(() => rmSync(scratch, { recursive: true }));

const wave = (n: number, speed: number): readonly number[] => Array.from({ length: n }, (_, i) => Math.sin((i + 1) * speed));

/** v + act(v · a + ba) · b, over all but the last axis of v; `scale` follows from what has no type. */
const feedForward = (at: number): { readonly nodes: readonly NodeProto[]; readonly weights: readonly ReturnType<typeof tensor>[] } => ({
  nodes: [
    node('MatMul', [`v${at}`, `a${at}`], [`h${at}`]),
    node('Add', [`h${at}`, `ba${at}`], [`hb${at}`]),
    node('Relu', [`hb${at}`], [`r${at}`]),
    node('MatMul', [`r${at}`, `b${at}`], [`y${at}`]),
    node('Add', [`v${at}`, `y${at}`], [`w${at}`]),
    node('Add', [`w${at}`, `scale${at}`], [`v${at + 1}`]),
  ],
  weights: [tensor(`a${at}`, [8, 16], wave(128, 1.3 + at)), tensor(`ba${at}`, [16], wave(16, 2.3 + at)), tensor(`b${at}`, [16, 8], wave(128, 0.7 + at))],
});

const is = (name: string, ...ints: readonly number[]): AttributeProto => ({ name, type: attributeTypes.ints, ints });
const parts = [0, 1].map(feedForward);
/** The length after pooling is the file's own secret, and what an op of nobody's gives has no type. */
const file = join(scratch, 'pooled.onnx');
writeFileSync(
  file,
  encodeModel(
    modelOf(
      {
        input: [info('pixels', 'batch', 8, 'length'), info('gain', 'batch', 1, 8)],
        output: [info('out', 'batch', 'short', 8)],
        initializer: parts.flatMap(({ weights }) => weights),
        node: [
          // Without an arrow the result has its letters in order: the same.
          node('Einsum', ['gain'], ['untyped'], { attribute: [{ name: 'equation', type: attributeTypes.string, s: new TextEncoder().encode('abc') }] }),
          node('Selu', ['untyped'], ['scale0']),
          node('ThresholdedRelu', ['untyped'], ['scale1']),
          node('AveragePool', ['pixels'], ['pooled'], { attribute: [is('kernel_shape', 3), is('strides', 2)] }),
          node('Transpose', ['pooled'], ['v0'], { attribute: [is('perm', 0, 2, 1)] }),
          ...parts.flatMap(({ nodes }) => nodes),
          node('Identity', ['v2'], ['out'], { name: 'the_last' }),
        ],
        valueInfo: [info('scale0', 'batch', 1, 8), info('scale1', 'batch', 1, 8)],
        docString: 'of the graph',
      },
      { metadataProps: [{ key: 'made', value: 'by hand' }] },
    ),
  ),
);

const pixels = (batch: number, length: number): readonly (readonly (readonly number[])[])[] =>
  Array.from({ length: batch }, (_, b) => Array.from({ length: 8 }, (_, c) => wave(length, 0.3 + b + c / 8)));
const inputs = (batch: number, length: number): object => ({ pixels: pixels(batch, length), gain: Array.from({ length: batch }, (_, b) => [wave(8, 5 + b)]) });
const feeds = (batch: number, length: number): Readonly<Record<string, ReturnType<typeof ndArray>>> => ({
  pixels: ndArray([batch, 8, length], pixels(batch, length).flat(2)),
  gain: ndArray([batch, 1, 8], Array.from({ length: batch }, (_, b) => wave(8, 5 + b)).flat()),
});

test('stages make untyped values again, and each feed-forward is given what the whole model gives it', async () => {
  const found = raisedModel(must(modelOfOnnx(file)));
  const { graph } = found.model;
  expect(
    graph.nodes
      .flatMap(({ outputs }) => outputs)
      .filter(({ type }) => !type)
      .map(({ name }) => name),
  ).toEqual(['untyped']);
  const { found: feedForwards } = findFeedForwards(graph);
  const compute = graphCompute(found, { threads: 1 });
  const seen: Matrix[] = [];
  const whole = { ...graph, outputs: feedForwards.map(({ x, path }) => ({ name: path, value: x })) };
  const given = feeds(2, 11);
  await calibrate({ graph, feedForwards, samples: [{ feeds: given }], compute, inOrder: false }, async ({ path }, { inputs: [one] }) => {
    if (one) seen.push(one);
    return { path } as never;
  });
  const results = await compute.run(whole, given);
  await compute.close();
  found.checkpoint?.close();
  expect(seen.map(({ rows, columns }) => [rows, columns])).toEqual([
    [10, 8],
    [10, 8],
  ]);
  seen.forEach(({ data }, i) => expect(distance(data, new Float64Array(results[`ffn.${i}`]?.data ?? []))).toBeLessThan(1e-6));
});

describe.each(['ort', 'portable'] as const)('moec emerge of a file, for %s', (target) => {
  const calibration = join(scratch, 'inputs.json');
  writeFileSync(calibration, JSON.stringify([inputs(1, 41), inputs(2, 31)]));
  const out = join(scratch, target);

  test('keeps what the file says, and with every expert gives what it gave', async () => {
    const call = ['emerge', file, '--experts', '4', '--top', '4', '--speed', 'none', '--calibrate', calibration, '--target', target, '-o', out, '--json'];
    const { code, out: said } = await moec(call);
    expect(code).toBe(0);
    const { layers } = JSON.parse(said) as { readonly layers: readonly { readonly path: string; readonly identity: number }[] };
    expect(layers.map(({ path }) => path)).toEqual(['ffn.0', 'ffn.1']);
    for (const { identity } of layers) expect(identity).toBeLessThan(1e-5);
    const model = decodeModel(readFileSync(join(out, 'model.onnx')));
    expect(model.metadataProps).toEqual([{ key: 'made', value: 'by hand' }]);
    expect(model.graph).toMatchObject({ docString: 'of the graph', input: [{ name: 'pixels' }, { name: 'gain' }], output: [{ name: 'out' }] });
    const given = join(scratch, 'given.json');
    writeFileSync(given, JSON.stringify(inputs(3, 7)));
    const results = await Promise.all([file, out].map((one) => moec(['run', one, '--inputs', given, '--json'])));
    expect(results.map((one) => one.code)).toEqual([0, 0]);
    const [before = [], after = []] = results.map((one) => (JSON.parse(one.out) as { readonly out: readonly (readonly (readonly number[])[])[] }).out.flat(2));
    expect(after.length).toBe(3 * 3 * 8);
    expect(distance(after, Float64Array.from(before))).toBeLessThan(1e-5);
  }, 120_000);
});

test('what moec itself compiled becomes experts, attention and rotation by single nodes in between', async () => {
  const [dense, sparse] = [join(scratch, 'dense'), join(scratch, 'sparse')];
  expect((await moec(['compile', 'models/tiny.moe', '-o', dense])).code).toBe(0);
  const compiled = join(dense, 'model.onnx');
  const { code, out } = await moec(['emerge', compiled, '--experts', '4', '--top', '4', '--speed', 'none', '-o', sparse, '--json']);
  expect([code, JSON.parse(out).picks.length]).toEqual([0, 4]);
  expect((await moec(['verify', compiled, sparse])).code).toBe(0);
}, 60_000);
