/** What a command sees of the world outside: streams, their width and colours, the folder it stands in, and the signal that ends it. */

import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { addAbortSignal } from 'node:stream';

/** The outside. Commands print through it alone, so that a test can stand in for a terminal. */
export interface Terminal {
  /** The folder that relative paths start from. */
  readonly cwd: string;
  /** Writes to standard output: results. */
  out(text: string): void;
  /** Writes to standard error: diagnostics, progress, hints. */
  err(text: string): void;
  /** All of standard input, as text. */
  input(): Promise<string>;
  /** Whether standard output and standard error take colours. */
  readonly color: { readonly out: boolean; readonly err: boolean };
  /** Columns of the terminal; 80 where there is none. */
  readonly columns: number;
  /** Whether somebody watches standard error, so that a line may be drawn over. */
  readonly watched: boolean;
  /** Aborted when the user asks to stop. */
  readonly signal: AbortSignal;
  /** The folder for what is worth keeping from call to call; nothing is kept where left out. */
  readonly cache?: string;
}

/** Whether a stream takes colours: NO_COLOR and FORCE_COLOR decide, then whether it is a terminal. */
export function takesColor(stream: { readonly isTTY?: boolean }, environment: Readonly<Record<string, string | undefined>>): boolean {
  if (environment['NO_COLOR']) return false;
  if (environment['FORCE_COLOR']) return environment['FORCE_COLOR'] !== '0';
  return stream.isTTY === true && environment['TERM'] !== 'dumb';
}

/** The terminal of this process; `lost` is told when its output cannot be written: whoever read it is gone, as `head` goes, or the disk is full. */
export function processTerminal(signal: AbortSignal, lost: (error: NodeJS.ErrnoException) => void): Terminal {
  const { stdout, stderr, env } = process;
  for (const stream of [stdout, stderr]) stream.on('error', lost);
  return {
    cwd: process.cwd(),
    out: (text) => void stdout.write(text),
    err: (text) => void stderr.write(text),
    input: () => readInput(signal),
    color: { out: takesColor(stdout, env), err: takesColor(stderr, env) },
    columns: stderr.columns ?? stdout.columns ?? 80,
    watched: stderr.isTTY === true && env['TERM'] !== 'dumb',
    signal,
    cache: cacheOf(env),
  };
}

/** The user's cache folder for moec: in XDG_CACHE_HOME where that is an absolute path, as its specification asks, else in ~/.cache. */
function cacheOf(environment: Readonly<Record<string, string | undefined>>): string {
  const given = environment['XDG_CACHE_HOME'] ?? '';
  return join(isAbsolute(given) ? given : join(homedir(), '.cache'), 'moec');
}

async function readInput(signal: AbortSignal): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of addAbortSignal(signal, process.stdin)) pieces.push(Buffer.from(piece as Uint8Array));
  return Buffer.concat(pieces).toString('utf8');
}
