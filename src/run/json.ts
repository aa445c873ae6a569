/** Reads JSON files whose faults are their user's: a fault is a diagnostic. */

import { readFileSync } from 'node:fs';
import { diagnose, type Outcome } from '../diagnostics/diagnostic.ts';

/** What stands between braces. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Whether a value of JSON is an object, not a list or null. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The object in a file. */
export function readJson(path: string): Outcome<JsonObject> {
  const wrong = (reason: string): Outcome<JsonObject> => ({ ok: false, diagnostics: [diagnose('json-unreadable', { file: path, reason })] });
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    return wrong(code === 'ENOENT' ? 'there is no such file' : code === 'EISDIR' ? 'it is a folder' : `it cannot be opened (${String(code ?? error)})`);
  }
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? { ok: true, value, diagnostics: [] } : wrong('it holds no object');
  } catch (error) {
    return wrong(error instanceof Error ? error.message : String(error));
  }
}
