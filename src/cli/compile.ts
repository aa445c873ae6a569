/** `moec compile`: writes a model as ONNX, in a folder that stands alone. */

import { constants, copyFileSync, existsSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { Option } from 'commander';
import { type Diagnostic, diagnose } from '../diagnostics/diagnostic.ts';
import type { CompilePlan, Placing, WrittenFile } from '../run/compile.ts';
import type { Wish } from '../targets/mixture/choose.ts';
import type { Cli } from './command.ts';
import { type ExitCode, exit, Refusal } from './exit.ts';
import {
  addFindingOptions,
  dumper,
  dumpOption,
  type FindingOptions,
  findOrRefuse,
  loweringOf,
  loweringOption,
  nameOfTarget,
  recognise,
  refuseIdle,
  seedOption,
  targetOption,
} from './finding.ts';
import { version } from './package.ts';
import { type OutputOptions, printDiagnostics, printNext, quoted, type Sources, table } from './print.ts';
import { bytes, progress } from './progress.ts';
import { nameOf } from './read.ts';
import { refuseToLose, refuseToReplace, stageFolder, stageInside } from './staging.ts';
import { checkpointOf } from './target.ts';
import type { Terminal } from './terminal.ts';

interface CompileOptions extends FindingOptions, OutputOptions {
  readonly out?: string;
  readonly target: string;
  readonly cache: boolean;
  readonly generate?: boolean;
  readonly flatten?: boolean;
  readonly active?: boolean;
  readonly lowering?: Wish;
  readonly stats?: boolean;
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
    'moec compile encoder.onnx --target portable',
    'moec compile mine.moe --weights ./checkpoint --target portable --dry-run',
  ];
  addFindingOptions(cli.command('compile', 'write a model as ONNX, with all it needs to run', examples).argument('<target>', 'a .moe file, a file of ONNX or a checkpoint folder'))
    .option('-o, --out <FOLDER>', 'where to write (default: out/NAME)')
    .addOption(targetOption())
    .option('--no-cache', 'write the model as it is, without a cache of keys and values')
    .option('--generate', 'write generate.onnx too: a whole generation in one run')
    .option('--flatten', 'write no functions, for importers that cannot read them')
    .addOption(loweringOption())
    .option('--active', 'take the number of experts that a token picks as an input')
    .option('--stats', 'add results that say how mixtures route')
    .addOption(new Option('--in-place', "write beside the checkpoint's own files and use their bytes").conflicts(['out', 'link']))
    .option('--link', "hard-link the checkpoint's files instead of writing data")
    .addOption(seedOption())
    .addOption(dumpOption('print the graph after this pass (`moec passes` lists them; `lower` is the last)'))
    .option('--dry-run', 'say what would be written')
    .option('--json', 'print the result as JSON')
    .action(cli.action((path: string, options: CompileOptions) => act(cli.terminal, path, options)));
}

