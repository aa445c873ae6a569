/** Blocks and lists of the formatter: which entries share a line, what lines up, and where comments go. */

import type { Comment } from './ast.ts';
import { breaksBetween, demoted, ownLines, type Printing, takeBefore, takeTrailing } from './comments.ts';
import { column, type Doc, flat, group, hard, indent, joined, line, mustBreak, trailing } from './layout.ts';
import type { Span } from './span.ts';

/** One thing of a block. With a `head` it is `head sign rest`, and the signs of neighbours line up. */
export interface Entry {
  readonly span: Span;
  readonly head?: (printing: Printing) => Doc;
  readonly sign?: string;
  readonly rest: (printing: Printing) => Doc;
}

/** What stands between braces; `open` and `close` are where the braces stand. */
export interface Block {
  readonly open: number;
  readonly close: number;
  readonly entries: readonly Entry[];
}

/** A block in its braces: on one line where its author had it so and it fits. */
export function block({ open, close, entries }: Block, printing: Printing): Doc {
  const before = takeBefore(open, printing);
  const opening = takeTrailing(open + 1, printing);
  const body = lines(entries, open + 1, printing);
  const last = dangling(close, entries, printing);
  if (before.length === 0 && !opening && last === undefined) {
    if (entries.length === 0) return '{}';
    if (breaksBetween(open, close, printing) === 0) return group(['{', indent([line(' '), body]), line(' '), '}']);
  }
  const content: Doc = [before.map((one) => [demoted(one), hard]), body, last ?? ''];
  const empty = entries.length === 0 && before.length === 0 && last === undefined;
  return ['{', opening ? trailing(opening.text) : '', empty ? '' : indent([hard, content]), hard, '}'];
}

/** The comments after the last of the entries and before `close`, with the line breaks that lead to them. */
export function dangling(close: number, entries: readonly Entry[], printing: Printing): Doc | undefined {
  const before = printing.comments[printing.taken - 1]?.span.end ?? 0;
  const comments = takeBefore(close, printing);
  if (comments.length === 0) return undefined;
  let end = Math.max(entries.at(-1)?.span.end ?? 0, before);
  return comments.map((one, i): Doc => {
    const gap = separation(end, one.span.start, i === 0 && entries.length === 0, printing);
    end = one.span.end;
    return [gap, one.text];
  });
}

/** Entries under each other; those that shared a line still do where they fit. `start` is where the first may begin. */
export function lines(entries: readonly Entry[], start: number, printing: Printing): Doc {
  const rows = rowsOf(entries, printing);
  const pads = padding(rows, printing);
  let end = start;
  return rows.map((row, i): Doc => {
    const first = row[0];
    const leading = first ? takeBefore(first.span.start, printing) : [];
    const gap = separation(end, leading[0]?.span.start ?? first?.span.start ?? end, i === 0, printing);
    const above = leading.map((one, j): Doc => [one.text, hard, blankAfter(one, leading[j + 1]?.span.start ?? first?.span.start, printing)]);
    const docs = leading.length - 1 - leading.findLastIndex((one) => !one.doc);
    const printed = row.map((entry) => withComments(entry, pads.get(entry) ?? 0, printing));
    end = row.at(-1)?.span.end ?? end;
    // What is lifted out of an entry stands above its documentation, which must stay next to it.
    const lifted = printed.map((one) => one.lifted);
    const content = printed.map((one) => one.doc);
    const note = takeTrailing(end, printing);
    if (note) end = note.span.end;
    return [gap, above.slice(0, above.length - docs), lifted, above.slice(above.length - docs), group(joined(content, line('  '))), note ? trailing(note.text) : ''];
  });
}

/** The new line before a row, with a blank line where the author left one. */
function separation(end: number, start: number, first: boolean, printing: Printing): Doc {
  if (first) return '';
  const breaks = breaksBetween(end, start, printing);
  return breaks === 0 ? line('  ') : breaks === 1 ? hard : [hard, hard];
}

