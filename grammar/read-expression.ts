/** CST → AST, the inner half: values, paths, types and expressions. Whatever recovery left incomplete is dropped. */

import type { CstNode, IToken } from 'chevrotain';
import type * as ast from './ast.ts';
import type * as cst from './cst.d.ts';
import { join, type Span } from './span.ts';
import { unquote } from './strings.ts';

/** The text being read: its file, and the doc comment that stands right above an offset. */
export interface Source {
  readonly file: string;
  doc(start: number): string | undefined;
}

/** The children of a node, any of which recovery may have left out. */
export function parts<T extends CstNode>(node: T): Partial<T['children']> {
  return node.children as Partial<T['children']>;
}

/** The stretch of a node, or undefined where nothing of it was read. */
export function spanOf(node: CstNode, source: Source): Span | undefined {
  const at = node.location;
  if (at?.endOffset === undefined || Number.isNaN(at.startOffset) || Number.isNaN(at.endOffset)) return undefined;
  return { file: source.file, start: at.startOffset, end: at.endOffset + 1 };
}

/** The stretch of a token. */
export function tokenSpan(token: IToken, source: Source): Span {
  return { file: source.file, start: token.startOffset, end: token.startOffset + token.image.length };
}

/** A token that stands in the text, not one that recovery made up. */
export function real(token: IToken | undefined): IToken | undefined {
  return token?.isInsertedInRecovery ? undefined : token;
}

/** What `read` makes of each node, without those it makes nothing of. */
export function readAll<T, R>(nodes: readonly T[] | undefined, source: Source, read: (node: T, source: Source) => R | undefined): R[] {
  return (nodes ?? []).flatMap((node) => read(node, source) ?? []);
}

/** What `read` makes of the first node. */
export function readFirst<T, R>(nodes: readonly T[] | undefined, source: Source, read: (node: T, source: Source) => R | undefined): R | undefined {
  const node = nodes?.[0];
  return node === undefined ? undefined : read(node, source);
}

/** A word standing as a name. */
export function readIdent(token: IToken, source: Source): ast.Ident | undefined {
  return real(token) && { kind: 'ident', span: tokenSpan(token, source), text: token.image };
}

/** A string literal, its escapes resolved. */
export function readString(token: IToken, source: Source): ast.StringLiteral | undefined {
  return real(token) && { kind: 'string', span: tokenSpan(token, source), value: unquote(token.image).value };
}

function readNumber(token: IToken, source: Source): ast.NumberLiteral | undefined {
  const text = token.image;
  return real(token) && { kind: 'number', span: tokenSpan(token, source), value: Number(text.replaceAll('_', '')), float: /[.eE]/.test(text), text };
}

function readBool(token: IToken, source: Source): ast.BoolLiteral | undefined {
  return real(token) && { kind: 'bool', span: tokenSpan(token, source), value: token.image === 'true' };
}

/** What a part, an argument or a list element may be. */
export function readValue(node: cst.ValueCstNode, source: Source): ast.Value | undefined {
  const { repeat, mixture, expr } = parts(node);
  return readFirst(repeat, source, readRepeat) ?? readFirst(mixture, source, readMixture) ?? readFirst(expr, source, readExpr);
}

function readRepeat(node: cst.RepeatCstNode, source: Source): ast.Repeat | undefined {
  const { NAME, expr, table, value } = parts(node);
  const span = spanOf(node, source);
  const binder = readFirst(NAME, source, readIdent);
  const count = readFirst(expr, source, readExpr);
  const of = readFirst(table, source, readTable) ?? readFirst(value, source, readValue);
  return span && count && of && { kind: 'repeat', span, ...(binder && { binder }), count, of };
}

function readTable(node: cst.TableCstNode, source: Source): ast.Table | undefined {
  const span = spanOf(node, source);
  return span && { kind: 'table', span, rows: readAll(parts(node).row, source, readRow) };
}

function readRow(node: cst.RowCstNode, source: Source): ast.Row | undefined {
  const { STRING, NUMBER, True, False, value } = parts(node);
  const span = spanOf(node, source);
  const key = readFirst(STRING, source, readString) ?? readFirst(NUMBER, source, readNumber) ?? readFirst(True ?? False, source, readBool);
  const of = readFirst(value, source, readValue);
  return span && key && of && { kind: 'row', span, key, value: of };
}

