/** `moec bench`: how fast models load, read and write, and how near they come to what their products alone would take. */

import { InvalidArgumentError } from 'commander';
import { type Diagnostic, diagnose } from '../diagnostics/diagnostic.ts';
import { percent, rate, roundWords, threadWords } from '../diagnostics/figures.ts';
import type { BareProducts } from '../passes/bare-products.ts';
import type { BenchJob, Contender, Figures, ProductRun } from '../run/bench.ts';
import type { Executable } from '../run/executable.ts';
import { type Contest, contenderOf, runRounds } from './bench-process.ts';
import { type Cli, mostTokens, whole } from './command.ts';
import { type ExitCode, exit, must, Refusal } from './exit.ts';
import { addFindingOptions, recognise, refuseIdle, seedOption } from './finding.ts';
import { addOpeningOptions, type Ready, type ReadyOptions, readyOrRefuse, refuseIdlePicks } from './opening.ts';
import { printDiagnostics, printNext, quoted, table } from './print.ts';
import type { Terminal } from './terminal.ts';

interface BenchOptions extends ReadyOptions {
  readonly contexts?: readonly number[];
  readonly steps: number;
  readonly rounds: number;
  readonly threads: number;
  readonly bound: boolean;
  readonly cache: boolean;
}

const details = `
Each model runs in a process of its own, in turn with the others, as many rounds as asked for, and
the median of the rounds is given. A process loads the model, then for each context reads that many
tokens and writes --steps more, after a warm-up and again where that was quick, the least time
counting; a model that does not continue texts only reads. Quotients are taken round by round.
The bound is the same weights through bare products: for each token, every matrix that it meets
once, an expert's where it is picked, and nothing else; the share of it is what a model reaches.`;

/** Adds the command. */
export function bench(cli: Cli): void {
  const examples = [
    'moec bench ./SmolLM2-135M',
    'moec bench out/emergent out/dense --contexts 64,512',
    'moec bench models/tiny.moe models/tiny.moe --rounds 9',
    'moec bench out/tiny --json',
  ];
  const command = cli
    .command('bench', 'say how fast a model loads, reads and writes', examples)
    .argument('<x>', 'a .moe file, a checkpoint folder, a file of ONNX or a compiled folder')
    .argument('[y]', 'the model to compare it with');
  addFindingOptions(command)
    .option('--contexts <N,…>', 'tokens to read before writing (default: 128,512, or what the model looks at)', lengths)
    .option('--steps <N>', 'tokens to write at each', whole(1, mostTokens), 32)
    .option('--rounds <N>', 'processes for each model', whole(1), 5)
    .option('--no-bound', 'leave the bound out')
    .option('--no-cache', 'run the model as it is, without a cache of keys and values');
  addOpeningOptions(command, 2)
    .addOption(seedOption())
    .option('--json', 'print every round as JSON')
    .addHelpText('after', details)
    .action(cli.action((x: string, y: string | undefined, options: BenchOptions) => act(cli.terminal, [x, ...(y === undefined ? [] : [y])], options)));
}

function lengths(written: string): readonly number[] {
  const found = written.split(',').map((one) => (/^\d+$/.test(one.trim()) ? Number(one) : 0));
  if (found.some((one) => one < 1 || one > mostTokens)) throw new InvalidArgumentError(`It is a list of whole numbers up to ${mostTokens}, such as 64,512.`);
  return found;
}

/** A model, or the bound of one. */
interface Entry extends Contest {
  /** The index of the model whose bound this is. */
  readonly boundOf?: number;
}

