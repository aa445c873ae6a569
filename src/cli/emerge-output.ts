/** What `moec emerge` says: the candidates of a dry run, and the bargain after a conversion. */

import type { Diagnostic } from '../diagnostics/diagnostic.ts';
import { metricFigure, percent, rate, roundWords, threadWords, times } from '../diagnostics/figures.ts';
import type { Report, SpeedReport } from '../inspect/report.ts';
import type { EmergentSettings } from '../passes/emergent/settings.ts';
import type { FeedForward, FoundFeedForwards } from '../passes/feed-forwards.ts';
import type { Active, Metric } from '../run/bargain.ts';
import type { Emerged } from '../run/emerge.ts';
import type { Found } from '../run/find-model.ts';
import type { Estimate } from '../targets/mixture/forecast.ts';
import { version } from './package.ts';
import { printDiagnostics, type Sources, table } from './print.ts';
import { bytes } from './progress.ts';
import type { Terminal } from './terminal.ts';

/** Feed-forwards that were found, and those that would be converted. */
export interface Candidates {
  readonly all: FoundFeedForwards;
  readonly layers: readonly FeedForward[];
}

/** Lists the feed-forwards, those that would be converted, and what was not taken. */
export async function sayCandidates(terminal: Terminal, { all, layers }: Candidates, said: Said): Promise<void> {
  const { describeFeedForwards } = await import('../passes/describe-feed-forwards.ts');
  const more = {
    found: all.found.map(({ path, label, kind, width, neurons, block }) => ({ path, label, kind, width, neurons, block, converted: layers.some((one) => one.path === path) })),
    missed: all.missed.map(({ name, why }) => ({ name, why })),
  };
  printDiagnostics(terminal, said.diagnostics, { json: said.json, sources: said.sources, more });
  if (!said.json) terminal.out(`${describeFeedForwards(all).join('\n')}\n${layers.length} would be converted\n`);
}

/** What was made of a model, and what was measured of it. */
export interface Made {
  /** What the model is called. */
  readonly name: string;
  readonly found: Found;
  readonly emerged: Emerged;
  readonly settings: EmergentSettings;
  readonly metric?: Metric;
  readonly speed?: SpeedReport;
  readonly expected: readonly Estimate[];
}

/** The report of a conversion. */
export async function reportOf({ name, found, emerged, settings, metric, speed, expected }: Made): Promise<Report> {
  const { account } = await import('../inspect/account.ts');
  const { activeParameters } = await import('../run/bargain.ts');
  const { meanPicks } = await import('../passes/emergent/conversion.ts');
  const { judged, identities, lines, replacements } = emerged;
  const feedForwards = activeParameters(replacements);
  // Two operations for each parameter of a product.
  const total = account(found.model.graph).total.flops / 2;
  return {
    model: name,
    family: found.model.name,
    version: version(),
    settings: wordsOf(settings),
    ...(metric ? { metric: { kind: metric.kind, on: metric.on } } : {}),
    lines,
    feedForwards,
    whole: { active: total - feedForwards.total + feedForwards.active, total },
    ...(speed ? { speed } : {}),
    expected,
    identity: Math.max(...identities.map(({ identity }) => identity)),
    layers: judged,
    picks: replacements.map(({ conversion }) => {
      const { path, experts, size, picks, shared } = conversion;
      return { path, experts, size, picks, mean: meanPicks(conversion), shared: shared.length };
    }),
  };
}

/** Settings as they are written in a directive. */
function wordsOf({ group, score, repair, experts, picks, varying, shared, seed, inOrder }: EmergentSettings): Readonly<Record<string, string>> {
  const word = ({ kind, ...args }: { readonly kind: string }): string => {
    const given = Object.entries(args).map(([name, value]) => `${name}: ${String(value)}`);
    return given.length === 0 ? kind : `${kind}(${given.join(', ')})`;
  };
  return {
    experts: String(experts),
    pick: varying ? word(varying) : `top(${picks})`,
    ...(shared > 0 ? { shared: String(shared) } : {}),
    group: word(group),
    score: word(score),
    repair: word(repair),
    seed: String(seed),
    ...(inOrder ? {} : { in_order: 'false' }),
  };
}

