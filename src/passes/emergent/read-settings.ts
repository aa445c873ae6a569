/** The settings of `emergent`: their names, kinds, ranges and defaults. A new word is one line in a table here. */

import { diagnose } from '../../diagnostics/diagnostic.ts';
import { didYouMean } from '../../diagnostics/suggest.ts';
import { bool, oneOf, plain, portion, positive, type Read, type Reader, type Reading, report, type SettingFault, text, whole, word } from '../setting-values.ts';
import type { EmergentSettings, Group, RepairKind, Score, Varying, Written } from './settings.ts';

/** A grouping with what its brackets may set for the whole conversion. */
interface WrittenGroup {
  readonly group: Group;
  readonly seed?: number;
  readonly shared?: number;
}

const kmeansOfKeys: Group & { readonly kind: 'balanced_kmeans' } = { kind: 'balanced_kmeans', of: 'keys', restarts: 1 };
const fittedFromInput: Score & { readonly kind: 'fitted' } = { kind: 'fitted', features: 0, penalty: 1e-2 };
const decisiveFromInput: Score & { readonly kind: 'decisive' } = { kind: 'decisive', features: 0, penalty: 1e-2 };

const kmeans = { of: oneOf({ keys: plain('keys'), activations: plain('activations') }), seed: whole(0), restarts: whole(1) };

const groups = oneOf<WrittenGroup>({
  balanced_kmeans: word(kmeans, [], ({ seed, ...given }) => ({ group: { ...kmeansOfKeys, ...given }, ...(seed === undefined ? {} : { seed }) })),
  coactivation: plain({ group: { kind: 'coactivation' } }),
  carved: word({ shared: whole(0) }, [], ({ shared }) => ({ group: { kind: 'carved' }, ...(shared === undefined ? {} : { shared }) })),
  contiguous: plain({ group: { kind: 'contiguous' } }),
  random: plain({ group: { kind: 'random' } }),
  stored: word({ file: text }, ['file'], ({ file }) => ({ group: { kind: 'stored', file } })),
});

const scores = oneOf<Score>({
  mean_key: plain({ kind: 'mean_key' }),
  representative: plain({ kind: 'representative' }),
  fitted: word({ features: whole(0), penalty: positive }, [], (given) => ({ ...fittedFromInput, ...given })),
  decisive: word({ features: whole(0), penalty: positive }, [], (given) => ({ ...decisiveFromInput, ...given })),
  oracle: plain({ kind: 'oracle' }),
  random: plain({ kind: 'random' }),
});

const repairs = oneOf<RepairKind>({
  none: plain({ kind: 'none' }),
  means: plain({ kind: 'means' }),
  dropped_means: plain({ kind: 'dropped_means' }),
  low_rank: word({ rank: whole(1) }, ['rank'], ({ rank }) => ({ kind: 'low_rank', rank })),
});

/** How many experts are picked, as it is written. */
type Picking =
  | { readonly kind: 'top'; readonly k: number }
  | { readonly kind: 'budget'; readonly share: number }
  | { readonly kind: 'threshold'; readonly share: number; readonly most?: number };

const pickings = oneOf<Picking>({
  top: word({ k: whole(1) }, ['k'], ({ k }) => ({ kind: 'top', k })),
  budget: word({ share: portion }, ['share'], ({ share }) => ({ kind: 'budget', share })),
  threshold: word({ share: portion, most: whole(1) }, ['share'], (given) => ({ kind: 'threshold', ...given })),
});

const table = {
  experts: whole(2),
  shared: whole(0),
  group: groups,
  score: scores,
  pick: pickings,
  weigh: oneOf({ one: plain('one') }),
  repair: repairs,
  seed: whole(0),
  text,
  tokens: whole(1),
  pad: bool,
  untie: bool,
  in_order: bool,
};

/** The names of the settings. */
const emergentNames: readonly string[] = Object.keys(table);

/** Every word of the settings: no name of a file may hide one. */
export const emergentWords: ReadonlySet<string> = new Set(Object.values<Reader<unknown>>(table).flatMap(({ words }) => words ?? []));

/**
 * Checks what was written against the table and fills in what was not. Where the grouping comes from a file, all else may be left
 * out: `experts` and `picks` are then 0, and as the file has them.
 */
export function readSettings(written: Readonly<Record<string, Written>>): { readonly settings: EmergentSettings } | { readonly faults: readonly SettingFault[] } {
  const faults: SettingFault[] = [];
  const given: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(written)) {
    const at: Reading = { place: [name], faults };
    const reader: Reader<unknown> | undefined = isSetting(name) ? table[name] : undefined;
    if (reader) given[name] = reader.read(value, at);
    else report(at, diagnose('setting-unknown', { name }, { fixes: didYouMean(name, emergentNames), notes: [`emergent has ${emergentNames.join(', ')}`] }), true);
  }
  if (faults.length === 0) checkTogether(given as Read<typeof table>, faults);
  return faults.length > 0 ? { faults } : { settings: filled(given as Read<typeof table>) };
}

const isSetting = (name: string): name is keyof typeof table => Object.hasOwn(table, name);

