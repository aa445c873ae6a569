/** Models that torch exported, both ways: raised to ops they compute what they did, and every feed-forward is found. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Graph } from '../../src/graph/graph.ts';
import { exportModel } from '../../src/onnx/export.ts';
import { findFeedForwards } from '../../src/passes/feed-forwards.ts';
import { recognition } from '../../src/passes/recognition.ts';
import { runPasses } from '../../src/passes/run.ts';
import { modelOfOnnx } from '../../src/run/find-onnx.ts';
import { generate } from '../../src/run/generate.ts';
import { lowerGraph } from '../../src/targets/lower.ts';
import { sourceBytes } from '../../src/weights/source.ts';
import { distance } from '../definition.ts';
import { must, open, targetOf } from '../running.ts';
import { readNpy } from './npy.ts';

const python = process.env['MOEC_PYTHON'] ?? 'python3';
const script = new URL('./torch_exports.py', import.meta.url).pathname;
const root = mkdtempSync(join(tmpdir(), 'moec-exports-'));

beforeAll(() => void execFileSync(python, [script, root], { stdio: 'pipe' }), 300_000);
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** Names of ops, counted. */
const counted = ({ nodes }: Graph): Readonly<Record<string, number>> => {
  const counts: Record<string, number> = {};
  for (const { op } of nodes) counts[op.name] = (counts[op.name] ?? 0) + 1;
  return counts;
};

/** The result for the script's ids and mask, or for a batch of another size. */
async function run(model: Uint8Array, batch: number, length: number): Promise<Float64Array> {
  const session = await ort.InferenceSession.create(model, { intraOpNumThreads: 1, logSeverityLevel: 3 });
  const fill = (number: (b: number, s: number) => number): ort.Tensor =>
    new ort.Tensor(
      'int64',
      BigInt64Array.from({ length: batch * length }, (_, i) => BigInt(number(Math.floor(i / length), i % length))),
      [batch, length],
    );
  const { out } = await session.run({
    input_ids: fill((b, s) => (7 * b + 3 * s + 1) % 101),
    attention_mask: fill((b, s) => (b === 1 && s >= 5 ? 0 : 1)),
  });
  await session.release();
  return Float64Array.from(out?.data as Float32Array);
}

const wanted = {
  'gpt2-sdpa': { kind: 'plain', neurons: 128, inner: ['gelu_tanh'], blocks: 2, folded: { attend: 2, gelu_tanh: 2, layer_norm: 5 } },
  'bert-eager': { kind: 'plain', neurons: 64, inner: ['gelu'], blocks: 2, folded: { attend: 2, gelu: 2, layer_norm: 5 } },
  'llama-sdpa': { kind: 'gated', neurons: 88, inner: ['silu', 'mul'], blocks: 2, folded: { attend: 2, silu: 2, rms_norm: 5 } },
  'albert-eager': { kind: 'plain', neurons: 64, inner: ['gelu_tanh'], blocks: 1, folded: { attend: 2, gelu_tanh: 2, layer_norm: 5 } },
} as const;

const cases = Object.entries(wanted).flatMap(([name, one]) => ['traced', 'exported'].map((way) => [`${name}-${way}`, { way, ...one }] as const));

describe.each(cases)('%s', (name, { way, kind, neurons, inner, blocks, folded }) => {
  test('is raised without a change of what it computes', async () => {
    const file = join(root, `${name}.onnx`);
    const { model, checkpoint } = must(modelOfOnnx(file));
    const graph = await runPasses(model.graph, recognition);
    expect(counted(graph)).toMatchObject(folded);
    // What is left is work on masks.
    expect(graph.nodes.filter(({ op }) => op.foreign && !['Shape', 'GatherND', 'GatherElements'].includes(op.foreign.type)).map(({ op }) => op.name)).toEqual([]);
    const { opset, ir, domains } = targetOf('ort');
    const raised = exportModel(lowerGraph(graph, targetOf('ort'), 'written'), {
      ...{ opset, ir, domains },
      place: ({ source }) => ({ kind: 'inline', bytes: Buffer.concat([...sourceBytes(source, checkpoint)]) }),
    });
    const original = readFileSync(file);
    for (const [batch, length] of [
      [2, 7],
      [1, 5],
      [3, 1],
    ] as const)
      expect(distance(await run(raised, batch, length), await run(original, batch, length))).toBeLessThan(1e-6);
    const torch = Float64Array.from(readNpy(readFileSync(join(root, `${name}.npy`))).data as Float32Array);
    expect(distance(await run(raised, 2, 7), torch)).toBeLessThan(1e-5);
    checkpoint?.close();
  });

  test('has its feed-forwards found', async () => {
    const { model, checkpoint } = must(modelOfOnnx(join(root, `${name}.onnx`)));
    const { found, missed } = findFeedForwards(await runPasses(model.graph, recognition));
    expect(missed).toEqual([]);
    expect(found.map((one) => [one.path, one.kind, one.width, one.neurons, one.inner.nodes.map(({ op }) => op.name)])).toEqual([
      ['ffn.0', kind, 32, neurons, inner],
      ['ffn.1', kind, 32, neurons, inner],
    ]);
    // torch.export turns a shared weight once for each place that reads it, and keeps every copy.
    expect(new Set(found.map(({ block }) => block)).size).toBe(way === 'traced' ? blocks : 2);
    checkpoint?.close();
  });
});

test('a decoder with a cache writes what transformers writes, prompts of two lengths side by side', async () => {
  const found = must(modelOfOnnx(join(root, 'llama-cached.onnx')));
  const session = await open(found, 'ort');
  const prompts = [
    [1, 5, 9, 33, 7],
    [80, 2],
  ];
  const rows = prompts.map((): number[] => []);
  for await (const { row, token } of must(generate(session, undefined, prompts, { maxTokens: 12 }))) if (token !== undefined) rows[row]?.push(token);
  expect(rows.flat()).toEqual(Array.from(readNpy(readFileSync(join(root, 'llama-cached.npy'))).data, Number));
  await session.close();
  found.checkpoint?.close();
});
