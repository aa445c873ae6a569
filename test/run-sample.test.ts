import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { greedySettings, type SampleSettings, sample } from '../src/run/sample.ts';
import { splitMix64, uniforms } from '../src/run/uniforms.ts';

describe('uniforms', () => {
  it('are SplitMix64: the words its authors publish for seed 1234567', () => {
    const words = [6457827717110365317n, 3203168211198807973n, 9817491932198370423n, 4593380528125082431n, 16408922859458223821n];
    expect(words.map((_, i) => splitMix64(1234567n, i))).toEqual(words);
  });

  it('lie in [0, 1), are exact in f32, and begin alike whatever their count', () => {
    const many = uniforms(7, 4096);
    expect(many.every((value) => value >= 0 && value < 1 && Number.isInteger(value * 2 ** 24))).toBe(true);
    expect(uniforms(7, 5)).toEqual(many.slice(0, 5));
    expect(uniforms(8, 5)).not.toEqual(many.slice(0, 5));
    expect(Math.abs(many.reduce((sum, value) => sum + value, 0) / 4096 - 0.5)).toBeLessThan(0.02);
  });
});

/** The definition, spelled out without any care for speed: probabilities as a list of pairs, cut step by step. */
function bySteps(logits: readonly number[], seen: ReadonlySet<number>, { temperature, topK, topP, minP, repeatPenalty }: SampleSettings, uniform: number): number {
  const scored = logits.map((logit, token) => ({ token, score: seen.has(token) ? Math.fround(logit > 0 ? logit / repeatPenalty : logit * repeatPenalty) : logit }));
  const sorted = [...scored].sort((a, b) => b.score - a.score || a.token - b.token);
  if (temperature === 0) return sorted[0]?.token ?? -1;
  const softmax = (list: readonly { token: number; score: number }[]): { token: number; p: number }[] => {
    const all = list.map(({ score }) => Math.exp((score - (sorted[0]?.score ?? 0)) / temperature));
    const sum = all.reduce((a, b) => a + b, 0);
    return list.map(({ token }, i) => ({ token, p: (all[i] ?? 0) / sum }));
  };
  const top = softmax(topK > 0 ? sorted.slice(0, topK) : sorted);
  let mass = 0;
  const nucleus = top.filter(({ p }, i) => {
    const keep = i === 0 || topP >= 1 || mass < topP;
    mass += p;
    return keep;
  });
  const left = nucleus.filter(({ p }) => p >= minP * (nucleus[0]?.p ?? 0));
  const sum = left.reduce((all, { p }) => all + p, 0);
  const reached = (i: number): number => left.slice(0, i + 1).reduce((all, { p }) => all + p / sum, 0);
  return left.find((_, i) => reached(i) > uniform)?.token ?? left.at(-1)?.token ?? -1;
}

describe('sample', () => {
  it('is greedy by default, ties to the lower token, -1 where nothing is a number', () => {
    expect(sample(Float32Array.of(1, 5, 5, 2), new Set(), greedySettings, 0.9)).toBe(1);
    expect(sample(Float32Array.of(Number.NaN, Number.NaN), new Set(), greedySettings, 0)).toBe(-1);
    expect(sample(Float32Array.of(Number.NaN, -3, -2), new Set(), greedySettings, 0)).toBe(2);
  });

  it('agrees with its definition', () => {
    const settings = fc.record({
      temperature: fc.constantFrom(0, 0.3, 1, 2.5),
      topK: fc.constantFrom(0, 1, 3, 50),
      topP: fc.constantFrom(1, 0.9, 0.5, 0.01),
      minP: fc.constantFrom(0, 0.05, 0.4, 1),
      repeatPenalty: fc.constantFrom(1, 1.3, 0.7),
    });
    const logit = fc.integer({ min: -40, max: 40 }).map((n) => n / 8);
    const uniform = fc.integer({ min: 0, max: 2 ** 24 - 1 }).map((n) => n / 2 ** 24);
    fc.assert(
      fc.property(fc.array(logit, { minLength: 1, maxLength: 40 }), fc.array(fc.nat(39)), settings, uniform, (logits, seen, chosen, u) => {
        expect(sample(Float32Array.from(logits), new Set(seen), chosen, u)).toBe(bySteps(logits, new Set(seen), chosen, u));
      }),
      { numRuns: 2000, seed: 3 },
    );
  });

  it('draws as often as the softmax says', () => {
    const logits = Float32Array.of(0, 1, 2, -1);
    const drawn = [0, 0, 0, 0];
    const settings = { ...greedySettings, temperature: 1 };
    for (const u of uniforms(1, 20_000)) {
      const token = sample(logits, new Set(), settings, u);
      drawn[token] = (drawn[token] ?? 0) + 1;
    }
    const weights = [...logits].map(Math.exp);
    const sum = weights.reduce((a, b) => a + b);
    for (const [token, count] of drawn.entries()) expect(Math.abs(count / 20_000 - (weights[token] ?? 0) / sum)).toBeLessThan(0.012);
  });
});
