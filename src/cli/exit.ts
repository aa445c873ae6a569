/** How the process ends: the exit codes, and what is said when something was thrown. */

import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CommanderError } from 'commander';
import { Bug } from '../diagnostics/bug.ts';
import type { Diagnostic, Outcome } from '../diagnostics/diagnostic.ts';
import { version } from './package.ts';
import { printDiagnostics, type Sources } from './print.ts';
import { systemFault } from './system.ts';
import type { Terminal } from './terminal.ts';

/** The exit codes, by what they mean. */
export const exit = {
  done: 0,
  /** The input is wrong; diagnostics were printed. */
  input: 1,
  /** The call is wrong: an unknown command, option or value. */
  call: 2,
  /** A fault of moec's own. */
  fault: 3,
  /** The user stopped it. */
  stopped: 130,
} as const;

/** One of the exit codes. */
export type ExitCode = (typeof exit)[keyof typeof exit];

/** Ends a command from inside with diagnostics, where handing them up would only be handing on. */
export class Refusal extends Error {
  readonly diagnostics: readonly Diagnostic[];
  /** Gives the texts that the diagnostics point into. */
  sources: Sources | undefined;

  constructor(...diagnostics: readonly Diagnostic[]) {
    super(diagnostics[0]?.message ?? 'refused');
    this.name = 'Refusal';
    this.diagnostics = diagnostics;
  }

  /** The same with the texts for excerpts. */
  from(sources: Sources): this {
    this.sources = sources;
    return this;
  }
}

/** The value of an outcome, or a refusal with its diagnostics. */
export function must<T>(outcome: Outcome<T>): T {
  if (!outcome.ok) throw new Refusal(...outcome.diagnostics);
  return outcome.value;
}

/** Ends a command from inside where the call is wrong; the message says how. */
export class WrongCall extends Error {}

/** The code for something thrown, once it has been said on the terminal. */
export function endWith(thrown: unknown, terminal: Terminal, call: readonly string[]): ExitCode {
  if (thrown instanceof CommanderError) return thrown.exitCode === 0 || thrown.code === 'commander.help' ? exit.done : exit.call;
  if (terminal.signal.aborted) return exit.stopped;
  if (thrown instanceof Refusal) {
    printDiagnostics(terminal, thrown.diagnostics, { json: call.includes('--json'), ...(thrown.sources ? { sources: thrown.sources } : {}) });
    return exit.input;
  }
  if (thrown instanceof WrongCall) {
    terminal.err(`${thrown.message}\n`);
    return exit.call;
  }
  const refused = systemFault(thrown);
  if (refused) {
    printDiagnostics(terminal, [refused], { json: call.includes('--json') });
    return exit.input;
  }
  terminal.err(faultText(thrown, call));
  return exit.fault;
}

/** What is said of a fault of moec's own: the message, and a file with all that a report needs. */
function faultText(thrown: unknown, call: readonly string[]): string {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  const detail = thrown instanceof Bug ? thrown.detail : '';
  const report = [`moec ${version()}, node ${process.version}, ${process.platform} ${process.arch}`, `moec ${call.join(' ')}`, '', error.stack ?? error.message, '', detail].join(
    '\n',
  );
  const head = `fault: ${error.message}\n\nThis is a fault of moec, not of its input.`;
  try {
    const file = join(mkdtempSync(join(tmpdir(), 'moec-fault-')), 'report.txt');
    writeFileSync(file, report);
    return `${head} Please report it to those who gave you moec, with\n${file}\n(what was called, where it failed, and the graph, if there was one).\n`;
  } catch {
    return `${head} Please report it to those who gave you moec, with what follows:\n\n${report}\n`;
  }
}
