/** `moec explain`: what a diagnostic means, and what to do about it. */

import { type Code, catalog, type Entry } from '../diagnostics/catalog.ts';
import { paint } from '../diagnostics/paint.ts';
import { nearest } from '../diagnostics/suggest.ts';
import type { Cli } from './command.ts';
import { type ExitCode, exit } from './exit.ts';
import { type OutputOptions, printJson, printNext, table } from './print.ts';
import type { Terminal } from './terminal.ts';

const entries: Readonly<Record<string, Entry>> = catalog;

/** Adds the command. */
export function explain(cli: Cli): void {
  cli
    .command('explain', 'say what a diagnostic means, with an example', ['moec explain inner-sizes-differ', 'moec explain'])
    .argument('[code]', 'the code in brackets after error, warning or note; all are listed where it is left out')
    .option('--json', 'print it as JSON')
    .action(
      cli.action((code: string | undefined, options: OutputOptions) =>
        code === undefined ? listCodes(cli.terminal, options) : explainCode(cli.terminal, code.replace(/^.*\[(.*)\].*$/, '$1'), options),
      ),
    );
}

function explainCode(terminal: Terminal, code: string, options: OutputOptions): ExitCode {
  const entry = Object.hasOwn(entries, code) ? entries[code] : undefined;
  if (!entry) {
    const near = nearest(code, Object.keys(entries));
    terminal.err(`error: there is no diagnostic '${code}'\n${near === undefined ? '(`moec explain` lists them)' : `(Did you mean ${near}?)`}\n`);
    return exit.call;
  }
  if (options.json) printJson(terminal, { code, severity: entry.severity, message: wording(entry), explanation: entry.explanation });
  else {
    const colors = paint(terminal.color.out);
    terminal.out(`${colors[entry.severity](colors.strong(`${entry.severity}[${code}]`))}${colors.strong(`: ${wording(entry)}`)}\n\n${entry.explanation}\n`);
  }
  return exit.done;
}

function listCodes(terminal: Terminal, options: OutputOptions): ExitCode {
  const all = Object.entries(entries).map(([code, entry]) => ({ code, severity: entry.severity, message: wording(entry) }));
  if (options.json) printJson(terminal, all);
  else terminal.out(table(all.map((one) => [one.severity, one.code, one.message])));
  printNext(terminal, `moec explain ${'inner-sizes-differ' satisfies Code}`, options);
  return exit.done;
}

/** The message with its holes named: `cannot multiply ‹left› by ‹right›`. */
function wording({ message }: Entry): string {
  return message.parts.reduce((said, part, i) => `${said}‹${message.holes[i - 1]}›${part}`);
}
