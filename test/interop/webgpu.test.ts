/** The target `webgpu` on a GPU made of software (SwiftShader, as Debian's chromium brings it): no node left to the CPU, the logits of the CPU. */

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { planCompile, writeCompiled } from '../../src/run/compile.ts';
import type { Found } from '../../src/run/find-model.ts';
import { integers, numbersOf } from '../../src/run/tensor.ts';
import type { LoweringName } from '../../src/targets/target.ts';
import { makeBert, makeLlama } from '../checkpoints.ts';
import { repository } from '../repository.ts';
import { checkpointModel, must, open, targetOf, zooModel } from '../running.ts';
import { environment, hasDriver, program } from './swiftshader.ts';

const root = mkdtempSync(join(tmpdir(), 'moec-webgpu-'));
/** The largest difference over the largest number. */
const tolerance = 1e-3;
afterAll(() => rmSync(root, { recursive: true, force: true }));

interface Case {
  readonly name: string;
  readonly found: () => Found;
  readonly decodes: boolean;
  readonly vocabulary: number;
  /** How its mixtures are lowered; what costs least where left out. */
  readonly lowering?: LoweringName;
}

/** A family of the zoo in small, two blocks over 67 tokens. */
function mixture(name: string, { model, ...sizes }: Readonly<Record<string, string | number>>, lowering?: LoweringName): Case {
  const set = Object.fromEntries(Object.entries({ V: 67, L: 2, ...sizes }).map(([param, size]) => [param, String(size)]));
  return {
    name: lowering ? `${name}, ${lowering}` : name,
    found: () => zooModel(name, { model: String(model), set }),
    decodes: true,
    vocabulary: 67,
    ...(lowering ? { lowering } : {}),
  };
}

const cases: readonly Case[] = [
  { name: 'llama', found: () => checkpointModel(makeLlama(join(root, 'llama-checkpoint'))), decodes: true, vocabulary: 258 },
  { name: 'llama with heads of 16', found: () => checkpointModel(makeLlama(join(root, 'llama16'), { config: { hidden_size: 64 } })), decodes: true, vocabulary: 258 },
  {
    name: 'mistral with a window',
    found: () => zooModel('llama', { model: 'Llama', set: { V: '67', D: '32', H: '48', L: '2', N: '4', G: '2', window: '4' } }),
    decodes: true,
    vocabulary: 67,
  },
  { name: 'gpt2', found: () => zooModel('gpt2', { set: { V: '67', D: '32', H: '64', L: '2', N: '4', P: '40' } }), decodes: true, vocabulary: 67 },
  mixture('mixtral', { model: 'Mixtral', D: 32, H: 48, N: 4, G: 2, E: 5, k: 2 }),
  ...(['batched', 'gathered'] as const).map((lowering) => mixture('olmoe', { model: 'Olmoe', D: 32, H: 24, N: 4, E: 6, k: 3 }, lowering)),
  mixture('jetmoe', { model: 'JetMoE', D: 32, H: 48, G: 2, W: 8, E: 4, k: 2 }),
  mixture('deepseek_v3', { model: 'DeepSeekV3', D: 32, H: 48, I: 24, dense: 1, N: 4, Q: 12, C: 16, R: 4, W: 8, U: 6, E: 8, k: 2, groups: 4, kept: 2 }),
  mixture('gpt_oss', { model: 'GptOss', D: 32, I: 24, N: 4, G: 2, W: 8, E: 4, k: 2, window: 4 }),
  mixture('phimoe', { model: 'PhiMoE', D: 32, H: 48, N: 4, G: 2, E: 4 }),
  mixture('llama4', { model: 'Llama4Text', D: 32, I: 24, H: 48, N: 4, G: 2, W: 8, E: 4, chunk: 4 }),
  { name: 'bert', found: () => checkpointModel(makeBert(join(root, 'bert-checkpoint'))), decodes: false, vocabulary: 31 },
];

