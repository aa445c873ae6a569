/** `moec emerge` without its words: a model, settings and text in; the converted model, what was decided, and the bargain out. */

import type { Outcome } from '../diagnostics/diagnostic.ts';
import type { Sample } from '../passes/emergent/calibrate.ts';
import type { Judged } from '../passes/emergent/judge.ts';
import { type Replacement, replaceFeedForwards } from '../passes/emergent/replace.ts';
import type { EmergentSettings } from '../passes/emergent/settings.ts';
import { type FeedForward, type FoundFeedForwards, findFeedForwards } from '../passes/feed-forwards.ts';
import { digestOf, type StoredConversion } from './artefact.ts';
import { type Line, type Metric, measureLines, variants } from './bargain.ts';
import { brokenIdentity, type Chosen, chooseLayers, convert, type Identity, objections } from './convert.ts';
import type { Found } from './find-model.ts';
import { withCompute } from './graph-compute.ts';
import type { Measured } from './measured.ts';

/** What is to be done. */
export interface EmergeOptions {
  readonly settings: EmergentSettings;
  readonly chosen: Chosen;
  readonly samples: readonly Sample[] | undefined;
  /** What is measured of the dense model, the conversion and its controls; nothing where left out. */
  readonly metric?: Metric;
  /** What was measured before. */
  readonly measured?: Measured;
  readonly threads?: number;
  readonly version: string;
  readonly signal?: AbortSignal;
  /** Told what is converted, once nothing stands against it and before it takes time. */
  readonly begin?: (layers: readonly FeedForward[]) => void;
  /** Told of each of the two long parts. */
  readonly progress?: (part: 'converting' | 'measuring', done: number, total: number) => void;
}

/** What came of it. */
export interface Emerged {
  /** The model with experts. */
  readonly found: Found;
  readonly replacements: readonly Replacement[];
  readonly stored: readonly StoredConversion[];
  /** Layer by layer, on the last of the calibration inputs, which nothing was fitted to where there are several; empty without any. */
  readonly judged: readonly Judged[];
  /** How far layers are from the dense ones with every expert picked; on random inputs without calibration inputs. */
  readonly identities: readonly Identity[];
  /** The table; empty without a metric. */
  readonly lines: readonly Line[];
}

/** The feed-forwards of a model, and those that are meant. */
export interface Planned {
  readonly all: FoundFeedForwards;
  readonly layers: readonly FeedForward[];
}

/** What a call means in a model, whatever stands against it. */
export function layersOf(found: Found, chosen: Chosen): Outcome<Planned> {
  const all = findFeedForwards(found.model.graph);
  const layers = chooseLayers(all, chosen, found.imported ? found.source : found.model.name);
  return layers.ok ? { ok: true, value: { all, layers: layers.value }, diagnostics: [] } : layers;
}

/** What would be converted, or why it cannot be. */
export function planEmerge(found: Found, { chosen, settings, samples }: Pick<EmergeOptions, 'chosen' | 'settings' | 'samples'>): Outcome<Planned> {
  const planned = layersOf(found, chosen);
  if (!planned.ok) return planned;
  const diagnostics = objections(planned.value.all.found, planned.value.layers, settings, samples !== undefined);
  return diagnostics.length > 0 ? { ok: false, diagnostics } : planned;
}

/** Converts a model (one of ONNX is raised before, by `raisedModel`) and measures the conversion. A layer that is not the dense one again with every expert is an error. */
export async function emerge(found: Found, options: EmergeOptions): Promise<Outcome<Emerged>> {
  const { settings, samples, metric, measured, threads, version, signal, progress } = options;
  const planned = planEmerge(found, options);
  if (!planned.ok) return planned;
  const { layers } = planned.value;
  options.begin?.(layers);
  const { graph } = found.model;
  const session = threads === undefined ? {} : { threads };
  return withCompute(found, session, samples ?? [], async (compute) => {
    const converted = await convert({
      graph,
      checkpoint: found.checkpoint,
      layers,
      settings,
      samples: samples ?? [],
      compute,
      controls: metric !== undefined && samples !== undefined,
      progress: (done, total) => {
        signal?.throwIfAborted();
        progress?.('converting', done, total);
      },
    });
    const { replacements, judged, identities } = converted;
    const broken = brokenIdentity(identities, layers);
    if (broken.length > 0) return { ok: false, diagnostics: broken };
    const graphs = metric ? variants(graph, replacements, converted.controls) : [];
    const watched = { ...session, version, ...(measured ? { measured } : {}), ...(signal ? { signal } : {}) };
    const lines = metric && (await measureLines(found, graphs, metric, { ...watched, progress: (done, total) => progress?.('measuring', done, total) }));
    if (lines && !lines.ok) return lines;
    const stored = replacements.map(({ feedForward, conversion }) => ({ conversion, digest: digestOf(feedForward, found.checkpoint) }));
    const model = { ...found.model, graph: replaceFeedForwards(graph, replacements) };
    return { ok: true, value: { found: { ...found, model }, replacements, stored, judged, identities, lines: lines?.value ?? [] }, diagnostics: [] };
  });
}
