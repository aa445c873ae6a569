/** Turns feed-forwards of a model into experts: which are meant, whether that can be, calibration, and what each layer keeps. */

import { type Diagnostic, diagnose, type Outcome, refuse } from '../diagnostics/diagnostic.ts';
import type { Compute, Numbers } from '../graph/compute.ts';
import { constant } from '../graph/dim.ts';
import type { Graph } from '../graph/graph.ts';
import { count } from '../graph/nd-array.ts';
import { allocate, type ErrorCurve, errorCurve } from '../passes/emergent/budget.ts';
import { type Alone, aloneOf, calibrate, type Sample, type Seen } from '../passes/emergent/calibrate.ts';
import type { Conversion } from '../passes/emergent/conversion.ts';
import { decide, decideAll } from '../passes/emergent/decide.ts';
import { identityOn, type Judged, judge } from '../passes/emergent/judge.ts';
import { type Layer, layerOf } from '../passes/emergent/layer.ts';
import type { Replacement } from '../passes/emergent/replace.ts';
import type { EmergentSettings } from '../passes/emergent/settings.ts';
import { type Control, controlsOf } from '../passes/emergent/variants.ts';
import type { FeedForward, FoundFeedForwards } from '../passes/feed-forwards.ts';
import type { Checkpoint } from '../weights/checkpoint.ts';
import { randomNumbers } from '../weights/random.ts';

/** Which feed-forwards are meant: all, those of numbers `from` to `to` (half-open, in the order of the model), or those of some paths. */
export type Chosen =
  | { readonly kind: 'all' }
  | { readonly kind: 'range'; readonly from: number; readonly to: number }
  | { readonly kind: 'paths'; readonly paths: readonly string[] };

/** A message lists so many. */
const few = 4;

/** The feed-forwards that are meant, or why there are none such. `source` is what messages call the model. */
export function chooseLayers({ found, missed }: FoundFeedForwards, chosen: Chosen, source: string): Outcome<readonly FeedForward[]> {
  const notes = missed.map(({ name, why }) => `${name}: ${why}`);
  if (found.length === 0) return refuse(diagnose('nothing-to-convert', { source }, { notes }));
  if (chosen.kind === 'all') return { ok: true, value: found, diagnostics: [] };
  if (chosen.kind === 'range') {
    const { from, to } = chosen;
    if (from < to && to <= found.length) return { ok: true, value: found.slice(from, to), diagnostics: [] };
    return refuse(diagnose('layer-not-found', { source, path: from < to ? String(to - 1) : `${from}..${to}` }, { notes: [`it has ${found.length}, numbered from 0`] }));
  }
  const absent = chosen.paths.filter((path) => !found.some((one) => one.path === path));
  const there = [...found.slice(0, few).map(({ path }) => path), ...(found.length > few ? [`… (${found.length})`] : [])].join(', ');
  if (absent.length > 0)
    return refuse(...absent.map((path) => diagnose('layer-not-found', { source, path }, { notes: [`it has ${there}`, ...notes.filter((note) => note.startsWith(path))] })));
  return { ok: true, value: found.filter(({ path }) => chosen.paths.includes(path)), diagnostics: [] };
}

/** What keeps feed-forwards from being converted as asked. */
export function objections(
  all: readonly FeedForward[],
  chosen: readonly FeedForward[],
  { experts, pad, untie, group, score, repair, varying }: EmergentSettings,
  calibrated: boolean,
): readonly Diagnostic[] {
  const found: Diagnostic[] = [];
  const small = chosen.find(({ neurons }) => experts > neurons);
  if (small) found.push(diagnose('setting-out-of-range', { setting: '`experts`', range: `at most ${small.neurons}, the neurons of ${small.path}`, found: experts }));
  const uneven = pad || small ? undefined : chosen.find(({ neurons }) => neurons % experts !== 0);
  if (uneven) {
    const { path, neurons } = uneven;
    const text = `take ${nearDivisors(neurons, experts).join(' or ')} experts, or pad: \`--pad\`, in a directive \`pad = true\``;
    found.push(diagnose('neurons-do-not-divide', { path, neurons, experts }, { fixes: [{ text }] }));
  }
  found.push(...(untie ? [] : splitBlock(all, chosen)));
  const needs = [
    ...(group.kind === 'carved' || group.kind === 'coactivation' || (group.kind === 'balanced_kmeans' && group.of === 'activations') ? [`grouping by ${group.kind}`] : []),
    ...(score.kind === 'fitted' || score.kind === 'decisive' ? [`a ${score.kind} score`] : []),
    ...(repair.kind === 'none' ? [] : [`repair by ${repair.kind}`]),
    ...(varying ? [`a ${varying.kind}`] : []),
  ];
  if (!calibrated) for (const what of needs) found.push(diagnose('calibration-needed', { what }));
  return found;
}

