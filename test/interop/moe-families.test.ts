/** Every family with experts against `transformers`: by definition in f64, whole and token by token on each target, and as compiled folders in other runtimes. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { evaluateGraph } from '../../src/graph/eval.ts';
import { ndArray } from '../../src/graph/nd-array.ts';
import { planCompile, writeCompiled } from '../../src/run/compile.ts';
import type { Tensor } from '../../src/run/tensor.ts';
import { sourceArray } from '../../src/weights/source.ts';
import { checkpointModel, must, open, targetOf } from '../running.ts';
import { difference, recorded, stepped, tolerance } from './agreement.ts';

const python = process.env['MOEC_PYTHON'] ?? 'python3';
const here = fileURLToPath(new URL('.', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'moec-moe-families-'));
/** Checkpoints, and which model of the zoo describes each. */
const checkpoints = {
  mixtral: 'Mixtral',
  'mixtral-window': 'Mixtral',
  'mixtral-tied': 'MixtralTied',
  olmoe: 'Olmoe',
  'olmoe-normalised': 'Olmoe',
  qwen2_moe: 'Qwen2Moe',
  'qwen2_moe-normalised': 'Qwen2Moe',
  'qwen2_moe-dense': 'Qwen2Moe',
  qwen3_moe: 'Qwen3Moe',
  'qwen3_moe-raw': 'Qwen3MoeTied',
  'qwen3_moe-yarn': 'Qwen3Moe',
  deepseek_v2: 'DeepSeekV2',
  'deepseek_v2-lite': 'DeepSeekV2',
  'deepseek_v2-yarn': 'DeepSeekV2',
  deepseek_v3: 'DeepSeekV3',
  'deepseek_v3-raw': 'DeepSeekV3',
  'deepseek_v3-yarn': 'DeepSeekV3',
  phimoe: 'PhiMoE',
  'phimoe-biased': 'PhiMoE',
  'phimoe-long': 'PhiMoE',
  gpt_oss: 'GptOss',
  'gpt_oss-full': 'GptOss',
  granitemoe: 'GraniteMoE',
  'granitemoe-tied': 'GraniteMoETied',
  granitemoeshared: 'GraniteMoE',
  jetmoe: 'JetMoE',
  'jetmoe-three': 'JetMoEUntied',
  llama4: 'Llama4Text',
  'llama4-seeing': 'Llama4',
  'llama4-maverick': 'Llama4Text',
} as const;

beforeAll(() => {
  execFileSync(python, [join(here, 'make_moe_checkpoints.py'), root], { stdio: 'pipe' });
}, 300_000);
afterAll(() => rmSync(root, { recursive: true, force: true }));

describe.each(Object.entries(checkpoints))('%s', (name, model) => {
  const folder = join(root, name);
  const named = (prefix: 'in.' | 'out.', key: string): Tensor => {
    const found = recorded(folder, prefix)[key];
    if (!found) throw new Error(`no recorded ${key}`);
    return found;
  };
  const ids = (): Tensor => named('in.', 'input_ids');
  const wanted = (): Tensor => named('out.', 'logits');

  test('by definition, in f64, it agrees', () => {
    const { model: found, checkpoint } = checkpointModel(folder);
    expect(found.name).toBe(model);
    const sources = new Map(found.graph.weights.map(({ path, source }) => [path, source]));
    const feeds = { input_ids: ndArray(ids().dims, Array.from(ids().data as BigInt64Array, Number), 'i64') };
    const { logits } = evaluateGraph(found.graph, feeds, (path) => {
      const source = sources.get(path);
      if (!source) throw new Error(`no source for ${path}`);
      return sourceArray(source, checkpoint);
    });
    expect(difference(logits && { dtype: 'f32', dims: logits.dims, data: Float32Array.from(logits.data) }, wanted())).toBeLessThan(tolerance);
  });

  test.each(['portable', 'ort'] as const)('whole on %s it agrees', async (target) => {
    const session = await open(checkpointModel(folder), target, { form: 'whole' });
    const { logits } = must(await session.run({ input_ids: ids() }));
    await session.close();
    expect(difference(logits, wanted())).toBeLessThan(tolerance);
  });

  test.each(['portable', 'ort'] as const)('through the cache, token by token, on %s it agrees', async (target) => {
    const session = await open(checkpointModel(folder), target, { form: 'step' });
    const steps = await stepped(session, ids());
    await session.close();
    expect(difference(steps, wanted())).toBeLessThan(tolerance);
  });

  test.each(['portable', 'ort'] as const)('compiled for %s it passes the checker and agrees elsewhere', async (target) => {
    const out = mkdtempSync(join(tmpdir(), 'moec-compiled-'));
    const plan = must(await planCompile(checkpointModel(folder), { target: targetOf(target), whole: false, generate: false, placing: 'written', version: 'test' }));
    must(await writeCompiled(plan, out));
    const runtimes = target === 'portable' ? ['reference', 'onnxruntime', 'openvino'] : ['onnxruntime'];
    const printed = execFileSync(python, [join(here, 'run_folder.py'), out, join(folder, 'expected'), ...runtimes], { encoding: 'utf8' });
    rmSync(out, { recursive: true });
    const report: Record<string, number> = JSON.parse(printed.trim().split('\n').at(-1) ?? '');
    expect(Object.keys(report)).toEqual(runtimes);
    for (const [runtime, found] of Object.entries(report)) expect(found, runtime).toBeLessThan(tolerance);
  });
});
