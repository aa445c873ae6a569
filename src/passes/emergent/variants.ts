/** The controls that stand beside a conversion: the same experts picked otherwise, and other experts picked the same way. */

import type { Compute } from '../../graph/compute.ts';
import { ndArray } from '../../graph/nd-array.ts';
import { type Conversion, labelsOf, meanPicks, withPicks } from './conversion.ts';
import { decide } from './decide.ts';
import type { Layer } from './layer.ts';
import { routerOf } from './routing.ts';
import { outputMass } from './scores.ts';
import type { EmergentSettings } from './settings.ts';

/** The controls. `random`, `static` and `oracle` pick among the conversion's own experts, as many for every token, without repair; `contiguous` groups neurons as they lie and keeps everything else. */
export const controlNames = ['random', 'static', 'oracle', 'contiguous'] as const;
/** The name of a control. */
export type Control = (typeof controlNames)[number];

/** A conversion's controls on the same layer. */
export async function controlsOf(layer: Layer, conversion: Conversion, settings: EmergentSettings, compute: Compute): Promise<Readonly<Record<Control, Conversion>>> {
  const { repair: _, ...plain } = withPicks(conversion, Math.max(1, Math.round(meanPicks(conversion))));
  const { experts, size, order } = conversion;
  const labels = labelsOf(conversion, layer.values.rows, -1);
  const grouping = { experts, size, shared: conversion.shared.length, labels };
  const random = await routerOf(layer, { grouping }, undefined, { ...settings, score: { kind: 'random' } }, compute);
  const norms = ndArray(
    [order.length],
    Float64Array.from(order, (i) => layer.lengths[i] ?? 0),
  );
  const means = new Float64Array(experts);
  for (const batch of layer.hidden) for (const [i, mass] of outputMass(batch, layer.lengths, grouping).data.entries()) means[i % experts] = (means[i % experts] as number) + mass;
  const still = { kind: 'linear', weight: ndArray([layer.keys.columns, experts], new Float64Array(layer.keys.columns * experts)), bias: ndArray([experts], means) } as const;
  return {
    random: { ...plain, router: random },
    static: { ...plain, router: still },
    oracle: { ...plain, router: { kind: 'oracle', norms } },
    contiguous: await decide(layer, { ...settings, group: { kind: 'contiguous' } }, compute),
  };
}
