/** Moving elements between memory orders: runs picked out of longer rows, and the transposition of a matrix. Bytes only; what they stand for does not matter. */

import { Bug } from '../diagnostics/bug.ts';

/** Equal runs of elements that lie apart in their source, in ascending order. */
export interface Runs {
  readonly read: (from: number, to: number) => Uint8Array;
  /** Bytes of one element. */
  readonly width: number;
  /** Elements of one run. */
  readonly run: number;
  /** Where a run begins in the source. */
  readonly startOf: (run: number) => number;
}

/** The most bytes that are read to pick runs out of. */
const spanLimit = 4 << 20;

/** The elements `from` to `to` of the runs laid end to end. */
export function copyRuns({ read, width, run, startOf }: Runs, from: number, to: number): Uint8Array {
  const result = new Uint8Array((to - from) * width);
  const limit = Math.max(1, Math.floor(spanLimit / width));
  for (let at = from; at < to; ) {
    const first = Math.floor(at / run);
    let last = first;
    // As many runs as fit into one read; a run that is longer is read in part.
    while ((last + 2) * run <= to && startOf(last + 1) + run - startOf(first) <= limit) last++;
    const end = Math.min(to, (last + 1) * run);
    const base = startOf(first) + (at - first * run);
    const span = read(base, startOf(last) + (end - last * run));
    copySpan(span, result, { width, run, from, at, end, base, startOf });
    at = end;
  }
  return result;
}

interface Span {
  readonly width: number;
  readonly run: number;
  /** Where the result begins, and which of its elements this span has. */
  readonly from: number;
  readonly at: number;
  readonly end: number;
  /** Where the span begins in the source. */
  readonly base: number;
  readonly startOf: (run: number) => number;
}

function copySpan(span: Uint8Array, result: Uint8Array, { width, run, from, at, end, base, startOf }: Span): void {
  if (run < 16) return copyElements(span, result, { width, run, from, at, end, base, startOf });
  for (let next = at; next < end; ) {
    const index = Math.floor(next / run);
    const stop = Math.min(end, (index + 1) * run);
    const source = startOf(index) + (next - index * run) - base;
    result.set(span.subarray(source * width, (source + stop - next) * width), (next - from) * width);
    next = stop;
  }
}

function copyElements(span: Uint8Array, result: Uint8Array, { width, run, from, at, end, base, startOf }: Span): void {
  const [source, target, words] = inWords(span, result, width);
  for (let next = at; next < end; next++) {
    const index = Math.floor(next / run);
    const a = (startOf(index) + (next - index * run) - base) * words;
    const b = (next - from) * words;
    for (let word = 0; word < words; word++) target[b + word] = source[a + word] ?? 0;
  }
}

/** Rows `first` to `last` of the transpose of a row-major matrix. */
export function transposeRows(
  matrix: Uint8Array,
  { rows, columns, width }: { readonly rows: number; readonly columns: number; readonly width: number },
  first: number,
  last: number,
): Uint8Array {
  const result = new Uint8Array((last - first) * rows * width);
  const [source, target, words] = inWords(matrix, result, width);
  const tile = 32;
  for (let row = 0; row < rows; row += tile) {
    for (let column = first; column < last; column += tile) {
      const [rowEnd, columnEnd] = [Math.min(rows, row + tile), Math.min(last, column + tile)];
      for (let c = column; c < columnEnd; c++) {
        for (let r = row; r < rowEnd; r++) {
          const [a, b] = [(r * columns + c) * words, ((c - first) * rows + r) * words];
          for (let word = 0; word < words; word++) target[b + word] = source[a + word] ?? 0;
        }
      }
    }
  }
  return result;
}

type Words = Uint8Array | Uint16Array | Uint32Array;

/** Both as whole numbers of the widest kind that fits an element, and how many of those it has. */
function inWords(source: Uint8Array, target: Uint8Array, width: number): readonly [Words, Words, number] {
  const size = Math.min(width, 4);
  if (size === 3) throw new Bug(`no words for elements of ${width} bytes`);
  return [asWords(source, size), asWords(target, size), width / size];
}

function asWords(bytes: Uint8Array, size: number): Words {
  if (size === 1) return bytes;
  const even = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes);
  return size === 2 ? new Uint16Array(even.buffer, even.byteOffset, even.length / 2) : new Uint32Array(even.buffer, even.byteOffset, even.length / 4);
}