/** What is said of the model beside, and in which form all of it is printed. */
export interface Said {
  readonly json: boolean;
  readonly diagnostics: readonly Diagnostic[];
  readonly sources: Sources;
}

/** What is printed after a conversion. */
export interface Bargain extends Said {
  readonly report: Report;
  readonly out: string;
  readonly files: readonly { readonly name: string; readonly bytes: number }[];
}

/** Prints the bargain, as a table or as data. */
export async function sayBargain(terminal: Terminal, { report, json, out, files, diagnostics, sources }: Bargain): Promise<void> {
  const inspect = await import('../inspect/report.ts');
  if (json) printDiagnostics(terminal, diagnostics, { json, sources, more: { out, files, ...inspect.reportJson(report) } });
  else
    terminal.out(
      `${out}\n${table(files.map(({ name, bytes: size }) => [`  ${name}`, bytes(size)]))}\n${linesOf(report, inspect)}${sharesOf(report, inspect)}${layersOf(report, inspect)}`,
    );
}

type Inspect = typeof import('../inspect/report.ts');

/** The metric and the speeds of the dense model and of the conversion, the metric of the controls. */
function linesOf(report: Report, { gainOf, ofDense, unsteady }: Inspect): string {
  const { metric, lines, speed } = report;
  const gains = (['prefill', 'decode'] as const).flatMap((what) => [gainOf(report, what)].flatMap((gain) => (gain ? [{ what, gain }] : [])));
  if (lines.length === 0 && gains.length === 0) return '';
  const rows = (lines.length > 0 ? lines : [{ name: 'dense' }, { name: 'asked' }]).map((line) => {
    const speeds = gains.flatMap(({ gain }) => {
      if (line.name === 'dense') return [rate(gain.dense), times(1)];
      return line.name === 'asked' ? [rate(gain.converted), times(gain.quotient)] : [];
    });
    if (!('value' in line)) return [line.name, ...speeds];
    return [line.name, `${metricFigure(line.value, metric?.kind)}${line.cached ? ' *' : ''}`, times(ofDense(report, line), 3), ...speeds];
  });
  const head = ['', ...(lines.length > 0 ? [metric?.kind ?? '', 'of dense'] : []), ...gains.flatMap(({ what }) => [what === 'prefill' ? `read ${speed?.context}` : 'write', ''])];
  const notes = [
    ...(metric ? [`${metric.kind} on ${metric.on}`] : []),
    ...(lines.some(({ name }) => name === 'oracle') ? ['random, static and oracle pick among the same experts, and nothing stands in for those they drop'] : []),
    ...(lines.some(({ cached }) => cached) ? ['* measured by an earlier call'] : []),
    ...(speed ? [`tokens a second: ${roundWords(speed.dense.length)}, ${threadWords(speed.threads)}${speed.onText ? ', on that text' : ''}`] : []),
    ...[unsteady(report)].flatMap((note) => note ?? []),
  ];
  return `${table([head, ...rows])}${notes.join('\n')}\n`;
}

/** What a token meets, the most that gains, and how much of it is there. */
function sharesOf(report: Report, { gainOf, ideal, identityWords }: Inspect): string {
  const { feedForwards, whole } = report;
  const share = ({ active, total }: Active): string => percent(active / total, 0);
  const reached = (['prefill', 'decode'] as const).flatMap((what) => {
    const gain = gainOf(report, what);
    return gain ? [`${what === 'prefill' ? 'reading' : 'writing'} reaches ${percent(gain.share, 0)} of it`] : [];
  });
  const parts = [`a token meets ${share(feedForwards)} of the parameters of feed-forwards, ${share(whole)} of all: ${times(ideal(whole))} at best`, ...reached];
  return `${parts.join('; ')}\n${identityWords(report)}\n\n`;
}

/** How each layer does. */
function layersOf({ layers }: Report, { layerFigures, layerHeads }: Inspect): string {
  return layers.length === 0 ? '' : table([layerHeads, ...layers.map(layerFigures)]);
}