/** What must hold between settings. */
function checkTogether({ experts, pick, group, shared, seed, score, repair }: Read<typeof table>, faults: SettingFault[]): void {
  if (shared !== undefined && group?.shared !== undefined) report({ place: ['group', 'shared'], faults }, diagnose('setting-twice', { name: 'shared' }), true);
  if (seed !== undefined && group?.seed !== undefined) report({ place: ['group', 'seed'], faults }, diagnose('setting-twice', { name: 'seed' }), true);
  if (repair?.kind === 'dropped_means' && score && !knownBefore(score))
    report({ place: ['score'], faults }, diagnose('setting-invalid', { name: 'score', expected: `one of ${scoresKnown} with \`repair = dropped_means\``, found: score.kind }));
  const stored = group?.group.kind === 'stored';
  const missing = (name: string, example: string): void => report({ place: [], faults }, diagnose('setting-missing', { name }, { fixes: [{ text: `add \`${example}\`` }] }));
  if (experts === undefined && !stored) missing('experts', 'experts = 16');
  if (pick === undefined && !stored) missing('pick', 'pick = top(k)');
  if (stored && pick && pick.kind !== 'top')
    report({ place: ['pick'], faults }, diagnose('setting-invalid', { name: 'pick', expected: '`top(k)` where experts come from a file', found: pick.kind }));
  if (stored) {
    for (const [name, given] of Object.entries({ shared, score, repair }))
      if (given !== undefined) report({ place: [name], faults }, diagnose('setting-of-file', { name }, { fixes: [{ text: `leave \`${name}\` out` }] }), true);
  }
  if (experts === undefined) return;
  const always = shared ?? group?.shared ?? 0;
  const notes = always > 0 ? [`${always} of the ${experts} experts are shared and always run`] : [];
  const place = shared === undefined ? ['group', 'shared'] : ['shared'];
  if (always >= experts) report({ place, faults }, diagnose('setting-out-of-range', { setting: '`shared`', range: `below the number of experts, ${experts}`, found: always }));
  else if (pick) checkPicking(pick, { experts, always, score, notes }, faults);
}

/** Whether scores are products with the input, so that what they pick is known before the model runs. */
const knownBefore = ({ kind }: Score): boolean => kind === 'decisive' || kind === 'fitted' || kind === 'mean_key';

const scoresKnown = '`decisive`, `fitted`, `mean_key`';

interface Beside {
  readonly experts: number;
  readonly always: number;
  readonly score: Score | undefined;
  readonly notes: readonly string[];
}

function checkPicking(pick: Picking, { experts, always, score, notes }: Beside, faults: SettingFault[]): void {
  const routed = experts - always;
  const [argument, picked] = pick.kind === 'top' ? ['k', pick.k] : ['most', pick.kind === 'threshold' ? (pick.most ?? 1) : 1];
  if (picked > routed) report({ place: ['pick', argument], faults }, diagnose('picks-out-of-range', { picked, experts: routed }, { notes }));
  if (pick.kind === 'top') return;
  const least = (always + 1) / experts;
  if (pick.share * experts < always + 1 - rounding)
    report(
      { place: ['pick', 'share'], faults },
      diagnose('setting-out-of-range', { setting: '`share`', range: `at least ${least}, one of ${routed} routed experts`, found: pick.share }, { notes }),
    );
  if (pick.kind === 'threshold' && pick.most !== undefined && pick.most < pick.share * experts - always - rounding)
    report(
      { place: ['pick', 'most'], faults },
      diagnose(
        'setting-out-of-range',
        { setting: '`most`', range: `at least ${pick.share * experts - always}, the experts that a token picks in the mean`, found: pick.most },
        { notes },
      ),
    );
  if (score && !knownBefore(score))
    report({ place: ['score'], faults }, diagnose('setting-invalid', { name: 'score', expected: `one of ${scoresKnown} with \`pick = ${pick.kind}(…)\``, found: score.kind }));
}

/** What a share times a number may miss a whole number by. */
const rounding = 1e-9;

function filled({ experts = 0, shared, pick, group, score, repair, seed, text: file, tokens, pad, untie, in_order }: Read<typeof table>): EmergentSettings {
  const calibrated = file !== undefined;
  const always = shared ?? group?.shared ?? 0;
  return {
    experts,
    shared: always,
    ...picksOf(pick, experts, always),
    group: group?.group ?? (calibrated ? { kind: 'coactivation' } : kmeansOfKeys),
    score: score ?? (calibrated ? decisiveFromInput : { kind: 'mean_key' }),
    repair: repair ?? usualRepair(calibrated, score),
    seed: seed ?? group?.seed ?? 0,
    pad: pad ?? false,
    untie: untie ?? false,
    inOrder: in_order ?? calibrated,
    tokens: tokens ?? 16_384,
    ...(file === undefined ? {} : { text: file }),
  };
}

function usualRepair(calibrated: boolean, score: Score | undefined): RepairKind {
  if (!calibrated) return { kind: 'none' };
  return { kind: score && !knownBefore(score) ? 'means' : 'dropped_means' };
}

/** A token takes at most so many times the mean where nobody says how many. */
const usualMost = 1.5;

/** The usual number of picks of a layer, and what varies in it. */
function picksOf(pick: Picking | undefined, experts: number, shared: number): { readonly picks: number; readonly varying?: Varying } {
  if (!pick) return { picks: 0 };
  if (pick.kind === 'top') return { picks: pick.k };
  const { share } = pick;
  const mean = share * experts - shared;
  const picks = Math.max(1, Math.floor(mean + rounding));
  if (pick.kind === 'budget') return { picks, varying: { kind: 'budget', share } };
  return { picks, varying: { kind: 'threshold', share, most: pick.most ?? Math.min(experts - shared, Math.ceil(usualMost * mean)) } };
}
