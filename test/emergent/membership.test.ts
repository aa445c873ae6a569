/** Scores fitted to the choice: what is picked, and that separable choices are found. Against scipy's minimum: test/interop. */

import { afterAll, expect, test } from 'vitest';
import { Bug } from '../../src/diagnostics/bug.ts';
import { matrix } from '../../src/passes/emergent/matrix.ts';
import { fitMembership, membershipBasis } from '../../src/passes/emergent/membership.ts';
import { picksOf } from '../../src/passes/emergent/picking.ts';
import { graphCompute } from '../../src/run/graph-compute.ts';
import { randomNumbers } from '../../src/weights/random.ts';

const compute = graphCompute({}, { threads: 1 });
afterAll(() => compute.close());

test('the k largest are picked, of equals the first', () => {
  expect([...picksOf(matrix(2, 4, Float32Array.of(1, 3, 3, 3, -1, -2, -3, -4)), { kind: 'top', k: 2 }).data]).toEqual([0, 1, 1, 0, 1, 1, 0, 0]);
});

test('losses that follow the features are picked again by the scores, nine times in ten', async () => {
  const [tokens, p, e] = [600, 6, 6];
  const features = matrix(
    tokens,
    p,
    Float32Array.from(randomNumbers('features', 1, 1, 0, tokens * p), (x) => x + 3),
  );
  const losses = matrix(tokens, e, features.data.map(Math.exp));
  const { weights, intercept } = await fitMembership(await membershipBasis(features, 1e-2, compute), losses, { picking: { kind: 'top', k: 2 }, steps: 40 }, compute);
  const scores = await compute.product(features, weights);
  const found = picksOf(
    matrix(
      tokens,
      e,
      scores.data.map((x, i) => x + (intercept[i % e] ?? 0)),
    ),
    { kind: 'top', k: 2 },
  ).data;
  const wanted = picksOf(losses, { kind: 'top', k: 2 }).data;
  const caught = found.reduce((sum, one, i) => sum + one * (wanted[i] ?? 0), 0) / (2 * tokens);
  expect(caught).toBeGreaterThan(0.9);
});

test('where nothing is to choose the scores are equal; no tokens are a fault', async () => {
  const even = await fitMembership(
    await membershipBasis(matrix(5, 2, Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 0)), 1e-2, compute),
    matrix(5, 3, new Float32Array(15).fill(1)),
    { picking: { kind: 'top', k: 1 }, steps: 5 },
    compute,
  );
  expect([...even.weights.data, ...even.intercept]).toEqual(new Array<number>(9).fill(0));
  await expect(membershipBasis(matrix(0, 2), 1e-2, compute)).rejects.toThrow(Bug);
});
