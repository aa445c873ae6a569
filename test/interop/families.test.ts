/** Every family against `transformers`: whole, through the cache token by token, and as compiled folders in other runtimes. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { planCompile, writeCompiled } from '../../src/run/compile.ts';
import type { Tensor } from '../../src/run/tensor.ts';
import { checkpointModel, must, open, targetOf } from '../running.ts';
import { difference, recorded, stepped, tolerance } from './agreement.ts';

const python = process.env['MOEC_PYTHON'] ?? 'python3';
const here = fileURLToPath(new URL('.', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'moec-families-'));
const families = [
  'llama',
  'llama-tied',
  'llama-biased',
  'llama3',
  'llama-linear',
  'mistral',
  'gpt2',
  'gpt2-relu',
  'bert-masked',
  'bert',
  'bert-classifier',
  'albert-masked',
  'albert',
];
const isDecoder = (family: string): boolean => !family.includes('bert');

beforeAll(() => {
  execFileSync(python, [join(here, 'make_checkpoints.py'), root], { stdio: 'pipe' });
}, 300_000);
afterAll(() => rmSync(root, { recursive: true, force: true }));

describe.each(families)('%s', (family) => {
  const folder = join(root, family);
  const expected = (): Record<string, Tensor> => recorded(folder, 'out.');
  const feeds = (): Record<string, Tensor> => recorded(folder, 'in.');

  test.each(['ort', 'portable'] as const)('whole on %s agrees', async (target) => {
    const session = await open(checkpointModel(folder), target, { form: 'whole' });
    const results = must(await session.run(feeds()));
    await session.close();
    for (const [name, wanted] of Object.entries(expected())) expect(difference(results[name], wanted)).toBeLessThan(tolerance);
  });

  if (isDecoder(family))
    test('through the cache, token by token, agrees', async () => {
      const session = await open(checkpointModel(folder), 'portable');
      const { input_ids: ids } = feeds();
      const { logits: wanted } = expected();
      if (!ids || !wanted) throw new Error('no recorded logits');
      const steps = await stepped(session, ids);
      await session.close();
      expect(difference(steps, wanted)).toBeLessThan(tolerance);
    });

  test.each(['portable', 'ort'] as const)('compiled for %s it passes the checker and agrees elsewhere', async (target) => {
    const found = checkpointModel(folder);
    const out = mkdtempSync(join(tmpdir(), 'moec-compiled-'));
    const plan = must(await planCompile(found, { target: targetOf(target), whole: false, generate: false, placing: 'written', version: 'test' }));
    must(await writeCompiled(plan, out));
    const runtimes = target === 'portable' ? ['reference', 'onnxruntime', 'openvino'] : ['onnxruntime'];
    const report: Record<string, number> = JSON.parse(
      execFileSync(python, [join(here, 'run_folder.py'), out, join(folder, 'expected'), ...runtimes], { encoding: 'utf8' })
        .trim()
        .split('\n')
        .at(-1) ?? '',
    );
    rmSync(out, { recursive: true });
    expect(Object.keys(report)).toEqual(runtimes);
    for (const [runtime, found] of Object.entries(report)) expect(found, runtime).toBeLessThan(tolerance);
  });
});

test('a perturbed weight does not agree', async () => {
  const folder = join(root, 'llama-tied');
  const found = checkpointModel(folder);
  const { checkpoint } = found;
  if (!checkpoint) throw new Error('no checkpoint');
  const perturbed = {
    ...checkpoint,
    read: (...[tensor, from, to]: Parameters<typeof checkpoint.read>) =>
      nudged(checkpoint.read(tensor, from, to), tensor.name === 'model.layers.1.mlp.up_proj.weight' && (from ?? 0) === 0),
  };
  const out = mkdtempSync(join(tmpdir(), 'moec-compiled-'));
  const plan = must(await planCompile({ ...found, checkpoint: perturbed }, { target: targetOf('portable'), whole: true, generate: false, placing: 'written', version: 'test' }));
  must(await writeCompiled(plan, out));
  const report: Record<string, number> = JSON.parse(execFileSync(python, [join(here, 'run_folder.py'), out, join(folder, 'expected'), 'onnxruntime'], { encoding: 'utf8' }));
  rmSync(out, { recursive: true });
  expect(report['onnxruntime']).toBeGreaterThan(tolerance);
});

/** The bytes with their first number one larger. */
function nudged(bytes: Uint8Array, apply: boolean): Uint8Array {
  if (!apply) return bytes;
  const copy = bytes.slice();
  const view = new DataView(copy.buffer);
  view.setFloat32(0, view.getFloat32(0, true) + 1, true);
  return copy;
}
