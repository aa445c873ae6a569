/** Where something stands in a source text: offsets, lines and columns. */

/** A stretch of one source text. Offsets count UTF-16 units; `end` is exclusive. */
export interface Span {
  readonly file: string;
  readonly start: number;
  readonly end: number;
}

/** The stretch from the start of `first` to the end of `last`. */
export function join(first: Span, last: Span): Span {
  return { file: first.file, start: first.start, end: last.end };
}

/** A position as people count: both start at 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** Line and column of an offset; `\r\n`, `\n` and `\r` each end a line. */
export function placeOf(text: string, offset: number): Place {
  const before = text.slice(0, offset);
  const lines = before.split(/\r\n|\n|\r/);
  return { line: lines.length, column: (lines.at(-1) ?? '').length + 1 };
}
