/** Decides what one feed-forward becomes, by the settings: which neurons stand together, who picks them, what stands in for those that are not picked. */

import type { Compute } from '../../graph/compute.ts';
import type { Conversion, Router, Threshold } from './conversion.ts';
import { type Grouped, groupingFor } from './group.ts';
import { type Grouping, permutationOf } from './grouping.ts';
import { type Layer, padded } from './layer.ts';
import { below } from './matrix.ts';
import { pickingOf, picksOf, thresholdOf } from './picking.ts';
import type { Repair } from './repair.ts';
import { routerOf } from './routing.ts';
import type { EmergentSettings } from './settings.ts';
import { spreadOut } from './spread.ts';
import { repairOf, scoresOf, standInsOf } from './stand-ins.ts';

/** What was decided, while the numbers it came from are at hand. */
export interface Decided {
  readonly conversion: Conversion;
  /** The layer, with neurons of zeros where experts are filled up. */
  readonly layer: Layer;
  readonly grouping: Grouping;
  readonly repair: Repair | undefined;
}

/** The conversion of one layer. The same for the same layer, settings and products. */
export async function decide(given: Layer, settings: EmergentSettings, compute: Compute): Promise<Conversion> {
  return (await decideAll(given, settings, compute)).conversion;
}

/** The conversion with what it was made of. */
export async function decideAll(given: Layer, settings: EmergentSettings, compute: Compute): Promise<Decided> {
  return decideGrouped(await groupLayer(given, settings, compute), settings, compute);
}

/** A layer, with neurons of zeros where experts are filled up, and its groups. */
export interface GroupedLayer {
  readonly layer: Layer;
  readonly grouped: Grouped;
}

/** What does not depend on the number of picks. */
export async function groupLayer(given: Layer, settings: EmergentSettings, compute: Compute): Promise<GroupedLayer> {
  const layer = padded(given, Math.ceil(given.feedForward.neurons / settings.experts) * settings.experts);
  return { layer, grouped: await groupingFor(layer, settings, compute) };
}

/** What does. */
export async function decideGrouped({ layer, grouped: found }: GroupedLayer, settings: EmergentSettings, compute: Compute): Promise<Decided> {
  const { path, neurons } = layer.feedForward;
  const grouped = await spreadOut(layer, found, pickingOf(settings), compute);
  const { grouping } = grouped;
  const { experts, size } = grouping;
  const order = [...permutationOf(grouping)].map((i) => (i < neurons ? i : -1));
  const first = await routerOf(layer, grouped, undefined, settings, compute);
  const repair = await repairOf(layer, grouping, settings.repair, first, pickingOf(settings), compute);
  // What a router weighs by absences is fitted again once those are repaired.
  const router = repair && settings.score.kind === 'decisive' ? await routerOf(layer, grouped, repair, settings, compute) : first;
  const conversion: Conversion = {
    path,
    experts,
    size,
    order: order.slice(0, experts * size),
    shared: order.slice(experts * size).filter((i) => i >= 0),
    ...(await picksFor(layer, router, settings, compute)),
    router,
    ...(repair ? { repair: standInsOf(repair, experts) } : {}),
  };
  return { conversion, layer, grouping, repair };
}

async function picksFor({ inputs }: Layer, router: Router, settings: EmergentSettings, compute: Compute): Promise<{ readonly picks: number; readonly threshold?: Threshold }> {
  const picking = pickingOf(settings);
  if (picking.kind === 'top') return { picks: picking.k };
  const scores = below(await scoresOf(inputs, router, compute));
  const score = thresholdOf(scores, picking);
  if (score === Number.NEGATIVE_INFINITY) return { picks: picking.most };
  const picked = picksOf(scores, picking).data.reduce((sum, one) => sum + one, 0);
  return { picks: picking.most, threshold: { score, mean: picked / scores.rows } };
}
