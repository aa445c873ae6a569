/** The reader of `.moe` files: paths from the folder of the call, `std/…` and `zoo/…` from moec's own library and models. */

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { diagnose } from '../diagnostics/diagnostic.ts';
import type { Reader } from '../model/program.ts';
import { Refusal } from './exit.ts';
import { libraryFile, packageFolder } from './package.ts';
import type { Sources } from './print.ts';
import { reasonOf } from './system.ts';
import type { Terminal } from './terminal.ts';

/** A reader that also keeps what it read, for the excerpts in diagnostics. */
export interface FileReader extends Reader {
  readonly sources: Sources;
  /** The files that it has read, named as they were asked for. */
  files(): readonly string[];
}

/** Reads files and their imports. Files under the folder of the call are named from there, others in full. */
export function fileReader(terminal: Terminal): FileReader {
  const texts = new Map<string, string | undefined>();
  const read = (path: string): string | undefined => {
    if (!texts.has(path)) texts.set(path, textOf(resolve(terminal.cwd, path), path));
    return texts.get(path);
  };
  const files = (): readonly string[] => [...texts].flatMap(([path, text]) => (text === undefined ? [] : [path]));
  return { read, resolve: (from, spec) => resolveImport(terminal.cwd, from, spec), sources: (file) => texts.get(file), files };
}

/** How a file is called in what is printed: from the folder of the call where it lies in it. */
export function nameOf(cwd: string, path: string): string {
  const full = resolve(cwd, path);
  const near = relative(cwd, full);
  return near === '' || near.startsWith('..') || isAbsolute(near) ? full : near;
}

function resolveImport(cwd: string, from: string, spec: string): string | undefined {
  const own = libraryFile(spec);
  if (own === undefined && !spec.startsWith('./') && !spec.startsWith('../')) return undefined;
  const base = own === undefined ? resolve(cwd, dirname(from), spec) : join(packageFolder(), own);
  const found = [base, `${base}.moe`].find((path) => path.endsWith('.moe') && existsSync(path));
  return found === undefined ? undefined : nameOf(cwd, found);
}

function textOf(full: string, path: string): string | undefined {
  if (!existsSync(full)) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(full));
  } catch (error) {
    throw new Refusal(diagnose('cannot-read', { path, reason: error instanceof TypeError ? 'it is not text in UTF-8' : reasonOf(error) }));
  }
}

/** The text of a file that has to be there. */
export function readOrRefuse(reader: Reader, file: string): string {
  const text = reader.read(file);
  if (text === undefined) throw new Refusal(diagnose('target-missing', { path: file }));
  return text;
}

/** The text of a file named on the command line. */
export function textOrRefuse(terminal: Terminal, path: string): string {
  const text = textOf(resolve(terminal.cwd, path), path);
  if (text === undefined) throw new Refusal(diagnose('target-missing', { path }));
  return text;
}

/** The `.moe` files that paths name: a folder stands for all in it and below. Named from the folder of the call, each once. */
export function moeFiles(terminal: Terminal, paths: readonly string[]): readonly string[] {
  const files = paths.flatMap((path) => {
    const full = resolve(terminal.cwd, path);
    if (!existsSync(full) || !statSync(full).isDirectory()) return [path];
    const inside = readdirSync(full, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.moe') && !name.includes('node_modules'));
    if (inside.length === 0) throw new Refusal(diagnose('target-unknown', { path, reason: 'there is no .moe file in it' }));
    return inside.sort().map((name) => join(path, name));
  });
  return [...new Set(files.map((file) => nameOf(terminal.cwd, file)))];
}

/** The configuration at a path: a JSON file, or the config.json of a folder. */
export function readConfig(terminal: Terminal, path: string): unknown {
  const full = resolve(terminal.cwd, path);
  const file = existsSync(full) && statSync(full).isDirectory() ? join(full, 'config.json') : full;
  const text = textOf(file, path);
  if (text === undefined) throw new Refusal(diagnose('target-missing', { path: nameOf(terminal.cwd, file) }));
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Refusal(diagnose('json-unreadable', { file: nameOf(terminal.cwd, file), reason: reasonOf(error) }));
  }
}
