/** Documents that lay themselves out within a width: what the formatter is written in (after Wadler, "A prettier printer"). */

/** A text with choices of where its lines break. */
export type Doc = string | readonly Doc[] | Line | Indent | Group | Trailing;

/** A place to break: `flat` where the group around it fits on the line, a new line where it does not. `hard` always breaks. */
interface Line {
  readonly kind: 'line';
  readonly flat: string;
  readonly hard: boolean;
}

interface Indent {
  readonly kind: 'indent';
  readonly content: Doc;
}

interface Group {
  readonly kind: 'group';
  readonly content: Doc;
  readonly broken: boolean;
}

/** A comment at the end of its line. */
interface Trailing {
  readonly kind: 'trailing';
  readonly text: string;
}

/** A place to break, `flat` where it does not. */
export const line = (flat: string): Line => ({ kind: 'line', flat, hard: false });
/** A place that always breaks. */
export const hard: Line = { kind: 'line', flat: '', hard: true };
/** A stretch whose new lines stand two columns further in. */
export const indent = (content: Doc): Indent => ({ kind: 'indent', content });
/** A comment that ends the line it stands on. */
export const trailing = (text: string): Trailing => ({ kind: 'trailing', text });

/** A stretch that stands on one line if it fits and holds nothing that must break. */
export function group(content: Doc, broken = false): Group {
  return { kind: 'group', content, broken: broken || mustBreak(content) };
}

/** The documents with `separator` between them. */
export function joined(docs: readonly Doc[], separator: Doc): Doc {
  return docs.flatMap((doc, i) => (i === 0 ? [doc] : [separator, doc]));
}

/** Whether a document cannot stand on one line. */
export function mustBreak(doc: Doc): boolean {
  if (typeof doc === 'string') return false;
  if (isList(doc)) return doc.some(mustBreak);
  switch (doc.kind) {
    case 'line':
      return doc.hard;
    case 'indent':
      return mustBreak(doc.content);
    case 'group':
      return doc.broken;
    case 'trailing':
      return true;
  }
}

/** The text of a document on one line. */
export function flat(doc: Doc): string {
  if (typeof doc === 'string') return doc;
  if (isList(doc)) return doc.map(flat).join('');
  switch (doc.kind) {
    case 'line':
      return doc.flat;
    case 'indent':
    case 'group':
      return flat(doc.content);
    case 'trailing':
      return '';
  }
}

function isList(doc: Doc): doc is readonly Doc[] {
  return Array.isArray(doc);
}

/** One line laid out: its code with its indentation, and the comment that ends it. */
interface Laid {
  text: string;
  comment?: string;
}

interface Piece {
  readonly doc: Doc;
  readonly depth: number;
  readonly flat: boolean;
}

const step = 2;

/** The text of a document within `width` columns, two spaces an indentation, comments at line ends in columns. */
export function layOut(doc: Doc, width: number): string {
  const lines: Laid[] = [{ text: '' }];
  const rest: Piece[] = [{ doc, depth: 0, flat: false }];
  for (let piece = rest.pop(); piece; piece = rest.pop()) place(piece, rest, lines, width);
  alignComments(lines);
  return lines.map(({ text, comment }) => (comment === undefined ? text : `${text}${comment}`).trimEnd()).join('\n');
}

function place(piece: Piece, rest: Piece[], lines: Laid[], width: number): void {
  const { doc, depth } = piece;
  const last = lines.at(-1);
  if (last === undefined) return;
  if (typeof doc === 'string') {
    if (doc === '') return;
    // Nothing may follow a comment on its line.
    if (last.comment === undefined) last.text += doc;
    else lines.push({ text: ' '.repeat(depth) + doc.trimStart() });
  } else if (isList(doc)) {
    for (let i = doc.length - 1; i >= 0; i--) rest.push({ ...piece, doc: doc[i] ?? '' });
  } else if (doc.kind === 'indent') rest.push({ ...piece, doc: doc.content, depth: depth + step });
  else if (doc.kind === 'group') rest.push({ doc: doc.content, depth, flat: piece.flat || (!doc.broken && fits(doc.content, rest, width - last.text.length)) });
  else if (doc.kind === 'trailing') {
    if (last.comment === undefined) last.comment = doc.text;
    else lines.push({ text: ' '.repeat(depth) + doc.text });
  } else if (piece.flat && !doc.hard) rest.push({ ...piece, doc: doc.flat });
  else lines.push({ text: ' '.repeat(depth) });
}

/** Whether `doc` on one line, and what follows it up to the next line break, stays within `room` columns. */
function fits(doc: Doc, rest: readonly Piece[], room: number): boolean {
  let left = room;
  const todo: Piece[] = [{ doc, depth: 0, flat: true }];
  for (let next = rest.length - 1; left >= 0; ) {
    const piece = todo.pop() ?? rest[next--];
    if (piece === undefined) return true;
    const one = piece.doc;
    if (typeof one === 'string') left -= one.length;
    else if (isList(one)) for (let i = one.length - 1; i >= 0; i--) todo.push({ ...piece, doc: one[i] ?? '' });
    else if (one.kind === 'line') {
      if (one.hard || !piece.flat) return true;
      left -= one.flat.length;
    } else if (one.kind === 'trailing') return true;
    else todo.push({ ...piece, doc: one.content, flat: piece.flat || (one.kind === 'group' && !one.broken && piece.flat) });
  }
  return false;
}

/** The column that texts of these widths line up at: that of the longest, except those far longer than the shortest. */
export function column(widths: readonly number[], spread: number): number {
  const limit = Math.min(...widths) + spread;
  return Math.max(...widths.filter((width) => width <= limit));
}

const commentSpread = 40;

/** Puts the comments of consecutive lines of the same indentation into one column. */
function alignComments(lines: Laid[]): void {
  for (let start = 0; start < lines.length; ) {
    const run: Laid[] = [];
    for (let next = lines[start]; next?.comment !== undefined && (run[0] === undefined || indentOf(next) === indentOf(run[0])); next = lines[start + run.length]) run.push(next);
    if (run.length > 0) {
      const at = column(
        run.map(({ text }) => text.length),
        commentSpread,
      );
      for (const one of run) one.text = one.text.trim() === '' ? one.text : `${one.text.padEnd(at)}  `;
    }
    start += Math.max(run.length, 1);
  }
}

function indentOf({ text }: Laid): number {
  return text.length - text.trimStart().length;
}
