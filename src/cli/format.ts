/** `moec format`: writes `.moe` files the one way they are written. */

import { resolve } from 'node:path';
import type { Diagnostic } from '../diagnostics/diagnostic.ts';
import type { Cli } from './command.ts';
import { type ExitCode, exit } from './exit.ts';
import { type OutputOptions, printDiagnostics, printNext, quoted } from './print.ts';
import { fileReader, moeFiles, readOrRefuse } from './read.ts';
import { writeWhole } from './staging.ts';
import type { Terminal } from './terminal.ts';

interface FormatOptions extends OutputOptions {
  readonly check?: boolean;
}

/** What formatting one file comes to. */
interface Formatted {
  readonly file: string;
  readonly before: string;
  readonly after: string;
  readonly diagnostics: readonly Diagnostic[];
}

/** Adds the command. */
export function format(cli: Cli): void {
  const { terminal } = cli;
  cli
    .command('format', 'write .moe files the one way they are written', ['moec format mine.moe', 'moec format --check models', 'moec format - < mine.moe'])
    .argument('<files...>', '.moe files, folders of them, or - for standard input')
    .option('--check', 'change nothing; name the files that would change, and fail if there are any')
    .option('--json', 'print what was done as JSON')
    .action(
      cli.action(async (paths: readonly string[], options: FormatOptions) => {
        if (paths.includes('-')) return formatInput(terminal, options);
        const reader = fileReader(terminal);
        const work = await formatter();
        const files = moeFiles(terminal, paths).map((file) => work(file, readOrRefuse(reader, file)));
        const changed = files.filter((one) => one.diagnostics.length === 0 && one.after !== one.before);
        if (!options.check) for (const one of changed) writeWhole(resolve(terminal.cwd, one.file), one.after, one.file);
        return conclude(terminal, files, changed, options, reader.sources);
      }),
    );
}

function conclude(terminal: Terminal, files: readonly Formatted[], changed: readonly Formatted[], options: FormatOptions, sources: (file: string) => string | undefined): ExitCode {
  const diagnostics = files.flatMap((one) => one.diagnostics);
  printDiagnostics(terminal, diagnostics, { ...options, sources, more: { files: files.map((one) => ({ file: one.file, changed: changed.includes(one) })) } });
  if (!options.json) {
    for (const one of changed) terminal.out(`${options.check ? 'would change' : 'formatted'} ${one.file}\n`);
    if (changed.length === 0 && diagnostics.length === 0) terminal.out(`${files.length === 1 ? files[0]?.file : `${files.length} files`}: nothing to change\n`);
  }
  if (diagnostics.length > 0) return exit.input;
  const names = files.length > 3 ? 'FILE' : files.map((one) => quoted(one.file)).join(' ');
  if (options.check && changed.length > 0) {
    printNext(terminal, `moec format ${names}`, options);
    return exit.input;
  }
  printNext(terminal, `moec check ${names}`, options);
  return exit.done;
}

async function formatInput(terminal: Terminal, options: FormatOptions): Promise<ExitCode> {
  const work = await formatter();
  const text = await terminal.input();
  const { after, diagnostics } = work('-', text);
  printDiagnostics(terminal, diagnostics, { json: options.json === true && diagnostics.length > 0, sources: () => text });
  if (diagnostics.length > 0) return exit.input;
  if (options.check) return after === text ? exit.done : exit.input;
  terminal.out(after);
  return exit.done;
}

async function formatter(): Promise<(file: string, before: string) => Formatted> {
  const [{ format: print }, { diagnoseFault }] = await Promise.all([import('../../grammar/print.ts'), import('../model/syntax.ts')]);
  return (file, before) => {
    const { text, faults } = print(before, file);
    return { file, before, after: text, diagnostics: faults.map(diagnoseFault) };
  };
}
