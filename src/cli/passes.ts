/** `moec passes`: what can be done to a graph. */

import { nearest } from '../diagnostics/suggest.ts';
import type { AttrSpec } from '../graph/op.ts';
import type { Pass } from '../passes/pass.ts';
import type { Cli } from './command.ts';
import { type ExitCode, exit, WrongCall } from './exit.ts';
import { type OutputOptions, printJson, printNext, table } from './print.ts';
import { spellDefault } from './signature.ts';
import type { Terminal } from './terminal.ts';

/** Adds the command. */
export function passes(cli: Cli): void {
  cli
    .command('passes', 'list what can be done to a graph', ['moec passes', 'moec passes fold-constants'])
    .argument('[name]', 'a pass, for its settings')
    .option('--json', 'print it as JSON')
    .action(
      cli.action(async (name: string | undefined, options: OutputOptions) => {
        const { passes: found } = await import('../passes/index.ts');
        const all = [...found.values()];
        return name === undefined ? listPasses(cli.terminal, all, options) : showPass(cli.terminal, name, all, options);
      }),
    );
}

function listPasses(terminal: Terminal, all: readonly Pass[], options: OutputOptions): ExitCode {
  if (options.json) printJson(terminal, all.map(dataOf));
  else terminal.out(table(all.map((pass) => [pass.name, pass.summary])));
  printNext(terminal, 'moec compile models/tiny.moe -o out/tiny --dump-after=lower', options);
  return exit.done;
}

function showPass(terminal: Terminal, name: string, all: readonly Pass[], options: OutputOptions): ExitCode {
  const pass = all.find((one) => one.name === name);
  if (!pass) {
    throw new WrongCall(
      noPass(
        name,
        all.map((one) => one.name),
      ),
    );
  }
  if (options.json) printJson(terminal, dataOf(pass));
  else {
    const settings = Object.entries(pass.options).map(([setting, spec]) => [`  ${setting}`, typeOf(spec), spec.doc]);
    terminal.out(`${pass.name}: ${pass.summary}\n${settings.length > 0 ? `\n${table(settings)}` : ''}`);
  }
  return exit.done;
}

/** What is said where a pass is named that is none of `known`. */
export function noPass(name: string, known: readonly string[]): string {
  const near = nearest(name, known);
  return `error: there is no pass '${name}'\n${near === undefined ? '(`moec passes` lists them)' : `(Did you mean ${near}?)`}`;
}

function dataOf(pass: Pass): unknown {
  return {
    name: pass.name,
    summary: pass.summary,
    options: Object.fromEntries(Object.entries(pass.options).map(([name, spec]) => [name, { type: spec.kind, default: spec.default ?? null, doc: spec.doc }])),
  };
}

/** A setting's type and, where it has one, its default: `int = 16`. */
export function typeOf(spec: AttrSpec): string {
  const type = spec.optional ? `${spec.kind}?` : spec.kind;
  const written = spellDefault(spec);
  return written === undefined ? type : `${type} = ${written}`;
}