async function act(terminal: Terminal, path: string, options: CompileOptions): Promise<ExitCode> {
  const target = checkpointOf(recognise(terminal, path));
  if (target.kind === 'compiled') throw new Refusal(diagnose('target-unknown', { path, reason: 'it is compiled already' }));
  refuseIdle([target], options);
  const { found, reader, diagnostics, read } = await findOrRefuse(terminal, target, options);
  const inPlace = options.inPlace ? found.folder : undefined;
  if ((options.inPlace || options.link) && (found.folder === undefined || found.imported))
    throw new Refusal(diagnose('in-place-needs-checkpoint', { option: options.inPlace ? '--in-place' : '--link' }));
  const out = inPlace ?? resolve(terminal.cwd, options.out ?? join('out', nameOfTarget(target)));
  const dump = await dumper(terminal, options.dumpAfter);
  const { writtenBefore } = await import('../run/manifest.ts');
  const mine = writtenBefore(out);
  if (inPlace === undefined) {
    refuseToReplace(out, nameOf(terminal.cwd, out), mine);
    refuseToLose(out, nameOf(terminal.cwd, out), read);
  }
  const staging = options.dryRun ? undefined : inPlace === undefined ? stageFolder(out) : stageInside(inPlace);
  try {
    const placing = found.imported ? 'written' : placingOf(options, found.folder, staging?.path ?? nearestFolder(out));
    const { filesOf, planCompile, writeCompiled } = await import('../run/compile.ts');
    const lowering = await loweringOf(options.target);
    const { cache, generate = false, flatten = false, active = false, stats = false } = options;
    const settings = {
      target: lowering,
      whole: !cache,
      generate,
      flatten,
      active,
      stats,
      placing,
      version: version(),
      ...(options.lowering ? { lowering: options.lowering } : {}),
      ...dump.option,
    };
    const plan = await planCompile(found, settings);
    if (!plan.ok) throw new Refusal(...plan.diagnostics).from(reader.sources);
    const planned = filesOf(plan.value);
    if (!planned.ok) throw new Refusal(...planned.diagnostics);
    if (inPlace !== undefined) {
      const added = planned.value.filter(({ how }) => how !== 'left in place').map(({ name }) => name);
      refuseToReplace(inPlace, nameOf(terminal.cwd, inPlace), mine, added);
    }
    const said = [...diagnostics, ...plan.diagnostics, ...dump.missed(), ...announce(plan.value, placing)];
    const report = { terminal, out: nameOf(terminal.cwd, out), diagnostics: said, sources: reader.sources, options };
    if (!staging) return sayPlan(report, planned.value);
    const bar = progress(terminal, 'writing weights', options);
    const written = await writeCompiled(plan.value, staging.path, { signal: terminal.signal, progress: bar.at }).finally(bar.end);
    if (!written.ok) throw new Refusal(...written.diagnostics);
    terminal.signal.throwIfAborted();
    staging.commit();
    return await sayWritten(report, written.value, plan.value);
  } finally {
    staging?.discard();
    found.checkpoint?.close();
  }
}

/** The folder that is there already, on the way to `path`. */
function nearestFolder(path: string): string {
  return existsSync(path) ? path : nearestFolder(dirname(path));
}

/** Shares the checkpoint's bytes where the call asks for it or the file system can. */
function placingOf(options: CompileOptions, folder: string | undefined, beside: string): Placing {
  if (options.inPlace) return 'in-place';
  if (options.link) return 'link';
  return folder !== undefined && clones(join(folder, 'config.json'), join(beside, `.moec-probe-${process.pid}`)) ? 'reflink' : 'written';
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
  return placing === 'written' && found.checkpoint && !found.imported ? [diagnose('data-copied', { bytes: bytes(weights.layout.bytes) })] : [];
}

/** What was or would be done, and on what terminal it is said. */
interface Report {
  readonly terminal: Terminal;
  readonly out: string;
  readonly diagnostics: readonly Diagnostic[];
  readonly sources: Sources;
  readonly options: CompileOptions;
}

function sayPlan({ terminal, out, diagnostics, sources, options }: Report, files: readonly WrittenFile[]): ExitCode {
  const rows = files.map(({ name, bytes: size, how }) => ({ name, bytes: size, how }));
  if (options.json) printDiagnostics(terminal, diagnostics, { json: true, sources, more: { out, files: rows } });
  else {
    printDiagnostics(terminal, diagnostics, { sources });
    const size = rows.reduce((sum, { bytes: one, how }) => sum + (how === 'written' || how === 'copied' ? one : 0), 0);
    terminal.out(`${out} would hold, with ${bytes(size)} to write:\n${tableOf(rows)}`);
  }
  printNext(terminal, 'the same without --dry-run', options);
  return exit.done;
}

async function sayWritten({ terminal, out, diagnostics, sources, options }: Report, files: readonly WrittenFile[], { form, found }: CompilePlan): Promise<ExitCode> {
  if (options.json) printDiagnostics(terminal, diagnostics, { json: true, sources, more: { out, files } });
  else {
    printDiagnostics(terminal, diagnostics, { sources });
    terminal.out(`${out}\n${tableOf(files)}`);
  }
  const { takesPrompts } = await import('../run/continues.ts');
  const writes = options.generate || (form === 'step' && takesPrompts(found));
  printNext(terminal, `moec run ${quoted(out)} ${writes ? '--prompt "Once upon a time"' : '--inputs inputs.json'}`, options);
  return exit.done;
}

function tableOf(files: readonly WrittenFile[]): string {
  return table(files.map((file) => [`  ${file.name}`, bytes(file.bytes), file.how]));
}
