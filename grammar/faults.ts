/** What can be wrong with the text alone, as plain data. The diagnostics word it. */

import type { ILexingError, IRecognitionException, IToken, TokenType } from 'chevrotain';
import { closerOf, isCloser, openersAt, unclosed } from './brackets.ts';
import { EOF } from './chevrotain.ts';
import { expectedAt, labelOf } from './expected.ts';
import { decode, type Failure } from './messages.ts';
import type { Span } from './span.ts';
import { escapes, unquote } from './strings.ts';
import * as t from './tokens.ts';

/** A fault of the lexer or the parser. `code` names an entry of the diagnostics catalogue. */
export interface Fault {
  readonly code: 'unexpected-character' | 'unterminated-string' | 'unexpected-token' | 'missing-token' | 'unclosed-bracket' | 'nesting-too-deep' | 'file-too-long';
  readonly span: Span;
  /** What stands there, as the author wrote it; empty at the end of the file. */
  readonly found: string;
  /** What could have stood there, in the author's words, most likely first. */
  readonly expected: readonly string[];
  /** Something earlier that explains the fault, such as the bracket left open. */
  readonly cause?: { readonly span: Span; readonly text: string };
}

/** More faults than this in one file are not reported: nobody reads them. */
const faultLimit = 100;

/** What the lexer could not read: characters outside the language, strings that do not end, escapes that mean nothing. */
export function lexerFaults(errors: readonly ILexingError[], tokens: readonly IToken[], text: string, file: string): Fault[] {
  const stretch = (start: number, length: number): Span => ({ file, start, end: start + length });
  const characters = errors.slice(0, faultLimit).map((error): Fault => {
    const found = text.slice(error.offset, error.offset + error.length);
    return { code: 'unexpected-character', span: stretch(error.offset, error.length), found, expected: found.startsWith("'") ? ['a string in double quotes'] : [] };
  });
  const strings = tokens.flatMap((token): Fault[] => {
    if (token.tokenType === t.OpenString)
      return [{ code: 'unterminated-string', span: stretch(token.startOffset, token.image.length), found: token.image, expected: ['`"` on the same line'] }];
    if (token.tokenType !== t.StringToken) return [];
    return unquote(token.image).bad.map(({ at, text: found }) => ({ code: 'unexpected-character', span: stretch(token.startOffset + at, found.length), found, expected: escapes }));
  });
  const points = tokens
    .filter((_, i) => isLonePoint(tokens, i))
    .map((token): Fault => ({ code: 'unexpected-character', span: stretch(token.startOffset, 1), found: '.', expected: ['digits on both sides of the point, as in `1.0`'] }));
  return [...characters, ...strings, ...points];
}

/** Whether a token is the point of `1.` or `.5`: no number, and nothing that a parser could make sense of. */
export function isLonePoint(tokens: readonly IToken[], i: number): boolean {
  const [before, token, after] = [tokens[i - 1], tokens[i], tokens[i + 1]];
  if (token?.tokenType !== t.Dot) return false;
  const touches = before !== undefined && before.startOffset + before.image.length === token.startOffset;
  if (touches) return before.tokenType === t.NumberToken;
  return after?.tokenType === t.NumberToken && after.startOffset === token.startOffset + 1;
}

/** What the parser says, without what only follows from an earlier fault. */
export function parserFaults(exceptions: readonly IRecognitionException[], tokens: readonly IToken[], earlier: readonly Fault[], file: string): Fault[] {
  if (exceptions.length === 0) return [];
  const place = new Map(tokens.map((token, i) => [token, i]));
  const left = unclosed(tokens);
  const faults: Fault[] = [];
  const causes = new Set<number>();
  let last = Number.NEGATIVE_INFINITY;
  for (const exception of exceptions) {
    if (faults.length >= faultLimit) break;
    const at = place.get(exception.token) ?? tokens.length;
    const failure = decode(exception.message);
    const settled = at - last > settling || at < last;
    last = at;
    const fault = parserFault(failure, at, tokens, left, file);
    const cause = fault.cause?.span.start;
    if (!settled || followsFrom(earlier, fault, tokens[at - 1]) || outOfStep(failure, at, tokens, faults) || (cause !== undefined && causes.has(cause))) continue;
    if (cause !== undefined) causes.add(cause);
    faults.push(fault);
  }
  return faults;
}

/** So many tokens must have been read after a fault before the next is believed. */
const settling = 2;

/** Whether the lexer has already said what is wrong between the token before and the fault. */
function followsFrom(earlier: readonly Fault[], fault: Fault, before: IToken | undefined): boolean {
  return earlier.some((one) => one.span.end <= fault.span.start && one.span.start >= (before?.startOffset ?? 0));
}

/** Whether recovery has lost its place: it looks for a declaration inside brackets, or for the end of a bracket that nobody opened. */
function outOfStep(failure: Failure, at: number, tokens: readonly IToken[], faults: readonly Fault[]): boolean {
  const [expected] = failure.expected;
  const around = openersAt(tokens, at);
  const opener = failure.rule === 'file' ? around[0] : failure.single && isCloser(expected ?? '') && !around.at(-1) ? tokens[0] : undefined;
  return opener !== undefined && faults.some((one) => one.span.start >= opener.startOffset);
}

/** Tokens that one looks for at the end of a repetition: what stands instead is not theirs to be missed before. */
const ends: ReadonlySet<string> = new Set([EOF, t.Forward, t.Return, t.BraceClose].map((type) => type.name));

function parserFault(failure: Failure, at: number, tokens: readonly IToken[], left: ReadonlySet<IToken>, file: string): Fault {
  const found = tokens[at];
  const before = tokens[at - 1];
  const end = before ? before.startOffset + before.image.length : 0;
  const span = found ? { file, start: found.startOffset, end: found.startOffset + found.image.length } : { file, start: end, end };
  const common = { span, found: found?.image ?? '', expected: expectedAt(failure, found) };
  const opener = openLeft(failure, at, tokens, left);
  if (opener) {
    const start = opener.startOffset;
    return {
      ...common,
      code: 'unclosed-bracket',
      expected: failure.expected.map(labelOf),
      cause: { span: { file, start, end: start + 1 }, text: `\`${opener.image}\` is opened here` },
    };
  }
  const next = tokens[at + 1]?.tokenType ?? EOF;
  const missing = failure.single && failure.expected.every((name) => !ends.has(name) && (found === undefined || name !== next.name));
  return { ...common, code: missing ? 'missing-token' : 'unexpected-token' };
}

/** Words that begin a declaration: where one of them stands instead of a closing bracket, the bracket is what is missing. */
const beginnings: ReadonlySet<TokenType> = new Set([t.Import, t.Dim, t.Param, t.Layer, t.Model, t.Train, t.Forward, t.Weights, t.Weight, t.Return, t.Require]);

/** The bracket that a missing closer leaves open, where that explains the fault better than the token found. */
function openLeft(failure: Failure, at: number, tokens: readonly IToken[], left: ReadonlySet<IToken>): IToken | undefined {
  const closer = failure.single ? failure.expected[0] : undefined;
  const opener = openersAt(tokens, at).at(-1);
  const found = tokens[at]?.tokenType;
  if (!opener || closerOf(opener) !== closer) return undefined;
  return found === undefined || left.has(opener) || isCloser(found.name) || beginnings.has(found) ? opener : undefined;
}
