/** `moec explain FILE`: what a model costs, layer by layer and in all. */

import { diagnose } from '../diagnostics/diagnostic.ts';
import type { Graph } from '../graph/graph.ts';
import type { Account, Costs } from '../inspect/account.ts';
import type { Choice, Wish } from '../targets/mixture/choose.ts';
import { type ExitCode, exit, Refusal } from './exit.ts';
import { type FindingOptions, findOrRefuse, loweringOf, nameOfTarget, recognise } from './finding.ts';
import { type OutputOptions, printDiagnostics, printJson, printNext, quoted, table } from './print.ts';
import { bytes } from './progress.ts';
import { checkpointOf } from './target.ts';
import type { Terminal } from './terminal.ts';

/** Which model, for what, and how its mixtures are wished for. */
export interface ExplainOptions extends FindingOptions, OutputOptions {
  readonly target: string;
  readonly lowering?: Wish;
}

/** Prints parameters, operations and cache of the model at `path`. */
export async function explainModel(terminal: Terminal, path: string, options: ExplainOptions): Promise<ExitCode> {
  const target = checkpointOf(recognise(terminal, path));
  if (target.kind === 'compiled') throw new Refusal(diagnose('target-unknown', { path, reason: 'it is compiled: explain its source' }));
  const { found, reader, diagnostics } = await findOrRefuse(terminal, target, options);
  try {
    const { account } = await import('../inspect/account.ts');
    const { name, doc, params, graph } = found.model;
    const costs = account(graph);
    const mixtures = await mixturesOf(graph, found.checkpoint !== undefined, options);
    if (options.json) {
      printJson(terminal, { model: name, params: Object.fromEntries(params.map((one) => [one.name, one.value])), ...costs, ...(mixtures.length > 0 ? { mixtures } : {}) });
      return exit.done;
    }
    printDiagnostics(terminal, diagnostics, { sources: reader.sources });
    terminal.out(`${name}${doc === undefined ? '' : `: ${doc.split('\n')[0]}`}\n${costsTable(name, costs)}${mixtures.length > 0 ? `\n${mixturesTable(mixtures)}` : ''}`);
    printNext(terminal, `moec compile ${quoted(path)} -o ${quoted(`out/${nameOfTarget(target)}`)}`);
    return exit.done;
  } finally {
    found.checkpoint?.close();
  }
}

/** How the mixtures of a graph are lowered as it is run. */
async function mixturesOf(graph: Graph, checkpoint: boolean, { lowering, target }: ExplainOptions): Promise<readonly Choice[]> {
  if (!graph.nodes.some(({ op }) => op.name === 'mixture')) return [];
  const { formFor, lowerModel } = await import('../targets/pipeline.ts');
  const chosen = await loweringOf(target);
  const lowered = await lowerModel(graph, { target: chosen, form: formFor(graph, chosen), storage: checkpoint ? 'checkpoint' : 'written', ...(lowering ? { lowering } : {}) });
  if (!lowered.ok) throw new Refusal(...lowered.diagnostics);
  return lowered.value.mixtures;
}

/** One row for mixtures that are alike but for the layer they stand in. */
function mixturesTable(mixtures: readonly Choice[]): string {
  const alike = new Map<string, { path: string; count: number; one: Choice }>();
  for (const one of mixtures) {
    const path = one.path.replace(/\.\d+(?=\.)/g, '.*');
    const key = JSON.stringify([path, { ...one, path: '' }]);
    const known = alike.get(key);
    alike.set(key, { path: known ? path : one.path, count: (known?.count ?? 0) + 1, one });
  }
  const rows = [...alike.values()].flatMap(({ path, count, one }) => [
    [`${path}${count > 1 ? ` (${count})` : ''}`, `${one.picks ?? '?'} of ${one.experts}`, wordsOf(one), '', '', one.reason],
    ...one.estimates.map((each) => ['', '', `  ${each.lowering}`, timeOf(each.one), timeOf(each.many), '']),
    ...one.refused.map((each) => ['', '', `  ${each.lowering}`, 'no', 'no', each.reason]),
  ]);
  return table([['mixture', 'experts', 'lowering', 'one token', 'many tokens', 'why'], ...rows]);
}

/** An estimate in milliseconds, as far as it can be trusted. */
function timeOf(estimate: number | undefined): string {
  if (estimate === undefined) return '';
  const rounded = Number(estimate.toPrecision(2));
  return rounded < 1_000 ? `${rounded} ms` : `${rounded / 1_000} s`;
}

const wordsOf = ({ few, many, upTo }: Choice): string => (few === many ? many : `${few} up to ${upTo} tokens, ${many} beyond`);

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
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Number(count.toPrecision(3))) / 3));
  const value = count / 1_000 ** power;
  return `${power === 0 ? Math.round(value) : value.toPrecision(3)}${units[power]}`;
}
