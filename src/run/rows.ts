/** Rows of a task from a file: a JSON list of objects, one object a line, or columns with tabs between. */

import { diagnose, type Outcome } from '../diagnostics/diagnostic.ts';
import { reasonOf } from './faults.ts';
import { isObject, type JsonObject } from './json.ts';

/** One row: a text or its tokens, and what is to be found out about it. */
export interface Row {
  readonly text?: string;
  readonly ids?: readonly number[];
  /** Positions whose tokens are to be guessed. */
  readonly mask?: readonly number[];
  /** The number of the class. */
  readonly label?: number;
}

/** Reads rows from the text of a file. JSON is a list of objects, or an object that holds one such list; columns have a first line with their names, or are a text and a label. */
export function readRows(text: string, file: string): Outcome<readonly Row[]> {
  const wrong = (reason: string): Outcome<never> => ({ ok: false, diagnostics: [diagnose('rows-unreadable', { file, reason })] });
  const begin = text.trimStart().charAt(0);
  const objects = begin === '[' || begin === '{' ? ofJson(text) : ofColumns(text);
  if (typeof objects === 'string') return wrong(objects);
  const rows: Row[] = [];
  for (const [i, one] of objects.entries()) {
    const row = rowOf(one);
    if (typeof row === 'string') return wrong(`row ${i + 1}: ${row}`);
    rows.push(row);
  }
  return rows.length === 0 ? wrong('it has no rows') : { ok: true, value: rows, diagnostics: [] };
}

/** Names that a field goes by. */
const names = { text: ['text', 'sentence'], ids: ['ids', 'input_ids', 'tokens'], mask: ['mask', 'positions'], label: ['label'] } as const;

function rowOf(given: JsonObject): Row | string {
  const field = (which: readonly string[]): unknown => which.map((name) => given[name]).find((value) => value !== undefined);
  const [text, ids, mask, label] = [names.text, names.ids, names.mask, names.label].map(field);
  if (text !== undefined && typeof text !== 'string') return '`text` is not text';
  if (text === undefined && ids === undefined) return 'it has neither `text` nor `ids`';
  if (ids !== undefined && !isWhole(ids)) return '`ids` is not a list of whole numbers';
  if (mask !== undefined && !isWhole(mask)) return '`mask` is not a list of positions';
  const number = typeof label === 'string' && /^\d+$/.test(label.trim()) ? Number(label) : label;
  if (number !== undefined && !(typeof number === 'number' && Number.isInteger(number) && number >= 0)) return `its label is ${JSON.stringify(label)}, not the number of a class`;
  return {
    ...(text === undefined ? {} : { text }),
    ...(ids === undefined ? {} : { ids }),
    ...(mask === undefined ? {} : { mask }),
    ...(number === undefined ? {} : { label: number }),
  };
}

function isWhole(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((one) => Number.isInteger(one) && one >= 0);
}

function ofJson(text: string): readonly JsonObject[] | string {
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '');
  try {
    return listIn(JSON.parse(text)) ?? 'it holds no list of objects';
  } catch (error) {
    if (lines.length < 2 || !lines.every((line) => line.startsWith('{'))) return reasonOf(error);
  }
  const rows: JsonObject[] = [];
  for (const [i, line] of lines.entries()) {
    try {
      rows.push(JSON.parse(line) as JsonObject);
    } catch (error) {
      return `line ${i + 1}: ${reasonOf(error)}`;
    }
  }
  return rows;
}

/** A list of objects, or the first one that an object holds; an object that is a row itself is a list of one. */
function listIn(value: unknown): readonly JsonObject[] | undefined {
  if (Array.isArray(value)) return value.every(isObject) ? value : undefined;
  if (!isObject(value)) return undefined;
  const list = Object.values(value).find((one): one is readonly JsonObject[] => Array.isArray(one) && one.length > 0 && one.every(isObject));
  return list ?? [value];
}

function ofColumns(text: string): readonly JsonObject[] {
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '');
  const [head = [], ...rest] = lines.map((line) => line.split('\t'));
  const named = head.some((cell) => names.text.some((name) => name === cell.trim().toLowerCase()));
  const keys = named ? head.map((cell) => cell.trim().toLowerCase()) : head.length > 1 ? ['text', ...head.slice(2).map(() => ''), 'label'] : ['text'];
  return (named ? rest : [head, ...rest]).map((cells) => Object.fromEntries(keys.flatMap((key, i) => (key === '' || cells[i] === undefined ? [] : [[key, cells[i]]]))));
}
