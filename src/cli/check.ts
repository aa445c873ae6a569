/** `moec check`: says what is wrong with `.moe` files. */

import { sink } from '../diagnostics/diagnostic.ts';
import { countOf } from '../diagnostics/render.ts';
import { type Cli, setting } from './command.ts';
import { type ExitCode, exit } from './exit.ts';
import { type OutputOptions, printDiagnostics, printNext, quoted } from './print.ts';
import { fileReader, moeFiles, readConfig } from './read.ts';
import type { Terminal } from './terminal.ts';

interface CheckOptions extends OutputOptions {
  readonly set?: Readonly<Record<string, string>>;
  readonly config?: string;
}

/** Adds the command. */
export function check(cli: Cli): void {
  cli
    .command('check', 'say what is wrong with .moe files', [
      'moec check models/llama.moe',
      'moec check models',
      'moec check mine.moe --set D=64',
      'moec check mine.moe --config ./checkpoint',
      'moec check mine.moe --json',
    ])
    .argument('<files...>', '.moe files, or folders of them')
    .option('--set <NAME=VALUE>', 'give a param another value; may be repeated', setting)
    .option('--config <PATH>', 'take params from a config.json, or from that of a checkpoint folder (default: the checkpoint that the file names)')
    .option('--json', 'print diagnostics as JSON')
    .action(cli.action((paths: readonly string[], options: CheckOptions) => checkFiles(cli.terminal, paths, options)));
}

async function checkFiles(terminal: Terminal, paths: readonly string[], options: CheckOptions): Promise<ExitCode> {
  const { checkProgram, loadProgram } = await import('../model/index.ts');
  const { configNamed } = await import('../run/find-model.ts');
  const reader = fileReader(terminal);
  const given = { set: options.set ?? {}, ...(options.config === undefined ? {} : { config: readConfig(terminal, options.config) }) };
  const files = moeFiles(terminal, paths);
  // What is wrong with a file that several import is said once.
  const found = sink();
  for (const file of files) {
    const program = loadProgram(file, reader);
    const named = options.config === undefined ? configNamed(program, terminal.cwd) : undefined;
    for (const one of checkProgram(program, named === undefined ? given : { ...given, config: named }).diagnostics) found.report(one);
  }
  printDiagnostics(terminal, found.all, { ...options, sources: reader.sources, more: { files } });
  if (found.failed) return exit.input;
  const [only, ...others] = files;
  const one = only !== undefined && others.length === 0 ? only : undefined;
  if (!options.json) terminal.out(`${one ?? `${files.length} files`}: no errors${found.all.length > 0 ? `, ${countOf(found.all)}` : ''}\n`);
  printNext(terminal, `moec explain ${one === undefined ? 'FILE' : quoted(one)}`, options);
  return exit.done;
}
