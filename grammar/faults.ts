/** What can be wrong with the text alone, as plain data. The diagnostics word it. */

import type { ILexingError, IRecognitionException, IToken } from 'chevrotain';
import { isCloser, openerOf, unclosed } from './brackets.ts';
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
  return [...characters, ...strings];
}

/** What the parser says, each place once, without what only follows from an earlier fault. */
export function parserFaults(exceptions: readonly IRecognitionException[], tokens: readonly IToken[], earlier: readonly Fault[], file: string): Fault[] {
  if (exceptions.length === 0) return [];
  const place = new Map(tokens.map((token, i) => [token, i]));
  const left = unclosed(tokens);
  const faults = new Map<number, Fault>();
  for (const exception of exceptions) {
    if (faults.size >= faultLimit) break;
    const at = place.get(exception.token) ?? tokens.length;
    const fault = parserFault(exception, at, tokens, left, file);
    const before = tokens[at - 1];
    const follows = earlier.some((one) => one.span.end <= fault.span.start && one.span.start >= (before?.startOffset ?? 0));
    // One bracket left open is one fault, wherever the parser stumbles over it.
    const key = fault.code === 'unclosed-bracket' && fault.cause ? -1 - fault.cause.span.start : fault.span.start;
    if (!follows && !faults.has(key)) faults.set(key, fault);
  }
  return [...faults.values()];
}

function parserFault(exception: IRecognitionException, at: number, tokens: readonly IToken[], left: ReadonlySet<IToken>, file: string): Fault {
  const failure = decode(exception.message);
  const found = tokens[at];
  const before = tokens[at - 1];
  const end = before ? before.startOffset + before.image.length : 0;
  const span = found ? { file, start: found.startOffset, end: found.startOffset + found.image.length } : { file, start: end, end };
  const common = { span, found: found?.image ?? '', expected: expectedAt(failure, exception.context.ruleStack, found) };
  const opener = openLeft(failure, at, tokens, left);
  if (opener) {
    const start = opener.startOffset;
    return { ...common, code: 'unclosed-bracket', expected: failure.expected.map(labelOf), cause: { span: { file, start, end: start + 1 }, text: `\`${opener.image}\` is opened here` } };
  }
  const next = tokens[at + 1]?.tokenType ?? EOF;
  const superfluous = found !== undefined && failure.expected.some((name) => next.name === name);
  return { ...common, code: failure.single && !superfluous ? 'missing-token' : 'unexpected-token' };
}

/** Words that begin a declaration: where one of them stands instead of a closing bracket, the bracket is what is missing. */
const beginnings: ReadonlySet<unknown> = new Set([t.Import, t.Dim, t.Param, t.Layer, t.Model, t.Train, t.Forward, t.Weights, t.Weight, t.Return, t.Require]);

/** The bracket that a missing closer leaves open, where that explains the fault better than the token found. */
function openLeft(failure: Failure, at: number, tokens: readonly IToken[], left: ReadonlySet<IToken>): IToken | undefined {
  const closer = failure.single ? failure.expected[0] : undefined;
  const opener = closer === undefined ? undefined : openerOf(tokens, at, closer);
  const found = tokens[at]?.tokenType;
  if (!opener) return undefined;
  return found === undefined || left.has(opener) || isCloser(found) || beginnings.has(found) ? opener : undefined;
}
