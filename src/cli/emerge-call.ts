/** What a call of `moec emerge` says, and the settings of the conversion that it means. */

import { type Diagnostic, diagnose } from '../diagnostics/diagnostic.ts';
import type { EmergentSettings } from '../passes/emergent/settings.ts';
import type { Chosen } from '../run/convert.ts';
import type { Found } from '../run/find-model.ts';
import type { SamplingOptions } from './emerge-samples.ts';
import type { SpeedLevel } from './emerge-speed.ts';
import type { Grid } from './emerge-sweep.ts';
import { Refusal } from './exit.ts';
import type { FindingOptions } from './finding.ts';
import type { OutputOptions, Sources } from './print.ts';
import type { Target } from './target.ts';

/** What the call says. */
export interface EmergeCall extends FindingOptions, OutputOptions, SamplingOptions {
  readonly experts: number;
  readonly top?: number;
  readonly budget?: number;
  readonly pick?: string;
  readonly shared: number;
  readonly layers?: Chosen;
  readonly group?: string;
  readonly score?: string;
  readonly repair?: string;
  readonly pad?: boolean;
  readonly untie?: boolean;
  readonly inOrder: boolean;
  readonly speed: SpeedLevel;
  readonly report?: string;
  readonly generate?: boolean;
  readonly target: string;
  readonly threads?: number;
  readonly out?: string;
  readonly sweep?: Grid;
  readonly dryRun?: boolean;
}

/** A model that was found, and what is to become of it. */
export interface Emerging {
  /** The model, as it was written. */
  readonly path: string;
  readonly target: Exclude<Target, { kind: 'compiled' }>;
  readonly found: Found;
  readonly call: EmergeCall;
  /** What is said of the model. */
  readonly diagnostics: readonly Diagnostic[];
  readonly sources: Sources;
  /** Absolute paths of the files that it is made of. */
  readonly read: readonly string[];
}

/** The settings as a directive of the language would have them. */
export async function settingsOf({
  experts,
  shared,
  top,
  budget,
  pick,
  group,
  score,
  repair,
  calibrate,
  tokens,
  seed = 0,
  pad,
  untie,
  inOrder,
}: EmergeCall): Promise<EmergentSettings> {
  const { emergentSettingsOf } = await import('../model/index.ts');
  const texts = {
    experts: String(experts),
    ...(shared > 0 ? { shared: String(shared) } : {}),
    pick: pick ?? (budget === undefined ? `top(${top ?? Math.max(1, Math.floor((experts - shared) / 2))})` : `budget(${budget})`),
    seed: String(seed),
    tokens: String(tokens),
    pad: String(pad ?? false),
    untie: String(untie ?? false),
    ...(group === undefined ? {} : { group }),
    ...(score === undefined ? {} : { score }),
    ...(repair === undefined ? {} : { repair }),
    ...(inOrder ? {} : { in_order: 'false' }),
    ...(calibrate === undefined ? {} : { text: JSON.stringify(calibrate) }),
  };
  const picking = pick === undefined ? (budget === undefined ? '--top' : '--budget') : '--pick';
  const read = emergentSettingsOf(texts, (name) => (name === 'pick' ? picking : `--${name}`));
  if (!read.ok) throw new Refusal(...read.diagnostics).from((file) => texts[(file === picking ? 'pick' : file.replace(/^--/, '')) as keyof typeof texts]);
  if (read.value.group.kind === 'stored')
    throw new Refusal(
      diagnose(
        'setting-invalid',
        { name: '--group', expected: 'a way to group neurons', found: group ?? '' },
        { fixes: [{ text: 'to take experts from a file, name it in a directive: `emergent … { group = from "…" }`, and `moec compile` that' }] },
      ),
    );
  return read.value;
}
