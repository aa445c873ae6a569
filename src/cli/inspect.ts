/** `moec inspect`: what the weights of experts say about them. */

import { InvalidArgumentError } from 'commander';
import { diagnose } from '../diagnostics/diagnostic.ts';
import type { MatrixReport, MixtureReport } from '../inspect/experts.ts';
import type { Cli } from './command.ts';
import { type ExitCode, exit, Refusal } from './exit.ts';
import { addFindingOptions, type FindingOptions, findOrRefuse, recognise } from './finding.ts';
import { type OutputOptions, printDiagnostics, printJson, printNext, quoted, table } from './print.ts';
import { progress } from './progress.ts';
import { checkpointOf } from './target.ts';
import type { Terminal } from './terminal.ts';

interface InspectOptions extends FindingOptions, OutputOptions {
  readonly which?: readonly number[];
  readonly neurons?: boolean;
}

/** Adds the command. */
export function inspect(cli: Cli): void {
  const examples = ['moec inspect ./OLMoE-1B-7B --which 0,8,15', 'moec inspect ./Mixtral-8x7B --no-neurons', 'moec inspect models/olmoe.moe --weights ./checkpoint --json'];
  addFindingOptions(cli.command('inspect', 'say how alike the experts of a model are', examples).argument('<target>', 'a checkpoint folder or a .moe file'))
    .option('--which <N,…>', 'only these mixtures, counted from 0', numbers)
    .option('--neurons', 'match neurons between experts whatever it takes (default: where it takes seconds)')
    .option('--no-neurons', 'never match neurons')
    .option('--json', 'print every pair of experts as JSON')
    .action(cli.action((path: string, options: InspectOptions) => act(cli.terminal, path, options)));
}

function numbers(written: string): readonly number[] {
  const found = written.split(',').map((one) => (/^\d+$/.test(one.trim()) ? Number(one) : -1));
  if (found.some((one) => one < 0)) throw new InvalidArgumentError('It is a list of whole numbers, such as 0,8,15.');
  return found;
}

async function act(terminal: Terminal, path: string, options: InspectOptions): Promise<ExitCode> {
  const target = checkpointOf(recognise(terminal, path));
  if (target.kind === 'compiled') throw new Refusal(diagnose('target-unknown', { path, reason: 'it is compiled: inspect its checkpoint' }));
  const { found, reader, diagnostics } = await findOrRefuse(terminal, target, options);
  try {
    const { inspectExperts } = await import('../inspect/experts.ts');
    const { mixturesOf } = await import('../inspect/expert-matrices.ts');
    const { graph, name } = found.model;
    const all = mixturesOf(graph).length;
    const missing = options.which?.find((one) => one >= all);
    if (all === 0) throw new Refusal(diagnose('no-experts', { name }));
    if (missing !== undefined) throw new Refusal(diagnose('option-out-of-range', { option: '--which', range: `0 to ${all - 1}`, found: missing }));
    const { neurons, which } = options;
    const settings = { ...(neurons === undefined ? {} : { neurons }), ...(which ? { which } : {}) };
    const bar = progress(terminal, 'comparing experts', options);
    const reports: MixtureReport[] = [];
    const wanted = options.which?.length ?? all;
    try {
      for (const report of inspectExperts(graph, found.checkpoint, settings)) {
        reports.push(report);
        bar.at(reports.length, wanted);
        await new Promise(setImmediate);
        terminal.signal.throwIfAborted();
      }
    } finally {
      bar.end();
    }
    if (options.json) {
      printJson(terminal, { model: name, mixtures: reports });
      return exit.done;
    }
    printDiagnostics(terminal, diagnostics, { sources: reader.sources });
    terminal.out(await reportTable(name, reports));
    printNext(terminal, `moec explain ${quoted(path)}`);
    return exit.done;
  } finally {
    found.checkpoint?.close();
  }
}

/** A line for each matrix of each mixture, means over pairs of experts; the last lines are means over mixtures. */
async function reportTable(model: string, reports: readonly MixtureReport[]): Promise<string> {
  const { lower, mean } = await import('../inspect/experts.ts');
  const figures = ({ whole, averaged, reordered, gateCorrelation }: MatrixReport): readonly (number | undefined)[] => [
    mean(lower(whole)),
    mean(lower(averaged)),
    reordered && mean(lower(reordered.similarity)),
    reordered && mean(lower(reordered.tau)),
    gateCorrelation === undefined ? undefined : gateCorrelation ** 2,
  ];
  const head = ['mixture', 'experts', 'matrix', 'whole', 'mean neuron', 'neurons matched', 'Kendall τ', 'gate R²'];
  const shown = (one: number | undefined): string => (one === undefined ? '' : one.toFixed(4));
  const rows = reports.flatMap(({ path, experts, matrices }) => matrices.map((one) => [path, String(experts), `${one.name} (${one.role})`, ...figures(one).map(shown)]));
  const names = [...new Set(reports.flatMap(({ matrices }) => matrices.map((one) => one.name)))];
  const means = names.map((name) => {
    const all = reports.flatMap(({ matrices }) => matrices.filter((one) => one.name === name).map(figures));
    const column = (i: number): string => {
      const known = all.map((row) => row[i]).filter((one) => one !== undefined);
      return known.length === 0 ? '' : shown(mean(known));
    };
    return ['mean', '', name, ...[0, 1, 2, 3, 4].map(column)];
  });
  return `${model}: cosines between experts, means over pairs\n${table([head, ...rows, ...(reports.length > 1 ? means : [])])}`;
}
