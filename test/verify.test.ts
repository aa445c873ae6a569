/** `moec verify`: models that agree, models of which one weight was changed, and what cannot be compared. */

import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ndArray } from '../src/graph/nd-array.ts';
import { agrees, compare } from '../src/run/compare.ts';
import { makeBert, makeLlama } from './checkpoints.ts';
import { moec } from './terminal.ts';

let scratch = '';
beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'moec-verify-'));
  makeLlama(at('llama'));
  makeLlama(at('wide'), { config: { vocab_size: 260 } });
  makeBert(at('bert'));
  cpSync(at('llama'), at('changed'), { recursive: true });
  change(at('changed/model.safetensors'), 'model.layers.1.mlp.up_proj.weight', 0.2);
  cpSync(at('llama'), at('broken'), { recursive: true });
  change(at('broken/model.safetensors'), 'model.layers.1.mlp.up_proj.weight', Number.NaN);
  expect((await moec(['compile', at('llama'), '-o', at('compiled')])).code).toBe(0);
}, 60_000);
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const at = (name: string): string => join(scratch, name);

/** Adds to the first number of a tensor of f32. */
function change(file: string, tensor: string, more: number): void {
  const bytes = readFileSync(file);
  const header = Number(bytes.readBigUInt64LE(0));
  const { data_offsets } = JSON.parse(bytes.toString('utf8', 8, 8 + header))[tensor];
  const place = 8 + header + data_offsets[0];
  bytes.writeFloatLE(bytes.readFloatLE(place) + more, place);
  writeFileSync(file, bytes);
}

interface Found {
  readonly ok: boolean;
  readonly first?: string;
  readonly results: readonly { readonly name: string; readonly distance: number; readonly largest?: { readonly same: number; readonly rows: number } }[];
  readonly inside: readonly { readonly name: string; readonly distance: number }[];
}

async function verified(code: number, ...call: readonly string[]): Promise<Found> {
  const found = await moec(['verify', ...call, '--threads', '1', '--json']);
  expect([found.code, found.out.slice(0, 200)]).toEqual([code, expect.anything()]);
  return JSON.parse(found.out) as Found;
}

describe('the norm', () => {
  const of = (...numbers: readonly number[]) => ndArray([2, 2], numbers);
  const options = { tolerance: 0.1, rows: true };

  it('is the largest difference by the largest number of the reference', () => {
    expect(compare('x', of(1, 2, 3, 4.5), of(1, 2, 3, -5), options)?.distance).toBe(1.9);
    expect(compare('x', of(1, 2, 3, Number.NEGATIVE_INFINITY), of(1, 2, 3, Number.NEGATIVE_INFINITY), options)?.distance).toBe(0);
    expect(compare('x', of(1, 2, 3, Number.NaN), of(1, 2, 3, 4), options)?.distance).toBe(Number.POSITIVE_INFINITY);
    expect(compare('x', of(1, 2, 3, Number.NaN), of(1, 2, 3, Number.NaN), options)?.distance).toBe(Number.POSITIVE_INFINITY);
    expect(compare('x', ndArray([4], [1, 2, 3, 4]), of(1, 2, 3, 4), options)).toBeUndefined();
  });

  it('counts the largest of rows alone whose two largest lie apart', () => {
    const found = compare('x', of(2.1, 2, 4, 0), of(2, 2.1, 0, 4), options);
    expect(found?.largest).toEqual({ same: 0, rows: 1 });
    const close = compare('x', of(2.1, 2, 0, 4), of(2, 2.1, 0, 4), options);
    expect([close?.largest, close && agrees(close, 0.1)]).toEqual([{ same: 1, rows: 1 }, true]);
  });
});

