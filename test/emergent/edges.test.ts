/** Feed-forwards at the edges: of fixed sizes, that give nothing, that stand in two places, without text, and on texts of padding alone. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { ndArray } from '../../src/graph/nd-array.ts';
import { emergentSettingsOf } from '../../src/model/index.ts';
import { encodeModel } from '../../src/onnx/wire.ts';
import { aloneOf, calibrate, type Sample, type Seen } from '../../src/passes/emergent/calibrate.ts';
import { identityOn } from '../../src/passes/emergent/judge.ts';
import { findFeedForwards } from '../../src/passes/feed-forwards.ts';
import { convert } from '../../src/run/convert.ts';
import { modelOfOnnx, raisedModel } from '../../src/run/find-onnx.ts';
import { graphCompute } from '../../src/run/graph-compute.ts';
import { info, modelOf, node, tensor } from '../onnx-messages.ts';
import { must } from '../running.ts';
import { moec } from '../terminal.ts';

const scratch = mkdtempSync(join(tmpdir(), 'moec-edges-'));
afterAll(() => rmSync(scratch, { recursive: true }));

const wave = (n: number, speed: number): readonly number[] => Array.from({ length: n }, (_, i) => Math.sin((i + 1) * speed));

interface Shape {
  readonly dims: readonly (string | number)[];
  /** The weights of each feed-forward in turn, by number; what number 2 gives is nothing. */
  readonly blocks?: readonly number[];
  readonly masked?: boolean;
  /** One feed-forward reads what the one before gave, and nothing is added to it. */
  readonly chained?: boolean;
}

/** v + relu(v · a) · b, one feed-forward after the other, 8 → 16 → 8. */
function fileOf(name: string, { dims, blocks = [0, 1], masked = false, chained = false }: Shape): string {
  const file = join(scratch, `${name}.onnx`);
  const first = masked
    ? [node('Cast', ['attention_mask'], ['kept'], { attribute: [{ name: 'to', type: 2, i: 1 }] }), node('Mul', ['x', 'kept'], ['v0'])]
    : [node('Identity', ['x'], ['v0'])];
  const nodes = blocks.flatMap((block, i) => [
    node('MatMul', [`v${i}`, `a${block}`], [`h${i}`]),
    node('Relu', [`h${i}`], [`r${i}`]),
    node('MatMul', [`r${i}`, `b${block}`], [`y${i}`]),
    chained ? node('Identity', [`y${i}`], [`v${i + 1}`]) : node('Add', [`v${i}`, `y${i}`], [`v${i + 1}`]),
  ]);
  const weights = [...new Set(blocks)].flatMap((block) => [
    tensor(`a${block}`, [8, 16], wave(128, 1.3 + block)),
    tensor(`b${block}`, [16, 8], block === 2 ? wave(128, 0) : wave(128, 0.7 + block)),
  ]);
  const graph = {
    input: [info('x', ...dims), ...(masked ? [info('attention_mask', ...dims.slice(0, -1), 1)] : [])],
    output: [info(`v${blocks.length}`, ...dims)],
    initializer: weights,
    node: [...first, ...nodes],
  };
  writeFileSync(file, encodeModel(modelOf(graph)));
  return file;
}

const rows = (batch: number, length: number, speed: number): readonly (readonly (readonly number[])[])[] =>
  Array.from({ length: batch }, (_, b) => Array.from({ length }, (_, t) => wave(8, speed + b + t / 7)));

const listOf = (name: string, list: readonly object[]): string => {
  const file = join(scratch, name);
  writeFileSync(file, JSON.stringify(list));
  return file;
};

async function emerge(
  file: string,
  ...more: readonly string[]
): Promise<{ readonly code: number; readonly err: string; readonly said: { readonly identity: number; readonly layers: readonly object[] } }> {
  const { code, out, err } = await moec(['emerge', file, '--experts', '4', '--speed', 'none', '-o', join(scratch, 'out'), '--json', ...more]);
  return { code, err, said: JSON.parse(out) };
}

test('sizes that a file has fixed are kept where layers run alone', async () => {
  const texts = listOf(
    'fixed.json',
    [0.3, 0.9, 1.7].map((speed) => ({ x: rows(2, 20, speed) })),
  );
  const { code, said } = await emerge(fileOf('fixed', { dims: [2, 20, 8] }), '--calibrate', texts);
  expect([code, said.layers.length]).toEqual([0, 2]);
  expect(said.identity).toBeLessThan(1e-6);
}, 60_000);

test('a layer that gives nothing is converted as well', async () => {
  const texts = listOf(
    'dead.json',
    [0.3, 0.9, 1.7].map((speed) => ({ x: rows(1, 30, speed) })),
  );
  const { code, said } = await emerge(fileOf('dead', { dims: ['batch', 'length', 8], blocks: [0, 2] }), '--calibrate', texts);
  expect([code, said.layers.length]).toEqual([0, 2]);
  expect(said.layers[1]).toMatchObject({ identity: 0, error: 0 });
}, 60_000);

