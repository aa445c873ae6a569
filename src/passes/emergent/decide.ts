/** Decides what one feed-forward becomes, by the settings: which neurons stand together, who picks them, what stands in for those that are not picked. */

import type { Compute } from '../../graph/compute.ts';
import type { Conversion } from './conversion.ts';
import { groupingFor } from './group.ts';
import { permutationOf } from './grouping.ts';
import { type Layer, padded } from './layer.ts';
import { routerOf } from './routing.ts';
import type { EmergentSettings } from './settings.ts';
import { repairOf, standInsOf } from './stand-ins.ts';

/** The conversion of one layer. The same for the same layer, settings and products. */
export async function decide(given: Layer, settings: EmergentSettings, compute: Compute): Promise<Conversion> {
  const { path, neurons } = given.feedForward;
  const layer = padded(given, Math.ceil(neurons / settings.experts) * settings.experts);
  const grouped = await groupingFor(layer, settings, compute);
  const { experts, size } = grouped.grouping;
  const order = [...permutationOf(grouped.grouping)].map((i) => (i < neurons ? i : -1));
  const { grouping } = grouped;
  const first = await routerOf(layer, grouped, undefined, settings, compute);
  const repair = await repairOf(layer, grouping, settings.repair, first, settings.picks, compute);
  // What a router weighs by absences is fitted again once those are repaired.
  const router = repair && settings.score.kind === 'decisive' ? await routerOf(layer, grouped, repair, settings, compute) : first;
  return {
    path,
    experts,
    size,
    order: order.slice(0, experts * size),
    shared: order.slice(experts * size).filter((i) => i >= 0),
    picks: settings.picks,
    router,
    ...(repair ? { repair: standInsOf(repair, experts) } : {}),
  };
}
