/** Runs rounds of `moec bench`, each in a process of its own, and reads what they found. */

import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Bug } from '../diagnostics/bug.ts';
import { diagnose, type Outcome } from '../diagnostics/diagnostic.ts';
import type { BenchJob, Contender, Round } from '../run/bench.ts';
import type { Executable } from '../run/executable.ts';
import { roundCommand } from './bench-round.ts';
import { must, Refusal } from './exit.ts';
import { ownCall } from './package.ts';
import type { OutputOptions } from './print.ts';
import { progress } from './progress.ts';
import type { Terminal } from './terminal.ts';

/** Something that is timed, round by round. */
export interface Contest {
  readonly name: string;
  readonly job: BenchJob;
  readonly rounds: Round[];
}

/** A model as another process finds it; one that is not in a file yet is written into `folder` under `name`. */
export function contenderOf({ model, dispose: _, ...rest }: Executable, folder: string, name: string): Contender {
  if (model.kind === 'file') return { ...rest, file: model.path };
  const file = join(folder, `${name}.onnx`);
  writeFileSync(file, model.bytes);
  return { ...rest, file, dataFolder: model.dataFolder };
}

/** Where the jobs are written, and how often each is run. */
export interface RoundOptions extends OutputOptions {
  readonly folder: string;
  readonly rounds: number;
}

/** Every contender once a round, in turn, and the other way round in the next. */
export async function runRounds(terminal: Terminal, contests: readonly Contest[], options: RoundOptions): Promise<void> {
  const { folder, rounds } = options;
  const bar = progress(terminal, 'timing', options);
  try {
    for (let round = 0; round < rounds; round++)
      for (const [turn, contest] of (round % 2 === 0 ? contests : [...contests].reverse()).entries()) {
        bar.at(round * contests.length + turn, rounds * contests.length);
        contest.rounds.push(await roundOf(contest.job, folder, `contender-${contests.indexOf(contest)}`, terminal.signal));
      }
  } finally {
    bar.end();
  }
}

/** One round of a job, whose file is written into `folder` under `name`. Ends with the signal. */
async function roundOf(job: BenchJob, folder: string, name: string, signal: AbortSignal): Promise<Round> {
  const file = join(folder, `${name}.json`);
  writeFileSync(file, JSON.stringify(job));
  const { code, out, err } = await output([...ownCall(), roundCommand, file], signal);
  const last = out.trim().split('\n').at(-1) ?? '';
  if (!last.startsWith('{')) throw new Refusal(diagnose('session-ended', { reason: `the process of ${name} ended with ${code}: ${firstWords(err)}` }));
  return must(JSON.parse(last) as Outcome<Round>);
}

/** What a process said first of its end; what Node says of memory before its reason is left out. */
function firstWords(said: string): string {
  const lines = said.trim().split('\n');
  return lines.find((line) => /^(?:error|fault|FATAL ERROR)\b/.test(line)) ?? lines[0] ?? '';
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
