/** The grammar as EBNF, one rule a line, in the order of the parser. */

import type { ISerializedGast } from 'chevrotain';
import * as t from './tokens.ts';

/** A serialised production, seen through the one shape that all kinds share. */
interface Production {
  readonly type: string;
  readonly name?: string;
  readonly definition?: readonly Production[];
  readonly separator?: Production;
}

const categories = [t.Comparison, t.Additive, t.Multiplicative];

/** `rule = … ;` for every rule, names and signs in quotes, tokens in capitals explained at the end. */
export function ebnf(rules: readonly ISerializedGast[]): string {
  const productions = [...(rules as readonly Production[])].sort((a, b) => Number(a.name !== 'file') - Number(b.name !== 'file'));
  const start = productions.findIndex((rule) => rule.name === 'item');
  // The declarations first: the parser inherits the rules of expressions.
  const ordered = [...productions.slice(0, 1), ...productions.slice(start), ...productions.slice(1, start)];
  const width = Math.max(...ordered.map((rule) => rule.name?.length ?? 0));
  const written = ordered.map((rule) => `${(rule.name ?? '').padEnd(width)} = ${sequence(inside(rule))} ;`);
  const soft = t.softWords.map((word) => `'${word.PATTERN}'`).join(' ');
  return `${written.join('\n')}

(* NAME is a letter or "_", then letters, digits and "_", but no reserved word. WORD is any word, reserved or not.
   Reserved only where the rules above name them, and names everywhere else: ${soft}.
   NUMBER is digits with "_" between, then optionally a point and digits, then optionally an exponent.
   STRING is anything in double quotes on one line, with the escapes \\n \\r \\t \\" \\\\ \\u{1F600}.
   "//" begins a comment that ends with its line; "///" documents the declaration below it. *)
`;
}

function sequence(productions: readonly Production[]): string {
  return productions.map(one).join(' ');
}

function one(production: Production): string {
  const inner = sequence(inside(production));
  const separator = production.separator ? one(production.separator) : '';
  switch (production.type) {
    case 'Terminal':
      return terminal(production.name ?? '');
    case 'NonTerminal':
      return production.name ?? '';
    case 'Alternation':
      return `( ${inside(production)
        .map((way) => sequence(inside(way)))
        .join(' | ')} )`;
    case 'Option':
      return `[ ${inner} ]`;
    case 'Repetition':
      return `{ ${inner} }`;
    case 'RepetitionMandatory':
      return `${inner} { ${inner} }`;
    case 'RepetitionWithSeparator':
      return `[ ${inner} { ${separator} ${inner} } ]`;
    case 'RepetitionMandatoryWithSeparator':
      return `${inner} { ${separator} ${inner} }`;
    default:
      return inner;
  }
}

function terminal(name: string): string {
  const category = categories.find((one) => one.name === name);
  const members = category
    ? t.tokenTypes.filter((token) => token.CATEGORIES?.includes(category))
    : t.tokenTypes.filter((token) => token.name === name && typeof token.PATTERN === 'string');
  if (members.length === 0) return name;
  const texts = members.map((token) => `'${token.PATTERN}'`);
  return texts.length === 1 ? (texts[0] ?? name) : `( ${texts.join(' | ')} )`;
}

function inside(production: Production): readonly Production[] {
  return production.definition ?? [];
}
