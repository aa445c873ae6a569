/** Groupings, ridge regression and repairs against `k-means-constrained`, scipy and numpy. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { balancedKmeans } from '../../src/passes/emergent/balanced-kmeans.ts';
import { carve } from '../../src/passes/emergent/carved.ts';
import { random } from '../../src/passes/emergent/controls.ts';
import { draws, shuffled } from '../../src/passes/emergent/draws.ts';
import { groupingOf } from '../../src/passes/emergent/grouping.ts';
import { type Matrix, matrix, rowsNormalised, transposed } from '../../src/passes/emergent/matrix.ts';
import { fitMembership, membershipBasis } from '../../src/passes/emergent/membership.ts';
import { addProfile, cosineHidden, rates } from '../../src/passes/emergent/profile.ts';
import { lowRankRepair } from '../../src/passes/emergent/repair.ts';
import { addMoments, fitRidge, type Moments } from '../../src/passes/emergent/ridge.ts';
import { graphCompute } from '../../src/run/graph-compute.ts';
import { openCheckpoint } from '../../src/weights/open.ts';
import { randomNumbers } from '../../src/weights/random.ts';
import { sourceArray } from '../../src/weights/source.ts';
import { fixture } from '../fixtures.ts';
import { must, portableCompute } from '../running.ts';
import { npyBytes } from './npy.ts';

const python = process.env['MOEC_PYTHON'] ?? 'python3';
const script = fileURLToPath(new URL('grouping.py', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'moec-grouping-'));
const compute = portableCompute();
const graphs = graphCompute({}, { threads: 1 });
afterAll(async () => {
  rmSync(root, { recursive: true, force: true });
  await compute.close();
  await graphs.close();
});

/** What Python makes of these matrices. */
function ask<T>(task: string, matrices: Readonly<Record<string, Matrix | Int32Array>>, options: Readonly<Record<string, number>>): T {
  const folder = mkdtempSync(join(root, task));
  for (const [name, one] of Object.entries(matrices)) {
    const { rows, columns, data } = one instanceof Int32Array ? { rows: one.length, columns: 0, data: Float32Array.from(one) } : one;
    writeFileSync(join(folder, `${name}.npy`), npyBytes({ dtype: 'f32', dims: columns === 0 ? [rows] : [rows, columns], data }));
  }
  writeFileSync(join(folder, 'options.json'), JSON.stringify(options));
  return JSON.parse(execFileSync(python, [script, task, folder], { encoding: 'utf8', maxBuffer: 1 << 26 })) as T;
}

const numbers = (name: string, rows: number, columns: number): Matrix => matrix(rows, columns, Float32Array.from(randomNumbers(name, 1, 1, 0, rows * columns)));
const furthest = (a: ArrayLike<number>, b: readonly number[]): number => Math.max(...b.map((one, i) => Math.abs(one - (a[i] ?? Number.NaN))));

describe('balanced k-means', () => {
  const planted = (n: number, d: number, k: number): Matrix => {
    const centres = numbers('centres', k, d);
    const truth = shuffled(n, draws(1)).map((i) => i % k);
    return matrix(
      n,
      d,
      numbers('spread', n, d).data.map((x, at) => 0.8 * x + (centres.data[(truth[Math.floor(at / d)] ?? 0) * d + (at % d)] ?? 0)),
    );
  };
  const folder = fixture('stories260k');
  const keys = (layer: number): Matrix => {
    const checkpoint = must(openCheckpoint(folder ?? ''));
    const info = checkpoint.tensors.get(`model.layers.${layer}.mlp.gate_proj.weight`);
    if (!info) throw new Error('no keys');
    return matrix(172, 64, Float32Array.from(sourceArray({ kind: 'tensor', name: info.name, dtype: info.dtype, dims: info.dims }, checkpoint).data));
  };
  const cases: readonly (readonly [string, number, () => Matrix])[] = [
    ['planted, 512 points in 16', 16, () => planted(512, 32, 16)],
    ['planted, 384 points in 32', 32, () => planted(384, 24, 32)],
    ['without structure, 256 points in 16', 16, () => numbers('points', 256, 32)],
    ...(folder === undefined ? [] : ([['keys of stories260k in 43', 43, () => keys(2)]] as const)),
  ];

  test.each(cases)('%s: inertia within 1 percent of theirs, both of 10 starts', async (_, clusters, points) => {
    const unit = rowsNormalised(points());
    const sizes = new Array<number>(clusters).fill(unit.rows / clusters);
    const { labels, inertia } = await balancedKmeans(unit, { sizes, seed: 0, restarts: 10, iterations: 300 }, compute);
    const { ours, theirs } = ask<{ ours: number; theirs: number }>('kmeans', { points: unit, labels }, { clusters, restarts: 10 });
    expect(inertia / ours).toBeCloseTo(1, 5);
    expect(ours / theirs).toBeLessThan(1.01);
  });
});

