/** Sources of weights as text, and back: the right-hand sides of the weights of a graph text. */

import type { LineReader } from './line-reader.ts';
import type { NdArray } from './nd-array.ts';
import type { Arithmetic, Source } from './source.ts';
import { constantDims, type DType, sameDims, showType, type TensorType, tensor } from './type.ts';

/** How arrays and numbers are written, decided by the printer of the graph. */
export interface SourcePrinter {
  number(value: number): string;
  array(array: NdArray): string;
}

/** The source as text; what the weight itself says (its type, its path) is left out. */
export function printSource(source: Source, printer: SourcePrinter, type?: TensorType, path?: string): string {
  const of = (inner: Source): string => printSource(inner, printer);
  const own = tensor(source.dtype, source.dims);
  const known = type !== undefined && type.dtype === own.dtype && sameDims(type.dims, own.dims);
  switch (source.kind) {
    case 'tensor':
      return known ? JSON.stringify(source.name) : `tensor(${JSON.stringify(source.name)}, ${showType(own)})`;
    case 'transpose':
      return `transpose(${of(source.of)})`;
    case 'slice':
      return `slice(${of(source.of)}, axis: ${source.axis}, from: ${source.from}, to: ${source.to}${source.drop ? ', drop: true' : ''})`;
    case 'interleaved':
      return `interleaved(${of(source.of)}, axis: ${source.axis}, from: ${source.from}, step: ${source.step})`;
    case 'picked':
      return `picked(${of(source.of)}, axis: ${source.axis}, order: [${source.order.join(', ')}])`;
    case 'reshape':
      return `reshape(${of(source.of)}, ${showType(own)})`;
    case 'concat':
      return `concat([${source.of.map(of).join(', ')}], axis: ${source.axis})`;
    case 'arithmetic': {
      const operand = source.operand === undefined ? '' : `, operand: ${printer.number(source.operand)}`;
      return `arithmetic(${of(source.of)}, ${JSON.stringify(source.operator)}${operand}${source.left ? ', left: true' : ''})`;
    }
    case 'cast':
      return `cast(${of(source.of)}, ${source.dtype})`;
    case 'random': {
      const value = source.value === undefined ? '' : `, value: ${printer.number(source.value)}`;
      const at = source.path === path ? '' : `, path: ${JSON.stringify(source.path)}`;
      return `random(${known ? '' : `${showType(own)}, `}seed: ${source.seed}, deviation: ${printer.number(source.deviation)}${value}${at})`;
    }
    case 'literal':
      return printer.array(source.array);
  }
}

interface Sized {
  readonly dims: readonly number[];
  readonly dtype: DType;
}

const words = ['tensor', 'transpose', 'slice', 'interleaved', 'picked', 'reshape', 'concat', 'arithmetic', 'cast', 'random'] as const;
const operators: readonly Arithmetic['operator'][] = ['+', '-', '*', '/', 'negate', 'exp', 'log', 'sqrt', 'rsqrt'];

/** Reads what `printSource` wrote. */
export function readSource(line: LineReader, type?: TensorType, path = ''): Source {
  const sized = (given: TensorType | undefined): Sized => {
    const dims = given && constantDims(given.dims);
    return given && dims ? { dtype: given.dtype, dims } : line.fail('a type with constant sizes');
  };
  if (line.kind === 'string') return { kind: 'tensor', name: line.string(), ...sized(type) };
  const word = words.find((one) => line.at(one));
  if (!word) {
    const array = line.array();
    return { kind: 'literal', array, dims: array.dims, dtype: array.dtype };
  }
  line.expect(word);
  line.expect('(');
  const source = readCall(word, line, (given) => sized(given), type, path);
  line.expect(')');
  return source;
}

