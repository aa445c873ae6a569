/** `moec explain FILE`: what a model costs, layer by layer and in all. */

import { diagnose } from '../diagnostics/diagnostic.ts';
import type { Account, Costs } from '../inspect/account.ts';
import { type ExitCode, exit, Refusal } from './exit.ts';
import { type FindingOptions, findOrRefuse, nameOfTarget, recognise } from './finding.ts';
import { type OutputOptions, printDiagnostics, printJson, printNext, quoted, table } from './print.ts';
import { bytes } from './progress.ts';
import { checkpointOf } from './target.ts';
import type { Terminal } from './terminal.ts';

/** Prints parameters, operations and cache of the model at `path`. */
export async function explainModel(terminal: Terminal, path: string, options: FindingOptions & OutputOptions): Promise<ExitCode> {
  const target = checkpointOf(recognise(terminal, path));
  if (target.kind === 'compiled') throw new Refusal(diagnose('target-unknown', { path, reason: 'it is compiled: explain its source' }));
  const { found, reader, diagnostics } = await findOrRefuse(terminal, target, options);
  try {
    const { account } = await import('../inspect/account.ts');
    const { name, doc, params, graph } = found.model;
    const costs = account(graph);
    if (options.json) {
      printJson(terminal, { model: name, params: Object.fromEntries(params.map((one) => [one.name, one.value])), ...costs });
      return exit.done;
    }
    printDiagnostics(terminal, diagnostics, { sources: reader.sources });
    terminal.out(`${name}${doc === undefined ? '' : `: ${doc.split('\n')[0]}`}\n${costsTable(name, costs)}`);
    printNext(terminal, `moec compile ${quoted(path)} -o ${quoted(`out/${nameOfTarget(target)}`)}`);
    return exit.done;
  } finally {
    found.checkpoint?.close();
  }
}

function costsTable(model: string, { layers, total }: Account): string {
  const head = ['layer', 'parameters', 'stored', 'FLOPs/token', '… per token of context', 'KV bytes/token'];
  const row = (path: string, costs: Costs): readonly string[] => [
    path,
    short(costs.parameters),
    bytes(costs.bytes),
    short(costs.flops),
    short(costs.flopsPerContext),
    costs.cacheBytes > 0 ? bytes(costs.cacheBytes) : '',
  ];
  return table([head, ...layers.map(({ path, costs }) => row(path === '' ? `${model} itself` : path, costs)), row('in all', total)]);
}

/** Counts for people, in powers of 1000: `1.24 M`. */
function short(count: number): string {
  if (count === 0) return '';
  const units = ['', ' k', ' M', ' G', ' T'] as const;
  const power = Math.min(units.length - 1, Math.floor(Math.log10(count) / 3));
  const value = count / 1_000 ** power;
  return `${power === 0 ? Math.round(value) : value.toPrecision(3)}${units[power]}`;
}
