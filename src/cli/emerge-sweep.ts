/** `moec emerge --sweep`: several conversions as one table, and the calls that make the best of them. Nothing is written. */

import { InvalidArgumentError } from 'commander';
import { diagnose } from '../diagnostics/diagnostic.ts';
import { metricFigure, percent, times, tokenWords } from '../diagnostics/figures.ts';
import type { EmergeOptions } from '../run/emerge.ts';
import type { Cell, SweepOptions, SweepRow, Swept } from '../run/sweep.ts';
import { type EmergeCall, type Emerging, settingsOf } from './emerge-call.ts';
import { sampling, usualTokens } from './emerge-samples.ts';
import { type ExitCode, exit, Refusal } from './exit.ts';
import { loweringOf } from './finding.ts';
import { version } from './package.ts';
import { printDiagnostics, quoted, table } from './print.ts';
import { progressInTurn } from './progress.ts';
import type { Terminal } from './terminal.ts';

/** Which conversions are tried: each number of experts with each share of the neurons that run. */
export interface Grid {
  readonly experts: readonly number[];
  readonly shares: readonly number[];
}

/** What is tried where the call does not say. */
export const usualGrid = '16,32:0.75,0.5,0.25';

/** Reads `16,32:0.75,0.5`; what is written twice is tried once. */
export function gridOf(written: string): Grid {
  const [experts = [], shares = [], ...others] = written.split(':').map((list) => list.split(',').map(Number));
  const fits = others.length === 0 && experts.every((one) => Number.isSafeInteger(one) && one >= 2) && shares.length > 0 && shares.every((one) => one > 0 && one <= 1);
  if (!fits) throw new InvalidArgumentError(`It is written EXPERTS:SHARES, such as ${usualGrid}.`);
  return { experts: [...new Set(experts)], shares: [...new Set(shares)] };
}

/** Rows share one run of the dense model. Which way is better differs with the model, the text, the score and the picks. */
const calibratedOn = 'calibrated on the dense model, as with --no-in-order; in order, which is the default of moec emerge, may be better or worse\n';

/** Tries the grid and prints the table. */
export async function sayGrid(terminal: Terminal, emerging: Emerging, tried: Grid): Promise<ExitCode> {
  const { path, found, call, sources } = emerging;
  const given = await sampling(terminal, found, call);
  const { metric, seen } = given;
  const diagnostics = [...emerging.diagnostics, ...(seen ? [seen] : [])];
  const swept = await sweptOrRefuse(terminal, emerging, { ...given, grid: await cellsOf(call, tried) });
  const best = bestOf(swept.rows, metric).map((row) => ({ ...row, command: commandFor(path, call, row) }));
  if (call.json) {
    const more = { ...(metric ? { metric: { kind: metric.kind, on: metric.on } } : {}), ...swept, best };
    printDiagnostics(terminal, diagnostics, { json: true, sources, more });
  } else {
    printDiagnostics(terminal, diagnostics, { sources });
    terminal.out(`${tableOf(swept, metric)}${call.calibrate === undefined ? '' : calibratedOn}\nbest at each share:\n${best.map(({ command }) => `  ${command}\n`).join('')}`);
  }
  return exit.done;
}

/** The cells of a grid: those that leave a token one routed expert at least. */
export async function cellsOf(call: EmergeCall, { experts, shares }: Grid): Promise<readonly Cell[]> {
  const few = shares.find((share) => experts.every((n) => picksFor(n, share, call.shared) < 1));
  if (few !== undefined)
    throw new Refusal(diagnose('setting-out-of-range', { setting: 'a share of --sweep', range: 'that of the shared experts and one more, or above', found: few }));
  const cells: Cell[] = [];
  for (const n of experts)
    for (const asked of shares) {
      const top = picksFor(n, asked, call.shared);
      if (top >= 1) cells.push({ asked, settings: await settingsOf({ ...call, experts: n, top }) });
    }
  return cells;
}

