/** The router of a converted feed-forward, by the score that was asked for. */

import { Bug } from '../../diagnostics/bug.ts';
import type { Compute } from '../../graph/compute.ts';
import { type NdArray, ndArray } from '../../graph/nd-array.ts';
import type { Router } from './conversion.ts';
import { directionsOf, featuresOf } from './features.ts';
import type { Grouped } from './group.ts';
import { type Grouping, permutationOf } from './grouping.ts';
import type { Layer } from './layer.ts';
import { lossesWithout } from './losses.ts';
import { below, everyRow, type Matrix, matrix, pickRows, rowsNormalised, transposed } from './matrix.ts';
import { fitMembership, type MembershipBasis, membershipBasis } from './membership.ts';
import { type Picking, pickingOf } from './picking.ts';
import type { Repair } from './repair.ts';
import { addMoments, type Fit, fitRidge, type Moments } from './ridge.ts';
import { meanKeys, outputMass, representatives } from './scores.ts';
import type { EmergentSettings, Score } from './settings.ts';

/** Tokens of a fit to membership, at most; each step goes through all of them. */
const membershipTokens = 8192;
/** Steps of a fit to membership. */
const steps = 25;

/** The router that gives the scores asked for; `repair` is what stands in for experts that it leaves out. */
export async function routerOf(
  layer: Layer,
  { grouping, representatives: found }: Grouped,
  repair: Repair | undefined,
  settings: EmergentSettings,
  compute: Compute,
): Promise<Router> {
  const { score, seed } = settings;
  switch (score.kind) {
    case 'mean_key':
      return { kind: 'linear', weight: columnsOf(meanKeys(layer.keys, grouping)) };
    case 'representative': {
      const nearest = found ?? representatives(rowsNormalised(layer.keys), grouping);
      const unit = (of: Matrix): NdArray => columnsOf(rowsNormalised(pickRows(of, nearest)));
      return { kind: 'representative', gate: unit(layer.keys), ...(layer.ups ? { up: unit(layer.ups) } : {}) };
    }
    case 'fitted':
    case 'decisive':
      return fitted(layer, grouping, repair, { score, seed, picking: pickingOf(settings) }, compute);
    case 'oracle':
      return {
        kind: 'oracle',
        norms: ndArray(
          [grouping.experts * grouping.size],
          Float64Array.from(permutationOf(grouping).slice(0, grouping.experts * grouping.size), (i) => layer.lengths[i] ?? 0),
        ),
      };
    case 'random':
      return { kind: 'random', directions: directionsOf(layer, grouping.experts, seed) };
  }
}

/** [E, D] → [D, E]. */
function columnsOf(rows: Matrix): NdArray {
  return ndArray([rows.columns, rows.rows], new Float64Array(transposed(rows).data));
}

/** Scores from the tokens, fitted to what `kind` wants of them. */
async function fitted(layer: Layer, grouping: Grouping, repair: Repair | undefined, { score, seed, picking }: Fitting, compute: Compute): Promise<Router> {
  const directions = score.features > 0 ? directionsOf(layer, score.features, seed) : undefined;
  const { weights, intercept } = score.kind === 'fitted' ? await toMass() : await toMembership();
  const weight = ndArray([weights.rows, weights.columns], new Float64Array(weights.data));
  const bias = ndArray([intercept.length], new Float64Array(intercept));
  return directions ? { kind: 'features', directions, weight, bias } : { kind: 'linear', weight, bias };

  async function toMass(): Promise<Fit> {
    let moments: Moments | undefined;
    for (const [i, batch] of layer.inputs.entries())
      moments = await addMoments(moments, await featuresOf(batch, directions, compute), outputMass(layer.hidden[i] as Matrix, layer.lengths, grouping), compute);
    if (!moments) throw new Bug('a fit without tokens');
    return fitRidge(moments, score.penalty);
  }

  async function toMembership(): Promise<Fit> {
    if (picking.kind === 'top' && picking.k >= grouping.experts)
      return { weights: matrix(layer.keys.columns + score.features, grouping.experts), intercept: new Float32Array(grouping.experts) };
    const every = Math.ceil(layer.inputs.reduce((sum, { rows }) => sum + rows, 0) / membershipTokens);
    const losses = await lossesWithout(layer.inputs, layer.hidden, layer.values, grouping, repair, compute, every);
    return fitMembership(await basisOf(layer, { directions, every, score, seed }, compute), losses, { picking, steps }, compute);
  }
}

/** The basis of the last fit to some inputs, and what it was of. Fits with other groups or picks share it; it goes when the inputs do. */
const bases = new WeakMap<Layer['inputs'], { readonly of: string; readonly basis: Promise<MembershipBasis> }>();

interface BasisOptions extends Pick<Fitting, 'score' | 'seed'> {
  readonly directions: NdArray | undefined;
  /** Which rows of a batch count. */
  readonly every: number;
}

function basisOf({ inputs }: Layer, { directions, every, score: { features, penalty }, seed }: BasisOptions, compute: Compute): Promise<MembershipBasis> {
  const of = [features, seed, penalty, every].join();
  const known = bases.get(inputs);
  if (known?.of === of) return known.basis;
  const some = inputs.map((batch) => pickRows(batch, everyRow(batch.rows, every)));
  const basis = featuresOf(below(some), directions, compute).then((found) => membershipBasis(found, penalty, compute));
  bases.set(inputs, { of, basis });
  return basis;
}

interface Fitting extends Pick<EmergentSettings, 'seed'> {
  readonly picking: Picking;
  readonly score: Extract<Score, { kind: 'fitted' | 'decisive' }>;
}