/** The first block that stands in several places and would be converted in some of them only. */
export function splitBlock(all: readonly FeedForward[], chosen: readonly FeedForward[]): readonly Diagnostic[] {
  for (const one of chosen) {
    const others = all.filter(({ block, path }) => block === one.block && !chosen.some((other) => other.path === path)).map(({ path }) => path);
    if (others.length === 0) continue;
    const text = 'convert all of them, or copy the weights: `--untie`, in a directive `untie = true`';
    return [diagnose('shared-block-split', { path: one.path, others: others.join(', ') }, { fixes: [{ text }] })];
  }
  return [];
}

/** The divisors of `neurons` next to `experts`, below and above. */
function nearDivisors(neurons: number, experts: number): readonly number[] {
  const divisors = Array.from({ length: neurons }, (_, i) => i + 1).filter((one) => one > 1 && neurons % one === 0);
  return [divisors.findLast((one) => one < experts), divisors.find((one) => one > experts)].filter((one) => one !== undefined);
}

/** What is converted, and with what. */
export interface ConvertOptions {
  readonly graph: Graph;
  readonly checkpoint: Checkpoint | undefined;
  readonly layers: readonly FeedForward[];
  readonly settings: EmergentSettings;
  /** Calibration inputs; the last is kept for judging where there are several. None are needed where nothing is computed from them. */
  readonly samples: readonly Sample[];
  readonly compute: Compute;
  /** Whether the controls are wanted too. */
  readonly controls?: boolean;
  readonly progress?: (done: number, total: number) => void;
}

/** As in `Judged`. */
export type Identity = Pick<Judged, 'path' | 'identity'>;

/** The layers as experts. */
export interface Converted {
  readonly replacements: readonly Replacement[];
  /** In the order of `replacements`; empty without samples. Layers of one block are judged once. */
  readonly judged: readonly Judged[];
  /** How far each of them is from the dense layer with every expert picked; without samples too, on random inputs. */
  readonly identities: readonly Identity[];
  /** The controls of each layer, in the order of `replacements`, where they are wanted. */
  readonly controls: Readonly<Record<Control, readonly Replacement[]>> | undefined;
}

/** Converts layers in the order of the model. */
export async function convert(options: ConvertOptions): Promise<Converted> {
  const { graph, checkpoint, layers, settings, samples, compute, controls = false, progress } = options;
  const tied = settings.untie ? layers.map((layer, block) => ({ ...layer, block })) : layers;
  const shares = settings.varying?.kind === 'budget' ? await dealt(options, tied, settings.varying.share) : undefined;
  const judged: Judged[] = [];
  const identities: Identity[] = [];
  const besides = new Map<number, Readonly<Record<Control, Conversion>>>();
  const decided = async (feedForward: FeedForward, seen: Seen, alone: Alone): Promise<Conversion> => {
    const layer = await layerOf(graph, feedForward, seen.inputs, checkpoint, compute);
    const fitted = fittedOn(layer, seen);
    const own = { ...settings, picks: shares?.get(feedForward.block) ?? settings.picks };
    const conversion = await decide(fitted, own, compute);
    const { path } = feedForward;
    if (samples.length > 0) judged.push(await judge(graph, layer, conversion, seen, alone, compute));
    identities.push(judged.at(-1) ?? { path, identity: await identityOn(seen.last, conversion, alone, compute) });
    if (controls) besides.set(feedForward.block, await controlsOf(fitted, conversion, own, compute));
    return conversion;
  };
  const run = { graph, feedForwards: tied, samples, compute, inOrder: settings.inOrder, ...(progress ? { progress: parts(progress, shares ? 1 : 0, shares ? 2 : 1) } : {}) };
  const conversions = samples.length > 0 ? await calibrate(run, decided) : await withoutSamples(options, tied, decided);
  const replacements = layers.map((feedForward) => ({ feedForward, conversion: conversions.find(({ path }) => path === feedForward.path) as Conversion }));
  const beside = (name: Control): readonly Replacement[] =>
    layers.map((feedForward, i) => ({ feedForward, conversion: { ...(besides.get(tied[i]?.block ?? 0)?.[name] as Conversion), path: feedForward.path } }));
  return {
    replacements,
    judged,
    identities,
    controls: controls ? { random: beside('random'), static: beside('static'), oracle: beside('oracle'), contiguous: beside('contiguous') } : undefined,
  };
}

