/** Runs one round of `moec bench` in a process of its own and reads what it found. */

import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Bug } from '../diagnostics/bug.ts';
import { diagnose } from '../diagnostics/diagnostic.ts';
import type { BenchJob, Round } from '../run/bench.ts';
import { roundCommand } from './bench-round.ts';
import { Refusal } from './exit.ts';
import { ownCall } from './package.ts';

/** One round of a job, whose file is written into `folder` under `name`. Ends with the signal. */
export async function roundOf(job: BenchJob, folder: string, name: string, signal: AbortSignal): Promise<Round> {
  const file = join(folder, `${name}.json`);
  writeFileSync(file, JSON.stringify(job));
  const { code, out, err } = await output([...ownCall(), roundCommand, file], signal);
  const last = out.trim().split('\n').at(-1) ?? '';
  if (!last.startsWith('{')) throw new Refusal(diagnose('session-ended', { reason: `the process of ${name} ended with ${code}: ${err.trim().split('\n').at(-1) ?? ''}` }));
  const found = JSON.parse(last) as { readonly ok: true; readonly value: Round } | { readonly ok: false; readonly diagnostics: readonly { readonly message: string }[] };
  if (found.ok) return found.value;
  throw new Refusal(diagnose('model-does-not-run', { reason: found.diagnostics.map(({ message }) => message).join('; ') }));
}

function output([program, ...words]: readonly string[], signal: AbortSignal): Promise<{ readonly code: number | null; readonly out: string; readonly err: string }> {
  if (program === undefined) throw new Bug('a process without a program');
  return new Promise((resolve, reject) => {
    const child = spawn(program, words, { stdio: ['ignore', 'pipe', 'pipe'], signal });
    const [out, err]: [Buffer[], Buffer[]] = [[], []];
    child.stdout.on('data', (piece: Buffer) => out.push(piece));
    child.stderr.on('data', (piece: Buffer) => err.push(piece));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, out: Buffer.concat(out).toString('utf8'), err: Buffer.concat(err).toString('utf8') }));
  });
}
