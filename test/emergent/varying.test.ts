/** Budgets, thresholds and sweeps on the command line: what is written keeps them, what is printed is what converting each on its own gives. */

import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { readArtefact } from '../../src/run/artefact.ts';
import { makeLlama } from '../checkpoints.ts';
import { must } from '../running.ts';
import { type Called, moec } from '../terminal.ts';

const scratch = mkdtempSync(join(tmpdir(), 'moec-varying-'));
afterAll(() => rmSync(scratch, { recursive: true }));
const model = makeLlama(join(scratch, 'llama'));
const text = join(scratch, 'text.txt');
writeFileSync(text, Array.from({ length: 90 }, (_, i) => `the ${i}th word is ${Math.sin(i).toFixed(3)}; `).join(''));

const emerge = (...given: readonly string[]): Promise<Called> =>
  moec(['emerge', model, '--calibrate', text, '--tokens', '768', '--evaluate', '480', '--threads', '1', '--json', ...given], { cwd: scratch });

interface Printed {
  readonly lines: readonly { readonly name: string; readonly value: number }[];
  readonly dense: number;
  readonly rows: readonly { readonly experts: number; readonly picks: number; readonly share: number; readonly ideal: number; readonly value: number }[];
  readonly best: readonly { readonly experts: number; readonly command: string }[];
}
const printed = ({ code, out, err }: Called): Printed => {
  expect(code, err).toBe(0);
  return JSON.parse(out) as Printed;
};

test('a budget is kept over the layers, a threshold in the mean over the tokens, and both are in the artefact', async () => {
  printed(await emerge('--experts', '12', '--budget', '0.6', '--out', 'budget'));
  const dealt = must(readArtefact(join(scratch, 'budget', 'llama.experts.safetensors'), 'budget')).map(({ conversion }) => conversion.picks);
  expect(dealt).toHaveLength(2);
  expect(dealt.reduce((sum, k) => sum + k, 0)).toBe(Math.floor(0.6 * 24));

  printed(await emerge('--experts', '12', '--pick', 'threshold(0.5, most: 8)', '--out', 'threshold'));
  for (const { conversion } of must(readArtefact(join(scratch, 'threshold', 'llama.experts.safetensors'), 'threshold'))) {
    expect(conversion.picks).toBe(8);
    expect(conversion.threshold?.mean).toBeCloseTo(6, 1);
  }
  const run = await moec(['eval', join(scratch, 'threshold', 'llama.moe'), '--text', text, '--json'], { cwd: scratch });
  expect(run.code, run.err).toBe(0);
}, 120_000);

test('a sweep gives what each conversion gives on its own, says the best of each share, and writes nothing', async () => {
  const swept = printed(await emerge('--sweep', '4,12:0.5,0.75'));
  expect(swept.rows.map(({ experts, picks, share }) => [experts, picks, share])).toEqual([
    [4, 2, 0.5],
    [4, 3, 0.75],
    [12, 6, 0.5],
    [12, 9, 0.75],
  ]);
  expect(existsSync(join(scratch, 'out'))).toBe(false);
  const [half] = swept.best;
  const alone = printed(await moec([...(half?.command.split(' ').slice(1) ?? []), '--evaluate', '480', '--threads', '1', '--json', '--out', 'alone'], { cwd: scratch }));
  const value = (name: string): number => alone.lines.find((line) => line.name === name)?.value ?? Number.NaN;
  expect(swept.dense).toBeCloseTo(value('dense'), 4);
  expect(swept.rows.find(({ experts, share }) => experts === half?.experts && share === 0.5)?.value).toBeCloseTo(value('asked'), 4);
  // Gated, 16 wide: 48 numbers a neuron; scores of 16 numbers and a bias for each expert; a mean of 16 for each that runs, and their sum.
  expect(swept.rows[2]?.ideal).toBeCloseTo((24 * 48) / (12 * 48 + 12 * 17 + 16 * (6 + 1)), 6);
  for (const [i, share] of [0.5, 0.75].entries()) {
    const rows = swept.rows.filter((row) => row.share === share);
    const best = rows.reduce((least, row) => (row.value < least.value ? row : least));
    expect(swept.best[i]?.experts).toBe(best.experts);
    expect(swept.best[i]?.command).toContain(`--experts ${best.experts} --top ${best.picks}`);
  }
}, 120_000);

test('a sweep asks of its own numbers of experts only, and of no order where there is no text', async () => {
  const { code, out, err } = await moec(['emerge', model, '--sweep', '24:1', '--shared', '20'], { cwd: scratch });
  expect(code, err).toBe(0);
  expect(out).toMatch(/\n\nbest at each share:\n {2}moec emerge \S+ --experts 24 --top 4 --shared 20\n$/);
  expect(out).not.toContain('calibrated');
});

test.each([
  ['a grid that is none', ['--sweep', '4'], 'EXPERTS:SHARES'],
  ['a share that no expert fits in', ['--sweep', '4:0.1'], 'a share of --sweep'],
  ['a share below one expert', ['--experts', '4', '--budget', '0.1'], '`share` must be at least 0.25'],
  ['a budget and a number', ['--budget', '0.5', '--top', '2'], 'cannot be used with'],
] as const)('%s is refused', async (_, given, said) => {
  const { code, out, err } = await emerge(...given);
  expect(code).not.toBe(0);
  expect(out + err).toContain(said);
});
