/** The values that settings of passes take: each reader says what it expects, and what is wrong with what was written. */

import { type Diagnostic, diagnose } from '../diagnostics/diagnostic.ts';
import { didYouMean } from '../diagnostics/suggest.ts';
import type { Written } from './emergent/settings.ts';

/** What is wrong with a setting. Whoever read the text knows where it stands. */
export interface SettingFault {
  /** The setting, then perhaps the argument of its word; empty where something is missing from them all. */
  readonly place: readonly string[];
  /** Whether the name is what is wrong, rather than the value. */
  readonly name: boolean;
  /** Without a place. */
  readonly diagnostic: Diagnostic;
}

/** Where a value stands, and where faults go. */
export interface Reading {
  readonly place: readonly string[];
  /** The word that it is an argument of. */
  readonly callee?: string;
  readonly faults: SettingFault[];
}

/** Reads a value of one kind; undefined after a fault. */
export interface Reader<T> {
  read(written: Written, at: Reading): T | undefined;
  /** Words that it knows; no name of a file may hide them. */
  readonly words?: readonly string[];
}

type Readers = Readonly<Record<string, Reader<unknown>>>;
/** What readers yield, by name; absent where nothing was written. */
export type Read<R extends Readers> = { readonly [N in keyof R]?: R[N] extends Reader<infer T> ? T : never };

/** A whole number of at least `least`. */
export function whole(least: number): Reader<number> {
  return numeric(
    (value) => Number.isSafeInteger(value),
    'a whole number',
    (value) => value >= least,
    `at least ${least}`,
  );
}

/** A number above 0. */
export const positive: Reader<number> = numeric(Number.isFinite, 'a number', (value) => value > 0, 'above 0');

/** A part of a whole: above 0, and 1 is all of it. */
export const portion: Reader<number> = numeric(Number.isFinite, 'a number', (value) => value > 0 && value <= 1, 'above 0 and at most 1');

function numeric(fits: (value: number) => boolean, expected: string, inRange: (value: number) => boolean, range: string): Reader<number> {
  return {
    read: (written, at) => {
      if (written.kind !== 'number' || !fits(written.value)) return wrongKind(written, expected, at);
      if (inRange(written.value)) return written.value;
      return report(at, diagnose('setting-out-of-range', { setting: `\`${at.place.at(-1) ?? ''}\``, range, found: written.value }));
    },
  };
}

/** `true` or `false`. */
export const bool: Reader<boolean> = { read: (written, at) => (written.kind === 'bool' ? written.value : wrongKind(written, '`true` or `false`', at)) };

/** A string. */
export const text: Reader<string> = {
  read: (written, at) => {
    if (written.kind === 'text' && written.value !== '') return written.value;
    return wrongKind(written, written.kind === 'text' ? 'a string with something in it' : 'a string in quotes', at);
  },
};

/** One word of several, with what it takes in brackets and what it stands for. */
interface Word<T> {
  /** By name, in the order in which they may be given by place; only the first may. */
  readonly takes: Readers;
  /** Those that may not be left out. */
  readonly needs: readonly string[];
  make(given: Readonly<Record<string, unknown>>): T;
}

/** A word that takes arguments. `needs` are those that may not be left out. */
export function word<R extends Readers, const N extends keyof R & string, T>(
  takes: R,
  needs: readonly N[],
  make: (given: Read<R> & { readonly [K in N]: R[K] extends Reader<infer V> ? V : never }) => T,
): Word<T> {
  return { takes, needs, make: make as Word<T>['make'] };
}

/** A word that stands alone. */
export function plain<const T>(value: T): Word<T> {
  return { takes: {}, needs: [], make: () => value };
}

