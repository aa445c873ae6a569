/** Weights of a file of ONNX that lie in several places: its feed-forwards are computed, and become experts, with the bytes that the file means. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { afterAll, expect, test } from 'vitest';
import { ndArray } from '../../src/graph/nd-array.ts';
import type { TensorProto } from '../../src/onnx/messages.ts';
import { encodeModel } from '../../src/onnx/wire.ts';
import { modelOfOnnx, raisedModel } from '../../src/run/find-onnx.ts';
import { graphCompute } from '../../src/run/graph-compute.ts';
import { toBytes } from '../../src/weights/elements.ts';
import { distance } from '../definition.ts';
import { f32, info, modelOf, node, tensor } from '../onnx-messages.ts';
import { must } from '../running.ts';
import { moec } from '../terminal.ts';

const scratch = mkdtempSync(join(tmpdir(), 'moec-onnx-data-'));
afterAll(() => rmSync(scratch, { recursive: true }));

const wave = (n: number, speed: number): readonly number[] => Array.from({ length: n }, (_, i) => Math.sin((i + 1) * speed));

/** A tensor alone in a file beside the model. */
function beside(name: string, dims: readonly number[], data: readonly number[], location: string): TensorProto {
  mkdirSync(join(scratch, location, '..'), { recursive: true });
  writeFileSync(join(scratch, location), toBytes('f32', Float64Array.from(data)));
  return { name, dims, dataType: 1, dataLocation: 1, externalData: [{ key: 'location', value: location }] };
}

/** relu(x · a) · b with matrices of one size. */
function written(name: string, a: TensorProto, b: TensorProto): string {
  const file = join(scratch, name);
  const nodes = [node('MatMul', ['x', 'a'], ['h']), node('Relu', ['h'], ['r']), node('MatMul', ['r', 'b'], ['y'])];
  writeFileSync(file, encodeModel(modelOf({ input: [info('x', 'rows', 32)], output: [info('y', 'rows', 32)], initializer: [a, b], node: nodes })));
  return file;
}

const [first, second] = [wave(32 * 32, 1.3), wave(32 * 32, 0.7)];

test.each([
  ['files of one name in two folders', written('named.onnx', beside('a', [32, 32], first, 'p/w.bin'), beside('b', [32, 32], second, 'q/w.bin'))],
  ['the model and a folder beside it', written('mixed.onnx', tensor('a', [32, 32], first), beside('b', [32, 32], second, 'sub/w.bin'))],
])('%s', { timeout: 60_000 }, async (_, file) => {
  const x = wave(5 * 32, 2.1);
  const session = await ort.InferenceSession.create(file);
  const meant = Float64Array.from((await session.run({ x: f32([5, 32], x) }))['y']?.data as Float32Array);
  await session.release();
  const found = raisedModel(must(modelOfOnnx(file)));
  const compute = graphCompute(found, { threads: 1 });
  const { y } = await compute.run(found.model.graph, { x: ndArray([5, 32], x) });
  await compute.close();
  found.checkpoint?.close();
  expect(distance(y?.data ?? [], meant)).toBeLessThan(1e-6);

  const out = join(scratch, 'out');
  const calibration = join(scratch, 'inputs.json');
  writeFileSync(calibration, JSON.stringify([48, 32].map((rows, i) => ({ x: Array.from({ length: rows }, (__, r) => wave(32, 3 + i + r / 7)) }))));
  expect((await moec(['emerge', file, '--experts', '4', '--top', '4', '--speed', 'none', '--calibrate', calibration, '-o', out])).code).toBe(0);
  writeFileSync(join(scratch, 'x.json'), JSON.stringify({ x: Array.from({ length: 5 }, (__, r) => x.slice(r * 32, (r + 1) * 32)) }));
  const { out: said } = await moec(['run', out, '--inputs', join(scratch, 'x.json'), '--json']);
  expect(distance((JSON.parse(said) as { readonly y: readonly (readonly number[])[] }).y.flat(), meant)).toBeLessThan(1e-5);
});
