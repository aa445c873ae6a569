/** `moec ops`: what may be called in `forward`, besides layers. */

import { nearest } from '../diagnostics/suggest.ts';
import type { Op } from '../graph/op.ts';
import type { Cli } from './command.ts';
import { type ExitCode, exit } from './exit.ts';
import { typeOf } from './passes.ts';
import { type OutputOptions, printJson, printNext, table } from './print.ts';
import { firstSentence, signature } from './signature.ts';
import type { Terminal } from './terminal.ts';

/** Adds the command. */
export function ops(cli: Cli): void {
  cli
    .command('ops', 'list what may be called in forward', ['moec ops', 'moec ops attend'])
    .argument('[name]', 'an op, for its arguments')
    .option('--json', 'print it as JSON')
    .action(
      cli.action(async (name: string | undefined, options: OutputOptions) => {
        const { ops: found } = await import('../ops/index.ts');
        const all = [...found.values()].sort((a, b) => a.name.localeCompare(b.name));
        return name === undefined ? listOps(cli.terminal, all, options) : showOp(cli.terminal, name, all, options);
      }),
    );
}

function listOps(terminal: Terminal, all: readonly Op[], options: OutputOptions): ExitCode {
  if (options.json) printJson(terminal, all.map(dataOf));
  else terminal.out(table(all.map((op) => [signature(op), firstSentence(op.doc)])));
  printNext(terminal, 'moec ops attend', options);
  return exit.done;
}

function showOp(terminal: Terminal, name: string, all: readonly Op[], options: OutputOptions): ExitCode {
  const op = all.find((one) => one.call === name) ?? all.find((one) => one.name === name);
  if (!op) {
    const near = nearest(
      name,
      all.flatMap((one) => (one.call === null ? [one.name] : [one.call, one.name])),
    );
    terminal.err(`error: there is no op '${name}'\n${near === undefined ? '(`moec ops` lists them)' : `(Did you mean ${near}?)`}\n`);
    return exit.call;
  }
  if (options.json) printJson(terminal, dataOf(op));
  else {
    const settings = Object.entries(op.attrs).map(([setting, spec]) => [`  ${setting}:`, typeOf(spec)]);
    terminal.out(`${signature(op)}\n${op.doc}\n${settings.length > 0 ? `\n${table(settings)}` : ''}`);
  }
  return exit.done;
}

function dataOf(op: Op): unknown {
  return {
    name: op.name,
    call: op.call,
    doc: op.doc,
    inputs: op.inputs,
    outputs: op.outputs,
    settings: Object.fromEntries(
      Object.entries(op.attrs).map(([name, spec]) => [
        name,
        { type: spec.kind, ...(spec.default === undefined ? {} : { default: spec.default }), ...(spec.optional ? { optional: true } : {}) },
      ]),
    ),
  };
}
