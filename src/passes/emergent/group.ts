/** Groups the neurons of a layer, by the way that was asked for. */

import { Bug } from '../../diagnostics/bug.ts';
import type { Compute } from '../../graph/compute.ts';
import { balancedKmeans } from './balanced-kmeans.ts';
import { carve } from './carved.ts';
import { coactivation, coactivations } from './coactivation.ts';
import { contiguous, random } from './controls.ts';
import { type Grouping, groupingOf, mostImportant, others, sharedBeside } from './grouping.ts';
import type { Layer } from './layer.ts';
import { type Matrix, matrix, pickRows, row, rowsNormalised } from './matrix.ts';
import { addProfile, cosineHidden, type Profile } from './profile.ts';
import type { EmergentSettings } from './settings.ts';

/** Lloyd's steps of one start, rounds of carving, passes of exchanges. */
const [steps, rounds, passes] = [50, 1, 4];
/** Tokens whose activations are a neuron's profile, at most: as a point of k-means, and where pairs of neurons are counted. */
const [profileTokens, countedTokens] = [1024, 4096];
/** The neurons that CMoE marks for a token. */
const marks = 10;

/** Neurons in experts, and the neuron that stands for each where grouping finds one. */
export interface Grouped {
  readonly grouping: Grouping;
  readonly representatives?: Int32Array;
}

/** The experts of a layer whose neurons the number of experts divides. */
export async function groupingFor(layer: Layer, { experts, shared, group, seed }: EmergentSettings, compute: Compute): Promise<Grouped> {
  const neurons = layer.values.rows;
  const size = neurons / experts;
  const routed = experts - shared;
  if (group.kind === 'carved') return carve(await marked(layer, compute), { experts: routed, shared: shared * size, rounds });
  const always = shared > 0 ? mostImportant(meanMass(layer), shared * size) : new Int32Array();
  const rest = others(neurons, always);
  const labels = await labelsOf(layer, rest, { experts: routed, group, seed }, compute);
  return { grouping: groupingOf(sharedBeside(neurons, rest, labels), routed) };
}

/** The expert of each of some neurons. */
async function labelsOf(layer: Layer, neurons: Int32Array, { experts, group, seed }: Pick<EmergentSettings, 'experts' | 'group' | 'seed'>, compute: Compute): Promise<Int32Array> {
  switch (group.kind) {
    case 'balanced_kmeans': {
      const points = group.of === 'keys' ? pickRows(layer.keys, neurons) : profiles(layer, neurons, profileTokens);
      const sizes = Array.from({ length: experts }, () => neurons.length / experts);
      const { labels } = await balancedKmeans(rowsNormalised(points), { sizes, seed, restarts: group.restarts, iterations: steps }, compute);
      return labels;
    }
    case 'coactivation':
      return coactivation(await coactivations(profiles(layer, neurons, countedTokens), compute), experts, passes);
    case 'contiguous':
      return contiguous(neurons.length, experts);
    case 'random':
      return random(neurons.length, experts, seed);
    default:
      throw new Bug(`${group.kind} is no way to group`);
  }
}

/** CMoE's marks on the calibration tokens. */
async function marked({ inputs, keys, ups }: Layer, compute: Compute): Promise<Profile> {
  let profile: Profile | undefined;
  for (const batch of inputs) profile = addProfile(profile, await cosineHidden(batch, keys, ups, compute), marks);
  if (!profile) throw new Bug('carving without tokens');
  return profile;
}

/** The sum of |h| · ‖v‖ over the calibration tokens; ‖key‖ · ‖v‖ without any. [F] */
function meanMass({ hidden, lengths, keys }: Layer): Float64Array {
  const masses = new Float64Array(lengths.length);
  for (const batch of hidden) {
    for (let t = 0; t < batch.rows; t++) {
      const from = row(batch, t);
      for (let i = 0; i < from.length; i++) masses[i] = (masses[i] as number) + Math.abs(from[i] as number) * (lengths[i] as number);
    }
  }
  if (hidden.length === 0) for (let i = 0; i < masses.length; i++) masses[i] = Math.hypot(...row(keys, i)) * (lengths[i] as number);
  return masses;
}

/** |h| of each neuron over calibration tokens, so many at most and evenly taken: [neurons, tokens]. */
function profiles({ hidden }: Layer, neurons: Int32Array, most: number): Matrix {
  const total = hidden.reduce((sum, { rows }) => sum + rows, 0);
  const every = Math.max(1, Math.ceil(total / most));
  const tokens = hidden.flatMap((batch) => Array.from({ length: batch.rows }, (_, t) => row(batch, t))).filter((_, t) => t % every === 0);
  const points = matrix(neurons.length, tokens.length);
  for (const [t, token] of tokens.entries()) for (const [i, neuron] of neurons.entries()) points.data[i * tokens.length + t] = Math.abs(token[neuron] as number);
  return points;
}