async function act(terminal: Terminal, paths: readonly string[], options: BenchOptions): Promise<ExitCode> {
  refuseIdle(
    paths.map((path) => recognise(terminal, path)),
    options,
  );
  const { temporaryFolder } = await import('../run/temporary.ts');
  const folder = temporaryFolder();
  const releases: (() => void)[] = [];
  try {
    const models: { readonly path: string; readonly ready: Ready }[] = [];
    for (const path of paths) {
      const ready = await readyOrRefuse(terminal, path, { ...options, activeOfSome: paths.length > 1 }, options.cache ? undefined : 'whole');
      releases.push(ready.release);
      models.push({ path, ready });
    }
    refuseIdlePicks(
      models.map(({ ready }) => ready),
      options,
    );
    const contexts = await contextsOf(
      models.map(({ ready }) => ready.executable),
      options,
    );
    const notes: Diagnostic[] = [...models.flatMap(({ ready }) => ready.diagnostics), ...formsDiffer(models)];
    const entries: Entry[] = models.map(({ path, ready }, i) => ({
      name: path,
      job: modelJob(contenderOf(ready.executable, folder.path, `model-${i}`), contexts, options),
      rounds: [],
    }));
    for (const [i, { path, ready }] of options.bound ? models.entries() : []) {
      if (paths.indexOf(path) < i) continue;
      const bound = await boundJob(ready, contexts, options, { folder: folder.path, name: `bound-${i}`, keep: (release) => releases.push(release) });
      if ('code' in bound) notes.push(bound);
      else entries.push({ name: models.length > 1 ? `bound of ${path}` : 'bound', job: bound, boundOf: i, rounds: [] });
    }
    await runRounds(terminal, entries, { ...options, folder: folder.path });
    return await say(terminal, paths, entries, notes, options);
  } finally {
    for (const release of releases) release();
    folder.remove();
  }
}

/** Says so where one model writes in a loop of its graph and the other does not. */
function formsDiffer(models: readonly { readonly path: string; readonly ready: Ready }[]): readonly Diagnostic[] {
  const named = (form: Executable['form']): string | undefined => models.find(({ ready }) => ready.executable.form === form)?.path;
  const [stepped, looped] = [named('step'), named('loop')];
  return stepped !== undefined && looped !== undefined ? [diagnose('forms-differ', { stepped, looped })] : [];
}

const usualContexts = [128, 512];

/** The contexts that are asked for, or the usual ones that all models can look at. */
async function contextsOf(executables: readonly Executable[], { contexts, steps }: BenchOptions): Promise<readonly number[]> {
  const { contextFault } = await import('../run/bench.ts');
  const fault = executables.map((one) => contextFault(one, contexts ?? [], steps)).find((one) => one !== undefined);
  if (fault) throw new Refusal(fault);
  if (contexts) return [...new Set(contexts)];
  const most = Math.min(...executables.map(({ context }) => context ?? Number.POSITIVE_INFINITY)) - steps - 1;
  const fitting = usualContexts.filter((one) => one <= most);
  if (fitting.length === 0 && most < 1)
    throw new Refusal(diagnose('option-out-of-range', { option: '--steps', range: `${Math.max(0, most + steps - 1)} at most for this context`, found: steps }));
  return fitting.length > 0 ? fitting : [most];
}

function modelJob(model: Contender, contexts: readonly number[], { ep: provider, threads, steps }: BenchOptions): BenchJob {
  return { kind: 'model', model, provider, threads, contexts, steps };
}

/** Where graphs of products go, and who gives back what they took. */
interface Place {
  readonly folder: string;
  readonly name: string;
  keep(release: () => void): void;
}

