/** Routers as functions of the domain `moec`: which there are, and that a compiled file computes what the definition says, with functions and without. */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { Graph } from '../src/graph/graph.ts';
import { ndArray } from '../src/graph/nd-array.ts';
import { opNames } from '../src/onnx/op-names.ts';
import { decodeModel } from '../src/onnx/wire.ts';
import { type CompileSettings, planCompile, writeCompiled } from '../src/run/compile.ts';
import type { Executable } from '../src/run/executable.ts';
import { modelOfSource } from '../src/run/find-model.ts';
import { readFolder } from '../src/run/folder.ts';
import { generate } from '../src/run/generate.ts';
import { openSession } from '../src/run/session.ts';
import { defined, distance } from './definition.ts';
import { repository, repositoryReader } from './repository.ts';
import { must, targetOf } from './running.ts';

const found = must(modelOfSource('test/mixtures/routed.moe', { reader: repositoryReader, zoo: repository, seed: 3 }));
const place = mkdtempSync(join(tmpdir(), 'moec-functions-'));
afterAll(() => rmSync(place, { recursive: true, force: true }));

/** The functions and their calls in a file of a compile. */
function callsIn(file: string): {
  readonly functions: readonly string[];
  readonly calls: readonly string[];
  readonly domains: readonly string[];
  readonly inside: readonly string[];
} {
  const { functions = [], graph, opsetImport = [] } = decodeModel(readFileSync(file));
  const calls = (one: typeof graph): readonly string[] =>
    (one?.node ?? []).flatMap((node) => [...(node.domain === 'moec' ? [node.opType ?? ''] : []), ...(node.attribute ?? []).flatMap(({ g }) => (g ? calls(g) : []))]);
  return {
    functions: functions.map((fn) => fn.name ?? ''),
    calls: calls(graph),
    domains: opsetImport.map(({ domain }) => domain ?? ''),
    inside: functions.flatMap((fn) => (fn.node ?? []).map((node) => node.domain ?? '')),
  };
}

async function compiled(name: string, settings: Partial<CompileSettings>): Promise<string> {
  const folder = mkdtempSync(join(place, name));
  const plan = must(await planCompile(found, { target: targetOf('ort'), whole: false, generate: true, placing: 'written', version: 'test', ...settings }));
  must(await writeCompiled(plan, folder));
  return folder;
}

const ids = Array.from({ length: 10 }, (_, i) => (i * 7 + 3) % 32);

/** Logits by the definition, in f64. */
function wanted(graph: Graph): Float64Array {
  return defined(graph, { input_ids: ndArray([2, 5], ids, 'i64') })['logits']?.data ?? new Float64Array();
}

async function logitsOf(executable: Executable): Promise<Float32Array> {
  const session = must(await openSession(executable, { threads: 1 }));
  const results = must(await session.run({ input_ids: { dtype: 'i64', dims: [2, 5], data: BigInt64Array.from(ids, BigInt) } }));
  await session.close();
  return results['logits']?.data as Float32Array;
}

async function textOf(executable: Executable): Promise<readonly number[]> {
  const session = must(await openSession(executable, { threads: 1 }));
  const tokens: number[] = [];
  const generation = must(generate(session, undefined, [ids.slice(0, 4)], { maxTokens: 8 }));
  for await (const { token } of generation) if (token !== undefined) tokens.push(token);
  must(await generation.result);
  await session.close();
  return tokens;
}

describe('a compile for onnxruntime', () => {
  test('calls one function for each kind of router, by its name, in steps and in the loop', async () => {
    const folder = await compiled('step', {});
    for (const file of ['model.onnx', 'generate.onnx']) {
      const { functions, calls, domains, inside } = callsIn(join(folder, file));
      expect(functions).toEqual(['SigmoidBiased', 'SoftmaxRouter', 'GroupLimited', 'Sigmoid1']);
      expect(functions.filter((name) => opNames.has(name))).toEqual([]);
      expect(calls).toEqual([...functions, ...functions]);
      // The experts are onnxruntime's own operator; functions hold standard ops only.
      expect(domains).toEqual(['', 'com.microsoft', 'moec']);
      expect(new Set(inside)).toEqual(new Set(['']));
    }
  });

  test('whole, it computes what the definition says, with functions and without, to 1e-5', async () => {
    for (const flatten of [false, true]) {
      const folder = await compiled('whole', { whole: true, generate: false, flatten });
      expect(callsIn(join(folder, 'model.onnx')).functions).toHaveLength(flatten ? 0 : 4);
      expect(callsIn(join(folder, 'model.onnx')).domains).toEqual(flatten ? ['', 'com.microsoft'] : ['', 'com.microsoft', 'moec']);
      const logits = await logitsOf(must(readFolder(folder)).executable);
      expect(distance(logits, wanted(found.model.graph))).toBeLessThan(1e-5);
    }
  });

  test('the loop, with functions and without, writes what steps write', async () => {
    const texts = [];
    for (const flatten of [false, true]) {
      const { executable, generation } = must(readFolder(await compiled('loop', { flatten })));
      expect(callsIn(generation?.model.kind === 'file' ? generation.model.path : '').calls).toHaveLength(flatten ? 0 : 8);
      for (const one of [executable, generation]) if (one) texts.push(await textOf(one));
    }
    expect(texts).toHaveLength(4);
    expect(texts[0]).toHaveLength(8);
    for (const text of texts) expect(text).toEqual(texts[0]);
  });

  test('for portable importers there are none', async () => {
    const folder = await compiled('portable', { target: targetOf('portable'), generate: false });
    expect(callsIn(join(folder, 'model.onnx'))).toEqual({ functions: [], calls: [], domains: [''], inside: [] });
  });
});
