/** What a command is made of: its place in the program, its examples, and how its outcome becomes an exit code. */

import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import type { ExitCode } from './exit.ts';
import type { Terminal } from './terminal.ts';

/** What a command file is given to add its command. */
export interface Cli {
  readonly terminal: Terminal;
  /** Adds a command: its name and arguments as commander writes them, one line, and calls to learn from. */
  command(usage: string, summary: string, examples: readonly string[]): Command;
  /** Adds a command that help does not show. */
  hidden(usage: string): Command;
  /** Makes an action of a function that returns the exit code. */
  action<A extends readonly unknown[]>(act: (...args: A) => ExitCode | Promise<ExitCode>): (...args: A) => Promise<void>;
}

/** Gathers `--set NAME=VALUE`, given any number of times. */
export function setting(written: string, before: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const [, name, value] = /^([A-Za-z_]\w*)=(.+)$/s.exec(written) ?? [];
  if (name === undefined || value === undefined) throw new InvalidArgumentError('It is written NAME=VALUE, such as D=64.');
  return { ...before, [name]: value };
}

/** Gathers an option given any number of times. */
export function several(written: string, before: readonly string[] = []): readonly string[] {
  return [...before, written];
}

/** The most tokens that a call may ask for: more than models look at, and few enough to be held in a list. */
export const mostTokens = 2 ** 24;

/** A whole number of at least `least`, and of at most `most` where that is given. */
export function whole(least: number, most = Number.MAX_SAFE_INTEGER): (written: string) => number {
  return (written) => {
    const value = Number(written.replaceAll('_', ''));
    if (written.trim() === '' || !Number.isSafeInteger(value) || value < least || value > most)
      throw new InvalidArgumentError(`It is a whole number, ${most === Number.MAX_SAFE_INTEGER ? `${least} or more` : `from ${least} to ${most}`}.`);
    return value;
  };
}

/** A number above 0, up to `most`. */
export function upTo(most: number): (written: string) => number {
  const within = between(0, most);
  return (written) => {
    const value = within(written);
    if (value === 0) throw new InvalidArgumentError(most === Infinity ? 'It is a number above 0.' : `It is a number above 0, up to ${most}.`);
    return value;
  };
}

/** A number in `[least, most]`, never infinite. */
export function between(least: number, most: number): (written: string) => number {
  return (written) => {
    const value = Number(written);
    if (written.trim() === '' || !Number.isFinite(value) || value < least || value > most)
      throw new InvalidArgumentError(most === Infinity ? `It is a number, ${least} or more.` : `It is a number from ${least} to ${most}.`);
    return value;
  };
}
