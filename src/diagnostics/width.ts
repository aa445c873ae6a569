/** How wide text is on a terminal, and what of it may be sent there: the reports align carets by it. */

/** Columns between two tab stops. */
const tabStop = 4;

/** Ranges of code points that take two columns: East Asian wide and full-width, and pictographs (Unicode 16, UAX #11). */
const wide: readonly (readonly [number, number])[] = [
  [0x1100, 0x115f],
  [0x2e80, 0x303e],
  [0x3041, 0x4dbf],
  [0x4e00, 0xa4cf],
  [0xa960, 0xa97c],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe30, 0xfe6f],
  [0xff00, 0xff60],
  [0xffe0, 0xffe6],
  [0x1f300, 0x1f64f],
  [0x1f680, 0x1f6ff],
  [0x1f900, 0x1faff],
  [0x20000, 0x3fffd],
];

const marks = /^(?:\p{Mn}|\p{Me}|[\u200b-\u200d]|\u2060)$/u;
const emoji = /^\p{Emoji_Presentation}$/u;
const unsafe = /[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069\p{Cs}]/gu;

/** Columns that one character takes, tabs aside: 0, 1 or 2. */
function columnsOf(character: string): number {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x300) return 1;
  if (marks.test(character)) return 0;
  if (emoji.test(character)) return 2;
  return wide.some(([from, to]) => code >= from && code <= to) ? 2 : 1;
}

/** Text that a terminal shows as it stands: control characters and marks that turn the reading direction become `�`. Line ends stay. */
export function harmless(text: string): string {
  return text.replace(unsafe, (found) => (found === '\n' ? found : '\ufffd'));
}

/** A line as shown: characters with their columns. `at` maps an offset in the line to a column, its length included. */
export interface Shown {
  readonly cells: readonly { readonly text: string; readonly columns: number; readonly from: number }[];
  readonly columns: number;
  at(offset: number): number;
}

/** Lays out one line of source: tabs become spaces up to the next stop, what a terminal would obey becomes `�`. */
export function layOut(line: string): Shown {
  const cells: { text: string; columns: number; from: number }[] = [];
  const starts: number[] = [];
  let column = 0;
  for (const character of line) {
    const columns = character === '\t' ? tabStop - (column % tabStop) : columnsOf(character);
    for (let unit = 0; unit < character.length; unit++) starts.push(column);
    cells.push({ text: character === '\t' ? ' '.repeat(columns) : harmless(character), columns, from: column });
    column += columns;
  }
  return { cells, columns: column, at: (offset) => starts[Math.max(0, offset)] ?? column };
}

/** Columns that a text without tabs takes. */
export function widthOf(text: string): number {
  return layOut(text).columns;
}
