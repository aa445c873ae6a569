/** The MoA paper's encoder and decoder against numpy, head by head, on random weights. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type NdArray, ndArray } from '../../src/graph/nd-array.ts';
import type { Source } from '../../src/graph/source.ts';
import type { Found } from '../../src/run/find-model.ts';
import type { Tensor } from '../../src/run/tensor.ts';
import { loweringNames } from '../../src/targets/target.ts';
import { sourceArray, sourceBytes } from '../../src/weights/source.ts';
import { writeSafetensors } from '../../src/weights/write.ts';
import { defined } from '../definition.ts';
import { must, open, zooModel } from '../running.ts';
import { difference, stepped, tolerance } from './agreement.ts';
import { openLowered } from './lowered.ts';
import { npyBytes, readNpy } from './npy.ts';

const python = process.env['MOEC_PYTHON'] ?? 'python3';
const root = mkdtempSync(join(tmpdir(), 'moec-moa-'));
const sizes = { V: 61, D: 24, H: 40, L: 2, E: 5, W: 8, picked: 2 };
const found = zooModel('moa', { seed: 5, set: Object.fromEntries(Object.entries(sizes).map(([name, size]) => [name, String(size)])) });
/** The same but for one number in what the heads of one mixture write. */
const perturbed: Found = {
  ...found,
  model: {
    ...found.model,
    graph: {
      ...found.model.graph,
      weights: found.model.graph.weights.map((weight) => (weight.path === 'decoder.1.cross.o' ? { ...weight, source: nudged(sourceArray(weight.source, undefined)) } : weight)),
    },
  },
};

/** Numbers with the first one larger. */
function nudged(array: NdArray): Source {
  const data = array.data.map((one, i) => (i === 0 ? one + 1 : one));
  return { kind: 'literal', array: { ...array, data }, dims: array.dims, dtype: array.dtype };
}

const ids = (dims: readonly number[], of: (i: number) => number): Tensor => ({
  dtype: 'i64',
  dims,
  data: BigInt64Array.from({ length: dims.reduce((all, size) => all * size, 1) }, (_, i) => BigInt(of(i))),
});
const feeds = {
  input_ids: ids([2, 7], (i) => (i * 17 + 5) % 61),
  attention_mask: ids([2, 7], (i) => (i < 11 ? 1 : 0)),
  decoder_input_ids: ids([2, 5], (i) => (i * 29 + 3) % 61),
};
let wanted: Tensor;

beforeAll(() => {
  const { weights } = found.model.graph;
  writeFileSync(join(root, 'config.json'), JSON.stringify({ ...sizes, eps: 1e-5 }));
  writeSafetensors(
    join(root, 'model.safetensors'),
    weights.map(({ path, source }) => ({ name: path, dtype: source.dtype, dims: source.dims, bytes: sourceBytes(source, undefined) })),
  );
  for (const [name, tensor] of Object.entries(feeds)) writeFileSync(join(root, `in.${name}.npy`), npyBytes(tensor));
  execFileSync(python, [fileURLToPath(new URL('moa.py', import.meta.url)), root], { stdio: 'pipe' });
  wanted = readNpy(readFileSync(join(root, 'out.logits.npy')));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

test('by definition, in f64, it agrees', () => {
  const { graph } = found.model;
  const arrays = Object.fromEntries(Object.entries(feeds).map(([name, { dims, data }]) => [name, ndArray(dims, Array.from(data as BigInt64Array, Number), 'i64')]));
  const { logits } = defined(graph, arrays);
  expect(difference(logits && { dtype: 'f32', dims: logits.dims, data: Float32Array.from(logits.data) }, wanted)).toBeLessThan(1e-6);
});

test.each(['portable', 'ort'] as const)('on %s it agrees', async (target) => {
  const session = await open(found, target, { form: 'whole' });
  const { logits } = must(await session.run(feeds));
  await session.close();
  expect(difference(logits, wanted)).toBeLessThan(tolerance);
});

test.each(['portable', 'ort'] as const)('written token by token through the cache, on %s it agrees', async (target) => {
  const { decoder_input_ids: written, ...read } = feeds;
  const session = await open(found, target, { form: 'step' });
  const steps = await stepped(session, written, read);
  await session.close();
  expect(difference(steps, wanted)).toBeLessThan(tolerance);
});

/** Why no mixture of this model becomes the fused operator: all are of heads, in two layers of encoder, decoder and cross-attention, each of two segments. */
const notFused = { 'its experts give one result a slot': 6, 'its experts read more than the token': 6 };

describe.each(loweringNames)('lowered as %s', (lowering) => {
  test('it agrees, all tokens at once and one by one, and is refused where it does not apply', async () => {
    const { decoder_input_ids: written, ...read } = feeds;
    const { session, refused } = await openLowered(found, lowering, 'step');
    expect(refused).toEqual(lowering === 'fused' ? notFused : {});
    const [atOnce, oneByOne] = [await stepped(session, written, read, written.dims[1]), await stepped(session, written, read)];
    await session.close();
    expect(difference(atOnce, wanted)).toBeLessThan(tolerance);
    expect(difference(oneByOne, wanted)).toBeLessThan(tolerance);
  });

  test('a perturbed weight does not agree', async () => {
    const { decoder_input_ids: written, ...read } = feeds;
    const { session } = await openLowered(perturbed, lowering, 'step');
    const logits = await stepped(session, written, read, written.dims[1]);
    await session.close();
    expect(difference(logits, wanted)).toBeGreaterThan(tolerance);
  });
});
