/** Brackets on the token list: which is left open, and how deep a text nests before the recursive parser sees it. */

import type { IToken, TokenType } from 'chevrotain';
import * as t from './tokens.ts';

const pairs: ReadonlyMap<TokenType, TokenType> = new Map([
  [t.BraceOpen, t.BraceClose],
  [t.ParenOpen, t.ParenClose],
  [t.BracketOpen, t.BracketClose],
]);
const closers: ReadonlySet<TokenType> = new Set(pairs.values());
const closerNames: ReadonlySet<string> = new Set([...closers].map((type) => type.name));

/** Whether a token of this name closes a bracket. */
export function isCloser(name: string): boolean {
  return closerNames.has(name);
}

/** The name of the token that closes an opening bracket. */
export function closerOf(opener: IToken): string | undefined {
  return pairs.get(opener.tokenType)?.name;
}

/** The brackets open before token `end`, outermost first; a closer that fits none of them is passed over. */
export function openersAt(tokens: readonly IToken[], end: number): readonly IToken[] {
  const open: IToken[] = [];
  for (const token of tokens.slice(0, end)) {
    if (pairs.has(token.tokenType)) open.push(token);
    else if (closers.has(token.tokenType)) {
      const mate = open.findLastIndex((one) => pairs.get(one.tokenType) === token.tokenType);
      if (mate >= 0) open.length = mate;
    }
  }
  return open;
}

/** The brackets that nothing in the text closes. */
export function unclosed(tokens: readonly IToken[]): ReadonlySet<IToken> {
  const open: IToken[] = [];
  const left = new Set<IToken>();
  for (const token of tokens) {
    if (pairs.has(token.tokenType)) open.push(token);
    else if (closers.has(token.tokenType)) {
      const mate = open.findLastIndex((one) => pairs.get(one.tokenType) === token.tokenType);
      if (mate < 0) continue;
      for (const skipped of open.splice(mate).slice(1)) left.add(skipped);
    }
  }
  for (const token of open) left.add(token);
  return left;
}

/** A bracket, `repeat` or `mixture` weighs as much as this many operators, since each costs the parser about as many calls. */
const bracketWeight = 5;
/** The greatest sum of weights at any place: 200 brackets, or 1,000 operators in one expression. */
const depthLimit = 1_000;

const combinators: ReadonlySet<TokenType> = new Set([t.Repeat, t.Mixture]);
/** Operators and suffixes: each makes the tree of its expression one deeper. */
const links: ReadonlySet<TokenType> = new Set([t.Dot, t.Equal, t.Unequal, t.AtMost, t.AtLeast, t.Less, t.Greater, t.Plus, t.Minus, t.Times, t.Over, t.Modulo, t.MatMul]);
/** What ends an expression that stands beside another. */
const ends: ReadonlySet<TokenType> = new Set([t.Comma, t.Assign, t.Colon, t.Source, t.Require, t.Return, t.BraceClose]);

/** The first token that lies too deep for a parser that recurses. */
export function tooDeep(tokens: readonly IToken[]): IToken | undefined {
  const outer: { readonly base: number; readonly depth: number }[] = [];
  let depth = 0;
  let base = 0;
  for (const token of tokens) {
    const type = token.tokenType;
    if (pairs.has(type)) {
      outer.push({ base, depth });
      depth += bracketWeight;
      base = depth;
    } else if (closers.has(type)) {
      const around = outer.pop() ?? { base: 0, depth: 0 };
      base = around.base;
      // What was closed is one more link of the expression it belongs to.
      depth = around.depth + 1;
    } else if (combinators.has(type)) depth += bracketWeight;
    else if (links.has(type)) depth += 1;
    if (ends.has(type)) depth = base;
    if (depth > depthLimit) return token;
  }
  return undefined;
}
