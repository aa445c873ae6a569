/** `moec client`: writes a typed TypeScript module for a compiled folder. */

import { mkdirSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import type { Cli } from './command.ts';
import { type ExitCode, exit, Refusal } from './exit.ts';
import { type OutputOptions, printJson, printNext } from './print.ts';
import { attempt, writeWhole } from './staging.ts';
import type { Terminal } from './terminal.ts';

interface ClientOptions extends OutputOptions {
  readonly out?: string;
}

/** Adds the command. */
export function client(cli: Cli): void {
  const examples = ['moec client out/tiny -o src/tiny.ts', 'moec client out/tiny'];
  cli
    .command('client', 'write a typed TypeScript module for a compiled folder', examples)
    .argument('<folder>', 'a folder that `moec compile` wrote')
    .option('-o, --out <FILE>', 'where to write (default: NAME.ts)')
    .option('--json', 'print the result as JSON')
    .action(cli.action((folder: string, options: ClientOptions) => act(cli.terminal, folder, options)));
}

async function act(terminal: Terminal, folder: string, options: ClientOptions): Promise<ExitCode> {
  const { readFolder } = await import('../run/folder.ts');
  const full = resolve(terminal.cwd, folder);
  const read = readFolder(full);
  if (!read.ok) throw new Refusal(...read.diagnostics);
  const { writeClient } = await import('../client/client.ts');
  const shown = options.out ?? `${basename(full)}.ts`;
  const file = resolve(terminal.cwd, shown);
  const text = writeClient(read.value, file);
  attempt(shown, () => mkdirSync(dirname(file), { recursive: true }));
  writeWhole(file, text, shown);
  const { manifest } = read.value;
  const names = manifest.form === 'step' ? ['load', 'run', 'generate'] : ['load', 'run'];
  if (options.json) printJson(terminal, { file, exports: names });
  else terminal.out(`${shown}: ${names.map((name) => `${name}()`).join(', ')} for ${manifest.model}; it needs onnxruntime-node\n`);
  printNext(terminal, 'npm install onnxruntime-node', options);
  return exit.done;
}
