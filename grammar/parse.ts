/** Text → AST, faults and comments: the one entry into the grammar. It never throws, whatever the text. */

import type { IToken } from 'chevrotain';
import type { Comment, File, SettingValue } from './ast.ts';
import { tooDeep } from './brackets.ts';
import type { FileCstNode, SettingValueCstNode } from './cst.d.ts';
import { type Fault, isLonePoint, lexerFaults, parserFaults } from './faults.ts';
import { GaveUp, messagesUpTo } from './messages.ts';
import { MoeParser } from './parser.ts';
import { readFile } from './read.ts';
import { readSettingValue } from './read-expression.ts';
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
  const split = splitWords(text, file);
  if ('code' in split) return { ast: empty(text, file), faults: [split], comments: [] };
  const { tree, faults } = treeOf(split, file, () => parser.file() as FileCstNode | undefined);
  const { comments } = split;
  const ast = tree ? readFile(tree, { file, doc: (start) => docAbove(start, comments, text) }, text.length) : empty(text, file);
  return { ast, faults, comments };
}

/** Reads the value of one setting that stands alone, as on the command line: `balanced_kmeans(of: keys)`. `file` is the name that spans carry. */
export function parseSettingValue(text: string, file: string): { readonly value?: SettingValue; readonly faults: readonly Fault[] } {
  const split = splitWords(text, file);
  if ('code' in split) return { faults: [split] };
  const { tree, faults } = treeOf(split, file, () => parser.settingValue() as SettingValueCstNode | undefined);
  const value = tree && faults.length === 0 ? readSettingValue(tree, { file, doc: () => undefined }) : undefined;
  return { ...(value ? { value } : {}), faults };
}

interface Words {
  readonly tokens: IToken[];
  readonly comments: readonly Comment[];
  /** What the lexer could not read. */
  readonly unread: readonly Fault[];
}

/** The words and signs of a text, or the fault that makes it no use to look at them. */
function splitWords(text: string, file: string): Words | Fault {
  if (text.length > characterLimit) return tooLong(characterLimit, `${text.length} characters`, `at most ${characterLimit} characters`, file);
  const { tokens, groups, errors } = t.lexer.tokenize(text);
  const deep = tooDeep(tokens);
  if (deep) {
    const expected = ['at most 200 brackets inside each other', 'at most 1000 operators in one expression'];
    return { code: 'nesting-too-deep', span: tokenSpan(deep, file), found: deep.image, expected };
  }
  const late = tokens[tokenLimit];
  if (late) return tooLong(late.startOffset, `${tokens.length} words and signs`, `at most ${tokenLimit} words and signs`, file);
  const comments = (groups['comments'] ?? []).map((token) => comment(token, file));
  return { tokens: tokens.filter((_, i) => !isLonePoint(tokens, i)), comments, unread: lexerFaults(errors, tokens, text, file) };
}

/** The CST that a rule makes of the words, or undefined where they are too broken to have one; and every fault. */
function treeOf<T>({ tokens, unread }: Words, file: string, rule: () => T | undefined): { readonly tree?: T; readonly faults: readonly Fault[] } {
  messages.restart();
  parser.input = tokens;
  const tree = giveUp(rule);
  const faults = [...unread, ...parserFaults(parser.errors, tokens, unread, file)].sort((a, b) => a.span.start - b.span.start);
  return { ...(tree ? { tree } : {}), faults };
}

function giveUp<T>(rule: () => T | undefined): T | undefined {
  try {
    return rule();
  } catch (error) {
    if (error instanceof GaveUp) return undefined;
    throw error;
  }
}

function tooLong(start: number, found: string, limit: string, file: string): Fault {
  return { code: 'file-too-long', span: { file, start, end: start }, found, expected: [limit] };
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