function blankAfter(comment: Comment, next: number | undefined, printing: Printing): Doc {
  return next !== undefined && breaksBetween(comment.span.end, next, printing) > 1 ? hard : '';
}

/** An entry with the comments inside it that found no place of their own: one ends the line, more stand above. */
function withComments(entry: Entry, pad: number, printing: Printing): { readonly lifted: Doc; readonly doc: Doc } {
  const head = entry.head ? flat(entry.head({ ...printing, comments: [] })) : '';
  const doc = [head.padEnd(pad), entry.sign ?? '', entry.rest(printing)];
  const inner = takeBefore(entry.span.end, printing);
  const [only] = inner;
  if (only && inner.length === 1 && !mustBreak(doc)) return { lifted: '', doc: [doc, trailing(demoted(only))] };
  return { lifted: inner.flatMap((one) => [demoted(one), hard]), doc };
}

/** Entries by the lines they were written on. */
function rowsOf(entries: readonly Entry[], printing: Printing): readonly (readonly Entry[])[] {
  const rows: Entry[][] = [];
  for (const entry of entries) {
    const row = rows.at(-1);
    const before = row?.at(-1);
    if (row && before && breaksBetween(before.span.end, entry.span.start, printing) === 0) row.push(entry);
    else rows.push([entry]);
  }
  return rows;
}

const headSpread = 16;

/** How wide the head of each entry is made so that the signs of consecutive lines stand below each other. */
function padding(rows: readonly (readonly Entry[])[], printing: Printing): ReadonlyMap<Entry, number> {
  const pads = new Map<Entry, number>();
  let run: Entry[] = [];
  const close = (): void => {
    const widths = run.map((entry) => (entry.head ? flat(entry.head({ ...printing, comments: [] })).length : 0));
    const at = column(widths, headSpread);
    for (const entry of run) pads.set(entry, at);
    run = [];
  };
  for (const row of rows) {
    const [entry] = row;
    const before = run.at(-1);
    const alone = row.length === 1 && entry?.head !== undefined;
    if (before && (!alone || before.sign !== entry.sign || breaksBetween(before.span.end, entry.span.start, printing) > 1)) close();
    if (alone) run.push(entry);
  }
  close();
  return pads;
}

/** Things with commas between, in brackets; `print` gives each. */
interface CommaList<T> {
  readonly open: number;
  readonly close: number;
  readonly brackets: '[]' | '()' | '{}';
  readonly items: readonly T[];
  readonly print: (item: T, printing: Printing) => Doc;
}

/** A list on one line, or inside its brackets on one line, or one item a line; never tighter than its author had it. */
export function commaList<T extends { readonly span: Span }>({ open, close, brackets, items, print }: CommaList<T>, printing: Printing): Doc {
  const [left = '', right = ''] = brackets;
  const edge = line(brackets === '{}' ? ' ' : '');
  const start = items[0]?.span.start ?? close;
  const docs = items.map((item, i): Doc => {
    const leading = takeBefore(item.span.start, printing);
    const doc = print(item, printing);
    const inner = takeBefore(item.span.end, printing);
    const note = takeTrailing(item.span.end, printing);
    const comma = i < items.length - 1 ? ',' : '';
    return [ownLines(leading), ownLines(inner), doc, comma, note ? trailing(note.text) : ''];
  });
  const last = takeBefore(close, printing);
  if (items.length === 0 && last.length === 0) return `${left}${right}`;
  const spread = items.some((item, i) => i > 0 && breaksBetween(items[i - 1]?.span.end ?? start, item.span.start, printing) > 0);
  const content = group([joined(docs, line(' ')), last.length > 0 ? [docs.length > 0 ? hard : '', joined(texts(last), hard)] : ''], spread);
  return group([left, indent([edge, content]), edge, right], spread || breaksBetween(open, start, printing) > 0);
}

function texts(comments: readonly Comment[]): readonly string[] {
  return comments.map((one) => one.text);
}