/** One of these words. */
export function oneOf<T>(words: Readonly<Record<string, Word<T>>>): Reader<T> {
  const names = Object.keys(words);
  // A value from a file is written with a sign of its own: nobody is told to write its word.
  const sayable = names.filter((name) => name !== 'stored');
  const expected = `${names.includes('stored') ? '`from "…"`, ' : ''}${sayable.map((name) => `\`${form(name, words[name])}\``).join(', ')}`;
  return {
    words: [...names, ...Object.values(words).flatMap(({ takes }) => Object.values(takes).flatMap((one) => one.words ?? []))],
    read: (written, at) => {
      const found = written.kind === 'word' && Object.hasOwn(words, written.name) ? words[written.name] : undefined;
      if (written.kind === 'word' && found) return readWord(written.name, found, written.args, at);
      if (written.kind !== 'word' || written.name === 'stored') return wrongKind(written, sayable.length > 1 ? `one of ${expected}` : expected, at);
      const near = sayable.filter((name) => name.includes(written.name)).map((name) => ({ text: `did you mean \`${name}\`?` }));
      const slips = didYouMean(written.name, sayable);
      const notes = [sayable.length > 1 ? `it is one of ${expected}` : `it is ${expected}`];
      return report(at, diagnose('setting-word-unknown', { name: at.place.at(-1) ?? '', word: written.name }, { fixes: slips.length > 0 ? slips : near.slice(0, 1), notes }));
    },
  };
}

const form = (name: string, found: Word<unknown> | undefined): string => {
  const takes = Object.keys(found?.takes ?? {});
  return takes.length === 0 ? name : `${name}(${takes.join(', ')})`;
};

function readWord<T>(name: string, found: Word<T>, args: Readonly<Record<string, Written>>, at: Reading): T | undefined {
  const names = Object.keys(found.takes);
  const [first] = names;
  const before = at.faults.length;
  const given: Record<string, unknown> = {};
  for (const [written, value] of Object.entries(args)) {
    const argument = written === '' ? first : written;
    const inner = { ...at, place: [...at.place, argument ?? ''], callee: name };
    const reader = argument !== undefined && Object.hasOwn(found.takes, argument) ? found.takes[argument] : undefined;
    const takes = first === undefined ? `\`${name}\` stands alone` : `it takes ${names.join(', ')}`;
    if (argument === undefined) report(inner, diagnose('too-many-arguments', { callee: name, takes: 'no arguments', given: Object.keys(args).length }));
    else if (!reader) report(inner, diagnose('argument-unknown', { callee: name, name: argument }, { fixes: didYouMean(argument, names), notes: [takes] }), true);
    else if (Object.hasOwn(given, argument)) report(inner, diagnose('argument-twice', { callee: name, name: argument }), true);
    else given[argument] = reader.read(value, inner);
  }
  for (const needed of found.needs) {
    if (Object.hasOwn(given, needed) || at.faults.length > before) continue;
    report(at, diagnose('argument-missing', { callee: name, name: needed }, { fixes: [{ text: `write \`${form(name, found)}\`` }] }));
  }
  return at.faults.length > before ? undefined : found.make(given);
}

/** Notes a fault at this place. */
export function report(at: Reading, diagnostic: Diagnostic, name = false): undefined {
  at.faults.push({ place: at.place, name, diagnostic });
}

function wrongKind(written: Written, expected: string, at: Reading): undefined {
  const [name, found] = [at.place.at(-1) ?? '', showWritten(written)];
  return report(
    at,
    at.callee === undefined
      ? diagnose('setting-invalid', { name, expected, found })
      : diagnose('argument-wrong-kind', { callee: at.callee, name, expected, found: `\`${found}\`` }),
  );
}

/** What was written, as its author would write it. */
function showWritten(written: Written): string {
  switch (written.kind) {
    case 'number':
    case 'bool':
      return String(written.value);
    case 'text':
      return JSON.stringify(written.value);
    case 'word': {
      const args = Object.entries(written.args).map(([name, value]) => (name === '' ? showWritten(value) : `${name}: ${showWritten(value)}`));
      if (written.name === 'stored') return `from ${args[0] ?? ''}`;
      return args.length === 0 ? written.name : `${written.name}(${args.join(', ')})`;
    }
  }
}