async function sweptOrRefuse(terminal: Terminal, { found, call, sources }: Emerging, given: Pick<SweepOptions, 'grid' | 'samples' | 'metric' | 'measured'>): Promise<Swept> {
  const { sweep } = await import('../run/sweep.ts');
  const bar = progressInTurn(terminal, call);
  const outcome = await sweep(found, {
    ...given,
    chosen: call.layers ?? { kind: 'all' },
    target: await loweringOf(call.target),
    ...(call.threads === undefined ? {} : { threads: call.threads }),
    version: version(),
    signal: terminal.signal,
    progress: bar.at,
  }).finally(bar.end);
  if (!outcome.ok) throw new Refusal(...outcome.diagnostics).from(sources);
  return outcome.value;
}

/** Routed experts that make the share, or less by a part of one. */
const picksFor = (experts: number, share: number, shared: number): number => Math.floor(share * experts + 1e-9) - shared;

function tableOf({ dense, rows }: Swept, metric: EmergeOptions['metric']): string {
  const heads = rows[0]?.estimates.map(({ tokens }) => tokenWords(tokens)) ?? [];
  const measured = (row: SweepRow): readonly string[] =>
    dense === undefined || row.value === undefined ? [] : [`${metricFigure(row.value, metric?.kind)}${row.cached ? ' *' : ''}`, times(row.value / dense, 3)];
  const notes = [...(metric && dense !== undefined ? [`${metric.kind} on ${metric.on}`] : []), ...(rows.some((row) => row.cached) ? ['* measured by an earlier call'] : [])];
  const lines = table([
    ['experts', 'picks', 'active', ...(metric && dense !== undefined ? [metric.kind, 'of dense'] : []), 'at best', ...heads],
    ...rows.map((row) => [row.experts, row.picks, percent(row.share, 0), ...measured(row), times(row.ideal), ...row.estimates.map(({ gain }) => times(gain))]),
  ]);
  return `${lines}${notes.map((note) => `${note}\n`).join('')}`;
}

/** For each share the row with the best value; where nothing was measured, the fastest for one token. */
function bestOf(rows: readonly SweepRow[], metric: EmergeOptions['metric']): readonly SweepRow[] {
  const score = ({ value, estimates: [one] }: SweepRow): number => (value === undefined ? -(one?.gain ?? 0) : metric?.kind === 'accuracy' ? -value : value);
  return [...new Set(rows.map(({ asked }) => asked))].flatMap((share) => rows.filter(({ asked }) => asked === share).sort((a, b) => score(a) - score(b))[0] ?? []);
}

/** The call that makes a row, which was calibrated on the dense model. */
function commandFor(path: string, call: EmergeCall, { experts, picks }: SweepRow): string {
  const { weights, model, layers, group, score, repair, calibrate, heldOut, maskToken } = call;
  const values = {
    weights,
    model,
    target: call.target === 'ort' ? undefined : call.target,
    seed: call.seed || undefined,
    shared: call.shared || undefined,
    layers: !layers || layers.kind === 'all' ? undefined : layers.kind === 'range' ? `${layers.from}..${layers.to}` : layers.paths.join(','),
    group,
    score,
    repair,
    calibrate,
    tokens: call.tokens === usualTokens ? undefined : call.tokens,
    'held-out': heldOut,
    'mask-token': maskToken,
  };
  const given = Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}`, quoted(String(value))]));
  const set = Object.entries(call.set ?? {}).flatMap(([name, value]) => ['--set', quoted(`${name}=${value}`)]);
  const flags = [...(call.pad ? ['--pad'] : []), ...(call.untie ? ['--untie'] : []), ...(call.inOrder && call.calibrate === undefined ? [] : ['--no-in-order'])];
  return ['moec emerge', quoted(path), '--experts', experts, '--top', picks, ...set, ...given, ...flags].join(' ');
}
