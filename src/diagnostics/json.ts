/** Diagnostics as plain data for editors, CI and other programs. */

import type { Place, Span } from '../../grammar/span.ts';
import type { Diagnostic, Label, Severity } from './diagnostic.ts';
import { linesByFile } from './excerpt.ts';
import type { Lines } from './lines.ts';

/** A position: line and column start at 1, the offset at 0; all count UTF-16 units. */
export interface PlaceJson extends Place {
  readonly offset: number;
}

/** A stretch of a file; `end` is exclusive. Lines and columns are absent where the text is not at hand. */
export interface RangeJson {
  readonly start: PlaceJson | { readonly offset: number };
  readonly end: PlaceJson | { readonly offset: number };
}

/** One diagnostic as data. */
export interface DiagnosticJson {
  readonly code: string;
  readonly severity: Severity;
  readonly message: string;
  readonly file?: string;
  readonly range?: RangeJson;
  readonly label?: string;
  readonly related: readonly { readonly file: string; readonly range: RangeJson; readonly label: string }[];
  readonly notes: readonly string[];
  readonly fixes: readonly { readonly text: string; readonly edit?: { readonly file: string; readonly range: RangeJson; readonly replacement: string } }[];
}

/** Diagnostics as data, in the order given. `sources` gives the text of a file, for lines and columns. */
export function diagnosticsJson(diagnostics: readonly Diagnostic[], sources: (file: string) => string | undefined): readonly DiagnosticJson[] {
  const lines = linesByFile(sources);
  return diagnostics.map((one) => ({
    code: one.code,
    severity: one.severity,
    message: one.message,
    ...(one.at ? placed(one.at, lines) : {}),
    related: one.related.map((label) => ({ label: label.text, file: label.span.file, range: rangeOf(label.span, lines) })),
    notes: one.notes,
    fixes: one.fixes.map(({ text, edit }) => ({ text, ...(edit ? { edit: { file: edit.span.file, range: rangeOf(edit.span, lines), replacement: edit.replacement } } : {}) })),
  }));
}

function placed(label: Label, lines: (file: string) => Lines | undefined): Pick<DiagnosticJson, 'file' | 'range' | 'label'> {
  return { file: label.span.file, range: rangeOf(label.span, lines), ...(label.text === '' ? {} : { label: label.text }) };
}

function rangeOf(span: Span, lines: (file: string) => Lines | undefined): RangeJson {
  const source = lines(span.file);
  const place = (offset: number) => ({ offset, ...source?.place(offset) });
  return { start: place(span.start), end: place(span.end) };
}
