/** What `run`, `eval`, `verify` and `bench` share: a path becomes a model that is ready to open, and then a session. */

import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { type Diagnostic, diagnose, type Outcome } from '../diagnostics/diagnostic.ts';
import type { Graph } from '../graph/graph.ts';
import type { Executable, Provider } from '../run/executable.ts';
import type { Found } from '../run/find-model.ts';
import type { PrepareOptions } from '../run/prepare.ts';
import type { Session } from '../run/session.ts';
import type { Wish } from '../targets/mixture/choose.ts';
import type { Form } from '../targets/pipeline.ts';
import { whole } from './command.ts';
import { Refusal } from './exit.ts';
import { dumper, type FindingOptions, findOrRefuse, loweringOf, loweringOption, recognise, targetOption } from './finding.ts';
import { version } from './package.ts';
import { type OutputOptions, printDiagnostics, quoted } from './print.ts';
import { progress, waiting } from './progress.ts';
import type { Terminal } from './terminal.ts';

/** How a model is made ready. */
export interface ReadyOptions extends FindingOptions, OutputOptions {
  readonly target: string;
  readonly ep: Provider;
  readonly active?: number;
  readonly lowering?: Wish;
  readonly stats?: boolean;
  readonly dumpAfter?: string;
  /** Set where `active` is of those of several models that have experts. */
  readonly activeOfSome?: boolean;
}

/** Adds the options of `ReadyOptions` that all four commands have, and the threads of a session: `threads` of them where the call does not say. */
export function addOpeningOptions(command: Command, threads?: number): Command {
  return command
    .option('--active <K>', 'how many experts a token picks, in place of what the model says', whole(0))
    .addOption(new Option('--ep <PROVIDER>', 'what computes').choices(['cpu', 'webgpu', 'cuda']).default('cpu'))
    .option('--threads <N>', 'threads to compute with', whole(1), threads)
    .addOption(targetOption())
    .addOption(loweringOption());
}

/** A graph, and how a changed one is made ready the same way. */
export interface Again {
  readonly graph: Graph;
  prepare(graph: Graph): Promise<Outcome<Executable>>;
}

/** A model that is ready to open. */
export interface Ready {
  readonly executable: Executable;
  /** Whether it has mixtures of experts. */
  readonly mixtures: boolean;
  /** What is still to be said: with `--json`, all of it. */
  readonly diagnostics: readonly Diagnostic[];
  /** What one would do next. */
  readonly next: string;
  /** The folder with its tokenizer and settings. */
  readonly folder?: string;
  /** Makes it ready once more, with values of its own graph as further results; absent for what is a file of ONNX already. */
  readonly again?: Again;
  /** The graph whose products are its bound: in the language, or of ONNX. */
  products(): Promise<Outcome<Again>>;
  /** Gives back what it took. */
  release(): void;
}

/** What a path names, ready to open in `form` where it is not compiled yet. `refuse` looks at the model before anything is made of it. */
export async function readyOrRefuse(
  terminal: Terminal,
  path: string,
  options: ReadyOptions,
  form?: Form,
  refuse: (found: Found) => Diagnostic | undefined = () => undefined,
): Promise<Ready> {
  const target = recognise(terminal, path);
  const dump = await dumper(terminal, options.dumpAfter);
  if (target.kind === 'compiled') {
    const { readFolder } = await import('../run/folder.ts');
    const read = readFolder(target.folder);
    if (!read.ok) throw new Refusal(...read.diagnostics);
    const { folder } = target;
    const products = (): Promise<Outcome<Again>> => productsOfFile(join(folder, 'model.onnx'), terminal, options);
    const mixtures = Object.keys(read.value.manifest.lowerings ?? {}).length > 0;
    const executable = picking(read.value.executable, options.activeOfSome && !mixtures ? undefined : options.active);
    return { executable, mixtures, diagnostics: read.diagnostics, next: `moec client ${quoted(path)}`, folder, products, release: () => {} };
  }
  const { found, reader, diagnostics } = await findOrRefuse(terminal, target, options);
  try {
    const { prepare } = await import('../run/prepare.ts');
    const { decodes } = await import('../targets/pipeline.ts');
    const refused = refuse(found);
    if (refused) throw new Refusal(refused);
    const mixtures = found.model.graph.nodes.some(({ op }) => op.name === 'mixture');
    const { active, ...others } = await settingsOf(terminal, options);
    const settings = { ...others, ...(active === undefined || (options.activeOfSome && !mixtures) ? {} : { active }), ...(form === undefined ? {} : { form }) };
    const bar = progress(terminal, 'making weights', options);
    const ready = await prepare(found, { ...settings, progress: bar.at, ...dump.option }).finally(bar.end);
    if (!ready.ok) throw new Refusal(...ready.diagnostics).from(reader.sources);
    const { value: executable } = ready;
    const again = await againOf(found, settings);
    const said = [...diagnostics, ...ready.diagnostics, ...dump.missed()];
    printDiagnostics(terminal, options.json ? [] : said, { sources: reader.sources });
    return {
      // A graph of ONNX does not say what its attention sees.
      executable: found.imported ? executable : { ...executable, causal: decodes(found.model.graph) },
      mixtures,
      diagnostics: options.json ? said : [],
      next: `moec explain ${quoted(path)}`,
      ...(found.folder === undefined ? {} : { folder: found.folder }),
      ...(found.imported ? {} : { again }),
      products: async () => ({ ok: true, value: again, diagnostics: [] }),
      release() {
        executable.dispose?.();
        found.checkpoint?.close();
      },
    };
  } catch (error) {
    found.checkpoint?.close();
    throw error;
  }
}

