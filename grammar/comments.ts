/** Comments while formatting: they are handed out in the order written, each once, to whatever is printed next to them. */

import type { Comment } from './ast.ts';
import { type Doc, hard } from './layout.ts';
import type { Span } from './span.ts';

/** The text being formatted, and how many of its comments have been printed. */
export interface Printing {
  readonly text: string;
  readonly comments: readonly Comment[];
  taken: number;
}

/** The comments before an offset that nothing has printed yet. */
export function takeBefore(offset: number, printing: Printing): readonly Comment[] {
  const from = printing.taken;
  while ((printing.comments[printing.taken]?.span.start ?? offset) < offset) printing.taken++;
  return printing.comments.slice(from, printing.taken);
}

/** The comment that ends the line on which `end` lies, if only blanks and a comma stand between. */
export function takeTrailing(end: number, printing: Printing): Comment | undefined {
  const next = printing.comments[printing.taken];
  if (!next || next.span.start < end || !/^[ \t,]*$/.test(printing.text.slice(end, next.span.start))) return undefined;
  printing.taken++;
  return next;
}

/** A comment moved away from where it was written: it documents nothing there. */
export function demoted(comment: Comment): string {
  return comment.doc ? comment.text.slice(1) : comment.text;
}

/** Comments on lines of their own, each followed by a new line. */
export function ownLines(comments: readonly Comment[]): Doc {
  return comments.flatMap((one) => [one.text, hard]);
}

/** How many line breaks stand between two offsets, outside of comments. */
export function breaksBetween(start: number, end: number, printing: Printing): number {
  return printing.text.slice(start, end).match(/\r\n|\n|\r/g)?.length ?? 0;
}

/** The offset of a sign at or after `from`, comments passed over; `from` where there is none. */
export function find(sign: string, from: number, printing: Printing): number {
  let at = printing.text.indexOf(sign, from);
  for (const { span } of printing.comments) if (inside(at, span)) at = printing.text.indexOf(sign, span.end);
  return at < 0 ? from : at;
}

function inside(offset: number, span: Span): boolean {
  return span.start <= offset && offset < span.end;
}
