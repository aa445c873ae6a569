/** The graph as text, one value a line: what `--dump-after` shows, faults of moec's own carry, and the tests of passes compare. `parse-text.ts` reads it back. */

import { isArray, isDim, isFloat, isFloats, isRaw, sameAttr } from './attr.ts';
import { show } from './dim.ts';
import type { Graph, Node, Value, Weight } from './graph.ts';
import { nameValues } from './names.ts';
import type { NdArray } from './nd-array.ts';
import type { Attr } from './op.ts';
import { printSource, type SourcePrinter } from './source-text.ts';
import { showType, tensor } from './type.ts';

/** How much to show. */
export interface PrintOptions {
  /** Arrays with more numbers than this are cut short; the text can then not be read back. */
  readonly longest?: number;
}

/** The graph as text. Reading it back and printing again gives the same text. */
export function printGraph(graph: Graph, options: PrintOptions = {}): string {
  const printer: Printer = { names: nameValues(graph), longest: options.longest ?? Number.POSITIVE_INFINITY };
  return `${lines(graph, `graph ${quoteName(graph.name)}`, '', printer).join('\n')}\n`;
}

interface Printer {
  readonly names: ReadonlyMap<Value, string>;
  readonly longest: number;
}

function lines(graph: Graph, title: string, indent: string, printer: Printer): readonly string[] {
  const inner = `${indent}  `;
  const inputs = graph.inputs.map((input) => typed(input, printer)).join(', ');
  const outputs = graph.outputs
    .map(({ name, value }) => (nameOf(value, printer) === name ? quoteName(name) : `${quoteName(name)} = ${quoteName(nameOf(value, printer))}`))
    .join(', ');
  return [
    ...(graph.doc === undefined ? [] : graph.doc.split('\n').map((line) => `${indent}/// ${line}`.trimEnd())),
    `${indent}${title}(${inputs}) -> (${outputs})`,
    ...graph.weights.map((weight) => inner + printWeight(weight, printer)),
    ...graph.nodes.flatMap((node) => printNode(node, inner, printer)),
  ];
}

const nameOf = (value: Value, { names }: Printer): string => names.get(value) ?? `${value.name}!undefined`;

function typed(value: Value, printer: Printer): string {
  const name = quoteName(nameOf(value, printer));
  return value.type ? `${name}: ${showType(value.type)}` : name;
}

/** A name as it stands in the text: bare where it is a path of words, else in backticks. */
function quoteName(name: string): string {
  return /^[A-Za-z_][\w.]*$/.test(name) && name !== '_' ? name : `\`${name}\``;
}

function printWeight({ value, path, source, storage }: Weight, printer: Printer): string {
  const at = path === nameOf(value, printer) ? '' : ` at ${JSON.stringify(path)}`;
  return `${storage === 'state' ? 'state' : 'weight'} ${typed(value, printer)}${at} = ${printSource(source, sources(printer), value.type, path)}`;
}

const sources = (printer: Printer): SourcePrinter => ({ number: printNumber, array: (array) => printArray(array, printer) });

function printNode(node: Node, indent: string, printer: Printer): readonly string[] {
  const results = node.outputs.map((output) => typed(output, printer)).join(', ');
  const { array } = node.attrs;
  if (node.op.name === 'constant' && isArray(array)) return [`${indent}${results} = ${printNumbers(array, printer)}`];
  const last = node.inputs.findLastIndex((one) => one !== undefined);
  const inputs = node.inputs.slice(0, last + 1).map((one) => (one ? quoteName(nameOf(one, printer)) : '_'));
  const attrs = Object.entries(node.attrs).flatMap(([name, value]) => {
    const fallback = node.op.attrs[name]?.default;
    return value === undefined || (fallback !== undefined && sameAttr(value, fallback)) ? [] : [`${name}: ${printAttr(value, node.op.attrs[name]?.kind === 'dtype', printer)}`];
  });
  const bodies = Object.entries(node.bodies ?? {}).flatMap(([name, body]) => lines(body, `${name}: graph ${quoteName(body.name)}`, `${indent}  `, printer));
  return [`${indent}${results} = ${quoteName(node.op.name)}(${[...inputs, ...attrs].join(', ')})`, ...bodies];
}

function printAttr(value: Exclude<Attr, undefined>, isDType: boolean, printer: Printer): string {
  if (typeof value === 'number') return printNumber(value);
  if (typeof value === 'boolean') return String(value);
  if (typeof value === 'string') return isDType ? value : JSON.stringify(value);
  if (isArray(value)) return printArray(value, printer);
  if (isFloat(value)) return `float ${printNumber(value.value)}`;
  if (isFloats(value)) return `floats [${value.values.map(printNumber).join(', ')}]`;
  if (isRaw(value)) return `raw "${Buffer.from(value.bytes).toString('base64')}"`;
  if (isDim(value)) return show(value);
  const items: readonly (number | string | Attr)[] = value;
  return `[${items.map((one) => (typeof one === 'string' ? JSON.stringify(one) : typeof one === 'number' ? printNumber(one) : isDim(one) ? show(one) : '')).join(', ')}]`;
}

function printNumber(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return 'inf';
  if (value === Number.NEGATIVE_INFINITY) return '-inf';
  if (Object.is(value, -0)) return '-0';
  return Number.isNaN(value) ? 'nan' : String(value);
}

function printArray(array: NdArray, printer: Printer): string {
  return `${showType(tensor(array.dtype, array.dims))} ${printNumbers({ ...array, dims: [array.data.length] }, printer)}`;
}

/** The numbers alone: bare for one without an axis, else in braces. */
function printNumbers({ dims, data }: NdArray, { longest }: Printer): string {
  if (dims.length === 0) return printNumber(data[0] ?? 0);
  const shown = [...data.subarray(0, longest)].map(printNumber).join(', ');
  return data.length > longest ? `{${shown}, …}` : `{${shown}}`;
}
