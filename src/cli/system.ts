/** What the system refuses, in words: errors of files and streams become diagnostics here, since they are no fault of moec's. */

import { dirname } from 'node:path';
import { type Diagnostic, diagnose } from '../diagnostics/diagnostic.ts';

const reasons: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EISDIR: 'it is a folder',
  ENOSPC: 'no room left on the device',
  EROFS: 'the file system is read-only',
  ENOTDIR: 'a part of the path is no folder',
  ENOENT: 'there is no such file or folder',
  EIO: 'the disk reports an error',
  EMFILE: 'too many files are open',
};

/** What the system said, in words. */
export function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return reasons[code] ?? (error instanceof Error ? error.message : String(error));
}

const reading: ReadonlySet<string> = new Set(['open', 'read', 'scandir', 'opendir', 'stat', 'lstat', 'fstat', 'readlink', 'realpath', 'access']);
const writing: ReadonlySet<string> = new Set(['write', 'mkdtemp', 'mkdir', 'rename', 'copyfile', 'cp', 'link', 'symlink', 'unlink', 'rmdir', 'rm', 'chmod', 'ftruncate', 'fsync']);

/** The diagnostic for an error of the file system; undefined for any other. One that names no path is of a stream or of a file that is open. */
export function systemFault(thrown: unknown): Diagnostic | undefined {
  if (!(thrown instanceof Error)) return undefined;
  const { code, syscall, path, dest } = thrown as NodeJS.ErrnoException & { readonly dest?: string };
  if (code === undefined || syscall === undefined) return undefined;
  const reason = reasonOf(thrown);
  if (reading.has(syscall)) return diagnose('cannot-read', { path: path ?? 'what was opened', reason });
  if (!writing.has(syscall)) return undefined;
  // The name of a temporary folder is not made up yet.
  const file = syscall === 'mkdtemp' && path !== undefined ? dirname(path) : (dest ?? path ?? 'the output');
  return diagnose('cannot-write', { file, reason });
}
