/** Side-by-side measurements: each contender in a process of its own, in turn, medians at the end. */

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { median } from '../../src/run/bench.ts';

/** Something measured: a name, and the call of a process whose last line of output is a JSON object of numbers. */
export interface Contender {
  readonly name: string;
  readonly command: readonly string[];
}

export type Figures = Readonly<Record<string, number>>;

/** Runs every contender once a round, in turn, and gives the medians of each figure. */
export function measure(contenders: readonly Contender[], rounds: number): ReadonlyMap<string, Figures> {
  const seen = new Map<string, Figures[]>(contenders.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const { name, command } of contenders) seen.get(name)?.push(once(command));
  }
  return new Map([...seen].map(([name, all]) => [name, medians(all)]));
}

/** The figures of one process. */
export function once([program = 'node', ...args]: readonly string[]): Figures {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', maxBuffer: 1 << 28 });
  const last = stdout.trim().split('\n').at(-1) ?? '';
  if (status !== 0 || !last.startsWith('{')) throw new Error(`${[program, ...args].join(' ')} ended with ${status}\n${stderr}\n${stdout}`);
  return JSON.parse(last) as Figures;
}

function medians(all: readonly Figures[]): Figures {
  const [first = {}] = all;
  return Object.fromEntries(Object.keys(first).map((key) => [key, median(all.map((one) => one[key] ?? Number.NaN))]));
}

/** Prints rows as a table with aligned columns. */
export function table(rows: readonly (readonly (string | number)[])[]): void {
  const text = rows.map((row) => row.map((cell) => (typeof cell === 'number' ? cell.toFixed(cell < 10 ? 2 : 0) : cell)));
  const widths = (text[0] ?? []).map((_, i) => Math.max(...text.map((row) => (row[i] ?? '').length)));
  for (const row of text) console.log(row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join('  '));
}

/** The command line as it is installed: built by `npm run build`. */
export const cli: readonly string[] = [process.execPath, fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url))];

/** Seconds that a command takes, from start to end; it must succeed. */
export function timed([program = 'node', ...args]: readonly string[]): number {
  const began = performance.now();
  const { status, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${[program, ...args].join(' ')} ended with ${status}\n${stderr}`);
  return (performance.now() - began) / 1000;
}
