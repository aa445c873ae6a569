/** Every family with experts against `transformers`: by definition in f64, whole and token by token on each target, in every lowering of its mixtures, in one Loop, and as compiled folders in other runtimes. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { evaluateGraph } from '../../src/graph/eval.ts';
import { ndArray } from '../../src/graph/nd-array.ts';
import { planCompile, writeCompiled } from '../../src/run/compile.ts';
import type { Found } from '../../src/run/find-model.ts';
import type { Tensor } from '../../src/run/tensor.ts';
import { loweringNames } from '../../src/targets/target.ts';
import { sourceArray } from '../../src/weights/source.ts';
import { checkpointModel, must, open, targetOf } from '../running.ts';
import { difference, recorded, stepped, tolerance } from './agreement.ts';
import { continued, openLowered, rowsOf } from './lowered.ts';
import { perturb } from './perturb.ts';

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

/** Why the fused operator is not used, for each segment that does not become one. All other lowerings take every segment. */
const notFused: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  jetmoe: { 'its experts give one result a slot': 3, 'its experts read more than the token': 3 },
  'jetmoe-three': { 'its experts give one result a slot': 3, 'its experts read more than the token': 3 },
  llama4: { 'its experts read more than the token': 4 },
  'llama4-seeing': { 'its experts read more than the token': 4 },
  'llama4-maverick': { 'its experts read more than the token': 2 },
};

beforeAll(() => {
  execFileSync(python, [join(here, 'make_moe_checkpoints.py'), root], { stdio: 'pipe' });
}, 300_000);
afterAll(() => rmSync(root, { recursive: true, force: true }));

describe.each(Object.entries(checkpoints))('%s', (name, model) => {
  const folder = join(root, name);
  const named = (prefix: Parameters<typeof recorded>[1], key: string): Tensor => {
    const found = recorded(folder, prefix)[key];
    if (!found) throw new Error(`no recorded ${key}`);
    return found;
  };
  const ids = (): Tensor => named('in.', 'input_ids');
  const wanted = (): Tensor => named('out.', 'logits');
  let found: Found;
  let perturbed: Found;
  beforeAll(() => {
    found = checkpointModel(folder);
    perturb(found, `${folder}-perturbed`);
    perturbed = checkpointModel(`${folder}-perturbed`);
  });

  test('by definition, in f64, it agrees', () => {
    const { graph, name: described } = found.model;
    expect(described).toBe(model);
    const sources = new Map(graph.weights.map(({ path, source }) => [path, source]));
    const feeds = { input_ids: ndArray(ids().dims, Array.from(ids().data as BigInt64Array, Number), 'i64') };
    const { logits } = evaluateGraph(graph, feeds, (path) => {
      const source = sources.get(path);
      if (!source) throw new Error(`no source for ${path}`);
      return sourceArray(source, found.checkpoint);
    });
    expect(difference(logits && { dtype: 'f32', dims: logits.dims, data: Float32Array.from(logits.data) }, wanted())).toBeLessThan(tolerance);
  });

  test.each(['portable', 'ort'] as const)('whole on %s it agrees', async (target) => {
    const session = await open(found, target, { form: 'whole' });
    const { logits } = must(await session.run({ input_ids: ids() }));
    await session.close();
    expect(difference(logits, wanted())).toBeLessThan(tolerance);
  });

  test.each(['portable', 'ort'] as const)('through the cache, token by token, on %s it agrees', async (target) => {
    const session = await open(found, target, { form: 'step' });
    const steps = await stepped(session, ids());
    await session.close();
    expect(difference(steps, wanted())).toBeLessThan(tolerance);
  });

  describe.each(loweringNames)('lowered as %s', (lowering) => {
    test('it agrees, all tokens at once and one by one, and is refused where it does not apply', async () => {
      const { session, refused } = await openLowered(found, lowering, 'step');
      expect(refused).toEqual(lowering === 'fused' ? (notFused[name] ?? {}) : {});
      const [atOnce, oneByOne] = [await stepped(session, ids(), {}, ids().dims[1]), await stepped(session, ids())];
      await session.close();
      expect(difference(atOnce, wanted())).toBeLessThan(tolerance);
      expect(difference(oneByOne, wanted())).toBeLessThan(tolerance);
    });

    test('a perturbed weight does not agree', async () => {
      const { session } = await openLowered(perturbed, lowering, 'step');
      const logits = await stepped(session, ids(), {}, ids().dims[1]);
      await session.close();
      expect(difference(logits, wanted())).toBeGreaterThan(tolerance);
    });

    test('in one Loop it continues two prompts as transformers does', async () => {
      const { session } = await openLowered(found, lowering, 'loop');
      const tokens = await continued(session, named('greedy.', 'input_ids'), named('greedy.', 'attention_mask'), 16);
      await session.close();
      expect(tokens).toEqual(rowsOf(named('greedy.', 'tokens')));
    });
  });

  test.each(['portable', 'ort'] as const)('compiled for %s it passes the checker and agrees elsewhere', async (target) => {
    const out = mkdtempSync(join(tmpdir(), 'moec-compiled-'));
    const plan = must(await planCompile(found, { target: targetOf(target), whole: false, generate: false, placing: 'written', version: 'test' }));
    must(await writeCompiled(plan, out));
    const runtimes = target === 'portable' ? ['reference', 'onnxruntime', 'openvino'] : ['onnxruntime'];
    const printed = execFileSync(python, [join(here, 'run_folder.py'), out, join(folder, 'expected'), ...runtimes], { encoding: 'utf8' });
    rmSync(out, { recursive: true });
    const report: Record<string, number> = JSON.parse(printed.trim().split('\n').at(-1) ?? '');
    expect(Object.keys(report)).toEqual(runtimes);
    for (const [runtime, difference] of Object.entries(report)) expect(difference, runtime).toBeLessThan(tolerance);
  });
});
