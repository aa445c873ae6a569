/** Writing so that nothing half written is left behind: everything goes to a temporary name beside its place, and is renamed when it is whole. */

import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { diagnose } from '../diagnostics/diagnostic.ts';
import { Refusal } from './exit.ts';
import { reasonOf } from './system.ts';

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
  return staging(path, () => {
    attempt(target, () => {
      // A temporary folder is its maker's alone; this one becomes a folder like any other.
      chmodSync(path, 0o777 & ~process.umask());
      swap(path, full);
    });
  });
}

/** A temporary folder inside `folder`; what is written there is committed into `folder`, beside what is there. */
export function stageInside(folder: string): Staging {
  const path = attempt(folder, () => mkdtempSync(join(folder, '.moec-')));
  return staging(path, () => {
    attempt(folder, () => {
      for (const name of readdirSync(path)) renameSync(join(path, name), join(folder, name));
    });
    rmSync(path, { recursive: true, force: true });
  });
}

function staging(path: string, put: () => void): Staging {
  watch();
  open.add(path);
  return {
    path,
    commit: () => {
      put();
      open.delete(path);
    },
    discard: () => {
      if (!open.has(path)) return;
      rmSync(path, { recursive: true, force: true });
      open.delete(path);
    },
  };
}

/** Refuses to replace what moec did not write. `mine` are the files that it did write there; with `added`, only files of those names would be replaced. */
export function refuseToReplace(folder: string, shown: string, mine: ReadonlySet<string>, added?: readonly string[]): void {
  if (!existsSync(folder)) return;
  if (!statSync(folder).isDirectory()) throw new Refusal(diagnose('would-replace', { folder: shown, what: 'a file' }));
  const others = attempt(shown, () => readdirSync(folder)).filter((name) => !mine.has(name) && (added?.includes(name) ?? true));
  if (others.length === 0) return;
  const [first = '', ...more] = others.sort();
  throw new Refusal(diagnose('would-replace', { folder: shown, what: more.length === 0 ? first : `${first} and ${more.length} more` }));
}

/** Refuses to replace a folder in which a file lies that the model is made of. `read` are the absolute paths of those. */
export function refuseToLose(folder: string, shown: string, read: readonly string[]): void {
  if (!existsSync(folder)) return;
  const inside = `${realpathSync(folder)}${sep}`;
  const lost = read.find((file) => existsSync(file) && realpathSync(file).startsWith(inside));
  if (lost !== undefined) throw new Refusal(diagnose('would-lose-source', { folder: shown, file: basename(lost) }));
}

/** Refuses, before any work, a file of HTML that could not be written, or that would replace something else than HTML. */
export function refusePage(file: string, shown: string): void {
  const begin = attempt(shown, () => {
    accessSync(`${dirname(file)}/`, constants.W_OK);
    return existsSync(file) ? readFileSync(file, 'latin1').trimStart() : '';
  });
  if (begin !== '' && !/^<(!doctype )?html\b/i.test(begin)) throw new Refusal(diagnose('would-replace', { folder: shown, what: 'something other than HTML' }));
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
