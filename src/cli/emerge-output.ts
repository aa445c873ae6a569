/** What `moec emerge` says: the candidates of a dry run, and the bargain after a conversion. */

import type { Diagnostic } from '../diagnostics/diagnostic.ts';
import type { EmergentSettings } from '../passes/emergent/settings.ts';
import type { FeedForward, FoundFeedForwards } from '../passes/feed-forwards.ts';
import type { Active } from '../run/bargain.ts';
import type { Emerged } from '../run/emerge.ts';
import type { EmergeCall } from './emerge.ts';
import { printDiagnostics, printJson, table } from './print.ts';
import { bytes } from './progress.ts';
import type { Terminal } from './terminal.ts';

/** Lists the feed-forwards, those that would be converted, and what was not taken. */
export async function sayCandidates(terminal: Terminal, all: FoundFeedForwards, layers: readonly FeedForward[], { json }: EmergeCall): Promise<void> {
  const { describeFeedForwards } = await import('../passes/describe-feed-forwards.ts');
  if (json)
    printJson(terminal, {
      found: all.found.map(({ path, label, kind, width, neurons, block }) => ({ path, label, kind, width, neurons, block, converted: layers.some((one) => one.path === path) })),
      missed: all.missed.map(({ name, why }) => ({ name, why })),
    });
  else terminal.out(`${describeFeedForwards(all).join('\n')}\n${layers.length} would be converted\n`);
}

/** What was made of a model. */
export interface Bargain {
  readonly emerged: Emerged;
  readonly settings: EmergentSettings;
  readonly call: EmergeCall;
  readonly out: string;
  readonly files: readonly { readonly name: string; readonly bytes: number }[];
  readonly diagnostics: readonly Diagnostic[];
}

/** Prints the bargain, as a table or as data. */
export async function sayBargain(terminal: Terminal, bargain: Bargain): Promise<void> {
  const { emerged, call, out, files, diagnostics } = bargain;
  const { activeParameters } = await import('../run/bargain.ts');
  const counted = activeParameters(emerged.replacements);
  const { active, total } = counted;
  if (call.json) {
    const { judged, lines, replacements } = emerged;
    printDiagnostics(terminal, diagnostics, {
      json: true,
      more: {
        out,
        files,
        active,
        total,
        ideal: total / active,
        layers: judged,
        lines,
        picks: replacements.map(({ conversion: { path, experts, size, picks, shared } }) => ({ path, experts, size, picks, shared: shared.length })),
      },
    });
    return;
  }
  terminal.out(`${out}\n${table(files.map(({ name, bytes: size }) => [`  ${name}`, bytes(size)]))}\n${linesOf(bargain, counted)}${layersOf(bargain)}`);
}

/** The metric of the dense model, the conversion and the controls. */
function linesOf({ emerged: { lines } }: Bargain, { active, total }: Active): string {
  const [dense] = lines;
  const share = `feed-forwards run ${Math.round((100 * active) / total)} % of their parameters for a token: ${(total / active).toFixed(2)} × at best\n\n`;
  if (!dense) return share;
  const rows = lines.map(({ name, value }) => [name, value.toFixed(value < 100 ? 3 : 1), `${(value / dense.value).toFixed(3)} ×`]);
  return `${table([['', 'perplexity', 'of dense'], ...rows])}\n${share}`;
}

function layersOf({ emerged: { judged } }: Bargain): string {
  if (judged.length === 0) return '';
  const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
  const rows = judged.map(({ path, picked, identity, error, captured, best, load }) => [
    path,
    `${Number(picked.toFixed(1))} of ${load.length}`,
    identity.toExponential(1),
    percent(error),
    percent(captured),
    percent(best),
    percent(Math.max(...load)),
  ]);
  return table([['layer', 'picks', 'all experts', 'output error', 'mass caught', 'at best', 'busiest expert'], ...rows]);
}
