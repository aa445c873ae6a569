/** What could stand where the parser failed, in the author's words rather than the grammar's. */

import type { IToken, TokenType } from 'chevrotain';
import type { Failure } from './messages.ts';
import * as t from './tokens.ts';

const declarations = ['`import`', '`dim`', '`param`', '`layer`', '`model`', '`train`'];
const expression = 'an expression';
const value = [expression, '`repeat`', '`mixture`'];
const type = ['a type such as `int` or `[B, S, D]`'];
const setting = 'a setting such as `name = …`';

/** By rule, for failures where no way on fits. */
const byRule: Readonly<Record<string, readonly string[]>> = {
  item: declarations,
  member: ['a part such as `name = …`', '`weight`', '`require`', '`shared`', '`forward`'],
  value,
  element: value,
  type: [...type, '`layer`'],
  results: [...type, 'results such as `(name: type, …)`'],
  atom: [expression],
  modelDecl: ['`{`', '`for`', '`from`'],
  derived: ['the name of a model', '`onnx`'],
  settingValue: [expression, '`from`'],
  mixture: ['`by`', 'settings such as `{ score = … }`'],
  repeat: [...value, 'a table such as `{ key: … }`'],
  table: ['a row such as `key: …`'],
  index: [expression, '`..`'],
  returns: [expression],
  row: ['a string', 'a number', '`true`', '`false`'],
};

/** By rule and token, where one token was missing but others could have stood there too. */
const byToken: Readonly<Record<string, readonly string[]>> = {
  'file EOF': declarations,
  'importDecl BRACE_CLOSE': ['`,`', '`}`'],
  'paramDecl ASSIGN': ['`=`', '`:`'],
  'formals PAREN_CLOSE': ['`,`', '`)`'],
  'call PAREN_CLOSE': ['`,`', '`)`'],
  'results PAREN_CLOSE': ['`,`', '`)`'],
  'list BRACKET_CLOSE': ['`,`', '`]`'],
  'indices BRACKET_CLOSE': ['`,`', '`]`'],
  'formal COLON': ['`:` and a type'],
  'namedResult COLON': ['`:` and a type'],
  'body BRACE_CLOSE': ['`}`', '`weights`'],
  'body Forward': ['a part such as `name = …`', '`weight`', '`require`', '`shared`', '`forward`'],
  'trainDecl Forward': [setting, '`forward`'],
  'weightDecl COLON': ['`:`', '`,`'],
  'equation Return': ['a statement such as `name = …`', '`return`'],
  'statement ASSIGN': ['`=`', '`,`'],
  'equation BRACE_CLOSE': ['`}`', '`,`'],
  'settings BRACE_CLOSE': [setting, '`}`'],
  'table BRACE_CLOSE': ['a row such as `key: …`', '`}`'],
  'weightsDecl BRACE_CLOSE': ['a binding such as `path <- "name"`', '`}`'],
  'derived BRACE_CLOSE': ['a derivation such as `emergent path { … }`', '`weights`', '`}`'],
  'binding SOURCE': ['`<-`', '`,`'],
  'derivation BRACE_OPEN': ['settings such as `{ name = … }`'],
  'settings BRACE_OPEN': ['settings such as `{ name = … }`'],
};

const labels: ReadonlyMap<string, string> = new Map(t.vocabulary.map((one) => [one.name, one.LABEL ?? one.name]));
const reserved: ReadonlySet<TokenType> = new Set(t.reservedWords);

/** What could have stood where `failure` happened, most likely first. */
export function expectedAt(failure: Failure, found: IToken | undefined): readonly string[] {
  const listed = failure.single ? byToken[`${failure.rule} ${failure.expected[0]}`] : byRule[failure.rule];
  if (failure.rule === 'formals' && found && reserved.has(found.tokenType)) return [wordFor(t.Name.name, found), '`)`'];
  return listed ?? failure.expected.map((name) => wordFor(name, found));
}

/** What errors call a token. */
export function labelOf(name: string): string {
  return labels.get(name) ?? name;
}

function wordFor(name: string, found: IToken | undefined): string {
  const label = labelOf(name);
  return name === t.Name.name && found && reserved.has(found.tokenType) ? `${label} (\`${found.image}\` is a reserved word)` : label;
}