function readMixture(node: cst.MixtureCstNode, source: Source): ast.Mixture | undefined {
  const { expr, value, settings, by } = parts(node);
  const span = spanOf(node, source);
  const count = readFirst(expr, source, readExpr);
  const of = readFirst(value, source, readValue);
  const router = readFirst(settings, source, readSettings) ?? readFirst(by, source, readBy);
  return span && count && of && router && { kind: 'mixture', span, count, of, router };
}

function readBy(node: cst.ByCstNode, source: Source): ast.By | undefined {
  const span = spanOf(node, source);
  const value = readFirst(parts(node).value, source, readValue);
  return span && value && { kind: 'by', span, value };
}

/** What stands in the braces of a mixture or a derivation. */
export function readSettings(node: cst.SettingsCstNode, source: Source): ast.Settings | undefined {
  const span = spanOf(node, source);
  return span && { kind: 'settings', span, settings: readAll(parts(node).setting, source, readSetting) };
}

/** One `name = value` of settings. */
export function readSetting(node: cst.SettingCstNode, source: Source): ast.Setting | undefined {
  const { NAME, settingValue } = parts(node);
  const span = spanOf(node, source);
  const name = readFirst(NAME, source, readIdent);
  const value = readFirst(settingValue, source, readSettingValue);
  return span && name && value && { kind: 'setting', span, name, value };
}

/** What stands to the right of a setting's sign. */
export function readSettingValue(node: cst.SettingValueCstNode, source: Source): ast.SettingValue | undefined {
  const { fromFile, value } = parts(node);
  return readFirst(fromFile, source, readFromFile) ?? readFirst(value, source, readValue);
}

function readFromFile(node: cst.FromFileCstNode, source: Source): ast.FromFile | undefined {
  const span = spanOf(node, source);
  const file = readFirst(parts(node).STRING, source, readString);
  return span && file && { kind: 'from-file', span, file };
}

/** The left of a binding, the object of a derivation. */
export function readPath(node: cst.PathCstNode, source: Source): ast.Path | undefined {
  const { NAME, suffix } = parts(node);
  const span = spanOf(node, source);
  const head = readFirst(NAME, source, readIdent);
  return span && head && { kind: 'path', span, head, suffixes: readAll(suffix, source, readSuffix) };
}

function readSuffix(node: cst.SuffixCstNode, source: Source): ast.Suffix | undefined {
  const { dot, indices } = parts(node);
  return readFirst(dot, source, readDot) ?? readFirst(indices, source, readIndices);
}

function readDot(node: cst.DotCstNode, source: Source): ast.DotSuffix | undefined {
  const span = spanOf(node, source);
  const name = readFirst(parts(node).WORD, source, readIdent);
  return span && name && { kind: 'dot', span, name };
}

function readIndices(node: cst.IndicesCstNode, source: Source): ast.IndexSuffix | undefined {
  const span = spanOf(node, source);
  const indices = readAll(parts(node).index, source, readIndex);
  return span && indices.length > 0 ? { kind: 'indices', span, indices } : undefined;
}

function readIndex(node: cst.IndexCstNode, source: Source): ast.Index | undefined {
  const { NAME, DOTS, at, to } = parts(node);
  const span = spanOf(node, source);
  const named = readFirst(NAME, source, readIdent);
  const binder = named && { binder: named };
  const from = readFirst(at, source, readExpr);
  if (!span) return undefined;
  if (!real(DOTS?.[0])) return from && { kind: 'at', span, ...binder, value: from };
  const until = readFirst(to, source, readExpr);
  return { kind: 'range', span, ...binder, ...(from && { from }), ...(until && { to: until }) };
}

/** The type of a weight, a formal or a result. */
export function readType(node: cst.TypeCstNode, source: Source): ast.Type | undefined {
  const { Layer, NAME, list } = parts(node);
  const span = spanOf(node, source);
  if (!span) return undefined;
  if (real(Layer?.[0])) return { kind: 'layer-type', span };
  const dtype = readFirst(NAME, source, readIdent);
  const dims = readFirst(list, source, readList);
  return dtype || dims ? { kind: 'tensor-type', span, ...(dtype && { dtype }), ...(dims && { dims }) } : undefined;
}