describe('agree', () => {
  it.each(['models/tiny.moe', 'test/mixtures/moa.moe'])('%s and its definition, in every layer', async (model) => {
    const { results, inside } = await verified(0, model, '--length', '5');
    expect(results.map(({ name }) => name)).toEqual(['logits']);
    expect(Math.max(...results.map(({ distance }) => distance))).toBeLessThan(1e-5);
    expect(results[0]?.largest?.rows).toBeGreaterThan(5);
    expect(inside.length).toBeGreaterThan(10);
    expect(Math.max(...inside.map(({ distance }) => distance))).toBeLessThan(1e-4);
  });

  it('a compiled folder, in two steps with its cache, and the definition of its checkpoint', async () => {
    const { inside } = await verified(0, at('compiled'), at('llama'), '--reference');
    expect(inside.map(({ name }) => name)).toEqual(expect.arrayContaining(['body.blocks.0.h', 'body.blocks.1.ffn.mul']));
    expect((await verified(0, at('compiled'), at('compiled'))).inside.length).toBeGreaterThan(10);
  });

  it('a compiled model that reads one text and writes another, in two steps of what it writes', async () => {
    const small = ['V=64', 'D=16', 'H=32', 'L=1', 'E=4', 'W=8', 'picked=2'].flatMap((one) => ['--set', one]);
    expect((await moec(['compile', 'models/moa.moe', ...small, '-o', at('moa')])).err).toMatch(/next: moec run \S+ --inputs inputs\.json\n$/);
    const { inside } = await verified(0, at('moa'), 'models/moa.moe', ...small, '--reference', '--length', '7');
    expect(inside.map(({ name }) => name)).toEqual(expect.arrayContaining(['memory.mul', 'decoder.0.add']));
  });

  it('a model with every expert and the dense one, which has no picks to set', async () => {
    expect((await moec(['emerge', at('llama'), '--experts', '4', '--top', '2', '--speed', 'none', '-o', at('experts')])).code).toBe(0);
    const experts = at('experts/llama.moe');
    for (const pair of [
      [experts, at('llama')],
      [at('compiled'), experts],
    ])
      await verified(0, ...pair, '--active', '4');
    await verified(1, experts, at('llama'), '--active', '2');
  });

  it('on a text and on given inputs, in words', async () => {
    const { code, out, err } = await moec(['verify', at('compiled'), at('llama'), '--prompt', 'abc', '--threads', '1']);
    expect([code, out.slice(0, out.indexOf('\n\n'))]).toEqual([0, `${at('compiled')} and ${at('llama')} agree, tolerance 0.0001`]);
    expect(out).toMatch(/\nlogits +\[1, 3, 258\] +\d\.\de[-+]\d+ +3 of 3\n/);
    expect(err).toMatch(/next: moec bench \S+\n$/);
    writeFileSync(at('inputs.json'), '{"input_ids": [[1, 2, 3, 4]], "token_type_ids": [[0, 1, 1, 1]]}');
    expect((await verified(0, at('bert'), '--inputs', at('inputs.json'))).results.map(({ name }) => name)).toEqual(['last_hidden_state', 'pooler_output']);
  });
});

describe('differ', () => {
  it.each([['llama'], ['compiled']])('where one weight was changed, from the layer that has it (%s)', async (model) => {
    const { ok, first, results, inside } = await verified(1, at('changed'), at(model));
    expect([ok, results[0]?.distance ?? 0]).toEqual([false, expect.toSatisfy((distance: number) => distance > 1e-3)]);
    expect(first).toMatch(/^body\.blocks\.1\.ffn\./);
    const before = inside.filter(({ name }) => /^body\.(embed|blocks\.0|blocks\.1\.(attn|norm))/.test(name));
    expect([before.length > 3, Math.max(...before.map(({ distance }) => distance))]).toEqual([true, 0]);
  });

  it('is said in words, and against the definition too', async () => {
    const { code, out } = await moec(['verify', at('compiled'), at('changed'), '--reference', '--threads', '1']);
    expect(code).toBe(1);
    expect(out).toContain(`${at('compiled')} and the definition of ${at('changed')} differ, tolerance 0.0001`);
    expect(out).toMatch(/\nlogits .* differs\n/);
    expect(out).toMatch(/\nthey first differ in body\.blocks\.1\.ffn\.\S+\n$/);
  });

  it('is what a model whose results are no numbers does, from itself too', async () => {
    const { ok, first, results } = await verified(1, at('broken'), at('broken'));
    expect([ok, results[0]?.distance]).toEqual([false, 'Infinity']);
    expect(first).toMatch(/^body\.blocks\.1\.ffn\./);
    expect((await moec(['verify', at('broken'), '--threads', '1'])).out).toMatch(/ and its definition differ, /);
  });

  it('within a tolerance that is wide enough they agree', async () => {
    const { results } = await verified(1, at('changed'), at('llama'));
    expect((await verified(0, at('changed'), at('llama'), '--tolerance', String((results[0]?.distance ?? 0) * 1.01))).ok).toBe(true);
  });
});

describe('refused', () => {
  it.each<readonly [string, () => readonly string[], number, string]>([
    ['picks where neither has experts', () => [at('llama'), at('compiled'), '--active', '2'], 1, 'error[no-picks-to-set]'],
    ['a compiled folder by itself', () => [at('compiled')], 1, 'error[no-reference]'],
    ['two vocabularies', () => [at('llama'), at('wide')], 1, 'error[results-have-other-sizes]: `logits` is [2, 16, 258] in the first model and [2, 16, 260] in the second'],
    ['no result in common', () => [at('llama'), at('bert'), '--length', '4'], 1, 'error[nothing-in-common]: the two models have no result in common: logits and last_hidden_state'],
    ['a model too large for the reference', () => ['models/llama.moe', '--model', 'Llama', '--set', 'V=60000'], 1, 'parameters, more than 67108864'],
    ['two kinds of inputs', () => [at('llama'), '--inputs', 'a.json', '--prompt', 'a'], 2, '--inputs and --prompt both say what to compare on'],
    ['an empty text', () => [at('llama'), '--prompt', ''], 1, 'error[prompt-is-empty]'],
    ['a text for a model without a tokenizer', () => [at('bert'), '--prompt', 'a'], 1, 'error[tokenizer-missing]'],
    ['inputs that are not there', () => [at('bert'), '--inputs', '/nowhere.json'], 1, 'error[json-unreadable]'],
  ])('%s', async (_, call, code, said) => {
    const found = await moec(['verify', ...call(), '--threads', '1']);
    expect([found.code, found.out]).toEqual([code, '']);
    expect(found.err).toContain(said);
  });
});