function readCall(word: (typeof words)[number], line: LineReader, sized: (type: TensorType | undefined) => Sized, type: TensorType | undefined, path: string): Source {
  if (word === 'tensor') {
    const name = line.string();
    line.expect(',');
    return { kind: 'tensor', name, ...sized(line.type()) };
  }
  if (word === 'random') {
    const own = line.at('[', 1) ? sized(line.type()) : sized(type);
    line.accept(',');
    const given = readSettings(line);
    const { value } = given.numbers;
    return {
      kind: 'random',
      path: given.path ?? path,
      seed: given.numbers['seed'] ?? 0,
      deviation: given.numbers['deviation'] ?? 0,
      ...(value === undefined ? {} : { value }),
      ...own,
    };
  }
  if (word === 'concat') {
    const of = line.list('[', ']', () => readSource(line));
    line.expect(',');
    const axis = readSettings(line).numbers['axis'] ?? 0;
    const [first] = of;
    if (!first) return line.fail('a source to join');
    return { kind: 'concat', of, axis, dtype: first.dtype, dims: first.dims.map((size, i) => (i === axis ? of.reduce((sum, one) => sum + (one.dims[i] ?? 0), 0) : size)) };
  }
  return readView(word, line, readSource(line), sized);
}

function readView(word: Exclude<(typeof words)[number], 'tensor' | 'random' | 'concat'>, line: LineReader, of: Source, sized: (type: TensorType | undefined) => Sized): Source {
  const { dims, dtype } = of;
  line.accept(',');
  switch (word) {
    case 'transpose':
      return { kind: 'transpose', of, dtype, dims: [...dims.slice(0, -2), dims.at(-1) ?? 1, dims.at(-2) ?? 1] };
    case 'reshape':
      return { kind: 'reshape', of, ...sized(line.type()) };
    case 'cast':
      return { kind: 'cast', of, dims, dtype: line.dtype() };
    case 'arithmetic': {
      const symbol = line.string();
      const operator = operators.find((one) => one === symbol) ?? line.fail('an operator');
      line.accept(',');
      const { numbers, flags } = readSettings(line);
      const { operand } = numbers;
      return { kind: 'arithmetic', of, operator, dims, dtype, ...(operand === undefined ? {} : { operand }), ...(flags.has('left') ? { left: true } : {}) };
    }
    case 'slice': {
      const { numbers, flags } = readSettings(line);
      const { axis = 0, from = 0, to = 0 } = numbers;
      const drop = flags.has('drop');
      const cut = dims.flatMap((size, i) => (i !== axis ? [size] : drop ? [] : [to - from]));
      return { kind: 'slice', of, axis, from, to, drop, dtype, dims: cut };
    }
    case 'picked': {
      const { numbers, lists } = readSettings(line);
      const { axis = 0 } = numbers;
      const order = lists['order'] ?? line.fail('an order');
      return { kind: 'picked', of, axis, order, dtype, dims: dims.map((size, i) => (i === axis ? order.length : size)) };
    }
    case 'interleaved': {
      const { axis = 0, from = 0, step = 1 } = readSettings(line).numbers;
      return { kind: 'interleaved', of, axis, from, step, dtype, dims: dims.map((size, i) => (i === axis ? Math.ceil((size - from) / step) : size)) };
    }
  }
}

interface Settings {
  readonly numbers: Readonly<Record<string, number>>;
  readonly flags: ReadonlySet<string>;
  readonly lists: Readonly<Record<string, readonly number[]>>;
  readonly path?: string;
}

/** `name: value` pairs up to the closing parenthesis. */
function readSettings(line: LineReader): Settings {
  const numbers: Record<string, number> = {};
  const flags = new Set<string>();
  const lists: Record<string, readonly number[]> = {};
  let path: string | undefined;
  while (!line.at(')')) {
    const name = line.name();
    line.expect(':');
    if (line.accept('true')) flags.add(name);
    else if (line.kind === 'string') path = line.string();
    else if (line.at('[')) lists[name] = line.list('[', ']', () => line.number());
    else numbers[name] = line.number();
    line.accept(',');
  }
  return { numbers, flags, lists, ...(path === undefined ? {} : { path }) };
}
