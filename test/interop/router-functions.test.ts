/** Files whose routers are functions pass the full check of Python's onnx, in steps, in the loop, flattened, and with statistics and picks that come in. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { planCompile, writeCompiled } from '../../src/run/compile.ts';
import { modelOfSource } from '../../src/run/find-model.ts';
import { repository, repositoryReader } from '../repository.ts';
import { must, targetOf } from '../running.ts';

const python = process.env['MOEC_PYTHON'] ?? 'python3';
const script = fileURLToPath(new URL('./router_functions.py', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'moec-router-functions-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const functions = { routed: 'GroupLimited Sigmoid1 SigmoidBiased SoftmaxRouter 8', moa: 'TopOfSoftmax TopSoftmax 4' } as const;

describe.each(Object.entries(functions))('%s', (name, wanted) => {
  const found = must(modelOfSource(`test/mixtures/${name}.moe`, { reader: repositoryReader, zoo: repository, seed: 3 }));

  test.each([
    ['as it is', {}, wanted],
    ['flattened', { flatten: true }, '0'],
    ['with statistics and picks that come in', { stats: true, active: true }, wanted],
  ] as const)('%s', async (_, settings, said) => {
    const folder = mkdtempSync(join(root, name));
    const plan = must(await planCompile(found, { target: targetOf('ort'), whole: false, generate: true, placing: 'written', version: 'test', ...settings }));
    must(await writeCompiled(plan, folder));
    const told = execFileSync(python, [script, join(folder, 'model.onnx'), join(folder, 'generate.onnx')], { encoding: 'utf8' });
    expect(told).toBe(`${said}\n${said}\n`);
  });
});
