/** Cuts the marked lines out of a source text, with carets under the marks: the middle of a rendered report. */

import { type Lines, linesOf } from './lines.ts';
import { harmless, layOut, type Shown, widthOf } from './width.ts';

/** A stretch of one text to be underlined, and what to say under it. */
export interface Mark {
  readonly start: number;
  readonly end: number;
  readonly text: string;
  /** Colours the carets. */
  paint(carets: string): string;
}

/** The part of a mark that lies in one line; `gap` where lines between it and the part before are left out. */
interface Piece {
  readonly line: number;
  readonly from: number;
  readonly to: number;
  readonly gap: boolean;
  readonly mark: Mark;
  readonly text: string;
}

/** A row of an excerpt: a numbered line of the source, something under it, or a gap. */
export interface Row {
  readonly kind: 'source' | 'under' | 'gap';
  readonly line?: number;
  readonly text: string;
}

/** The marked lines with carets, in the order of the marks; lines longer than `room` columns are cut to a window around each mark. */
export function excerpt(source: Lines, marks: readonly Mark[], room: number): readonly Row[] {
  const byLine = new Map<number, Piece[]>();
  for (const piece of marks.flatMap((mark) => piecesOf(source, mark))) {
    const there = byLine.get(piece.line);
    if (there) there.push(piece);
    else byLine.set(piece.line, [piece]);
  }
  return [...byLine.values()].flatMap((pieces) => rowsOf(source, pieces, room));
}

function piecesOf(source: Lines, mark: Mark): readonly Piece[] {
  const end = mark.start + source.text.slice(mark.start, Math.max(mark.start, mark.end)).trimEnd().length;
  const first = source.place(mark.start);
  const last = source.place(end);
  if (first.line === last.line) return [{ line: first.line, from: first.column - 1, to: last.column - 1, gap: false, mark, text: mark.text }];
  const opening = source.line(first.line).text;
  const closing = source.line(last.line).text;
  return [
    { line: first.line, from: first.column - 1, to: opening.trimEnd().length, gap: false, mark, text: '' },
    { line: last.line, from: closing.length - closing.trimStart().length, to: last.column - 1, gap: last.line > first.line + 1, mark, text: mark.text },
  ];
}

function rowsOf(source: Lines, pieces: readonly Piece[], room: number): readonly Row[] {
  const line = pieces[0]?.line ?? 1;
  const shown = layOut(source.line(line).text);
  const gaps: readonly Row[] = pieces.some((piece) => piece.gap) ? [{ kind: 'gap', text: '' }] : [];
  if (shown.columns <= room)
    return [...gaps, { kind: 'source', line, text: textOf(shown, 0, shown.columns) }, ...pieces.flatMap((piece) => under(piece, shown.at(piece.from), shown.at(piece.to), room))];
  return [...gaps, ...pieces.flatMap((piece) => windowed(shown, piece, room))];
}

/** One mark of a line too long to show: the columns around it, `…` where something is left out. */
function windowed(shown: Shown, piece: Piece, room: number): readonly Row[] {
  const from = shown.at(piece.from);
  const to = Math.max(from + 1, shown.at(piece.to));
  const left = to < room ? 0 : Math.max(0, Math.min(from - (room >> 2), shown.columns - room));
  const right = Math.min(shown.columns, left + room);
  const before = left > 0 ? '…' : '';
  const after = right < shown.columns ? '…' : '';
  const text = before + textOf(shown, left + before.length, right - after.length) + after;
  return [{ kind: 'source', line: piece.line, text }, ...under(piece, from - left, Math.min(to, right) - left, room)];
}

/** The cells of columns `from` to `to`; a wide character cut in two leaves a blank. */
function textOf(shown: Shown, from: number, to: number): string {
  let text = '';
  for (const cell of shown.cells) {
    const until = cell.from + cell.columns;
    if (cell.from >= from && until <= to) text += cell.text;
    else if (cell.from < to && until > from) text += ' '.repeat(Math.min(until, to) - Math.max(cell.from, from));
  }
  return text;
}

/** Carets and what they say: beside them where it fits, else below. */
function under(piece: Piece, from: number, to: number, room: number): readonly Row[] {
  const text = harmless(piece.text).replaceAll('\n', ' ');
  const count = Math.max(1, to - from);
  const carets = ' '.repeat(from) + piece.mark.paint('^'.repeat(count));
  if (text === '') return [{ kind: 'under', text: carets }];
  if (from + count + 1 + widthOf(text) <= room) return [{ kind: 'under', text: `${carets} ${piece.mark.paint(text)}` }];
  const indent = Math.max(0, Math.min(from, room - widthOf(text)));
  return [
    { kind: 'under', text: carets },
    { kind: 'under', text: ' '.repeat(indent) + piece.mark.paint(text) },
  ];
}

/** Lines of texts by file, each cut once. */
export function linesByFile(sources: (file: string) => string | undefined): (file: string) => Lines | undefined {
  const known = new Map<string, Lines | undefined>();
  return (file) => {
    if (!known.has(file)) {
      const text = sources(file);
      known.set(file, text === undefined ? undefined : linesOf(text));
    }
    return known.get(file);
  };
}