describe.runIf(hasDriver).each(cases)('$name on WebGPU', ({ name, found: find, decodes, vocabulary, lowering }) => {
  const length = 9;
  const rows = [0, 1].map((row) => Array.from({ length }, (_, i) => 1 + ((i * 7 + row * 11) % (vocabulary - 1))));
  const feeds = {
    input_ids: rows,
    attention_mask: rows.map((row, at) => row.map((_, i) => (at === 1 && i > 6 ? 0 : 1))),
    token_type_ids: rows.map((row) => row.map((_, i) => (i > 4 ? 1 : 0))),
    position_ids: rows.map((row) => row.map((_, i) => i)),
  };

  test('prefill and steps agree with the CPU', async () => {
    const folder = join(root, name.replaceAll(' ', '-'));
    const found = find();
    for (const form of decodes ? ['whole', 'step'] : ['whole']) {
      mkdirSync(join(folder, form), { recursive: true });
      const plan = must(
        await planCompile(found, {
          target: targetOf('webgpu'),
          whole: form === 'whole',
          generate: false,
          placing: 'written',
          version: 'test',
          ...(lowering ? { lowering: { few: lowering, many: lowering } } : {}),
        }),
      );
      must(await writeCompiled(plan, join(folder, form)));
    }
    writeFileSync(join(folder, 'feeds.json'), JSON.stringify(feeds));
    const wanted = await onCpu(found);
    const results = inChild(folder);
    for (const [result, numbers] of Object.entries(wanted)) expect(difference(results[result], numbers), result).toBeLessThan(tolerance);
    if (!decodes) return;
    expect(difference(results['prefill'], wanted['logits'])).toBeLessThan(tolerance);
    expect(difference(results['stepped'], wanted['logits'])).toBeLessThan(tolerance);
  });

  /** The whole model by the target `ort`, on the CPU. */
  async function onCpu(found: Found): Promise<Readonly<Record<string, Float64Array>>> {
    const session = await open(found, 'ort', { form: 'whole' });
    const given = Object.fromEntries(session.inputs.map(({ name: input }) => [input, integers([rows.length, length], (feeds[input as keyof typeof feeds] ?? []).flat())]));
    const results = must(await session.run(given));
    await session.close();
    return Object.fromEntries(Object.entries(results).map(([result, tensor]) => [result, numbersOf(tensor)]));
  }
});

describe.runIf(hasDriver)('moec run --ep webgpu', () => {
  const command = (...args: readonly string[]): { readonly status: number | null; readonly stdout: string; readonly stderr: string } =>
    spawnSync('npx', ['tsx', join(repository, 'src/cli/main.ts'), 'run', ...args], { encoding: 'utf8', env: environment });

  test('prompts of different lengths continue as on the CPU', () => {
    const folder = makeLlama(join(root, 'for-run'), { config: { hidden_size: 64 } });
    const args = [folder, '--prompt', 'Once upon a time', '--prompt', 'The', '--max-tokens', '12', '--json'];
    const [cpu, gpu] = [command(...args), command(...args, '--ep', 'webgpu')];
    expect(gpu.stderr.split('\n').filter((line) => !line.startsWith('npm '))).toEqual(['']);
    const texts = ({ stdout }: { readonly stdout: string }): unknown => (JSON.parse(stdout) as { readonly texts: unknown }).texts;
    expect(JSON.parse(gpu.stdout)).toMatchObject({ diagnostics: [] });
    expect(texts(gpu)).toEqual(texts(cpu));
  });

  test('without an adapter it says so', () => {
    const folder = makeLlama(join(root, 'without-adapter'));
    const { status, stderr } = spawnSync('npx', ['tsx', join(repository, 'src/cli/main.ts'), 'run', folder, '--prompt', 'x', '--ep', 'webgpu'], {
      encoding: 'utf8',
      env: { ...environment, VK_ICD_FILENAMES: '/nowhere.json' },
    });
    expect(status).toBe(1);
    expect(stderr).toContain('error[provider-missing]: webgpu cannot be used here');
    expect(stderr).toContain('--ep cpu');
  });
});

/** What the child computes. */
function inChild(folder: string): Readonly<Record<string, readonly number[]>> {
  const { status, stderr } = spawnSync('npx', ['tsx', program('webgpu-child.ts'), folder], { encoding: 'utf8', env: environment });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(readFileSync(join(folder, 'results.json'), 'utf8')) as Readonly<Record<string, readonly number[]>>;
}

/** max|a − b| / max|b|. */
function difference(found: readonly number[] | undefined, wanted: Float64Array | undefined): number {
  if (!found || !wanted || found.length !== wanted.length) return Number.POSITIVE_INFINITY;
  const largest = wanted.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  return wanted.reduce((most, x, i) => Math.max(most, Number.isFinite(found[i]) ? Math.abs((found[i] ?? 0) - x) : Number.POSITIVE_INFINITY), 0) / largest;
}
