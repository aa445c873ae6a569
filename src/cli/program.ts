/** The program: its commands, and one call of it from arguments to exit code. */

import { Command } from 'commander';
import { bench } from './bench.ts';
import { benchRound } from './bench-round.ts';
import { check } from './check.ts';
import { client } from './client.ts';
import type { Cli } from './command.ts';
import { compile } from './compile.ts';
import { emergeCommand } from './emerge.ts';
import { evaluate } from './eval.ts';
import { type ExitCode, endWith, exit } from './exit.ts';
import { explain } from './explain.ts';
import { format } from './format.ts';
import { inspect } from './inspect.ts';
import { ops } from './ops.ts';
import { version } from './package.ts';
import { passes } from './passes.ts';
import { run } from './run.ts';
import type { Terminal } from './terminal.ts';
import { verify } from './verify.ts';

/** Every command, in the order of the help. Each adds itself, and imports what it works with only when it is called. */
const commands: readonly ((cli: Cli) => void)[] = [run, compile, emergeCommand, evaluate, verify, bench, client, check, format, explain, inspect, passes, ops, benchRound];

/** Runs one call of moec, `call` being its arguments, and returns the exit code. Nothing is thrown. */
export async function main(call: readonly string[], terminal: Terminal): Promise<ExitCode> {
  let code: ExitCode = exit.done;
  try {
    const program = root(terminal);
    const cli: Cli = {
      terminal,
      command: (usage, summary, examples) =>
        program
          .command(usage)
          .summary(summary)
          .description(sentence(summary))
          .addHelpText('after', `\nExamples:\n${examples.map((one) => `  ${one}\n`).join('')}`),
      hidden: (usage) => program.command(usage, { hidden: true }),
      action:
        (act) =>
        async (...args) => {
          code = await act(...args);
        },
    };
    for (const add of commands) add(cli);
    await program.parseAsync(helpful(program, call), { from: 'user' });
    return terminal.signal.aborted ? exit.stopped : code;
  } catch (thrown) {
    return endWith(thrown, terminal, call);
  }
}

/** The call as commander takes it: nothing asks for help, and help on what is no command is the call of it, which is wrong. */
function helpful(program: Command, call: readonly string[]): string[] {
  const [first, about] = call;
  if (first === undefined) return ['--help'];
  const unknown = first === 'help' && about !== undefined && !program.commands.some((one) => one.name() === about);
  return unknown ? call.slice(1) : [...call];
}

function root(terminal: Terminal): Command {
  const width = Math.min(100, Math.max(60, terminal.columns));
  return new Command('moec')
    .description('A compiler for modular transformers: write a model, check it, compile it to ONNX, run it.')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .helpCommand('help [command]', 'print help')
    .exitOverride()
    .configureHelp({ showGlobalOptions: false, subcommandTerm: termOf, helpWidth: width })
    .configureOutput({
      writeOut: terminal.out,
      writeErr: terminal.err,
      getOutHelpWidth: () => width,
      getErrHelpWidth: () => width,
      getOutHasColors: () => terminal.color.out,
      getErrHasColors: () => terminal.color.err,
    })
    .showSuggestionAfterError(true)
    .showHelpAfterError('(`moec --help` lists commands, `moec COMMAND --help` its options)');
}

/** A command with its arguments: `check FILES…`. */
function termOf(command: Command): string {
  return [
    command.name(),
    ...command.registeredArguments.map((one) => (one.required ? one.name().toUpperCase() : `[${one.name().toUpperCase()}]`) + (one.variadic ? '…' : '')),
  ].join(' ');
}

const sentence = (summary: string): string => `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`;