test('CMoE: profile, shared experts, assignment and representatives', async () => {
  const [x, gate, up] = [numbers('x', 300, 24), numbers('gate', 60, 24), numbers('up', 60, 24)];
  const options = { experts: 4, shared: 20, most: 7 };
  const profile = addProfile(undefined, await cosineHidden(x, gate, up, compute), options.most);
  const { grouping, representatives } = carve(profile, { ...options, rounds: 1 });
  const wanted = ask<{ rates: number[]; shared: number[]; least: number; cost: number; representatives: number[] }>('carved', { x, gate, up, labels: grouping.labels }, options);
  expect(furthest(rates(profile), wanted.rates)).toBeLessThan(1e-9);
  expect(Array.from(grouping.labels.keys()).filter((i) => grouping.labels[i] === -1)).toEqual(wanted.shared);
  expect(wanted.cost).toBeCloseTo(wanted.least, 6);
  expect([...representatives]).toEqual(wanted.representatives);
});

/** Inputs with directions of very different size and a mean, as behind a norm. */
const inputs = (rows: number, columns: number): Matrix =>
  matrix(
    rows,
    columns,
    numbers('inputs', rows, columns).data.map((one, i) => one * 0.9 ** (i % columns) + (i % 3)),
  );

async function moments(features: Matrix, targets: Matrix): Promise<Moments> {
  const rows = (from: number, to: number, { columns, data }: Matrix): Matrix => matrix(to - from, columns, data.slice(from * columns, to * columns));
  const half = features.rows >> 1;
  const first = await addMoments(undefined, rows(0, half, features), rows(0, half, targets), compute);
  return addMoments(first, rows(half, features.rows, features), rows(half, features.rows, targets), compute);
}

test.each([1e-4, 1e-1])('ridge regression at penalty %d', async (penalty) => {
  const features = inputs(400, 30);
  const targets = matrix(
    400,
    5,
    numbers('targets', 400, 5).data.map((one, i) => Math.abs(one + (features.data[Math.floor(i / 5) * 30 + (i % 5)] ?? 0))),
  );
  const { weights, intercept } = fitRidge(await moments(features, targets), penalty);
  const wanted = ask<{ weights: number[][]; intercept: number[] }>('ridge', { features, targets }, { penalty });
  // Sums of products are f32 within a batch: 1e-7 of the largest feature, against the smallest, 0.9^58 of it, held up by the penalty.
  expect(furthest(weights.data, wanted.weights.flat())).toBeLessThan(2e-4);
  expect(furthest(intercept, wanted.intercept)).toBeLessThan(2e-4);
});

test.each([1e-2, 1e-3])('membership at penalty %d: 40 steps come within 1 percent of the least there is', async (penalty) => {
  const features = inputs(500, 30);
  const losses = matrix(
    500,
    8,
    numbers('losses', 500, 8).data.map((one, i) => Math.abs(one + 2 * (features.data[Math.floor(i / 8) * 30 + (i % 8)] ?? 0) - 2 * (i % 3))),
  );
  const options = { picks: 3, penalty };
  const { weights, intercept } = await fitMembership(await membershipBasis(features, penalty, graphs), losses, { picking: { kind: 'top', k: options.picks }, steps: 40 }, graphs);
  const found = ask<{ start: number; theirs: number; ours: number }>('membership', { features, losses, weights, intercept: matrix(1, 8, intercept) }, options);
  expect(found.theirs).toBeLessThan(0.8 * found.start);
  expect(found.ours).toBeGreaterThan(found.theirs * (1 - 1e-6));
  expect(found.ours - found.theirs).toBeLessThan(0.01 * (found.start - found.theirs));
});

test.each([1, 4, 12])('a repair of rank %i is the best there is', async (rank) => {
  const [x, gate, down] = [inputs(500, 20), numbers('gate', 36, 20), numbers('down', 36, 20)];
  const products = await compute.product(x, transposed(gate));
  const h = matrix(
    500,
    36,
    products.data.map((g) => g / (1 + Math.exp(-g))),
  );
  const grouping = groupingOf(random(36, 6, 3), 6);
  const { means, project, expand } = await lowRankRepair(await moments(x, h), down, grouping, { rank, penalty: 1e-3 }, compute);
  const wanted = ask<{ theirs: number; ours: number; meansAlone: number; map: number; variance: number }>(
    'low-rank',
    { x, h, down, labels: grouping.labels, means, project, expand },
    { rank, penalty: 1e-3 },
  );
  expect(Math.abs(wanted.ours / wanted.theirs - 1)).toBeLessThan(1e-5);
  expect(wanted.map).toBeLessThan(1e-3);
  expect(wanted.theirs).toBeLessThan(0.9 * wanted.meansAlone);
  expect(wanted.variance).toBeLessThan(1.0001);
});
