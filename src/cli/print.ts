/** How results, diagnostics and hints are printed. */

import type { Diagnostic } from '../diagnostics/diagnostic.ts';
import { diagnosticsJson } from '../diagnostics/json.ts';
import { paint } from '../diagnostics/paint.ts';
import { renderDiagnostics } from '../diagnostics/render.ts';
import { widthOf } from '../diagnostics/width.ts';
import type { Terminal } from './terminal.ts';

/** What every command may be told about its output. */
export interface OutputOptions {
  readonly json?: boolean;
}

/** Gives the text of a file that diagnostics point into. */
export type Sources = (file: string) => string | undefined;

/** More reports than this at once help nobody; `--json` gives all. */
const mostShown = 50;

/** Prints diagnostics: for people on standard error, with `--json` as one document on standard output. `more` joins that document. */
export function printDiagnostics(
  terminal: Terminal,
  diagnostics: readonly Diagnostic[],
  options: OutputOptions & { readonly sources?: Sources; readonly more?: Readonly<Record<string, unknown>> } = {},
): void {
  const sources = options.sources ?? (() => undefined);
  if (options.json) printJson(terminal, { ...options.more, diagnostics: diagnosticsJson(diagnostics, sources) });
  else if (diagnostics.length > 0)
    terminal.err(`${renderDiagnostics(diagnostics, sources, { color: terminal.color.err, width: Math.max(100, terminal.columns), limit: mostShown })}\n`);
}

/** Prints data as one JSON document. */
export function printJson(terminal: Terminal, data: unknown): void {
  terminal.out(`${JSON.stringify(data, null, 2)}\n`);
}

/** Says what one would do next, as a last dim line on standard error; nothing with `--json`. */
export function printNext(terminal: Terminal, command: string, options: OutputOptions = {}): void {
  if (!options.json) terminal.err(`${paint(terminal.color.err).dim(`next: ${command}`)}\n`);
}

/** Columns side by side, each as wide as its widest cell; numbers go to the right. */
export function table(rows: readonly (readonly (string | number)[])[]): string {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => widthOf(String(row[i] ?? '')))));
  const cell = (value: string | number, i: number): string => {
    const blank = ' '.repeat(Math.max(0, (widths[i] ?? 0) - widthOf(String(value))));
    return typeof value === 'number' ? blank + value : value + blank;
  };
  return rows.map((row) => `${row.map(cell).join('  ').trimEnd()}\n`).join('');
}

/** A path as a shell takes it: quoted where it has to be. */
export function quoted(word: string): string {
  return /^[\w./:=@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