test('without text, identity is looked at on random inputs, and seen to break', async () => {
  const file = fileOf('open', { dims: ['batch', 'length', 8] });
  const { code, said } = await emerge(file);
  expect([code, said.layers]).toEqual([0, []]);
  expect(said.identity).toBeGreaterThan(0);
  expect(said.identity).toBeLessThan(1e-6);

  const found = raisedModel(must(modelOfOnnx(file)));
  const { graph } = found.model;
  const [layer] = findFeedForwards(graph).found;
  const compute = graphCompute(found, { threads: 1 });
  if (!layer) throw new Error('no feed-forward');
  const settings = must(emergentSettingsOf({ experts: '4', pick: 'top(2)', group: 'contiguous' }, (name) => name));
  const { replacements, identities } = await convert({ graph, checkpoint: found.checkpoint, layers: [layer], settings, samples: [], compute });
  expect(identities).toMatchObject([{ path: layer.path }]);
  const conversion = replacements[0]?.conversion;
  if (!conversion) throw new Error('no conversion');
  const { alone } = aloneOf(graph, layer);
  const twice = { ...conversion, order: conversion.order.with(0, conversion.order[1] as number) };
  expect(await identityOn(ndArray([1, 30, 8], rows(1, 30, 0.3).flat(2)), twice, alone, compute)).toBeGreaterThan(0.01);
  await compute.close();
  found.checkpoint?.close();
}, 60_000);

test('inputs of padding alone are left out, and nothing else is no text', async () => {
  const file = fileOf('masked', { dims: ['batch', 'length', 8], masked: true });
  const input = (mask: number, speed: number): object => ({ x: rows(1, 30, speed), attention_mask: [Array.from({ length: 30 }, () => [mask])] });
  const some = await emerge(file, '--calibrate', listOf('some.json', [input(1, 0.3), input(1, 0.9), input(0, 1.7)]));
  expect([some.code, some.said.layers.length]).toEqual([0, 2]);
  const { code, out } = await moec(['emerge', file, '--experts', '4', '--calibrate', listOf('none.json', [input(0, 0.3), input(0, 0.9)]), '--json']);
  expect([code, JSON.parse(out).diagnostics[0].code]).toEqual([1, 'calibration-unfit']);
}, 60_000);

test('a router that is no product of the input is repaired by plain means', async () => {
  const texts = listOf(
    'plain.json',
    [0.3, 0.9, 1.7].map((speed) => ({ x: rows(1, 30, speed) })),
  );
  const file = fileOf('plain', { dims: ['batch', 'length', 8] });
  for (const score of ['representative', 'oracle']) {
    const { code, said } = await emerge(file, '--calibrate', texts, '--group', 'carved', '--score', score);
    expect([score, code, said.layers.length]).toEqual([score, 0, 2]);
  }
}, 60_000);

test('a feed-forward right behind another reads the mixture that this became', async () => {
  const file = fileOf('chained', { dims: ['batch', 'length', 8], chained: true });
  const texts = listOf(
    'chained.json',
    [0.3, 0.9, 1.7].map((speed) => ({ x: rows(1, 30, speed) })),
  );
  const { code, said } = await emerge(file, '--top', '4', '--calibrate', texts);
  expect([code, said.layers.length]).toEqual([0, 2]);
  const verified = await moec(['verify', file, join(scratch, 'out'), '--json']);
  expect([verified.code, verified.err]).toEqual([0, '']);
}, 60_000);

test('what a block in two places is judged on is fitted to in neither', async () => {
  const found = raisedModel(must(modelOfOnnx(fileOf('tied', { dims: ['batch', 'length', 8], blocks: [0, 0] }))));
  const { graph } = found.model;
  const feedForwards = findFeedForwards(graph).found;
  const compute = graphCompute(found, { threads: 1 });
  const given = async (samples: readonly Sample[]): Promise<readonly Seen[]> => {
    const seen: Seen[] = [];
    await calibrate({ graph, feedForwards, samples, compute, inOrder: false }, async ({ path }, one) => {
      seen.push(one);
      return { path } as never;
    });
    return seen;
  };
  const samples = [10, 11, 12].map((length): Sample => ({ feeds: { x: ndArray([1, length, 8], rows(1, length, 0.3).flat(2)) } }));
  const lengths = ({ inputs, fitted }: Seen): readonly unknown[] => [inputs.map((one) => one.rows), fitted];
  expect((await given(samples)).map(lengths)).toEqual([[[10, 11, 10, 11, 12], 4]]);
  expect((await given(samples.slice(0, 1))).map(lengths)).toEqual([[[10, 10], 2]]);
  await compute.close();
  found.checkpoint?.close();
}, 60_000);
