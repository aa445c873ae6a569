/** Carries out what was done to a derived model: its feed-forwards become experts, as a file has them or as settings ask. */

import { dirname, resolve } from 'node:path';
import { type Diagnostic, diagnose, type Outcome } from '../diagnostics/diagnostic.ts';
import type { Derivation, DerivationTarget } from '../model/index.ts';
import { type Conversion, withPicks } from '../passes/emergent/conversion.ts';
import { conversionFault } from '../passes/emergent/conversion-faults.ts';
import { type Replacement, replaceFeedForwards } from '../passes/emergent/replace.ts';
import type { EmergentSettings } from '../passes/emergent/settings.ts';
import { type FeedForward, findFeedForwards } from '../passes/feed-forwards.ts';
import type { Checkpoint } from '../weights/checkpoint.ts';
import { digestOf, readArtefact, type StoredConversion } from './artefact.ts';
import { brokenIdentity, chooseLayers, convert, objections, splitBlock } from './convert.ts';
import type { Found } from './find-model.ts';
import { withCompute } from './graph-compute.ts';
import { readSamples } from './samples.ts';

/** How derivations are carried out. */
export interface DeriveOptions {
  /** Files are named relative to this folder where a source has none. */
  readonly cwd: string;
  readonly threads?: number;
  readonly progress?: (done: number, total: number) => void;
}

/** The model with its derivations carried out; itself where it has none. */
export async function deriveModel(found: Found, options: DeriveOptions): Promise<Outcome<Found>> {
  const { derivations } = found.model;
  if (derivations.length === 0) return { ok: true, value: found, diagnostics: [] };
  const all = findFeedForwards(found.model.graph);
  const replacements: Replacement[] = [];
  const diagnostics: Diagnostic[] = [];
  for (const derivation of derivations) {
    for (const targets of alike(derivation)) {
      const layers = chooseLayers(all, { kind: 'paths', paths: targets.map(({ path }) => path) }, found.model.name);
      if (!layers.ok) return marked(layers, derivation);
      const settings = targets[0]?.settings as EmergentSettings;
      const asked: Asked = { all: all.found, layers: layers.value, settings, derivation };
      const made = settings.group.kind === 'stored' ? stored(found, asked, settings.group.file, options) : await computed(found, asked, options);
      if (!made.ok) return marked(made, derivation);
      replacements.push(...made.value);
      diagnostics.push(...made.diagnostics);
    }
  }
  return { ok: true, value: { ...found, model: { ...found.model, graph: replaceFeedForwards(found.model.graph, replacements), derivations: [] } }, diagnostics };
}

/** The targets in lists of the same settings: each list is calibrated at once. */
function alike({ targets }: Derivation): readonly (readonly DerivationTarget[])[] {
  const lists = new Map<string, DerivationTarget[]>();
  for (const one of targets) {
    const key = JSON.stringify(one.settings);
    lists.set(key, [...(lists.get(key) ?? []), one]);
  }
  return [...lists.values()];
}

/** The diagnostics with the derivation marked, where they mark nothing. */
function marked(outcome: Outcome<unknown>, { span }: Derivation): Outcome<never> {
  return { ok: false, diagnostics: outcome.diagnostics.map((one) => (one.at ? one : { ...one, at: { span, text: '' } })) };
}

const fileOf = (name: string, { span }: Derivation, { cwd }: DeriveOptions): string => resolve(cwd, dirname(span.file), name);

/** The conversions of a file, for the weights they were made for. */
function stored(found: Found, { all, layers, settings, derivation }: Asked, name: string, options: DeriveOptions): Outcome<readonly Replacement[]> {
  const read = readArtefact(fileOf(name, derivation, options), name);
  if (!read.ok) return read;
  const diagnostics: Diagnostic[] = settings.untie ? [] : [...splitBlock(all, layers)];
  const replacements = layers.flatMap((feedForward): readonly Replacement[] => {
    const { path } = feedForward;
    const one = read.value.find(({ conversion }) => conversion.path === path);
    const unfit = objection(feedForward, one, name, found.checkpoint);
    if (unfit) diagnostics.push(unfit);
    return one && !unfit ? [{ feedForward, conversion: settings.picks > 0 ? withPicks(one.conversion, settings.picks) : one.conversion }] : [];
  });
  const other = settings.experts > 0 ? replacements.find(({ conversion }) => expertsIn(conversion) !== settings.experts)?.conversion : undefined;
  if (other) diagnostics.push(diagnose('artefact-has-other-experts', { file: name, path: other.path, experts: expertsIn(other), asked: settings.experts }));
  const few = replacements.find(({ conversion }) => conversion.picks > conversion.experts)?.conversion;
  if (few) diagnostics.push(diagnose('picks-out-of-range', { picked: few.picks, experts: few.experts }));
  return diagnostics.length > 0 ? { ok: false, diagnostics } : { ok: true, value: replacements, diagnostics: [] };
}

/** Experts of a conversion, shared ones counted. */
const expertsIn = ({ experts, shared, size }: Conversion): number => experts + shared.length / size;

/** What keeps a stored conversion from standing for a feed-forward. */
function objection(feedForward: FeedForward, stored: StoredConversion | undefined, file: string, checkpoint: Checkpoint | undefined): Diagnostic | undefined {
  const { path } = feedForward;
  if (!stored) return diagnose('artefact-lacks-layer', { file, path });
  if (stored.digest !== digestOf(feedForward, checkpoint)) return diagnose('artefact-for-other-weights', { file, path });
  const reason = conversionFault(feedForward, stored.conversion);
  return reason === undefined ? undefined : diagnose('artefact-damaged', { file, reason });
}

/** What is converted with one choice of settings. */
interface Asked {
  readonly all: readonly FeedForward[];
  readonly layers: readonly FeedForward[];
  readonly settings: EmergentSettings;
  readonly derivation: Derivation;
}

async function computed(found: Found, { all, layers, settings, derivation }: Asked, options: DeriveOptions): Promise<Outcome<readonly Replacement[]>> {
  const diagnostics = objections(all, layers, settings, settings.text !== undefined);
  if (diagnostics.length > 0) return { ok: false, diagnostics };
  const samples = settings.text === undefined ? undefined : readSamples(found, { name: settings.text, file: fileOf(settings.text, derivation, options) }, settings.tokens);
  if (samples && !samples.ok) return samples;
  return withCompute<readonly Replacement[]>(found, options.threads === undefined ? {} : { threads: options.threads }, samples?.value ?? [], async (compute) => {
    const { replacements, identities } = await convert({
      graph: found.model.graph,
      checkpoint: found.checkpoint,
      layers,
      settings,
      samples: samples?.value ?? [],
      compute,
      ...(options.progress ? { progress: options.progress } : {}),
    });
    const broken = brokenIdentity(identities, layers);
    return broken.length > 0 ? { ok: false, diagnostics: broken } : { ok: true, value: replacements, diagnostics: [] };
  });
}
