/** Another number of picks than the author's, set or given at run time, against the model written with that number. */

import { describe, expect, test } from 'vitest';
import type { Graph } from '../src/graph/graph.ts';
import { type NdArray, ndArray } from '../src/graph/nd-array.ts';
import { cutMixtures } from '../src/passes/cut-mixtures.ts';
import { picksOf, setPicks } from '../src/passes/set-picks.ts';
import { modelOfSource } from '../src/run/find-model.ts';
import { generate } from '../src/run/generate.ts';
import type { Tensors } from '../src/run/protocol.ts';
import { defined, distance } from './definition.ts';
import { repository, repositoryReader } from './repository.ts';
import { must, open } from './running.ts';

/** Mixtures of both kinds, with a router that normalises over the picked: k stands in the file. */
const text = (k: number): string => repositoryReader.read('test/mixtures/moa.moe')?.replaceAll('top(2)', `top(${k})`) ?? '';
const modelWith = (k: number) =>
  must(
    modelOfSource('test/mixtures/moa.moe', {
      reader: { ...repositoryReader, read: (file) => (file === 'test/mixtures/moa.moe' ? text(k) : repositoryReader.read(file)) },
      zoo: repository,
      seed: 3,
    }),
  );

const ids = Array.from({ length: 10 }, (_, i) => (i * 7 + 3) % 32);
const never = (): never => {
  throw new Error('something is reported');
};

function logits(graph: Graph, more: Readonly<Record<string, NdArray>> = {}): Float64Array {
  return defined(graph, { input_ids: ndArray([2, 5], ids, 'i64'), ...more })['logits']?.data ?? new Float64Array();
}

describe.each([1, 3, 4])('%i of 4 picked where the author wrote 2', (k) => {
  const found = modelWith(2);
  const wanted = logits(modelWith(k).model.graph);

  test('is the model written with that number, and not the author’s', () => {
    expect(distance(logits(setPicks(found.model.graph, k, never)), wanted)).toBe(0);
    expect(distance(logits(found.model.graph), wanted)).toBeGreaterThan(1e-3);
  });

  test('given as an input, whole and cut, too', () => {
    const open = setPicks(found.model.graph, 'input', never);
    const active = ndArray([], [k], 'i64');
    expect(distance(logits(open, { active }), wanted)).toBe(0);
    expect(distance(logits(cutMixtures(open, never), { active }), wanted)).toBeLessThan(1e-12);
  });

  test.each(['portable', 'ort'] as const)('on %s, set or given, it is the same to 1e-5', async (target) => {
    for (const active of [k, 'input'] as const) {
      const session = await open(found, target, { form: 'whole', active });
      const given: Tensors = active === 'input' ? { active: { dtype: 'i64', dims: [], data: BigInt64Array.of(BigInt(k)) } } : {};
      const results = must(await session.run({ input_ids: { dtype: 'i64', dims: [2, 5], data: BigInt64Array.from(ids, BigInt) }, ...given }));
      await session.close();
      expect(distance(results['logits']?.data as Float32Array, wanted)).toBeLessThan(1e-5);
    }
  });

  test.each(['batched', 'guarded', 'gathered', 'looped'] as const)('given, %s computes the same to 1e-5', async (lowering) => {
    const session = await open(found, 'ort', { form: 'whole', active: 'input', lowering: { few: lowering, many: lowering } });
    const results = must(
      await session.run({
        input_ids: { dtype: 'i64', dims: [2, 5], data: BigInt64Array.from(ids, BigInt) },
        active: { dtype: 'i64', dims: [], data: BigInt64Array.of(BigInt(k)) },
      }),
    );
    await session.close();
    expect(distance(results['logits']?.data as Float32Array, wanted)).toBeLessThan(1e-5);
  });

  test('continues the same in steps and in the loop', async () => {
    const texts = [];
    for (const [model, target, form, active] of [
      [modelWith(k), 'portable', 'whole', undefined],
      [found, 'portable', 'step', 'input'],
      [found, 'ort', 'step', k],
      [found, 'ort', 'chunk', 'input'],
    ] as const) {
      const session = await open(model, target, { form, ...(active === undefined ? {} : { active }) });
      const tokens: number[][] = [[], []];
      const generation = must(generate(session, undefined, [ids.slice(0, 3), ids.slice(3, 8)], { maxTokens: 8, ...(active === 'input' ? { active: k } : {}) }));
      for await (const { row, token } of generation) if (token !== undefined) tokens[row]?.push(token);
      must(await generation.result);
      await session.close();
      texts.push(tokens);
    }
    expect(texts[0]?.every((row) => row.length === 8)).toBe(true);
    for (const one of texts) expect(one).toEqual(texts[0]);
  });
});

test('what may be set is known', () => {
  expect(picksOf(modelWith(2).model.graph)).toEqual({ usual: 2, most: 4 });
});

test('a number that is not given is the author’s, one out of range is refused', async () => {
  const session = await open(modelWith(2), 'ort', { form: 'step', active: 'input' });
  const texts = [];
  for (const active of [undefined, 2]) {
    const tokens: number[] = [];
    const generation = must(generate(session, undefined, [ids.slice(0, 3)], { maxTokens: 4, ...(active === undefined ? {} : { active }) }));
    for await (const { token } of generation) if (token !== undefined) tokens.push(token);
    texts.push(tokens);
  }
  expect(texts[0]).toEqual(texts[1]);
  for (const active of [0, 5]) {
    const { ok, diagnostics } = generate(session, undefined, [[1]], { active });
    expect([ok, diagnostics.map((one) => one.message)]).toEqual([false, [`--active must be 1 to 4, not ${active}`]]);
  }
  await session.close();
});