/** Refuses a number of picks that is of none of several models. */
export function refuseIdlePicks(models: readonly Pick<Ready, 'mixtures'>[], { active }: Pick<ReadyOptions, 'active'>): void {
  if (active !== undefined && !models.some(({ mixtures }) => mixtures)) throw new Refusal(diagnose('no-picks-to-set', {}));
}

/** A compiled model whose usual number of picks is `active`, where that is given. */
function picking(executable: Executable, active: number | undefined): Executable {
  if (active === undefined) return executable;
  const { active: picks } = executable;
  if (!picks) throw new Refusal(diagnose('picks-not-asked', {}));
  if (active < 1 || active > picks.most) throw new Refusal(diagnose('option-out-of-range', { option: '--active', range: `1 to ${picks.most}`, found: active }));
  return { ...executable, active: { ...picks, usual: active } };
}

/** How models are made ready, but for their form. */
async function settingsOf(terminal: Terminal, options: ReadyOptions): Promise<PrepareOptions> {
  return {
    target: await loweringOf(options.ep === 'webgpu' ? options.ep : options.target),
    version: version(),
    ...(options.active === undefined ? {} : { active: options.active }),
    ...(options.lowering ? { lowering: options.lowering } : {}),
    stats: options.stats ?? false,
    signal: terminal.signal,
  };
}

/** A found model once more. A graph without mixtures has no picks to set. */
async function againOf({ imported: _, ...found }: Found, settings: PrepareOptions): Promise<Again> {
  const { prepare } = await import('../run/prepare.ts');
  const { picksOf } = await import('../passes/set-picks.ts');
  return {
    graph: found.model.graph,
    prepare: (graph) => prepare({ ...found, model: { ...found.model, graph } }, picksOf(graph) ? settings : { ...settings, active: undefined }),
  };
}

/** The graph of a compiled model. */
async function productsOfFile(file: string, terminal: Terminal, options: ReadyOptions): Promise<Outcome<Again>> {
  const { modelOfOnnx } = await import('../run/find-onnx.ts');
  const settings = await settingsOf(terminal, options);
  const found = modelOfOnnx(file, { opset: settings.target.opset });
  return found.ok ? { ...found, value: await againOf(found.value, settings) } : found;
}

/** Opens a session, hands it to `use`, and closes it whatever comes, at once when the user asks to stop. */
export async function withSession<T>(
  terminal: Terminal,
  executable: Executable,
  options: OutputOptions & { readonly ep: Provider; readonly threads?: number },
  use: (session: Session, said: readonly Diagnostic[]) => Promise<T>,
): Promise<T> {
  const { openSession } = await import('../run/session.ts');
  const { ep: provider, threads } = options;
  const opened = await attended(terminal, 'loading the model', options, openSession(executable, { provider, ...(threads === undefined ? {} : { threads }) }));
  if (!opened.ok) throw new Refusal(...opened.diagnostics);
  const session = opened.value;
  const stop = (): void => void session.close();
  terminal.signal.addEventListener('abort', stop, { once: true });
  try {
    terminal.signal.throwIfAborted();
    return await use(session, opened.diagnostics);
  } finally {
    terminal.signal.removeEventListener('abort', stop);
    await session.close();
  }
}

/** Waits for something of unknown length, and says so once it takes more than a second. */
export function attended<T>(terminal: Terminal, task: string, options: OutputOptions, work: Promise<Outcome<T>>): Promise<Outcome<T>> {
  return work.finally(waiting(terminal, task, options).end);
}
