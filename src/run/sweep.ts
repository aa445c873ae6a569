/** `moec emerge --sweep`: several numbers of experts by several shares of them that run, from one run over the calibration text. */

import type { Outcome } from '../diagnostics/diagnostic.ts';
import type { Compute } from '../graph/compute.ts';
import type { Graph } from '../graph/graph.ts';
import { calibrate, type Seen } from '../passes/emergent/calibrate.ts';
import type { Conversion } from '../passes/emergent/conversion.ts';
import { decideGrouped, groupLayer } from '../passes/emergent/decide.ts';
import { type Layer, layerOf } from '../passes/emergent/layer.ts';
import { type Replacement, replaceFeedForwards } from '../passes/emergent/replace.ts';
import type { EmergentSettings } from '../passes/emergent/settings.ts';
import type { FeedForward } from '../passes/feed-forwards.ts';
import { forecast } from '../targets/mixture/forecast.ts';
import type { Target } from '../targets/target.ts';
import { activeParameters, type Line, measureLines } from './bargain.ts';
import { fittedOn, objections } from './convert.ts';
import { type EmergeOptions, layersOf, type Planned } from './emerge.ts';
import type { Found } from './find-model.ts';
import { withCompute } from './graph-compute.ts';

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
  const planned = planSweep(found, options);
  if (!planned.ok) return planned;
  const { layers } = planned.value;
  return withCompute(found, sessionOf(options), options.samples ?? [], async (compute) => {
    const cells = await decideCells(found, layers, options, compute);
    const lines = await measureCells(found, cells, options);
    if (!lines.ok) return lines;
    const [dense, ...own] = lines.value;
    const rows = cells.map((cell, i) => {
      const line = own[i];
      return { ...rowOf(found.model.graph, cell, options.grid[i] as Cell, options.target), ...(line ? { value: line.value, cached: line.cached } : {}) };
    });
    return { ok: true, value: { ...(dense ? { dense: dense.value } : {}), rows }, diagnostics: [] };
  });
}

/** What would be converted in every cell; where cells cannot be tried, the first objection, and what it is in other cells. */
export function planSweep(found: Found, { chosen, grid, samples = [] }: Pick<SweepOptions, 'chosen' | 'grid' | 'samples'>): Outcome<Planned> {
  const planned = layersOf(found, chosen);
  if (!planned.ok) return planned;
  const { all, layers } = planned.value;
  const refused = grid.flatMap(({ settings }) => objections(all.found, layers, settings, samples.length > 0));
  const [first] = refused;
  if (!first) return planned;
  return { ok: false, diagnostics: [first, ...refused.filter((one) => one.code === first.code && one.message !== first.message)] };
}

const sessionOf = ({ threads }: SweepOptions): { readonly threads?: number } => (threads === undefined ? {} : { threads });

/** The layers of each cell as experts. */
async function decideCells(found: Found, layers: readonly FeedForward[], options: SweepOptions, compute: Compute): Promise<readonly (readonly Replacement[])[]> {
  const { grid, samples = [], signal, progress } = options;
  const { graph } = found.model;
  const untied = grid[0]?.settings.untie ? layers.map((layer, block) => ({ ...layer, block })) : layers;
  const made = grid.map(() => new Map<string, Conversion>());
  const decide = async (feedForward: FeedForward, seen: Pick<Seen, 'inputs' | 'fitted'>): Promise<Conversion> => {
    const conversions = await decideLayer(fittedOn(await layerOf(graph, feedForward, seen.inputs, found.checkpoint, compute), seen), grid, compute);
    for (const [i, conversion] of conversions.entries()) made[i]?.set(feedForward.path, conversion);
    return conversions[0] as Conversion;
  };
  const at = (done: number, total: number): void => {
    signal?.throwIfAborted();
    progress?.('converting', done, total);
  };
  if (samples.length > 0) await calibrate({ graph, feedForwards: untied, samples, compute, inOrder: false, progress: at }, decide);
  else
    for (const [i, layer] of layers.entries()) {
      await decide(layer, { inputs: [], fitted: 0 });
      at(i + 1, layers.length);
    }
  return made.map((own) => layers.map((feedForward): Replacement => ({ feedForward, conversion: ofBlock(own, feedForward, untied) })));
}

/** One layer in every cell. */
async function decideLayer(layer: Layer, grid: readonly Cell[], compute: Compute): Promise<readonly Conversion[]> {
  const groups = new Map<number, Awaited<ReturnType<typeof groupLayer>>>();
  const conversions: Conversion[] = [];
  for (const { settings } of grid) {
    const grouped = groups.get(settings.experts) ?? (await groupLayer(layer, settings, compute));
    groups.set(settings.experts, grouped);
    conversions.push((await decideGrouped(grouped, settings, compute)).conversion);
  }
  return conversions;
}

/** The metric of the dense model, then of each cell; nothing without a metric. */
async function measureCells(found: Found, cells: readonly (readonly Replacement[])[], options: SweepOptions): Promise<Outcome<readonly Line[]>> {
  const { metric, measured, version, signal, progress } = options;
  if (!metric) return { ok: true, value: [], diagnostics: [] };
  const { graph } = found.model;
  const graphs = [['dense', graph] as const, ...cells.map((cell, i) => [String(i), replaceFeedForwards(graph, cell)] as const)];
  return measureLines(found, graphs, metric, {
    ...sessionOf(options),
    version,
    ...(measured ? { measured } : {}),
    ...(signal ? { signal } : {}),
    progress: (done, total) => progress?.('measuring', done, total),
  });
}

/** Of places that share a block the last was decided. */
function ofBlock(own: ReadonlyMap<string, Conversion>, { path }: FeedForward, layers: readonly FeedForward[]): Conversion {
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
