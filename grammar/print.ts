/** AST and comments → text: the formatter. Its output reads back as the same AST with the same comments, and formats to itself. */

import type * as ast from './ast.ts';
import { find, type Printing } from './comments.ts';
import type { Fault } from './faults.ts';
import { type Doc, group, indent, joined, layOut, line } from './layout.ts';
import { parse } from './parse.ts';
import { block, commaList, dangling, type Entry, lines } from './print-block.ts';
import { enclosed, expression, expressions, path, setting, settings, type, value } from './print-expression.ts';
import { quote } from './strings.ts';

/** The widest line the formatter writes, where it has the choice. */
const width = 120;

/** The canonical text of a `.moe` file; a file with faults comes back as it is. */
export function format(text: string, file: string): { readonly text: string; readonly faults: readonly Fault[] } {
  let now = text;
  // A line that had to be broken can line up with its new neighbours, which takes a second look.
  for (let round = 0; round < 4; round++) {
    const { ast, faults, comments } = parse(now, file);
    if (faults.length > 0) return { text, faults };
    const next = print(ast, { text: now, comments, taken: 0 });
    if (next === now) break;
    now = next;
  }
  return { text: now, faults: [] };
}

function print(file: ast.File, printing: Printing): string {
  const items = file.items.map(item);
  const text = layOut([lines(items, 0, printing), dangling(printing.text.length, items, printing) ?? ''], width).trim();
  return text === '' ? '' : `${text}\n`;
}

function item(node: ast.Item): Entry {
  if (node.kind === 'param') return param(node);
  return { span: node.span, rest: (printing) => declaration(node, printing) };
}

function declaration(node: Exclude<ast.Item, ast.ParamDecl>, printing: Printing): Doc {
  switch (node.kind) {
    case 'import':
      return ['import ', importNames(node, printing), ' from ', quote(node.from.value)];
    case 'dim':
      return ['dim ', names(node.names)];
    case 'layer':
      return ['layer ', node.name.text, formals(node.formals, node.name.span.end, printing), ' ', body(node.body, printing)];
    case 'model':
      return ['model ', node.name.text, model(node.what, printing)];
    case 'train': {
      const entries = [...node.settings.map(setting), forward(node.forward)];
      return ['train ', node.name.text, ' of ', node.of.text, ' ', block({ open: find('{', node.of.span.end, printing), close: node.span.end - 1, entries }, printing)];
    }
  }
}

function importNames(node: ast.ImportDecl, printing: Printing): Doc {
  const open = find('{', node.span.start, printing);
  return commaList({ open, close: find('}', node.names.at(-1)?.span.end ?? open, printing), brackets: '{}', items: node.names, print: (name) => name.text }, printing);
}

function names(nodes: readonly ast.Ident[]): string {
  return nodes.map((name) => name.text).join(', ');
}

/** With config keys, `from config` lines up; the value is the head's end. */
function param(node: ast.ParamDecl): Entry {
  const head = (printing: Printing): Doc => ['param ', node.name.text, node.type ? [': ', type(node.type, printing)] : '', ' = ', value(node.value, printing)];
  if (node.config.length === 0) return { span: node.span, rest: head };
  const keys = node.config.map((key) => quote(key.value));
  return { span: node.span, head, sign: ' from config ', rest: () => group(indent(joined(keys, [',', line(' ')]))) };
}

function formals(nodes: readonly ast.Formal[], after: number, printing: Printing): Doc {
  const open = find('(', after, printing);
  return commaList({ open, close: find(')', nodes.at(-1)?.span.end ?? open, printing), brackets: '()', items: nodes, print: formal }, printing);
}

function formal(node: ast.Formal, printing: Printing): Doc {
  return [node.name.text, ': ', type(node.type, printing), initial(node.initial, printing)];
}

function initial(node: ast.Expr | undefined, printing: Printing): Doc {
  return node ? [' = ', expression(node, printing)] : '';
}

function body(node: ast.Body, printing: Printing): Doc {
  return block(enclosed(node.span, [...node.members.map(member), forward(node.forward), ...weights(node.weights)]), printing);
}

function member(node: ast.Member): Entry {
  switch (node.kind) {
    case 'require':
      return { span: node.span, rest: (printing) => ['require ', expression(node.condition, printing)] };
    case 'weight':
      return { span: node.span, rest: (printing) => [shared(node), 'weight ', names(node.names), ': ', type(node.type, printing), initial(node.initial, printing)] };
    case 'part':
      return { span: node.span, head: () => [shared(node), node.name.text], sign: ' = ', rest: (printing) => value(node.value, printing) };
  }
}

function shared(node: ast.WeightDecl | ast.PartDecl): string {
  return node.shared ? 'shared ' : '';
}

function forward(node: ast.Forward): Entry {
  const last: Entry = { span: node.returnSpan, rest: (printing) => ['return ', expressions(node.returns, printing)] };
  return {
    span: node.span,
    rest: (printing) => {
      const header = ['forward', formals(node.formals, node.span.start, printing), ' -> ', results(node.results, printing), ' '];
      const open = find('{', node.results.at(-1)?.span.end ?? node.span.start, printing);
      return [header, block({ open, close: node.span.end - 1, entries: [...node.statements.map(statement), last] }, printing)];
    },
  };
}

function results(nodes: readonly ast.Result[], printing: Printing): Doc {
  const [first] = nodes;
  if (!first || nodes.length === 1) return first ? result(first, printing) : '';
  const close = find(')', nodes.at(-1)?.span.end ?? first.span.end, printing);
  return commaList({ open: printing.text.lastIndexOf('(', first.span.start), close, brackets: '()', items: nodes, print: result }, printing);
}

function result(node: ast.Result, printing: Printing): Doc {
  return [node.name ? `${node.name.text}: ` : '', type(node.type, printing)];
}

function statement(node: ast.Statement): Entry {
  return { span: node.span, head: () => names(node.targets), sign: ' = ', rest: (printing) => expression(node.value, printing) };
}

function model(node: ast.Defined | ast.Derived, printing: Printing): Doc {
  if (node.kind === 'defined') {
    const families = node.families.map((family) => quote(family.value)).join(', ');
    return [families === '' ? ' ' : ` for ${families} `, body(node.body, printing)];
  }
  const from = node.from.kind === 'string' ? `onnx ${quote(node.from.value)}` : node.from.text;
  const entries = [...node.derivations.map(derivation), ...weights(node.weights)];
  return [' from ', from, ' ', block({ open: find('{', node.from.span.end, printing), close: node.span.end - 1, entries }, printing)];
}

function derivation(node: ast.Derivation): Entry {
  return { span: node.span, rest: (printing) => [node.pass.text, ' ', path(node.path, printing), ' ', settings(node.settings, printing)] };
}

function weights(node: ast.Weights | undefined): readonly Entry[] {
  if (!node) return [];
  const from = node.from ? ` from ${quote(node.from.value)}` : '';
  const rest = (printing: Printing): Doc => {
    if (node.from && node.bindings.length === 0) return ['weights', from];
    const open = find('{', node.from?.span.end ?? node.span.start, printing);
    return ['weights', from, ' ', block({ open, close: node.span.end - 1, entries: node.bindings.map(binding) }, printing)];
  };
  return [{ span: node.span, rest }];
}

function binding(node: ast.Binding): Entry {
  const head = (printing: Printing): Doc =>
    joined(
      node.targets.map((target) => path(target, printing)),
      ', ',
    );
  return { span: node.span, head, sign: ' <- ', rest: (printing) => expression(node.source, printing) };
}
