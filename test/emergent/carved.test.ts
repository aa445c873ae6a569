/** CMoE's construction on marks whose answer is plain; the whole of it against numpy is in test/interop. */

import { afterAll, describe, expect, test } from 'vitest';
import { carve } from '../../src/passes/emergent/carved.ts';
import { matrix } from '../../src/passes/emergent/matrix.ts';
import { addProfile, cosineHidden, type Profile, pickNeurons, rates } from '../../src/passes/emergent/profile.ts';
import { portableCompute } from '../running.ts';

const compute = portableCompute();
afterAll(() => compute.close());

describe('a profile', () => {
  test('marks the largest values of every token, of equals the lower index, and grows', () => {
    const first = addProfile(undefined, matrix(2, 4, Float32Array.of(1, -3, 2, 0, 5, 5, 5, 5)), 2);
    expect(first).toEqual({ tokens: 2, hits: [[1], [0, 1], [0], []] });
    const both = addProfile(first, matrix(1, 4, Float32Array.of(0, 0, 0, -1)), 1);
    expect(both).toEqual({ tokens: 3, hits: [[1], [0, 1], [0], [2]] });
    expect([...rates(both)]).toEqual([1 / 3, 2 / 3, 1 / 3, 1 / 3]);
    expect(pickNeurons(both, [3, 1])).toEqual({ tokens: 3, hits: [[2], [0, 1]] });
  });

  test('never marks more neurons than there are', () => {
    expect(addProfile(undefined, matrix(1, 2, Float32Array.of(1, 2)), 10)).toEqual({ tokens: 1, hits: [[0], [0]] });
  });

  test('is of values that no length enters', async () => {
    const silu = (g: number): number => g / (1 + Math.exp(-g));
    const [x, gate, up] = [matrix(1, 2, Float32Array.of(3, 4)), matrix(2, 2, Float32Array.of(2, 0, 0, 7)), matrix(2, 2, Float32Array.of(0, 5, 1, 1))];
    const hidden = await cosineHidden(x, gate, up, compute);
    [silu(0.6) * 0.8, silu(0.8) * 1.4 * Math.SQRT1_2].forEach((wanted, i) => expect(hidden.data[i]).toBeCloseTo(wanted, 6));
    expect((await cosineHidden(x, gate, undefined, compute)).data[1]).toBeCloseTo(silu(0.8), 6);
  });
});

/** Neurons 0 and 7 fire on nearly all of 12 tokens; 1, 3, 5 on the even ones and 2, 4, 6 on the odd ones, but for one token each. */
const even = [0, 2, 4, 6, 8, 10];
const odd = even.map((t) => t + 1);
const all = [...even, ...odd].sort((a, b) => a - b);
const profile: Profile = {
  tokens: 12,
  hits: [all, even, odd, even.slice(1), odd.slice(1), [...even.slice(2), 1].sort((a, b) => a - b), odd.slice(2), all.slice(1)],
};

describe('carving', () => {
  test('shares what fires most, and puts together what fires on the same tokens', () => {
    const { grouping, representatives } = carve(profile, { experts: 2, shared: 2, rounds: 1 });
    expect(grouping).toEqual({ experts: 2, size: 3, shared: 2, labels: Int32Array.of(-1, 0, 1, 0, 1, 0, 1, -1) });
    // Means of marks are nearest to the neuron in the middle.
    expect([...representatives]).toEqual([3, 4]);
  });

  test('without shared neurons, and again for more rounds', () => {
    const { grouping } = carve({ tokens: 12, hits: profile.hits.slice(1, 7) }, { experts: 2, shared: 0, rounds: 5 });
    expect([...grouping.labels]).toEqual([0, 1, 0, 1, 0, 1]);
  });
});
