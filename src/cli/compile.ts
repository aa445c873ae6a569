/** `moec compile`: writes a model as ONNX, in a folder that stands alone. */

import { constants, copyFileSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Diagnostic, diagnose } from '../diagnostics/diagnostic.ts';
import type { CompilePlan, Placing, WrittenFile } from '../run/compile.ts';
import type { Cli } from './command.ts';
import { type ExitCode, exit, Refusal } from './exit.ts';
import { addFindingOptions, dumper, type FindingOptions, findOrRefuse, loweringOf, nameOfTarget, recognise, seedOption, targetOption } from './finding.ts';
import { version } from './package.ts';
import { type OutputOptions, printDiagnostics, printJson, printNext, quoted, type Sources, table } from './print.ts';
import { bytes, progress } from './progress.ts';
import { attempt, type Staging, stageFolder } from './staging.ts';
import type { Terminal } from './terminal.ts';

interface CompileOptions extends FindingOptions, OutputOptions {
  readonly out?: string;
  readonly target: string;
  readonly cache: boolean;
  readonly generate?: boolean;
  readonly inPlace?: boolean;
  readonly link?: boolean;
  readonly dryRun?: boolean;
  readonly dumpAfter?: string;
}

/** Adds the command. */
export function compile(cli: Cli): void {
  const examples = [
    'moec compile models/tiny.moe -o out/tiny',
    'moec compile ./SmolLM2-135M --generate',
    'moec compile ./SmolLM2-135M --in-place',
    'moec compile mine.moe --weights ./checkpoint --target portable --dry-run',
  ];
  addFindingOptions(cli.command('compile', 'write a model as ONNX, with all it needs to run', examples).argument('<target>', 'a .moe file or a checkpoint folder'))
    .option('-o, --out <FOLDER>', 'where to write (default: out/NAME)')
    .addOption(targetOption())
    .option('--no-cache', 'write the model as it is, without a cache of keys and values')
    .option('--generate', 'write generate.onnx too: a whole generation in one run')
    .option('--in-place', "write beside the checkpoint's own files and use their bytes")
    .option('--link', "hard-link the checkpoint's files instead of writing data")
    .addOption(seedOption('for the random numbers of weights without a checkpoint'))
    .option('--dump-after <PASS>', 'print the graph after this pass (`moec passes` lists them; `lower` is the last)')
    .option('--dry-run', 'say what would be written')
    .option('--json', 'print the result as JSON')
    .action(cli.action((path: string, options: CompileOptions) => act(cli.terminal, path, options)));
}

async function act(terminal: Terminal, path: string, options: CompileOptions): Promise<ExitCode> {
  const target = recognise(terminal, path);
  if (target.kind === 'compiled') throw new Refusal(diagnose('target-unknown', { path, reason: 'it is compiled already' }));
  const { found, reader, diagnostics } = await findOrRefuse(terminal, target, options);
  const inPlace = options.inPlace ? found.folder : undefined;
  if ((options.inPlace || options.link) && found.folder === undefined) throw new Refusal(diagnose('in-place-needs-checkpoint', { option: options.inPlace ? '--in-place' : '--link' }));
  const out = inPlace ?? resolve(terminal.cwd, options.out ?? join('out', nameOfTarget(target)));
  const staging = options.dryRun ? undefined : inPlace === undefined ? stageFolder(out) : stageBeside(inPlace);
  try {
    const placing = placingOf(options, found.folder, staging?.path);
    const { planCompile, writeCompiled } = await import('../run/compile.ts');
    const lowering = await loweringOf(options.target);
    const settings = { target: lowering, whole: !options.cache, generate: options.generate ?? false, placing, version: version(), ...(await dumper(terminal, options.dumpAfter)) };
    const plan = await planCompile(found, settings);
    if (!plan.ok) throw new Refusal(...plan.diagnostics).from(reader.sources);
    const said = [...diagnostics, ...plan.diagnostics, ...announce(plan.value, placing)];
    if (!staging) return sayPlan(terminal, plan.value, out, said, reader.sources, options);
    const bar = progress(terminal, 'writing weights', options);
    const written = await writeCompiled(plan.value, staging.path, { signal: terminal.signal, progress: bar.at }).finally(bar.end);
    if (!written.ok) throw new Refusal(...written.diagnostics);
    terminal.signal.throwIfAborted();
    staging.commit();
    return report(terminal, out, written.value, said, reader.sources, options);
  } finally {
    staging?.discard();
    found.checkpoint?.close();
  }
}

