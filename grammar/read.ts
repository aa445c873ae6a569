/** CST → AST, the outer half: declarations. With `read-expression.ts` the only place that sees both trees. */

import type { IToken } from 'chevrotain';
import type * as ast from './ast.ts';
import type * as cst from './cst.d.ts';
import {
  parts,
  readAll,
  readExpr,
  readFirst,
  readIdent,
  readPath,
  readSetting,
  readSettings,
  readString,
  readType,
  readValue,
  real,
  type Source,
  spanOf,
  tokenSpan,
} from './read-expression.ts';
import { join, type Span } from './span.ts';

/**
 * The AST of a file that `parser.ts` has read.
 *
 * What recovery left incomplete is dropped. A layer or model that has a name is kept even when its `forward` is missing or broken:
 * it then has a `forward` without results, so that uses of its name still resolve.
 */
export function readFile(node: cst.FileCstNode, source: Source, length: number): ast.File {
  return { kind: 'file', span: { file: source.file, start: 0, end: length }, items: readAll(parts(node).item, source, readItem) };
}

function readItem(node: cst.ItemCstNode, source: Source): ast.Item | undefined {
  const { importDecl, dimDecl, paramDecl, layerDecl, modelDecl, trainDecl } = parts(node);
  return (
    readFirst(importDecl, source, readImport) ??
    readFirst(dimDecl, source, readDim) ??
    readFirst(paramDecl, source, readParam) ??
    readFirst(layerDecl, source, readLayer) ??
    readFirst(modelDecl, source, readModel) ??
    readFirst(trainDecl, source, readTrain)
  );
}

function readImport(node: cst.ImportDeclCstNode, source: Source): ast.ImportDecl | undefined {
  const { names, STRING } = parts(node);
  const span = spanOf(node, source);
  const from = readFirst(STRING, source, readString);
  return span && from && { kind: 'import', span, names: readAll(names, source, readIdent), from };
}

function readDim(node: cst.DimDeclCstNode, source: Source): ast.DimDecl | undefined {
  const span = spanOf(node, source);
  return span && { kind: 'dim', span, ...docOf(span, source), names: readAll(parts(node).names, source, readIdent) };
}

function readParam(node: cst.ParamDeclCstNode, source: Source): ast.ParamDecl | undefined {
  const { NAME, type, expr, strings } = parts(node);
  const span = spanOf(node, source);
  const name = readFirst(NAME, source, readIdent);
  const of = readFirst(type, source, readType);
  const value = readFirst(expr, source, readExpr);
  return span && name && value && { kind: 'param', span, ...docOf(span, source), name, ...(of && { type: of }), value, config: readAll(strings, source, readString) };
}

function readLayer(node: cst.LayerDeclCstNode, source: Source): ast.LayerDecl | undefined {
  const { NAME, formals, body } = parts(node);
  const span = spanOf(node, source);
  const name = readFirst(NAME, source, readIdent);
  return span && name && { kind: 'layer', span, ...docOf(span, source), name, formals: readFormals(formals, source), body: readBody(body?.[0], span, source) };
}

function readBody(node: cst.BodyCstNode | undefined, within: Span, source: Source): ast.Body {
  const span = (node && spanOf(node, source)) ?? endOf(within);
  const { member, Forward, equation, weightsDecl } = node ? parts(node) : {};
  const weights = readFirst(weightsDecl, source, readWeights);
  return { kind: 'body', span, members: readAll(member, source, readMember), forward: readForward(Forward?.[0], equation?.[0], span, source), ...(weights && { weights }) };
}

function readFormals(nodes: readonly cst.FormalsCstNode[] | undefined, source: Source): readonly ast.Formal[] {
  const node = nodes?.[0];
  return node ? readAll(parts(node).formal, source, readFormal) : [];
}

function readFormal(node: cst.FormalCstNode, source: Source): ast.Formal | undefined {
  const { NAME, type, expr } = parts(node);
  const span = spanOf(node, source);
  const name = readFirst(NAME, source, readIdent);
  const of = readFirst(type, source, readType);
  const initial = readFirst(expr, source, readExpr);
  return span && name && of && { kind: 'formal', span, name, type: of, ...(initial && { initial }) };
}

function readMember(node: cst.MemberCstNode, source: Source): ast.Member | undefined {
  const { requirement, Shared, weightDecl, partDecl } = parts(node);
  const span = spanOf(node, source);
  if (!span) return undefined;
  const shared = real(Shared?.[0]) !== undefined;
  const weight = weightDecl?.[0];
  const part = partDecl?.[0];
  if (weight) return readWeight(weight, span, shared, source);
  if (part) return readPart(part, span, shared, source);
  return readFirst(requirement, source, readRequire);
}

function readRequire(node: cst.RequirementCstNode, source: Source): ast.Require | undefined {
  const span = spanOf(node, source);
  const condition = readFirst(parts(node).expr, source, readExpr);
  return span && condition && { kind: 'require', span, condition };
}

function readWeight(node: cst.WeightDeclCstNode, span: Span, shared: boolean, source: Source): ast.WeightDecl | undefined {
  const { names, type, expr } = parts(node);
  const of = readFirst(type, source, readType);
  const initial = readFirst(expr, source, readExpr);
  return of && { kind: 'weight', span, ...docOf(span, source), shared, names: readAll(names, source, readIdent), type: of, ...(initial && { initial }) };
}

