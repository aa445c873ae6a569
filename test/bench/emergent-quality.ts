/** What converting a model costs in quality: every grouping, score and repair worth showing, and the controls, as perplexity on text that was not calibrated on. */

import { readFileSync } from 'node:fs';
import { emergentSettingsOf } from '../../src/model/index.ts';
import { type Replacement, replaceFeedForwards } from '../../src/passes/emergent/replace.ts';
import { type Control, controlNames } from '../../src/passes/emergent/variants.ts';
import { findFeedForwards } from '../../src/passes/feed-forwards.ts';
import { measureLines, perplexityOn } from '../../src/run/bargain.ts';
import { convert } from '../../src/run/convert.ts';
import { graphCompute } from '../../src/run/graph-compute.ts';
import { samplesOfTokens, tokensOf, windowOf } from '../../src/run/samples.ts';
import { checkpointModel, must } from '../running.ts';
import { table } from './rounds.ts';

const [model, text] = process.argv.slice(3);
if (model === undefined || text === undefined) throw new Error('npm run bench -- emergent-quality MODEL TEXT');
const numbers = (name: string, usual: string): readonly number[] => (process.env[name] ?? usual).split(',').map(Number);
const [experts = 16] = numbers('EXPERTS', '16');
const [calibrated = 4096] = numbers('TOKENS', '4096');
const [held = calibrated] = numbers('HELD', String(calibrated));
const shares = numbers('SHARES', '0.75,0.5,0.25');
const seeds = numbers('SEEDS', '0,1,2');
const only = new RegExp(process.env['ONLY'] ?? '');

const together = 'coactivation';
const activations = 'balanced_kmeans(of: activations)';
const keys = 'balanced_kmeans(of: keys)';
/** Setting by setting; the first of each grouping also says which controls pick among its experts. */
const recipes: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'coactivation, decisive, dropped_means': { group: together, score: 'decisive', repair: 'dropped_means' },
  'the same, budget': { group: together, score: 'decisive', repair: 'dropped_means', pick: 'budget' },
  'the same, threshold': { group: together, score: 'decisive', repair: 'dropped_means', pick: 'threshold' },
  'the same, 64 features': { group: together, score: 'decisive(features: 64)', repair: 'dropped_means' },
  'coactivation, decisive, low_rank(16)': { group: together, score: 'decisive', repair: 'low_rank(16)' },
  'coactivation, decisive, none': { group: together, score: 'decisive', repair: 'none' },
  'coactivation, fitted, dropped_means': { group: together, score: 'fitted', repair: 'dropped_means' },
  'coactivation, fitted, none': { group: together, score: 'fitted', repair: 'none' },
  'activations, decisive, dropped_means': { group: activations, score: 'decisive', repair: 'dropped_means' },
  'keys, decisive, dropped_means': { group: keys, score: 'decisive', repair: 'dropped_means' },
  'keys, mean_key, none (EMoE)': { group: keys, score: 'mean_key', repair: 'none' },
  // As it is published, half of what runs is shared.
  'carved, half shared, representative, none (CMoE)': { group: 'carved', shared: 'half', score: 'representative', repair: 'none' },
};

const found = checkpointModel(model);
const compute = graphCompute(found, { threads: 1 });
const { graph } = found.model;
const layers = findFeedForwards(graph).found;
const ids = must(tokensOf(found, readFileSync(text, 'utf8')));
const window = Math.min(windowOf(found), Math.floor(calibrated / 4));
const samples = must(samplesOfTokens(graph, ids.slice(0, calibrated), text, window));
const metric = perplexityOn(ids.slice(calibrated, calibrated + held + 1), window, text);

async function perplexity(replacements: readonly Replacement[]): Promise<number> {
  const [line] = must(await measureLines(found, [['', replaceFeedForwards(graph, replacements)]], metric, { threads: 1, version: 'bench' }));
  return line?.value ?? Number.NaN;
}

/** Perplexities of one recipe and of its controls, and the share of the neurons that ran in the mean on a window that was not fitted to. */
interface Cell {
  readonly own: number;
  readonly share: number;
  readonly controls: Readonly<Partial<Record<Control, number>>>;
}

