/** Diagnostics as text for people: what is wrong, the place, its cause, and what to do. */

import type { Diagnostic, Label, Severity } from './diagnostic.ts';
import { excerpt, linesByFile, type Mark, type Row } from './excerpt.ts';
import type { Lines } from './lines.ts';
import { type Paint, paint } from './paint.ts';
import { harmless } from './width.ts';

/** How a report is set. */
export interface RenderOptions {
  /** Colours for a terminal; none where left out. */
  readonly color?: boolean;
  /** Columns that lines of source may fill; 140 where left out. */
  readonly width?: number;
  /** How a file is called in a report; its name as the span has it where left out. */
  readonly relative?: (file: string) => string;
}

/** Fewer columns than this and an excerpt says nothing; narrower terminals wrap. */
const narrowest = 40;

/** One report as text, without a line end behind it. `sources` gives the text of a file, or undefined where it is not at hand. */
export function renderDiagnostic(diagnostic: Diagnostic, sources: (file: string) => string | undefined, options: RenderOptions = {}): string {
  return rendered(diagnostic, linesByFile(sources), options);
}

/** Several reports, a blank line between them, and a last line that counts them. Empty where there are none. At most `limit` are shown. */
export function renderDiagnostics(
  diagnostics: readonly Diagnostic[],
  sources: (file: string) => string | undefined,
  options: RenderOptions & { readonly limit?: number } = {},
): string {
  if (diagnostics.length === 0) return '';
  const lines = linesByFile(sources);
  const shown = diagnostics.slice(0, options.limit ?? diagnostics.length);
  const left = diagnostics.length - shown.length;
  return [...shown.map((one) => rendered(one, lines, options)), countOf(diagnostics) + (left > 0 ? `, ${shown.length} shown` : '')].join('\n\n');
}

/** How many there are of each severity: `2 errors, 1 warning`. */
export function countOf(diagnostics: readonly Diagnostic[]): string {
  const counts = (['error', 'warning', 'note'] as const).map((severity) => [diagnostics.filter((one) => one.severity === severity).length, severity] as const);
  return counts.flatMap(([count, severity]) => (count === 0 ? [] : [`${count} ${severity}${count === 1 ? '' : 's'}`])).join(', ');
}

function rendered(diagnostic: Diagnostic, lines: (file: string) => Lines | undefined, options: RenderOptions): string {
  const colors = paint(options.color === true);
  const labels = diagnostic.at ? [diagnostic.at, ...diagnostic.related] : diagnostic.related;
  const gutter = Math.max(2, ...labels.map((label) => String(lines(label.span.file)?.place(label.span.end).line ?? 0).length));
  const head = `${colors[diagnostic.severity](colors.strong(`${diagnostic.severity}[${diagnostic.code}]`))}${colors.strong(`: ${harmless(diagnostic.message)}`)}`;
  const said = [...diagnostic.notes.map(noteLine), ...diagnostic.fixes.map((fix) => `fix ${fix.text}`)];
  const tail = said.map((line) => `${' '.repeat(gutter)}${colors.dim('=')} ${harmless(line).replaceAll('\n', `\n${' '.repeat(gutter + 6)}`)}`);
  return [head, ...places(labels, diagnostic, lines, { gutter, colors, options }), ...tail].join('\n');
}

/** `in …` lines are set so that what follows stands in one column with `fix …`. */
function noteLine(note: string): string {
  return note.replace(/^in +/, 'in  ');
}

interface Setting {
  readonly gutter: number;
  readonly colors: Paint;
  readonly options: RenderOptions;
}

/** The excerpts, a heading for each file: that of the fault first. */
function places(labels: readonly Label[], diagnostic: Diagnostic, lines: (file: string) => Lines | undefined, setting: Setting): readonly string[] {
  const { gutter, colors, options } = setting;
  const room = Math.max(narrowest, options.width ?? 140) - gutter - 2;
  const files = [...new Set(labels.map((label) => label.span.file))];
  return files.flatMap((file, i) => {
    const here = labels.filter((label) => label.span.file === file);
    const source = lines(file);
    const first = here[0];
    const place = first && source?.place(first.span.start);
    const name = harmless(options.relative?.(file) ?? file);
    const heading = `${' '.repeat(gutter)}${colors.dim(i === 0 ? '╭─' : '├─')} ${name}${place ? `:${place.line}:${place.column}` : ''}`;
    if (!source) return [heading, ...here.flatMap((label) => (label.text === '' ? [] : [`${' '.repeat(gutter)}${colors.dim('│')} ${harmless(label.text)}`]))];
    const marks = here.map((label) => markOf(label, label === diagnostic.at ? diagnostic.severity : 'secondary', colors));
    return [heading, ...excerpt(source, marks, room).map((row) => numbered(row, gutter, colors))];
  });
}

function markOf(label: Label, kind: Severity | 'secondary', colors: Paint): Mark {
  return { start: label.span.start, end: label.span.end, text: label.text, paint: kind === 'secondary' ? colors.note : colors[kind] };
}

function numbered(row: Row, gutter: number, colors: Paint): string {
  const number = String(row.line ?? '').padStart(gutter);
  if (row.kind === 'gap') return `${' '.repeat(gutter)}${colors.dim('┆')}`;
  return `${colors.dim(`${number}│`)}${row.text === '' ? '' : ` ${row.text}`}`.trimEnd();
}
