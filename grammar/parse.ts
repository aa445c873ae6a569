/** Text → AST, faults and comments: the one entry into the grammar. It never throws, whatever the text. */

import type { IToken } from 'chevrotain';
import type { Comment, File } from './ast.ts';
import { tooDeep } from './brackets.ts';
import type { FileCstNode } from './cst.d.ts';
import { type Fault, isLonePoint, lexerFaults, parserFaults } from './faults.ts';
import { GaveUp, messagesUpTo } from './messages.ts';
import { MoeParser } from './parser.ts';
import { readFile } from './read.ts';
import type { Span } from './span.ts';
import * as t from './tokens.ts';

/** What was read of a file: as much of the AST as could be, every fault, and the comments in the order written. */
export interface Parsed {
  readonly ast: File;
  readonly faults: readonly Fault[];
  readonly comments: readonly Comment[];
}

/** The longest text that is read, in characters, and the most tokens; the largest model of the zoo has under 2,000. */
const characterLimit = 500_000;
const tokenLimit = 50_000;

const messages = messagesUpTo(150);
const parser = new MoeParser({ skipValidations: true, errorMessageProvider: messages.provider });

/** Reads the text of a `.moe` file; `file` is the name that spans carry. */
export function parse(text: string, file: string): Parsed {
  if (text.length > characterLimit) return refused(text, file, tooLong(characterLimit, `${text.length} characters`, `at most ${characterLimit} characters`, file));
  const { tokens, groups, errors } = t.lexer.tokenize(text);
  const deep = tooDeep(tokens);
  if (deep)
    return refused(text, file, {
      code: 'nesting-too-deep',
      span: tokenSpan(deep, file),
      found: deep.image,
      expected: ['at most 200 brackets inside each other', 'at most 1000 operators in one expression'],
    });
  const late = tokens[tokenLimit];
  if (late) return refused(text, file, tooLong(late.startOffset, `${tokens.length} words and signs`, `at most ${tokenLimit} words and signs`, file));

  const comments = (groups['comments'] ?? []).map((token) => comment(token, file));
  const unread = lexerFaults(errors, tokens, text, file);
  const read = tokens.filter((_, i) => !isLonePoint(tokens, i));
  const tree = treeOf(read);
  const faults = [...unread, ...parserFaults(parser.errors, read, unread, file)].sort((a, b) => a.span.start - b.span.start);
  const ast = tree ? readFile(tree, { file, doc: (start) => docAbove(start, comments, text) }, text.length) : empty(text, file);
  return { ast, faults, comments };
}

/** The CST of a file, or undefined where it is too broken to have one; the parser keeps the errors. */
function treeOf(tokens: IToken[]): FileCstNode | undefined {
  messages.restart();
  parser.input = tokens;
  try {
    return parser.file() as FileCstNode | undefined;
  } catch (error) {
    if (error instanceof GaveUp) return undefined;
    throw error;
  }
}

function tooLong(start: number, found: string, limit: string, file: string): Fault {
  return { code: 'file-too-long', span: { file, start, end: start }, found, expected: [limit] };
}

function refused(text: string, file: string, fault: Fault): Parsed {
  return { ast: empty(text, file), faults: [fault], comments: [] };
}

function empty(text: string, file: string): File {
  return { kind: 'file', span: { file, start: 0, end: text.length }, items: [] };
}

function comment(token: IToken, file: string): Comment {
  const text = token.image.trimEnd();
  return { span: { file, start: token.startOffset, end: token.startOffset + text.length }, text, doc: text.startsWith('///') && !text.startsWith('////') };
}

function tokenSpan(token: IToken, file: string): Span {
  return { file, start: token.startOffset, end: token.startOffset + token.image.length };
}

/** The text of the `///` lines that stand right above an offset, each alone on its line. */
function docAbove(start: number, comments: readonly Comment[], text: string): string | undefined {
  const lines: string[] = [];
  let below = start;
  for (let i = lastBefore(start, comments); i >= 0; i--) {
    const one = comments[i];
    if (!one?.doc || !alone(one.span.start, text) || !/^[ \t]*(?:\r\n|\n|\r)[ \t]*$/.test(text.slice(one.span.end, below))) break;
    lines.unshift(one.text.slice(3).trim());
    below = one.span.start;
  }
  return lines.length > 0 ? lines.join('\n') : undefined;
}

/** The index of the last comment that ends before an offset, or -1. */
function lastBefore(offset: number, comments: readonly Comment[]): number {
  let low = 0;
  let high = comments.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((comments[middle]?.span.end ?? 0) <= offset) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** Whether nothing but blanks stands before an offset on its line. */
function alone(offset: number, text: string): boolean {
  const lineStart = Math.max(text.lastIndexOf('\n', offset - 1), text.lastIndexOf('\r', offset - 1)) + 1;
  return text.slice(lineStart, offset).trim() === '';
}
