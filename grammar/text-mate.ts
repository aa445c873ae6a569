/** The TextMate grammar that editors highlight `.moe` files with, from the words and patterns of the lexer. */

import type { TokenType } from 'chevrotain';
import * as t from './tokens.ts';

interface Rule {
  readonly name?: string;
  readonly match?: string;
  readonly begin?: string;
  readonly end?: string;
  readonly captures?: Readonly<Record<string, { readonly name: string }>>;
  readonly patterns?: readonly Rule[];
}

/** The grammar as data; scopes are those that themes know. */
export function textMate(): { readonly name: string; readonly scopeName: string; readonly fileTypes: readonly string[]; readonly patterns: readonly Rule[] } {
  return {
    name: 'moe',
    scopeName: 'source.moe',
    fileTypes: ['moe'],
    patterns: [
      { name: 'comment.line.documentation.moe', match: '///(?!/).*$' },
      { name: 'comment.line.double-slash.moe', match: '//.*$' },
      {
        name: 'string.quoted.double.moe',
        begin: '"',
        end: '"|$',
        patterns: [
          { name: 'constant.character.escape.moe', match: '\\\\(?:u\\{[0-9a-fA-F]{1,6}\\}|.)' },
          { name: 'variable.parameter.moe', match: '\\{[A-Za-z_][A-Za-z0-9_]*\\}' },
        ],
      },
      { name: 'constant.numeric.moe', match: `\\b${source(t.NumberToken)}` },
      { match: '(\\.)\\s*([A-Za-z_][A-Za-z0-9_]*)', captures: { 1: { name: 'punctuation.accessor.moe' }, 2: { name: 'variable.other.member.moe' } } },
      { match: '\\b(layer|model|train)\\s+([A-Za-z_][A-Za-z0-9_]*)', captures: { 1: { name: 'storage.type.moe' }, 2: { name: 'entity.name.type.moe' } } },
      { match: '\\b(dim|param|weight)\\b', name: 'storage.modifier.moe' },
      { match: '\\b([A-Za-z_][A-Za-z0-9_]*)(?=\\s*:(?!:))', captures: { 1: { name: 'variable.parameter.moe' } } },
      { name: 'constant.language.moe', match: words([t.True, t.False]) },
      { name: 'keyword.control.moe', match: words(t.reservedWords.filter((word) => word !== t.True && word !== t.False)) },
      // Soft words are names too: before `=` or an opening bracket of a call they are not highlighted.
      { name: 'keyword.other.moe', match: `${words(t.softWords)}(?!\\s*(?:=|\\())` },
      { name: 'support.type.moe', match: '\\b(?:int|float|bool|string|f16|bf16|f32|f64|i8|u8|i32|i64)\\b' },
      { name: 'entity.name.function.moe', match: '\\b[A-Za-z_][A-Za-z0-9_]*(?=\\()' },
      { name: 'keyword.operator.moe', match: operators() },
    ],
  };
}

function words(tokens: readonly TokenType[]): string {
  return `\\b(?:${tokens.map(source).join('|')})\\b`;
}

/** Longer operators first. */
function operators(): string {
  const signs = [
    t.Arrow,
    t.Source,
    t.Dots,
    t.Assign,
    ...t.tokenTypes.filter((token) => [t.Comparison, t.Additive, t.Multiplicative].some((category) => token.CATEGORIES?.includes(category))),
  ];
  return signs
    .map(source)
    .sort((a, b) => b.length - a.length)
    .map((sign) => sign.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    .join('|');
}

function source({ PATTERN }: TokenType): string {
  return PATTERN instanceof RegExp ? PATTERN.source : String(PATTERN);
}
