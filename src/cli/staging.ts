/** Writing so that nothing half written is left behind: everything goes to a temporary name beside its place, and is renamed when it is whole. */

import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { diagnose } from '../diagnostics/diagnostic.ts';
import { Refusal } from './exit.ts';
import { reasonOf } from './read.ts';

/** A folder being written. */
export interface Staging {
  /** Where to write now. */
  readonly path: string;
  /** Puts the folder in its place, in one step; an older folder there is replaced. */
  commit(): void;
  /** Removes what was written. Does nothing after `commit`. */
  discard(): void;
}

const open = new Set<string>();
let watching = false;

/** Removes what is still unfinished when the process ends by itself or is told to. */
function watch(): void {
  if (watching) return;
  watching = true;
  process.on('exit', () => {
    for (const path of open) rmSync(path, { recursive: true, force: true });
  });
}

/** A temporary folder beside `target`, to be committed or discarded. */
export function stageFolder(target: string): Staging {
  const full = resolve(target);
  const path = attempt(target, () => {
    mkdirSync(dirname(full), { recursive: true });
    return mkdtempSync(join(dirname(full), `.${basename(full)}-`));
  });
  watch();
  open.add(path);
  const close = (): void => void open.delete(path);
  return {
    path,
    commit: () => {
      attempt(target, () => swap(path, full));
      close();
    },
    discard: () => {
      if (!open.has(path)) return;
      rmSync(path, { recursive: true, force: true });
      close();
    },
  };
}

/** Renames `path` to `full`; what stood there gives way only once the new folder can take its place. */
function swap(path: string, full: string): void {
  const old = `${path}-old`;
  const replaces = existsSync(full);
  if (replaces) renameSync(full, old);
  try {
    renameSync(path, full);
  } catch (error) {
    if (replaces) renameSync(old, full);
    throw error;
  }
  if (replaces) rmSync(old, { recursive: true, force: true });
}

/** Writes one file whole or not at all. `shown` is its name in a diagnostic. */
export function writeWhole(path: string, content: string | Uint8Array, shown: string): void {
  const temporary = join(dirname(path), `.${basename(path)}-${process.pid}`);
  watch();
  open.add(temporary);
  attempt(shown, () => {
    try {
      writeFileSync(temporary, content);
      renameSync(temporary, path);
    } finally {
      rmSync(temporary, { force: true });
      open.delete(temporary);
    }
  });
}

/** What the system refuses becomes a diagnostic. */
export function attempt<T>(path: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (error instanceof Error && 'code' in error) throw new Refusal(diagnose('cannot-write', { file: path, reason: reasonOf(error) }));
    throw error;
  }
}
