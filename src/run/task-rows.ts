/** From rows of a file to what is asked of a model: their tokens, the positions that are masked, the classes that are right. */

import { diagnose, type Outcome } from '../diagnostics/diagnostic.ts';
import type { LabelledText, MaskedText } from './accuracy.ts';
import type { Executable } from './executable.ts';
import { type Row, readRows } from './rows.ts';
import { openTokenizer, type Tokenizer } from './tokenizer.ts';

/** A row with its tokens. */
export interface TokenRow {
  readonly row: Row;
  readonly tokens: readonly number[];
}

/** What is known of the model that reads the rows. */
type Reading = Pick<Executable, 'tokenizer' | 'context'>;

/** The rows of a file, the first `most` of them where given, with their tokens; `file` is what messages call it. A tokenizer is opened only where a row is a text. */
export function tokenRows(text: string, file: string, { tokenizer: place, context }: Reading, most?: number): Outcome<readonly TokenRow[]> {
  const read = readRows(text, file);
  if (!read.ok) return read;
  const rows = read.value.slice(0, most);
  let tokenizer: Tokenizer | undefined;
  if (rows.some(({ ids }) => !ids)) {
    const opened = openTokenizer(place);
    if (!opened.ok) return opened;
    tokenizer = opened.value;
  }
  const found = rows.map((row) => ({ row, tokens: row.ids ?? tokenizer?.encode(row.text ?? '') ?? [] }));
  const wrong = found.findIndex(({ tokens }) => tokens.length === 0 || (context !== undefined && tokens.length > context));
  const length = found[wrong]?.tokens.length ?? 0;
  if (wrong >= 0) return refuseRow(file, wrong, length === 0 ? 'it has no tokens' : `it has ${length} tokens; the model looks at ${context} at most`);
  return { ok: true, value: found, diagnostics: [] };
}

/** Each position of `mask` is to be guessed, all but the first and the last where a row names none. */
export function maskedTexts(rows: readonly TokenRow[], file: string): Outcome<readonly MaskedText[]> {
  const texts = rows.map(({ tokens, row }) => ({ tokens, masked: row.mask ?? tokens.slice(1, -1).map((_, at) => at + 1) }));
  for (const [i, { tokens, masked }] of texts.entries()) {
    if (masked.length === 0) return refuseRow(file, i, rows[i]?.row.mask ? 'it masks no position' : 'it has no token but the first and the last, which are not masked');
    const wrong = masked.find((at) => at >= tokens.length);
    if (wrong !== undefined) return refuseRow(file, i, `it masks position ${wrong} of ${tokens.length} tokens`);
  }
  return { ok: true, value: texts, diagnostics: [] };
}

/** Texts with labels below `classes`, where that is known. */
export function labelledTexts(rows: readonly TokenRow[], file: string, classes: number | undefined): Outcome<readonly LabelledText[]> {
  const texts: LabelledText[] = [];
  for (const [i, { tokens, row }] of rows.entries()) {
    const { label } = row;
    if (label === undefined) return refuseRow(file, i, 'it has no label');
    if (classes !== undefined && label >= classes) return refuseRow(file, i, `its label is ${label}; the model has ${classes} classes`);
    texts.push({ tokens, label });
  }
  return { ok: true, value: texts, diagnostics: [] };
}

function refuseRow(file: string, i: number, reason: string): Outcome<never> {
  return { ok: false, diagnostics: [diagnose('rows-unreadable', { file, reason: `row ${i + 1}: ${reason}` })] };
}
