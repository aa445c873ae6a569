/** What a conversion to experts came to, as data: the table, the speeds and every layer. `moec emerge --json` prints it, and the page is drawn from it. */

import { percent, picksFigure, times } from '../diagnostics/figures.ts';
import type { Judged } from '../passes/emergent/judge.ts';
import type { Active, Line } from '../run/bargain.ts';
import { median, type Round } from '../run/bench.ts';
import type { Estimate } from '../targets/mixture/forecast.ts';

/** How fast the dense model and the converted one were, each in a process of its own, in turn. */
export interface SpeedReport {
  /** Tokens that were read, and then written. */
  readonly context: number;
  readonly steps: number;
  readonly threads: number;
  /** Whether what was read is text that was not calibrated on, and not tokens that say nothing. */
  readonly onText: boolean;
  readonly dense: readonly Round[];
  readonly converted: readonly Round[];
}

/** Tokens a second, and how often the converted model's figure is the dense one's. */
export interface Gain {
  readonly dense: number;
  readonly converted: number;
  /** The median of the quotients round by round. */
  readonly quotient: number;
  /** Of the ideal speed-up, how much was reached. */
  readonly share: number;
}

/** A feed-forward as experts. */
export interface Picked {
  readonly path: string;
  /** Routed experts, and neurons of each. */
  readonly experts: number;
  readonly size: number;
  /** Of these, the most that a token picks, and how many in the mean. */
  readonly picks: number;
  readonly mean: number;
  /** Neurons that always run. */
  readonly shared: number;
}

/** What a conversion came to. */
export interface Report {
  readonly model: string;
  /** What the model is called where it is described. */
  readonly family: string;
  readonly version: string;
  /** What was asked for, by name. */
  readonly settings: Readonly<Record<string, string>>;
  /** What was measured of the lines; absent where nothing was. */
  readonly metric?: { readonly kind: 'perplexity' | 'accuracy'; readonly on: string };
  readonly lines: readonly Line[];
  /** Parameters of products that a token meets: in the feed-forwards that were converted, and in the whole model. */
  readonly feedForwards: Active;
  readonly whole: Active;
  readonly speed?: SpeedReport;
  /** What the converted feed-forwards were expected to take, by the target's cost model. */
  readonly expected: readonly Estimate[];
  /** As in `Judged`, of the layer that has most; on random inputs where `layers` is empty. */
  readonly identity: number;
  readonly layers: readonly Judged[];
  /** Each feed-forward that was converted. */
  readonly picks: readonly Picked[];
}

/** The speed-up that is left when nothing counts but the parameters that a token meets. */
export const ideal = ({ active, total }: Active): number => total / active;

/** The gain in reading a prompt, or in writing; undefined where it was not measured. */
export function gainOf({ speed, whole }: Pick<Report, 'speed' | 'whole'>, what: 'prefill' | 'decode'): Gain | undefined {
  if (!speed) return undefined;
  const figures = (rounds: readonly Round[]): readonly number[] => rounds.flatMap(({ speeds: [first] }) => first?.[what] ?? []);
  const [dense, converted] = [figures(speed.dense), figures(speed.converted)];
  if (dense.length === 0 || converted.length !== dense.length) return undefined;
  const quotient = median(converted.map((one, i) => one / (dense[i] ?? Number.NaN)));
  return { dense: median(dense), converted: median(converted), quotient, share: quotient / ideal(whole) };
}

/** Rounds of one model that differ by more than this are no measurement. */
const steady = 1.25;

/** What is to be said where rounds differ much: something else kept the machine busy. */
export function unsteady({ speed }: Pick<Report, 'speed'>): string | undefined {
  const figures = [speed?.dense ?? [], speed?.converted ?? []].flatMap((rounds) =>
    (['prefill', 'decode'] as const).map((what) => rounds.flatMap(({ speeds: [first] }) => first?.[what] ?? [])),
  );
  const most = Math.max(...figures.map((each) => (each.length > 1 ? Math.max(...each) / Math.min(...each) : 1)));
  return most > steady ? `rounds differ by up to ${times(most)}: the machine had other work, and speeds say little` : undefined;
}

/** How a line's metric stands to the dense model's. */
export function ofDense({ lines }: Pick<Report, 'lines'>, { value }: Line): number {
  return value / (lines.find(({ name }) => name === 'dense')?.value ?? Number.NaN);
}

/** What every expert together are. */
export const identityWords = ({ identity, layers }: Pick<Report, 'identity' | 'layers'>): string =>
  `with every expert picked each layer is the dense one again, to ${identity.toExponential(1)} of its largest value${layers.length === 0 ? ', on random inputs' : ''}`;

/** The heads of a table of layers. */
export const layerHeads = ['layer', 'picks', 'all experts', 'output error', 'mass caught', 'at best', 'busiest expert'] as const;

/** A layer's row of that table. */
export function layerFigures({ path, picked, identity, error, captured, best, load }: Judged): readonly string[] {
  return [path, `${picksFigure(picked)} of ${load.length}`, identity.toExponential(1), ...[error, captured, best, Math.max(...load)].map((share) => percent(share))];
}

/** The report with what follows from it, for `--json`. */
export function reportJson(report: Report): Readonly<Record<string, unknown>> {
  const gains = Object.fromEntries((['prefill', 'decode'] as const).flatMap((what) => [[what, gainOf(report, what)] as const].filter(([, gain]) => gain)));
  const { feedForwards, whole, lines, speed, ...rest } = report;
  return {
    ...rest,
    lines: lines.map((line) => ({ ...line, ofDense: ofDense(report, line) })),
    parameters: { feedForwards: { ...feedForwards, ideal: ideal(feedForwards) }, whole: { ...whole, ideal: ideal(whole) } },
    ...(speed ? { speed: { ...speed, ...gains } } : {}),
  };
}