/** The most that a layer with every expert may differ from the dense layer, on the same input: in f32, and in f16, where the dense layer may round each value on the way by 2^-11 of it. */
const identical = { f32: 1e-5, f16: 1e-2 };

/** The layers that are not the dense ones again with every expert. */
export function brokenIdentity(identities: readonly Identity[], layers: readonly FeedForward[]): readonly Diagnostic[] {
  return identities.flatMap(({ path, identity }) => {
    const halves = layers.some(({ path: own, x }) => own === path && x.type?.dtype === 'f16');
    const limit = halves ? identical.f16 : identical.f32;
    return identity <= limit ? [] : [diagnose('identity-broken', { path, error: identity.toExponential(1), limit: String(limit) })];
  });
}

/** The layer with what may be fitted to alone. */
export function fittedOn(layer: Layer, { fitted }: Pick<Seen, 'fitted'>): Layer {
  return { ...layer, inputs: layer.inputs.slice(0, fitted), hidden: layer.hidden.slice(0, fitted) };
}

/** The picks of each block under one budget, by what they lose on the dense model's own inputs, with routers fitted to the usual number. */
async function dealt(
  { graph, checkpoint, settings, samples, compute, progress }: ConvertOptions,
  layers: readonly FeedForward[],
  share: number,
): Promise<ReadonlyMap<number, number>> {
  const curves = new Map<number, ErrorCurve>();
  const run = { graph, feedForwards: layers, samples, compute, inOrder: false, ...(progress ? { progress: parts(progress, 0, 2) } : {}) };
  await calibrate(run, async (feedForward, seen) => {
    const decided = await decideAll(fittedOn(await layerOf(graph, feedForward, seen.inputs, checkpoint, compute), seen), settings, compute);
    const places = layers.filter(({ block }) => block === feedForward.block).length;
    curves.set(feedForward.block, await errorCurve(decided, places, compute));
    return decided.conversion;
  });
  const picks = allocate([...curves.values()], share);
  return new Map([...curves.keys()].map((block, i) => [block, picks[i] as number]));
}

/** Progress of one part of several. */
const parts =
  (progress: NonNullable<ConvertOptions['progress']>, part: number, of: number): NonNullable<ConvertOptions['progress']> =>
  (done, total) =>
    progress(part * total + done, of * total);

/** Each block once, by its weights alone. */
async function withoutSamples(
  { graph, compute, progress }: ConvertOptions,
  layers: readonly FeedForward[],
  decided: Parameters<typeof calibrate>[1],
): Promise<readonly Conversion[]> {
  const blocks = new Map<number, Conversion>();
  for (const [i, layer] of layers.entries()) {
    if (!blocks.has(layer.block)) {
      const { alone, graphs } = aloneOf(graph, layer);
      blocks.set(layer.block, await decided(layer, { inputs: [], fitted: 0, last: randomInput(layer) }, alone));
      for (const one of graphs()) await compute.release(one);
    }
    progress?.(i + 1, layers.length);
  }
  return layers.map(({ block, path }) => ({ ...(blocks.get(block) as Conversion), path }));
}

/** Normal numbers in the shape of a feed-forward's input, of some tokens where their number is open. */
function randomInput({ x, width }: FeedForward): Numbers {
  const sizes = x.type?.dims.slice(0, -1).map((size) => constant(size)) ?? [undefined];
  const dims = [...sizes.map((size, axis) => size ?? (axis === sizes.length - 1 ? someTokens : 1)), width];
  const data = Float32Array.from(randomNumbers(x.name, 0, 1, 0, count(dims)));
  return { dtype: x.type?.dtype ?? 'f32', dims, data };
}

/** What identity is looked at on where there is no text. */
const someTokens = 64;
