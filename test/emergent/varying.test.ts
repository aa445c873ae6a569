/** Budgets, thresholds and sweeps on the command line: what is written keeps them, what is printed is what converting each on its own gives. */

import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { evaluateGraph } from '../../src/graph/eval.ts';
import type { Graph } from '../../src/graph/graph.ts';
import { ndArray } from '../../src/graph/nd-array.ts';
import { addStats } from '../../src/passes/add-stats.ts';
import { cutMixtures } from '../../src/passes/cut-mixtures.ts';
import { readArtefact } from '../../src/run/artefact.ts';
import { deriveModel } from '../../src/run/derive-model.ts';
import { modelOfSource } from '../../src/run/find-model.ts';
import { sourceArray } from '../../src/weights/source.ts';
import { makeLlama } from '../checkpoints.ts';
import { repository, repositoryReader } from '../repository.ts';
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

test('statistics of a threshold count the experts that run, not the places that stay empty', async () => {
  printed(await emerge('--experts', '12', '--pick', 'threshold(0.5, most: 8)', '--evaluate', 'none', '--out', 'counted'));
  const found = must(modelOfSource(join(scratch, 'counted/llama.moe'), { reader: repositoryReader, zoo: join(repository, 'models') }));
  const { model, checkpoint } = must(await deriveModel(found, { cwd: scratch }));
  const cut = cutMixtures(model.graph, () => {});
  const routed = cut.nodes.flatMap(({ op, inputs: [experts] }) => (op.name === 'segment' && experts ? [experts] : []));
  const weights = new Map(cut.weights.map(({ path, source }) => [path, sourceArray(source, checkpoint)]));
  const ids = { input_ids: ndArray([1, 6], [256, 72, 101, 108, 108, 111], 'i64') };
  const of = (graph: Graph) => evaluateGraph(graph, ids, (path) => weights.get(path) ?? ndArray([0], []));
  const picked = of({ ...cut, outputs: routed.map((value, i) => ({ name: `e${i}`, value })) });
  const told = of(addStats(cut));
  for (const [i, { name }] of routed.entries()) {
    const experts = [...(picked[`e${i}`]?.data ?? [])];
    const path = name.replace('.router.experts', '');
    expect(experts).toHaveLength(6 * 8);
    expect([...(told[`stats.${path}.tokens`]?.data ?? [])]).toEqual(Array.from({ length: 12 }, (_, e) => experts.filter((one) => one === e).length));
    // Outputs are added up as they are: of m experts each has the share 1 / m.
    const mean = Array.from({ length: 6 }, (_, t) => Math.log(Math.max(1, experts.slice(8 * t, 8 * t + 8).filter((one) => one < 12).length))).reduce(
      (sum, one) => sum + one / 6,
      0,
    );
    expect(told[`stats.${path}.entropy`]?.data[0]).toBeCloseTo(mean, 12);
  }
  expect(routed).toHaveLength(2);
  checkpoint?.close();
}, 120_000);

test('a sweep gives what each conversion gives on its own, says the best of each share, and writes nothing', async () => {
  const swept = printed(await emerge('--sweep', '4,12,4:0.5,0.75,0.50'));
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
