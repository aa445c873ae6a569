/** Files beside a model: the bytes of its weights. The one place of this folder that touches the file system. */

import { createHash, randomBytes } from 'node:crypto';
import { closeSync, constants, copyFileSync, fsyncSync, linkSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Bug } from '../diagnostics/bug.ts';
import { type Diagnostic, diagnose, type Outcome } from '../diagnostics/diagnostic.ts';
import { ReadFault } from '../weights/checkpoint.ts';
import type { Placement } from './export.ts';

/** One tensor to write. */
export interface DataItem {
  readonly key: string;
  readonly bytes: Iterable<Uint8Array>;
  /** What the pieces add up to. */
  readonly length: number;
}

/** How a data file is written. */
export interface DataOptions {
  /** Every tensor begins at a multiple of this many bytes. */
  readonly align: number;
  readonly signal?: AbortSignal;
  /** Told after every piece. */
  readonly progress?: (done: number, total: number) => void;
}

/** A data file that is there, whole. */
export interface Data {
  /** Where each tensor lies, by key. */
  readonly placements: ReadonlyMap<string, Placement>;
  readonly bytes: number;
  /** Digest of the file, in hex. */
  readonly sha256: string;
}

/** Writes tensors one after another to `name` in `folder`. The file has its name only when it is complete; on a failure or an abort nothing of it is left. */
export async function writeData(folder: string, name: string, items: Iterable<DataItem>, options: DataOptions): Promise<Outcome<Data>> {
  const list = [...items];
  const layout = layOut(list, name, options.align);
  const file = join(folder, name);
  const written = await writeWhole(file, pieces(list, layout, options), options.signal);
  if (!written.ok) return written;
  return { ok: true, value: { placements: layout.placements, ...written.value }, diagnostics: [] };
}

/** Where tensors lie in a data file, and how long it is. */
export interface Layout {
  readonly placements: ReadonlyMap<string, Placement & { readonly kind: 'external' }>;
  readonly bytes: number;
}

/** Lays tensors one after another in a file called `location`, each at a multiple of `align` bytes. */
export function layOut(items: readonly Pick<DataItem, 'key' | 'length'>[], location: string, align: number): Layout {
  const placements = new Map<string, Placement & { readonly kind: 'external' }>();
  let end = 0;
  for (const { key, length } of items) {
    if (placements.has(key)) throw new Bug(`two tensors are called ${key}`);
    const offset = Math.ceil(end / align) * align;
    placements.set(key, { kind: 'external', location, offset, length });
    end = offset + length;
  }
  return { placements, bytes: end };
}

function* pieces(items: readonly DataItem[], { placements, bytes }: Layout, { progress }: DataOptions): Generator<Uint8Array> {
  let done = 0;
  for (const { key, bytes: content, length } of items) {
    const start = placements.get(key)?.offset ?? 0;
    if (start > done) yield new Uint8Array(start - done);
    done = start;
    for (const piece of content) {
      yield piece;
      done += piece.length;
      progress?.(done, bytes);
    }
    if (done !== start + length) throw new Bug(`${key} gave ${done - start} bytes and announced ${length}`);
  }
}

/** Writes a file piece by piece under another name, and gives it its name at the end. Between pieces the event loop runs, so that a signal can stop it. */
export async function writeWhole(file: string, content: Iterable<Uint8Array>, signal?: AbortSignal): Promise<Outcome<{ readonly bytes: number; readonly sha256: string }>> {
  const temporary = `${file}.${randomBytes(4).toString('hex')}.part`;
  let handle: number | undefined;
  try {
    handle = openSync(temporary, 'wx');
    const hash = createHash('sha256');
    let bytes = 0;
    for (const piece of content) {
      if (signal?.aborted) throw new Stopped();
      writeAll(handle, piece);
      hash.update(piece);
      bytes += piece.length;
      await new Promise(setImmediate);
    }
    if (signal?.aborted) throw new Stopped();
    fsyncSync(handle);
    closeSync(handle);
    handle = undefined;
    renameSync(temporary, file);
    return { ok: true, value: { bytes, sha256: hash.digest('hex') }, diagnostics: [] };
  } catch (error) {
    if (handle !== undefined) closeSync(handle);
    rmSync(temporary, { force: true });
    return { ok: false, diagnostics: [reportOf(error, file)] };
  }
}

class Stopped extends Error {}

function writeAll(handle: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(handle, bytes, done, bytes.length - done);
}

/** What went wrong as a diagnostic; faults of moec's own pass on. */
function reportOf(error: unknown, file: string): Diagnostic {
  if (error instanceof Stopped) return diagnose('writing-stopped', { file });
  if (error instanceof ReadFault) return error.diagnostic;
  const reason = error instanceof Error && 'code' in error ? String(error.code) : undefined;
  if (reason === undefined) throw error;
  return diagnose('cannot-write', { file, reason: reasons.get(reason) ?? (error as Error).message });
}

const reasons: ReadonlyMap<string, string> = new Map([
  ['ENOSPC', 'the disk is full'],
  ['EDQUOT', 'the quota is used up'],
  ['EACCES', 'permission denied'],
  ['EPERM', 'permission denied'],
  ['EROFS', 'the disk is read-only'],
  ['ENOENT', 'its folder is not there'],
  ['ENOTDIR', 'its folder is no folder'],
  ['EISDIR', 'there is a folder of that name'],
  ['EFBIG', 'it is larger than files may be here'],
  ['EXDEV', 'a hard link cannot lead to another disk'],
  ['EMLINK', 'the file has too many hard links'],
  ['EEXIST', 'it is there already'],
  ['EIO', 'the disk reports an error'],
]);

/** Gets a file under another name: a reflink where the file system has them, which takes no room, else a copy. Says which; the copy costs time and room and is worth announcing. Refusals of the system are thrown. */
export function copyFile(from: string, to: string): 'cloned' | 'copied' {
  try {
    copyFileSync(from, to, constants.COPYFILE_FICLONE_FORCE | constants.COPYFILE_EXCL);
    return 'cloned';
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') throw error;
    copyFileSync(from, to);
    return 'copied';
  }
}

/** How `bringFile` gets a file to its place: `link` shares the bytes for good, the others leave the two independent. */
export type Bringing = 'cloned' | 'copied' | 'linked';

/** Brings a file into a folder under its name there: hard-linked on request, else as `copyFile`. A refusal of the system is a diagnostic, and leaves nothing. */
export function bringFile(from: string, to: string, how: 'copy' | 'link'): Outcome<Bringing> {
  const temporary = `${to}.${randomBytes(4).toString('hex')}.part`;
  try {
    let brought: Bringing = 'linked';
    if (how === 'link') linkSync(from, temporary);
    else brought = copyFile(from, temporary);
    renameSync(temporary, to);
    return { ok: true, value: brought, diagnostics: [] };
  } catch (error) {
    rmSync(temporary, { force: true });
    return { ok: false, diagnostics: [reportOf(error, to)] };
  }
}