/** The bound of a model as a job: a graph of products for each number of tokens, graphs that are alike once. */
async function boundJob(
  { products: find, executable }: Ready,
  contexts: readonly number[],
  { ep: provider, threads, steps, active }: BenchOptions,
  place: Place,
): Promise<BenchJob | Diagnostic> {
  const again = must(await find());
  const { bareProducts, hiddenProducts } = await import('../passes/bare-products.ts');
  const { continues } = await import('../run/bench.ts');
  const { setPicks } = await import('../passes/set-picks.ts');
  const graph = active === undefined ? again.graph : setPicks(again.graph, active, () => {});
  const hidden = hiddenProducts(graph);
  if (hidden) return diagnose('no-bound', { reason: `a node ${hidden.op.foreign?.type ?? hidden.op.name} has products of its own` });
  const writes = continues(executable);
  const graphs = new Map<string, { readonly made: BareProducts; readonly runs: ProductRun[] }>();
  for (const tokens of new Set([...(writes ? [1] : []), ...contexts])) {
    const made = bareProducts(graph, tokens, { last: writes });
    if (!made) return diagnose('no-bound', { reason: 'it multiplies by no weight' });
    const same = graphs.get(made.key) ?? { made, runs: [] };
    same.runs.push({ tokens, operands: made.operands });
    graphs.set(made.key, same);
  }
  const ready: { readonly model: Contender; readonly runs: readonly ProductRun[] }[] = [];
  for (const [i, { made, runs }] of [...graphs.values()].entries()) {
    const products = must(await again.prepare(made.graph));
    place.keep(() => products.dispose?.());
    ready.push({ model: contenderOf(products, place.folder, `${place.name}-${i}`), runs });
  }
  return { kind: 'products', graphs: ready, provider, threads, contexts, steps };
}

/** The figures that any has, those of the one with the most first: a model that only reads lacks some, and no model reads other contexts than the rest. */
function columnsOf(all: readonly Figures[]): readonly string[] {
  return all.map((one) => Object.keys(one)).reduce((most, one) => (one.length > most.length ? one : most), []);
}

/** Shares of the bound; loading has none. */
function sharesOf({ load: _, ...shares }: Figures): Figures {
  return shares;
}

async function say(terminal: Terminal, paths: readonly string[], entries: readonly Entry[], notes: readonly Diagnostic[], options: BenchOptions): Promise<ExitCode> {
  const { middleOf, quotientsOf } = await import('../run/bench.ts');
  const [first, second] = entries;
  const pair = paths.length > 1 && first && second ? quotientsOf(first.rounds, second.rounds) : undefined;
  const models = paths.map((path, i) => {
    const rounds = entries[i]?.rounds ?? [];
    const bound = entries.find(({ boundOf }) => boundOf === paths.indexOf(path))?.rounds;
    return { path, rounds, ...(bound ? { bound, shares: sharesOf(quotientsOf(rounds, bound)) } : {}) };
  });
  if (options.json) {
    const data = models.map(({ path, rounds, bound, shares }) => ({
      name: path,
      medians: middleOf(rounds),
      ...(bound ? { bound: middleOf(bound), shares } : {}),
      rounds,
    }));
    const { threads, rounds, steps } = options;
    printDiagnostics(terminal, notes, { json: true, more: { threads, rounds, steps, models: data, ...(pair ? { quotients: pair } : {}) } });
    return exit.done;
  }
  printDiagnostics(terminal, notes);
  const medians = entries.map(({ name, rounds }) => ({ name, figures: middleOf(rounds) }));
  const columns = columnsOf(medians.map(({ figures }) => figures));
  const row = (name: string, figures: Figures, word: (one: number, column: string) => string): readonly string[] => [
    name,
    ...columns.map((column) => (figures[column] === undefined ? '' : word(figures[column], column))),
  ];
  const rows = [
    ['tokens a second', ...columns.map((column) => (column === 'load' ? 'load s' : column))],
    ...medians.map(({ name, figures }) => row(name, figures, (one, column) => (column === 'load' ? one.toFixed(2) : rate(one)))),
    ...models.flatMap(({ path, shares }) => (shares ? [row(paths.length > 1 ? `${path}, share of its bound` : 'share of the bound', shares, (one) => percent(one, 0))] : [])),
    ...(pair ? [row(`${paths[0]} / ${paths[1]}`, pair, (one) => one.toFixed(2))] : []),
  ];
  terminal.out(`${table(rows)}${roundWords(options.rounds)}, ${threadWords(options.threads)}\n`);
  printNext(terminal, paths.length > 1 ? `moec verify ${paths.map(quoted).join(' ')}` : `moec explain ${quoted(paths[0] ?? '')}`, options);
  return exit.done;
}