function readPart(node: cst.PartDeclCstNode, span: Span, shared: boolean, source: Source): ast.PartDecl | undefined {
  const { NAME, value } = parts(node);
  const name = readFirst(NAME, source, readIdent);
  const of = readFirst(value, source, readValue);
  return name && of && { kind: 'part', span, ...docOf(span, source), shared, name, value: of };
}

function readForward(word: IToken | undefined, node: cst.EquationCstNode | undefined, within: Span, source: Source): ast.Forward {
  const written = real(word);
  const start = written && tokenSpan(written, source);
  const stretch = (node && spanOf(node, source)) ?? start ?? endOf(within);
  const span = start ? join(start, stretch) : stretch;
  const { formals, results, statement, Return, returns } = node ? parts(node) : {};
  const last = returns?.[0];
  const returning = real(Return?.[0]);
  const returned = (last && spanOf(last, source)) ?? endOf(span);
  return {
    kind: 'forward',
    span,
    formals: readFormals(formals, source),
    results: readFirst(results, source, readResults) ?? [],
    statements: readAll(statement, source, readStatement),
    returns: last ? readAll(parts(last).expr, source, readExpr) : [],
    returnSpan: returning ? join(tokenSpan(returning, source), returned) : returned,
  };
}

function readResults(node: cst.ResultsCstNode, source: Source): readonly ast.Result[] {
  const { namedResult, type } = parts(node);
  const alone = readFirst(type, source, readType);
  return alone ? [{ kind: 'result', span: alone.span, type: alone }] : readAll(namedResult, source, readResult);
}

function readResult(node: cst.NamedResultCstNode, source: Source): ast.Result | undefined {
  const { NAME, type } = parts(node);
  const span = spanOf(node, source);
  const name = readFirst(NAME, source, readIdent);
  const of = readFirst(type, source, readType);
  return span && of && { kind: 'result', span, ...(name && { name }), type: of };
}

function readStatement(node: cst.StatementCstNode, source: Source): ast.Statement | undefined {
  const { names, expr } = parts(node);
  const span = spanOf(node, source);
  const targets = readAll(names, source, readIdent);
  const value = readFirst(expr, source, readExpr);
  return span && value && targets.length > 0 ? { kind: 'statement', span, targets, value } : undefined;
}

function readWeights(node: cst.WeightsDeclCstNode, source: Source): ast.Weights | undefined {
  const { STRING, binding } = parts(node);
  const span = spanOf(node, source);
  const from = readFirst(STRING, source, readString);
  return span && { kind: 'weights', span, ...(from && { from }), bindings: readAll(binding, source, readBinding) };
}

function readBinding(node: cst.BindingCstNode, source: Source): ast.Binding | undefined {
  const { path, expr } = parts(node);
  const span = spanOf(node, source);
  const targets = readAll(path, source, readPath);
  const from = readFirst(expr, source, readExpr);
  return span && from && targets.length > 0 ? { kind: 'binding', span, targets, source: from } : undefined;
}

function readModel(node: cst.ModelDeclCstNode, source: Source): ast.ModelDecl | undefined {
  const { NAME, derived, defined } = parts(node);
  const span = spanOf(node, source);
  const name = readFirst(NAME, source, readIdent);
  if (!span || !name) return undefined;
  const made = derived?.[0];
  const what = made ? readDerived(made, source) : readDefined(defined?.[0], span, source);
  return what && { kind: 'model', span, ...docOf(span, source), name, what };
}

function readDefined(node: cst.DefinedCstNode | undefined, within: Span, source: Source): ast.Defined {
  const span = (node && spanOf(node, source)) ?? endOf(within);
  const { strings, body } = node ? parts(node) : {};
  return { kind: 'defined', span, families: readAll(strings, source, readString), body: readBody(body?.[0], span, source) };
}

function readDerived(node: cst.DerivedCstNode, source: Source): ast.Derived | undefined {
  const { STRING, NAME, derivation, weightsDecl } = parts(node);
  const span = spanOf(node, source);
  const from = readFirst<IToken, ast.Ident | ast.StringLiteral>(STRING, source, readString) ?? readFirst(NAME, source, readIdent);
  const weights = readFirst(weightsDecl, source, readWeights);
  return span && from && { kind: 'derived', span, from, derivations: readAll(derivation, source, readDerivation), ...(weights && { weights }) };
}

function readDerivation(node: cst.DerivationCstNode, source: Source): ast.Derivation | undefined {
  const { NAME, path, settings } = parts(node);
  const span = spanOf(node, source);
  const pass = readFirst(NAME, source, readIdent);
  const on = readFirst(path, source, readPath);
  const given = readFirst(settings, source, readSettings);
  return span && pass && on && given && { kind: 'derivation', span, pass, path: on, settings: given };
}

function readTrain(node: cst.TrainDeclCstNode, source: Source): ast.TrainDecl | undefined {
  const { NAME, setting, Forward, equation } = parts(node);
  const span = spanOf(node, source);
  const [first, second] = NAME ?? [];
  const name = first && readIdent(first, source);
  const of = second && readIdent(second, source);
  if (!span || !name || !of) return undefined;
  return {
    kind: 'train',
    span,
    ...docOf(span, source),
    name,
    of,
    settings: readAll(setting, source, readSetting),
    forward: readForward(Forward?.[0], equation?.[0], span, source),
  };
}

function docOf(span: Span, source: Source): { readonly doc?: string } {
  const doc = source.doc(span.start);
  return doc === undefined ? {} : { doc };
}

/** Where something that is missing would have stood. */
function endOf(span: Span): Span {
  return { file: span.file, start: span.end, end: span.end };
}
