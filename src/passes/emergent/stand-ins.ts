/** What stands in for experts that are not picked, by the repair that was asked for. */

import { Bug } from '../../diagnostics/bug.ts';
import type { Compute } from '../../graph/compute.ts';
import { ndArray } from '../../graph/nd-array.ts';
import type { Router, Repair as StandIns } from './conversion.ts';
import { featuresOf } from './features.ts';
import type { Grouping } from './grouping.ts';
import type { Layer } from './layer.ts';
import { below, type Matrix, matrix } from './matrix.ts';
import { type Picking, picksOf } from './picking.ts';
import { addDropped, type Dropped, droppedMeans, lowRankRepair, meansRepair, type Repair } from './repair.ts';
import { addMoments, type Moments } from './ridge.ts';
import type { RepairKind } from './settings.ts';

/** λ of low-rank maps, as a multiple of the mean variance of the inputs. */
const penalty = 1e-2;

/** The repair of a kind. `router` says which tokens drop an expert, for the means over those. */
export async function repairOf(layer: Layer, grouping: Grouping, kind: RepairKind, router: Router, picking: Picking, compute: Compute): Promise<Repair | undefined> {
  if (kind.kind === 'none') return undefined;
  if (kind.kind === 'dropped_means') return meansOfDropped(layer, grouping, router, picking, compute);
  let moments: Moments | undefined;
  for (const [i, batch] of layer.inputs.entries()) moments = await addMoments(moments, batch, layer.hidden[i] as Matrix, compute);
  if (!moments) throw new Bug('a repair without tokens');
  return kind.kind === 'means' ? meansRepair(moments, layer.values, grouping) : lowRankRepair(moments, layer.values, grouping, { rank: kind.rank, penalty }, compute);
}

async function meansOfDropped({ inputs, hidden, values }: Layer, grouping: Grouping, router: Router, picking: Picking, compute: Compute): Promise<Repair> {
  const picks = picksOf(below(await scoresOf(inputs, router, compute)), picking);
  let dropped: Dropped | undefined;
  let at = 0;
  for (const batch of hidden) {
    const own = matrix(batch.rows, picks.columns, picks.data.subarray(at * picks.columns, (at + batch.rows) * picks.columns));
    dropped = addDropped(dropped, batch, own, grouping);
    at += batch.rows;
  }
  if (!dropped) throw new Bug('a repair without tokens');
  return droppedMeans(dropped, values, grouping);
}

/** The scores that a router of products gives each batch of inputs: [tokens, E]. */
export async function scoresOf(inputs: readonly Matrix[], router: Router, compute: Compute): Promise<readonly Matrix[]> {
  if (router.kind !== 'linear' && router.kind !== 'features') throw new Bug(`the picks of a router by ${router.kind} are not known beforehand`);
  const { weight, bias } = router;
  const [rows = 0, columns = 0] = weight.dims;
  const product = matrix(rows, columns, Float32Array.from(weight.data));
  const all: Matrix[] = [];
  for (const batch of inputs) {
    const scores = await compute.product(await featuresOf(batch, router.kind === 'features' ? router.directions : undefined, compute), product);
    all.push(bias ? { ...scores, data: scores.data.map((score, i) => score + (bias.data[i % columns] as number)) } : scores);
  }
  return all;
}

/** A repair as a conversion holds it: the maps of each expert with its mean below them. */
export function standInsOf({ means, project, expand }: Repair, experts: number): StandIns {
  const [rank, width] = [project.columns, means.columns];
  const maps = new Float64Array(experts * (rank + 1) * width);
  for (let e = 0; e < experts; e++) {
    maps.set(expand.data.subarray(e * rank * width, (e + 1) * rank * width), e * (rank + 1) * width);
    maps.set(means.data.subarray(e * width, (e + 1) * width), (e * (rank + 1) + rank) * width);
  }
  return { projection: ndArray([project.rows, rank], new Float64Array(project.data)), maps: ndArray([experts, rank + 1, width], maps) };
}