function readList(node: cst.ListCstNode, source: Source): ast.List | undefined {
  const span = spanOf(node, source);
  return span && { kind: 'list', span, items: readAll(parts(node).element, source, readElement) };
}

function readElement(node: cst.ElementCstNode, source: Source): ast.Value | ast.Rest | undefined {
  const { DOTS, value } = parts(node);
  const dots = real(DOTS?.[0]);
  return dots ? { kind: 'rest', span: tokenSpan(dots, source) } : readFirst(value, source, readValue);
}

/** An expression. */
export function readExpr(node: cst.ExprCstNode, source: Source): ast.Expr | undefined {
  const { sum, COMPARISON } = parts(node);
  return chain(sum, COMPARISON, source, readSum);
}

function readSum(node: cst.SumCstNode, source: Source): ast.Expr | undefined {
  const { product, ADDITIVE } = parts(node);
  return chain(product, ADDITIVE, source, readProduct);
}

function readProduct(node: cst.ProductCstNode, source: Source): ast.Expr | undefined {
  const { unary, MULTIPLICATIVE } = parts(node);
  return chain(unary, MULTIPLICATIVE, source, readUnary);
}

/** Operands joined by operators of one strength, to the left; an operator without its right operand is dropped. */
function chain<T>(
  operands: readonly T[] | undefined,
  operators: readonly IToken[] | undefined,
  source: Source,
  read: (node: T, source: Source) => ast.Expr | undefined,
): ast.Expr | undefined {
  const [head, ...rest] = operands ?? [];
  const first = head && read(head, source);
  return rest.reduce<ast.Expr | undefined>((left, operand, i) => {
    const operator = real(operators?.[i]);
    const right = read(operand, source);
    if (!left || !operator || !right) return left ?? right;
    const span = join(left.span, right.span);
    return { kind: 'binary', span, operator: operator.image as ast.BinaryOperator, operatorSpan: tokenSpan(operator, source), left, right };
  }, first);
}

function readUnary(node: cst.UnaryCstNode, source: Source): ast.Expr | undefined {
  const { MINUS, atom, postfix } = parts(node);
  const head = readFirst(atom, source, readAtom);
  const operand = head && (postfix ?? []).reduce((object, one) => readPostfix(object, one, source), head);
  const minus = real(MINUS?.[0]);
  if (!operand || !minus) return operand;
  return { kind: 'negate', span: join(tokenSpan(minus, source), operand.span), operand };
}

function readPostfix(object: ast.Expr, node: cst.PostfixCstNode, source: Source): ast.Expr {
  const { suffix, call } = parts(node);
  const read = readFirst(suffix, source, readSuffix);
  if (read) {
    const span = join(object.span, read.span);
    return read.kind === 'dot' ? { kind: 'member', span, object, name: read.name } : { kind: 'indexed', span, object, indices: read.indices };
  }
  const called = call?.[0];
  const end = called && spanOf(called, source);
  return called && end ? { kind: 'call', span: join(object.span, end), callee: object, args: readAll(parts(called).argument, source, readArgument) } : object;
}

function readArgument(node: cst.ArgumentCstNode, source: Source): ast.Argument | undefined {
  const { WORD, value } = parts(node);
  const span = spanOf(node, source);
  const name = readFirst(WORD, source, readIdent);
  const of = readFirst(value, source, readValue);
  return span && of && { kind: 'argument', span, ...(name && { name }), value: of };
}

function readAtom(node: cst.AtomCstNode, source: Source): ast.Expr | undefined {
  const { NUMBER, STRING, True, False, NAME, paren, list } = parts(node);
  return (
    readFirst(NUMBER, source, readNumber) ??
    readFirst(STRING, source, readString) ??
    readFirst(True ?? False, source, readBool) ??
    readFirst(NAME, source, readName) ??
    readFirst(paren, source, readParen) ??
    readFirst(list, source, readList)
  );
}

function readName(token: IToken, source: Source): ast.Name | undefined {
  return real(token) && { kind: 'name', span: tokenSpan(token, source), text: token.image };
}

function readParen(node: cst.ParenCstNode, source: Source): ast.Paren | undefined {
  const span = spanOf(node, source);
  const inner = readFirst(parts(node).expr, source, readExpr);
  return span && inner && { kind: 'paren', span, inner };
}
