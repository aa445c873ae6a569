/** `moec check`: says what is wrong with `.moe` files. */

import type { Diagnostic } from '../diagnostics/diagnostic.ts';
import { countOf } from '../diagnostics/render.ts';
import type { Program } from '../model/program.ts';
import { type Cli, setting } from './command.ts';
import { exit } from './exit.ts';
import { type OutputOptions, printDiagnostics, printNext, quoted } from './print.ts';
import { fileReader, moeFiles } from './read.ts';

interface CheckOptions extends OutputOptions {
  readonly set?: Readonly<Record<string, string>>;
}

/** Adds the command. */
export function check(cli: Cli): void {
  const { terminal } = cli;
  cli
    .command('check', 'say what is wrong with .moe files', ['moec check models/llama.moe', 'moec check models', 'moec check mine.moe --set D=64', 'moec check mine.moe --json'])
    .argument('<files...>', '.moe files, or folders of them')
    .option('--set <NAME=VALUE>', 'give a param another value; may be repeated', setting)
    .option('--json', 'print diagnostics as JSON')
    .action(
      cli.action(async (paths: readonly string[], options: CheckOptions) => {
        const { checkProgram, loadProgram } = await import('../model/index.ts');
        const reader = fileReader(terminal);
        const found = moeFiles(terminal, paths).map((file) => {
          const program: Program = loadProgram(file, reader);
          const diagnostics: readonly Diagnostic[] = checkProgram(program, { set: options.set ?? {} }).diagnostics;
          return { file, diagnostics };
        });
        const diagnostics = found.flatMap((one) => one.diagnostics);
        printDiagnostics(terminal, diagnostics, { ...options, sources: reader.sources, more: { files: found.map((one) => one.file) } });
        if (diagnostics.some((one) => one.severity === 'error')) return exit.input;
        if (!options.json)
          terminal.out(`${found.length === 1 ? found[0]?.file : `${found.length} files`}: no errors${diagnostics.length > 0 ? `, ${countOf(diagnostics)}` : ''}\n`);
        const only = found.length === 1 ? found[0]?.file : undefined;
        printNext(terminal, only === undefined ? 'moec explain FILE' : `moec explain ${quoted(only)}`, options);
        return exit.done;
      }),
    );
}
