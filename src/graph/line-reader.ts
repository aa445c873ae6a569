/** Reads one line of graph text: words, numbers, sizes, types and arrays. */

import { Bug } from '../diagnostics/bug.ts';
import { add, type Dim, dim, multiply } from './dim.ts';
import { type NdArray, ndArray } from './nd-array.ts';
import { constantDims, type DType, dtypes, type TensorType } from './type.ts';

interface Token {
  readonly kind: 'name' | 'quoted' | 'number' | 'string' | 'mark' | 'end';
  readonly text: string;
}

/** The tokens of a line, taken from the left. */
export interface LineReader {
  /** The next token's text where it is this mark or word; takes it. */
  accept(text: string): boolean;
  expect(text: string): void;
  /** Whether the token `ahead` places on is this mark or word. */
  at(text: string, ahead?: number): boolean;
  readonly kind: Token['kind'];
  kindAfter(ahead: number): Token['kind'];
  /** A name, bare or in backticks. */
  name(): string;
  string(): string;
  number(): number;
  type(): TensorType;
  dtype(): DType;
  /** A symbolic size. */
  size(): Dim;
  /** `f32[3] {1, 2, 3}` or `f32[] 1`. */
  array(): NdArray;
  /** `{1, 2, 3}` or `1`. */
  numbers(): readonly number[];
  /** Items up to the closing mark, separated by commas. */
  list<T>(open: string, close: string, item: () => T): readonly T[];
  fail(expected: string): never;
}

const pattern = /\s*(?:([A-Za-z_][\w.]*)|`([^`]*)`|((?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)|("(?:[^"\\]|\\.)*")|(->|[^\s]))/y;

function tokenise(line: string): readonly Token[] {
  const tokens: Token[] = [];
  const text = line.trimEnd();
  pattern.lastIndex = 0;
  while (pattern.lastIndex < text.length) {
    const [, name, quoted, number, string, mark] = pattern.exec(text) ?? [];
    if (name !== undefined) tokens.push({ kind: 'name', text: name });
    else if (quoted !== undefined) tokens.push({ kind: 'quoted', text: quoted });
    else if (number !== undefined) tokens.push({ kind: 'number', text: number });
    else if (string !== undefined) tokens.push({ kind: 'string', text: string });
    else tokens.push({ kind: 'mark', text: mark ?? '' });
  }
  return tokens;
}

/** A reader of one line; `place` is named in faults. */
export function lineReader(line: string, place: string): LineReader {
  const tokens = tokenise(line);
  let next = 0;
  const peek = (ahead = 0): Token => tokens[next + ahead] ?? { kind: 'end', text: 'the end of the line' };
  const fail = (expected: string): never => {
    throw new Bug(`${place}: expected ${expected}, found ${peek().text}`, line);
  };
  const take = (kind: Token['kind'], expected: string): string => {
    const token = peek();
    if (token.kind !== kind) fail(expected);
    next++;
    return token.text;
  };
  const at = (text: string, ahead = 0): boolean => peek(ahead).text === text && (peek(ahead).kind === 'mark' || peek(ahead).kind === 'name');
  const accept = (text: string): boolean => {
    const found = at(text);
    if (found) next++;
    return found;
  };
  const expect = (text: string): void => {
    if (!accept(text)) fail(text);
  };
  const number = (): number => {
    if (accept('-')) return -number();
    if (accept('inf')) return Number.POSITIVE_INFINITY;
    if (accept('nan')) return Number.NaN;
    return Number(take('number', 'a number'));
  };
  const list = <T>(open: string, close: string, item: () => T): readonly T[] => {
    expect(open);
    const items: T[] = [];
    while (!accept(close)) {
      if (items.length > 0) expect(',');
      items.push(item());
    }
    return items;
  };
  const dtype = (): DType => {
    const word = peek().text;
    const found = dtypes.find((one) => one === word);
    if (!found) return fail('an element type');
    next++;
    return found;
  };
  const size = (): Dim => readSize({ peek: () => peek().text, accept, number: () => (peek().kind === 'number' ? number() : undefined), name: () => take('name', 'a size') });
  const type = (): TensorType => ({ dtype: dtype(), dims: list('[', ']', size) });
  const numbers = (): readonly number[] => (at('{') ? list('{', '}', number) : [number()]);
  return {
    accept,
    expect,
    at,
    get kind() {
      return peek().kind;
    },
    kindAfter: (ahead) => peek(ahead).kind,
    name: () => (peek().kind === 'quoted' ? take('quoted', 'a name') : take('name', 'a name')),
    string: () => JSON.parse(take('string', 'a string')) as string,
    number,
    type,
    dtype,
    size,
    array: () => {
      const { dtype: element, dims } = type();
      return ndArray(constantDims(dims) ?? fail('constant sizes'), numbers(), element);
    },
    numbers,
    list,
    fail,
  };
}

interface SizeTokens {
  peek(): string;
  accept(text: string): boolean;
  number(): number | undefined;
  name(): string;
}

/** A sum of terms; each a product of names and numbers, then divisors. What `show` wrote in parentheses is one opaque name. */
function readSize(tokens: SizeTokens): Dim {
  let total = readTerm(tokens, tokens.accept('-') ? -1 : 1);
  for (;;) {
    if (tokens.accept('+')) total = add(total, readTerm(tokens, 1));
    else if (tokens.accept('-')) total = add(total, readTerm(tokens, -1));
    else return total;
  }
}

function readTerm(tokens: SizeTokens, sign: number): Dim {
  let numerator = sign;
  let denominator = 1;
  const powers = new Map<string, number>();
  const factor = (power: 1 | -1): void => {
    const known = tokens.number();
    if (known === undefined) {
      const name = readAtom(tokens);
      powers.set(name, (powers.get(name) ?? 0) + power);
    } else if (power === 1) numerator *= known;
    else denominator *= known;
  };
  factor(1);
  for (;;) {
    if (tokens.accept('*')) factor(1);
    else if (tokens.accept('/')) factor(-1);
    else break;
  }
  return multiply({ terms: [{ numerator, denominator, powers: [...powers].sort(([a], [b]) => (a < b ? -1 : 1)) }] }, dim(1));
}

function readAtom(tokens: SizeTokens): string {
  if (!tokens.accept('(')) return tokens.name();
  const inner: string[] = [];
  while (!tokens.accept(')')) {
    const nested = tokens.peek() === '(';
    inner.push(nested ? readAtom(tokens) : (tokens.number()?.toString() ?? ['+', '-', '*', '/'].find((mark) => tokens.accept(mark)) ?? tokens.name()));
  }
  return `(${inner.join(' ')})`;
}