/** Shares the checkpoint's bytes where the call asks for it or the file system can. */
function placingOf(options: CompileOptions, folder: string | undefined, staged: string | undefined): Placing {
  if (options.inPlace) return 'in-place';
  if (options.link) return 'link';
  return folder !== undefined && staged !== undefined && clones(join(folder, 'config.json'), join(staged, '.probe')) ? 'reflink' : 'written';
}

function clones(from: string, to: string): boolean {
  try {
    copyFileSync(from, to, constants.COPYFILE_FICLONE_FORCE);
    return true;
  } catch {
    return false;
  } finally {
    rmSync(to, { force: true });
  }
}

function announce({ weights, found }: CompilePlan, placing: Placing): readonly Diagnostic[] {
  if (placing === 'link') return [diagnose('data-linked', { files: `${weights.files.length} data files` })];
  return placing === 'written' && found.checkpoint ? [diagnose('data-copied', { bytes: bytes(weights.bytes) })] : [];
}

/** Stages files that go into a folder beside what is there. */
function stageBeside(folder: string): Staging {
  const path = attempt(folder, () => mkdtempSync(join(folder, '.moec-')));
  const discard = (): void => rmSync(path, { recursive: true, force: true });
  return {
    path,
    commit: () => {
      attempt(folder, () => {
        for (const name of readdirSync(path)) renameSync(join(path, name), join(folder, name));
      });
      discard();
    },
    discard,
  };
}

function sayPlan(terminal: Terminal, plan: CompilePlan, out: string, diagnostics: readonly Diagnostic[], sources: Sources, options: CompileOptions): ExitCode {
  const rows = [
    ...(plan.weights.bytes > 0 ? [{ name: 'model.onnx.data', bytes: plan.weights.bytes, how: 'written' }] : []),
    ...plan.weights.files.map((file) => ({ name: file, bytes: 0, how: options.inPlace ? 'left in place' : 'linked' })),
    ...plan.graphs.map(({ file, graph }) => ({ name: file, bytes: 0, how: `${graph.nodes.length} nodes` })),
    ...plan.companions.map((name) => ({ name, bytes: 0, how: options.inPlace ? 'left in place' : 'copied' })),
    { name: 'moec.json', bytes: 0, how: 'written' },
  ];
  if (options.json) printDiagnostics(terminal, diagnostics, { json: true, sources, more: { out, files: rows } });
  else {
    printDiagnostics(terminal, diagnostics, { sources });
    terminal.out(`${out} would hold, with ${bytes(plan.weights.bytes)} of data to write:\n${table(rows.map((row) => [`  ${row.name}`, row.bytes > 0 ? bytes(row.bytes) : '', row.how]))}`);
  }
  return exit.done;
}

function report(terminal: Terminal, out: string, files: readonly WrittenFile[], diagnostics: readonly Diagnostic[], sources: Sources, options: CompileOptions): ExitCode {
  if (options.json) printJson(terminal, { out, files });
  else {
    printDiagnostics(terminal, diagnostics, { sources });
    terminal.out(`${out}\n${table(files.map((file) => [`  ${file.name}`, bytes(file.bytes), file.how]))}`);
  }
  printNext(terminal, `moec run ${quoted(out)}`, options);
  return exit.done;
}
