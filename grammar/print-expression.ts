/** AST → document, the inner half: values, paths, types and expressions. */

import type * as ast from './ast.ts';
import { breaksBetween, find, type Printing } from './comments.ts';
import { type Doc, group, hard, indent, joined, line } from './layout.ts';
import { type Block, block, commaList, type Entry } from './print-block.ts';
import type { Span } from './span.ts';
import { quote } from './strings.ts';

/** A value, a table or the rest of a shape. */
export function value(node: ast.Value | ast.Table | ast.Rest, printing: Printing): Doc {
  switch (node.kind) {
    case 'repeat':
      return ['repeat ', node.binder ? `${node.binder.text} in ` : '', value(node.count, printing), ' of ', value(node.of, printing)];
    case 'mixture':
      return ['mixture ', value(node.count, printing), ' of ', value(node.of, printing), ' ', router(node.router, printing)];
    case 'table':
      return block(enclosed(node.span, node.rows.map(row)), printing);
    case 'rest':
      return '..';
    default:
      return expression(node, printing);
  }
}

function router(node: ast.Settings | ast.By, printing: Printing): Doc {
  return node.kind === 'by' ? ['by ', value(node.value, printing)] : settings(node, printing);
}

/** Settings in their braces. */
export function settings(node: ast.Settings, printing: Printing): Doc {
  return block(enclosed(node.span, node.settings.map(setting)), printing);
}

/** One setting, its sign lined up with those around it. */
export function setting(node: ast.Setting): Entry {
  return { span: node.span, head: () => node.name.text, sign: ' = ', rest: (printing) => settingValue(node.value, printing) };
}

function settingValue(node: ast.SettingValue, printing: Printing): Doc {
  return node.kind === 'from-file' ? ['from ', quote(node.file.value)] : value(node, printing);
}

function row(node: ast.Row): Entry {
  return { span: node.span, head: (printing) => [expression(node.key, printing), ':'], sign: ' ', rest: (printing) => value(node.value, printing) };
}

/** A block whose span runs from its opening to its closing brace. */
export function enclosed(span: Span, entries: readonly Entry[]): Block {
  return { open: span.start, close: span.end - 1, entries };
}

/** The words and suffixes of a path. */
export function path(node: ast.Path, printing: Printing): Doc {
  let end = node.head.span.end;
  const suffixes = node.suffixes.map((suffix): Doc => {
    const from = end;
    end = suffix.span.end;
    return suffix.kind === 'dot' ? `.${suffix.name.text}` : indices(suffix.indices, from, end, printing);
  });
  return [node.head.text, ...suffixes];
}

function indices(nodes: readonly ast.Index[], from: number, end: number, printing: Printing): Doc {
  return commaList({ open: find('[', from, printing), close: end - 1, brackets: '[]', items: nodes, print: index }, printing);
}

function index(node: ast.Index, printing: Printing): Doc {
  const binder = node.binder ? `${node.binder.text} in ` : '';
  if (node.kind === 'at') return [binder, value(node.value, printing)];
  return [binder, node.from ? value(node.from, printing) : '', '..', node.to ? value(node.to, printing) : ''];
}

/** `layer`, `i64[B, S]`, `[B, S]`, `int`. */
export function type(node: ast.Type, printing: Printing): Doc {
  if (node.kind === 'layer-type') return 'layer';
  return [node.dtype?.text ?? '', node.dims ? expression(node.dims, printing) : ''];
}

/** An expression, with the brackets its author gave it and no others. */
export function expression(node: ast.Expr, printing: Printing): Doc {
  switch (node.kind) {
    case 'binary':
      return binary(node, printing);
    case 'negate':
      return ['-', expression(node.operand, printing)];
    case 'member':
      return [expression(node.object, printing), '.', node.name.text];
    case 'indexed':
      return [expression(node.object, printing), indices(node.indices, node.object.span.end, node.span.end, printing)];
    case 'call':
      return [expression(node.callee, printing), call(node, printing)];
    case 'paren':
      return ['(', expression(node.inner, printing), ')'];
    case 'list':
      return commaList({ open: node.span.start, close: node.span.end - 1, brackets: '[]', items: node.items, print: value }, printing);
    case 'name':
    case 'number':
      return node.text;
    case 'string':
      return quote(node.value);
    case 'bool':
      return String(node.value);
  }
}

function call(node: ast.Call, printing: Printing): Doc {
  return commaList({ open: find('(', node.callee.span.end, printing), close: node.span.end - 1, brackets: '()', items: node.args, print: argument }, printing);
}

function argument(node: ast.Argument, printing: Printing): Doc {
  return [node.name ? `${node.name.text}: ` : '', value(node.value, printing)];
}

const strengths: Readonly<Record<ast.BinaryOperator, number>> = { '==': 0, '!=': 0, '<=': 0, '>=': 0, '<': 0, '>': 0, '+': 1, '-': 1, '*': 2, '/': 2, '%': 2, '@': 2 };

/** Operands of one strength in a row; an operator opens a line where what follows does not fit, and where its author had it so. */
function binary(node: ast.Binary, printing: Printing): Doc {
  const links: ast.Binary[] = [];
  let head: ast.Expr = node;
  while (head.kind === 'binary' && strengths[head.operator] === strengths[node.operator]) {
    links.unshift(head);
    head = head.left;
  }
  const first = expression(head, printing);
  const rest = links.map((link): Doc => {
    const broken = breaksBetween(link.left.span.end, link.operatorSpan.start, printing) > 0;
    return group([broken ? hard : line(' '), `${link.operator} `, group(expression(link.right, printing))]);
  });
  return [group(first), indent(rest)];
}

/** Expressions with commas between, over several lines where they do not fit on one. */
export function expressions(nodes: readonly ast.Expr[], printing: Printing): Doc {
  const docs = nodes.map((node) => expression(node, printing));
  return docs.length === 1 ? docs : group(indent(joined(docs, [',', line(' ')])));
}
