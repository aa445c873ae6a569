/** `moec explain`: what a diagnostic means, and what to do about it. */

import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Code, catalog, type Entry } from '../diagnostics/catalog.ts';
import { paint } from '../diagnostics/paint.ts';
import { nearest } from '../diagnostics/suggest.ts';
import type { Cli } from './command.ts';
import { type ExitCode, exit } from './exit.ts';
import type { ExplainOptions } from './explain-model.ts';
import { addFindingOptions, loweringOption, targetOption } from './finding.ts';
import { type OutputOptions, printJson, printNext, table } from './print.ts';
import type { Terminal } from './terminal.ts';

const entries: Readonly<Record<string, Entry>> = catalog;

/** Adds the command. */
export function explain(cli: Cli): void {
  const examples = ['moec explain inner-sizes-differ', 'moec explain models/llama.moe', 'moec explain ./SmolLM2-135M', 'moec explain'];
  addFindingOptions(
    cli
      .command('explain', 'say what a diagnostic means, or what a model costs', examples)
      .argument('[what]', 'the code of a diagnostic, a .moe file, a file of ONNX or a checkpoint folder; without it, all codes are listed'),
  )
    .addOption(targetOption())
    .addOption(loweringOption())
    .option('--json', 'print it as JSON')
    .action(cli.action((what: string | undefined, options: ExplainOptions) => act(cli.terminal, what, options)));
}

async function act(terminal: Terminal, what: string | undefined, options: ExplainOptions): Promise<ExitCode> {
  if (what === undefined) return listCodes(terminal, options);
  const code = what.replace(/^.*\[(.*)\].*$/, '$1');
  if (Object.hasOwn(entries, code) || !(/[./\\]/.test(what) || existsSync(resolve(terminal.cwd, what)))) return explainCode(terminal, code, options);
  return (await import('./explain-model.ts')).explainModel(terminal, what, options);
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
