/** The lines of a source text: found once, then any offset is looked up by halving. */

import type { Place } from '../../grammar/span.ts';

/** A text cut into lines. Numbers of lines start at 1. */
export interface Lines {
  readonly text: string;
  /** The line and column of an offset; offsets past the end are the end's. */
  place(offset: number): Place;
  /** A line's text without its end, and the offset at which it starts. */
  line(number: number): { readonly text: string; readonly start: number };
}

/** Cuts a text into lines; `\r\n`, `\n` and `\r` each end one. */
export function linesOf(text: string): Lines {
  const starts = [0];
  for (const end of text.matchAll(/\r\n|\n|\r/g)) starts.push(end.index + end[0].length);
  const startOf = (number: number): number => starts[number - 1] ?? text.length;
  return {
    text,
    place(offset) {
      const at = Math.max(0, Math.min(offset, text.length));
      let low = 0;
      let high = starts.length;
      while (high - low > 1) {
        const middle = (low + high) >> 1;
        if (startOf(middle + 1) <= at) low = middle;
        else high = middle;
      }
      return { line: low + 1, column: at - startOf(low + 1) + 1 };
    },
    line(number) {
      const start = startOf(number);
      return { text: text.slice(start, number < starts.length ? startOf(number + 1) : undefined).replace(/[\r\n]+$/, ''), start };
    },
  };
}
