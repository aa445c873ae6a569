/** `moec emerge --sweep`: several numbers of experts by several shares of them that run, from one run over the calibration text. */

import type { Outcome } from '../diagnostics/diagnostic.ts';
import type { Graph } from '../graph/graph.ts';
import { calibrate } from '../passes/emergent/calibrate.ts';
import type { Conversion } from '../passes/emergent/conversion.ts';
import { decideGrouped, groupLayer } from '../passes/emergent/decide.ts';
import { layerOf } from '../passes/emergent/layer.ts';
import { type Replacement, replaceFeedForwards } from '../passes/emergent/replace.ts';
import type { EmergentSettings } from '../passes/emergent/settings.ts';
import { forecast } from '../targets/mixture/forecast.ts';
import type { Target } from '../targets/target.ts';
import { activeParameters, measureLines } from './bargain.ts';
import { fittedOn, objections } from './convert.ts';
import { type EmergeOptions, layersOf } from './emerge.ts';
import type { Found } from './find-model.ts';
import { graphCompute } from './graph-compute.ts';

/** One way to convert a model, and what is to be expected of it. */
export interface SweepRow {
  readonly experts: number;
  readonly picks: number;
  /** Of the neurons, how many run; below what was asked for by less than one expert. */
  readonly share: number;
  readonly asked: number;
  /** The metric, where there is one, and whether an earlier call measured it. */
  readonly value?: number;
  readonly cached?: boolean;
  /** How many times as fast the converted feed-forwards are at best. */
  readonly ideal: number;
  /** By the target's cost model: for one token, and for many. */
  readonly estimates: readonly { readonly tokens: number; readonly gain: number }[];
}

/** The table. */
export interface Swept {
  /** The metric of the dense model. */
  readonly dense?: number;
  readonly rows: readonly SweepRow[];
}

/** One way that is tried. */
export interface Cell {
  /** The share of the neurons that was asked for. */
  readonly asked: number;
  readonly settings: EmergentSettings;
}

/** What a sweep tries. */
export interface SweepOptions extends Omit<EmergeOptions, 'settings'> {
  /** Settings of each cell, by number of experts; what they differ in beside that is picks. */
  readonly grid: readonly Cell[];
  /** What is estimated for. */
  readonly target: Target;
}

/** Tries every cell. All are calibrated on the dense model's own inputs, in one run; cells of as many experts share their groups. */
export async function sweep(found: Found, options: SweepOptions): Promise<Outcome<Swept>> {
  const { grid, samples = [], metric, measured, threads, version, signal, progress } = options;
  const picked = layersOf(found, options.chosen);
  if (!picked.ok) return picked;
  const { all, layers } = picked.value;
  const refused = grid.flatMap(({ settings }) => objections(all.found, layers, settings, samples.length > 0));
  const first = refused[0];
  if (first) return { ok: false, diagnostics: [first, ...refused.filter((one) => one.code === first.code && one.message !== first.message)] };
  const session = threads === undefined ? {} : { threads };
  const compute = graphCompute(found, session);
  const { graph } = found.model;
  const made: Map<string, Conversion>[] = grid.map(() => new Map());
  try {
    const decideCells = async (feedForward: (typeof layers)[number], inputs: Parameters<typeof layerOf>[2]): Promise<Conversion> => {
      const layer = fittedOn(await layerOf(graph, feedForward, inputs, found.checkpoint, compute));
      const groups = new Map<number, ReturnType<typeof groupLayer>>();
      for (const [i, { settings }] of grid.entries()) {
        const grouped = groups.get(settings.experts) ?? groupLayer(layer, settings, compute);
        groups.set(settings.experts, grouped);
        made[i]?.set(feedForward.path, (await decideGrouped(await grouped, settings, compute)).conversion);
      }
      return made[0]?.get(feedForward.path) as Conversion;
    };
    const at = (done: number, total: number): void => {
      signal?.throwIfAborted();
      progress?.('converting', done, total);
    };
    const untied = layers.map((layer, block) => (grid[0]?.settings.untie ? { ...layer, block } : layer));
    if (samples.length > 0) await calibrate({ graph, feedForwards: untied, samples, compute, inOrder: false, progress: at }, decideCells);
    else
      for (const [i, layer] of layers.entries()) {
        await decideCells(layer, []);
        at(i + 1, layers.length);
      }
    const cells = made.map((own) => layers.map((feedForward): Replacement => ({ feedForward, conversion: ofBlock(own, feedForward, untied) })));
    const graphs = [['dense', graph] as const, ...cells.map((cell, i) => [String(i), replaceFeedForwards(graph, cell)] as const)];
    const watched = { ...session, version, ...(measured ? { measured } : {}), ...(signal ? { signal } : {}) };
    const lines = metric && (await measureLines(found, graphs, metric, { ...watched, progress: (done, total) => progress?.('measuring', done, total) }));
    if (lines && !lines.ok) return lines;
    const [dense, ...own] = lines?.value ?? [];
    const rows = cells.map((cell, i) => {
      const line = own[i];
      return { ...rowOf(graph, cell, grid[i] as Cell, options.target), ...(line ? { value: line.value, cached: line.cached } : {}) };
    });
    return { ok: true, value: { ...(dense ? { dense: dense.value } : {}), rows }, diagnostics: [] };
  } finally {
    await compute.close();
  }
}

/** Of places that share a block the last was decided. */
function ofBlock(own: ReadonlyMap<string, Conversion>, { path }: Replacement['feedForward'], layers: readonly Replacement['feedForward'][]): Conversion {
  const block = layers.find((one) => one.path === path)?.block;
  const decided = layers.filter((one) => one.block === block).findLast((one) => own.has(one.path));
  return { ...(own.get(decided?.path ?? path) as Conversion), path };
}

function rowOf(graph: Graph, cell: readonly Replacement[], { asked, settings }: Cell, target: Target): Omit<SweepRow, 'value' | 'cached'> {
  const { experts, shared, picks } = settings;
  const { active, total } = activeParameters(cell);
  const layers = cell.map(({ feedForward }) => feedForward);
  const estimates = forecast(graph, layers, settings, { target, steps: true, written: true }).map(({ tokens, dense, experts: taken }) => ({ tokens, gain: dense / taken }));
  return { experts, picks, share: (shared + picks) / experts, asked, ideal: total / active, estimates };
}