async function cell(recipe: Readonly<Record<string, string>>, share: number, seed: number): Promise<Cell> {
  const { pick = 'top', shared: apart, ...words } = recipe;
  const running = Math.max(1, Math.floor(share * experts + 1e-9));
  const shared = apart === 'half' ? Math.floor(running / 2) : 0;
  const picked = pick === 'top' ? running - shared : share;
  const settings = must(
    emergentSettingsOf(
      { ...words, experts: String(experts), shared: String(shared), pick: `${pick}(${picked})`, seed: String(seed), pad: 'true', text: '"text"', in_order: 'true' },
      (name) => name,
    ),
  );
  const first = Object.values(recipes).find(({ group }) => group === recipe['group']) === recipe;
  const controls = first && pick === 'top';
  const made = await convert({ graph, checkpoint: found.checkpoint, layers, settings, samples, compute, controls });
  const measured: Partial<Record<Control, number>> = {};
  for (const name of made.controls ? controlNames : []) measured[name] = await perplexity(made.controls?.[name] ?? []);
  // On a window that nothing was fitted to.
  const ranOf = new Map(made.judged.map((one) => [one.path, one.picked]));
  const run = made.replacements.reduce((sum, { conversion }) => sum + conversion.shared.length + (ranOf.get(conversion.path) ?? conversion.picks) * conversion.size, 0);
  const all = made.replacements.reduce((sum, { conversion }) => sum + conversion.shared.length + conversion.experts * conversion.size, 0);
  return { own: await perplexity(made.replacements), share: run / all, controls: measured };
}

const mean = (all: readonly number[]): number => all.reduce((sum, one) => sum + one, 0) / all.length;
const spread = (all: readonly number[]): string => (all.length > 1 ? ` ± ${((Math.max(...all) - Math.min(...all)) / 2).toFixed(3)}` : '');
const of = (all: readonly number[]): string => `${mean(all).toFixed(3)}${spread(all)}`;

const dense = await perplexity([]);
console.log(`${layers.length} feed-forwards of ${layers[0]?.neurons} neurons, ${experts} experts, ${calibrated} tokens calibrated on, ${held} held out; dense ${dense.toFixed(4)}`);
console.log(`mean and half the range over seeds ${seeds.join(', ')}; gap is the share of ln(random / oracle) of the same grouping\n`);
for (const share of shares) {
  const bounds = new Map<string, Readonly<Partial<Record<Control, readonly number[]>>>>();
  const rows: string[][] = [];
  for (const [name, recipe] of Object.entries(recipes)) {
    if (!only.test(name)) continue;
    const cells: Cell[] = [];
    for (const seed of seeds) {
      cells.push(await cell(recipe, share, seed));
      console.error(`${share} ${name} seed ${seed}: ${(cells.at(-1)?.own ?? 0) / dense} at ${cells.at(-1)?.share} ${JSON.stringify(cells.at(-1)?.controls)}`);
    }
    const group = recipe['group'] ?? '';
    const controls = Object.fromEntries(
      controlNames.flatMap((control) => (cells[0]?.controls[control] === undefined ? [] : [[control, cells.map((one) => one.controls[control] ?? 0)]])),
    );
    if (Object.keys(controls).length > 0) bounds.set(group, controls);
    const { random, oracle } = bounds.get(group) ?? {};
    const gaps = random && oracle ? cells.map(({ own }, i) => Math.log((random[i] ?? 0) / own) / Math.log((random[i] ?? 0) / (oracle[i] ?? 0))) : [];
    rows.push([
      name,
      of(cells.map(({ own }) => own / dense)),
      gaps.length > 0 ? `${(100 * mean(gaps)).toFixed(1)} %` : '',
      `${(100 * mean(cells.map((one) => one.share))).toFixed(1)} %`,
    ]);
    for (const [control, values] of Object.entries(controls)) rows.push([`  ${control}`, of(values.map((one) => one / dense)), '', '']);
  }
  table([[`${100 * share} % active`, 'of dense', 'gap', 'ran'], ...rows]);
  console.log('');
}
await compute.close();
found.checkpoint?.close();
