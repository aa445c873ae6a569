/** Graph text back to a graph: the other half of `text.ts`, for the tests of passes and for dumps one wants to look into. Faults are `Bug`s: nobody writes this text as input to moec. */

import { Bug } from '../diagnostics/bug.ts';
import { withDefaults } from './builder.ts';
import { constant } from './constant.ts';
import type { Dim } from './dim.ts';
import { foreign } from './foreign.ts';
import { type Graph, type Node, type Output, type Value, value, type Weight } from './graph.ts';
import { type LineReader, lineReader } from './line-reader.ts';
import { ndArray } from './nd-array.ts';
import { float, floats } from './onnx.ts';
import type { Attr, AttrKind, Op } from './op.ts';
import { readSource } from './source-text.ts';
import { constantDims, type TensorType } from './type.ts';

/** Reads what `printGraph` wrote. Result types may be left out where the op's rule infers them. */
export function parseGraph(text: string, ops: ReadonlyMap<string, Op>): Graph {
  const lines = text
    .split('\n')
    .map((line, i) => ({ text: line.trim(), indent: line.length - line.trimStart().length, number: i + 1 }))
    .filter((line) => line.text !== '');
  const cursor: Cursor = { lines, next: 0, ops };
  const graph = readGraph(cursor, new Map(), 'graph');
  const rest = lines[cursor.next];
  if (rest) throw new Bug(`line ${rest.number}: more than one graph`, rest.text);
  return graph;
}

interface Line {
  readonly text: string;
  readonly indent: number;
  readonly number: number;
}

interface Cursor {
  readonly lines: readonly Line[];
  next: number;
  readonly ops: ReadonlyMap<string, Op>;
}

type Scope = ReadonlyMap<string, Value>;

function take(cursor: Cursor): Line {
  const line = cursor.lines[cursor.next];
  if (!line) throw new Bug('the graph text ends too early');
  cursor.next++;
  return line;
}

function readGraph(cursor: Cursor, outer: Scope, title: string): Graph {
  const doc: string[] = [];
  let header = take(cursor);
  for (; header.text.startsWith('///'); header = take(cursor)) doc.push(header.text.slice(4));
  const line = lineReader(header.text, `line ${header.number}`);
  if (title !== 'graph') {
    line.name();
    line.expect(':');
  }
  line.expect('graph');
  const name = line.name();
  const scope = new Map(outer);
  const define = (one: Value): Value => {
    scope.set(one.name, one);
    return one;
  };
  const inputs = line.list('(', ')', () => define(readTyped(line)));
  line.expect('->');
  const outputs = line.list('(', ')', () => {
    const output = line.name();
    return { name: output, value: line.accept('=') ? line.name() : output };
  });
  const weights: Weight[] = [];
  const nodes: Node[] = [];
  for (let found = cursor.lines[cursor.next]; found && found.indent > header.indent; found = cursor.lines[cursor.next]) {
    const weight = readWeight(found, define);
    if (weight) {
      weights.push(weight);
      cursor.next++;
    } else nodes.push(readNode(cursor, scope, define));
  }
  const results = outputs.map((output): Output => ({ name: output.name, value: look(scope, output.value, line) }));
  return { name, ...(doc.length > 0 ? { doc: doc.join('\n') } : {}), inputs, outputs: results, nodes, weights };
}

function look(scope: Scope, name: string, line: LineReader): Value {
  return scope.get(name) ?? line.fail(`a value that is defined, not ${name}`);
}

function readTyped(line: LineReader): Value {
  const name = line.name();
  return line.accept(':') ? value(name, line.type()) : value(name);
}

function readWeight({ text, number }: Line, define: (one: Value) => Value): Weight | undefined {
  const line = lineReader(text, `line ${number}`);
  const isWeight = (line.at('weight') || line.at('state')) && (line.kindAfter(1) === 'name' || line.kindAfter(1) === 'quoted');
  if (!isWeight) return undefined;
  const storage = line.name() === 'state' ? 'state' : 'constant';
  const held = define(readTyped(line));
  const path = line.accept('at') ? line.string() : held.name;
  line.expect('=');
  return { value: held, path, source: readSource(line, held.type, path), storage };
}

function readNode(cursor: Cursor, scope: Scope, define: (one: Value) => Value): Node {
  const { text, indent, number } = take(cursor);
  const line = lineReader(text, `line ${number}`);
  const results = [readTyped(line)];
  while (line.accept(',')) results.push(readTyped(line));
  line.expect('=');
  const written = readConstant(line, results);
  if (written) {
    define(written.outputs[0] ?? value(''));
    return written;
  }
  const op = readOp(line, cursor.ops);
  const inputs: (Value | undefined)[] = [];
  const attrs: Record<string, Attr> = {};
  line.list('(', ')', () => {
    if (!line.at(':', 1)) inputs.push(line.accept('_') ? undefined : look(scope, line.name(), line));
    else {
      const name = line.name();
      line.expect(':');
      attrs[name] = op.foreign ? readForeignAttr(line) : readAttr(line, op.attrs[name]?.kind ?? line.fail(`a setting of ${op.name}, not ${name}`));
    }
  });
  const bodies: Record<string, Graph> = {};
  for (let found = cursor.lines[cursor.next]; found && found.indent > indent; found = cursor.lines[cursor.next]) bodies[bodyName(cursor)] = readGraph(cursor, scope, 'body');
  const settings = withDefaults(op, attrs);
  const inferred =
    results.every(({ type }) => type) || op.foreign
      ? []
      : op.type(
          inputs.map((one) => one?.type),
          settings,
        );
  const outputs = results.map((one, i) => define(one.type || !inferred[i] ? one : value(one.name, inferred[i])));
  return { op, inputs, outputs, attrs: settings, ...(Object.keys(bodies).length > 0 ? { bodies } : {}) };
}

/** The name a body has, which stands in its header after its documentation. */
function bodyName({ lines, next }: Cursor): string {
  const header = lines.slice(next).find(({ text }) => !text.startsWith('///'));
  return header ? lineReader(header.text, `line ${header.number}`).name() : '';
}

function readOp(line: LineReader, ops: ReadonlyMap<string, Op>): Op {
  const name = line.name();
  const known = name === constant.name ? constant : ops.get(name);
  if (known) return known;
  if (!name.startsWith('onnx.')) return line.fail(`an op, not ${name}`);
  const path = name.slice('onnx.'.length);
  const cut = path.lastIndexOf('.');
  return cut < 0 ? foreign(path) : foreign(path.slice(cut + 1), path.slice(0, cut));
}

/** A node that is numbers alone; their element type and shape stand at its result. */
function readConstant(line: LineReader, [result]: readonly Value[]): Node | undefined {
  const bare = line.at('{') || line.at('-') || line.kind === 'number' || ((line.at('inf') || line.at('nan')) && !line.at('(', 1));
  if (!bare || !result) return undefined;
  const type: TensorType = result.type ?? { dtype: 'f32', dims: [] };
  const array = ndArray(constantDims(type.dims) ?? line.fail('constant sizes'), line.numbers(), type.dtype);
  return { op: constant, inputs: [], outputs: [value(result.name, type)], attrs: { array } };
}

function readAttr(line: LineReader, kind: AttrKind): Attr {
  const items = <T>(item: () => T): readonly T[] => line.list('[', ']', item);
  const readers: Readonly<Record<AttrKind, () => Attr>> = {
    int: line.number,
    float: line.number,
    bool: () => readBool(line),
    string: line.string,
    ints: () => items(line.number),
    floats: () => items(line.number),
    strings: () => items(line.string),
    dim: line.size,
    dims: () => items((): Dim => line.size()),
    dtype: line.dtype,
    array: line.array,
  };
  return readers[kind]();
}

function readBool(line: LineReader): boolean {
  if (line.accept('true')) return true;
  line.expect('false');
  return false;
}

/** A setting whose kind nobody declared: told by how it is written. */
function readForeignAttr(line: LineReader): Attr {
  if (line.at('true') || line.at('false')) return readBool(line);
  if (line.accept('float')) return float(line.number());
  if (line.accept('floats')) return floats(line.list('[', ']', line.number));
  if (line.at('raw') && line.kindAfter(1) === 'string') return readRaw(line);
  if (line.kind === 'string') return line.string();
  if (line.at('[')) return line.kindAfter(1) === 'string' ? line.list('[', ']', line.string) : line.list('[', ']', line.number);
  return line.kind === 'name' && line.at('[', 1) ? line.array() : line.number();
}

function readRaw(line: LineReader): Attr {
  line.expect('raw');
  return { kind: 'raw', bytes: Uint8Array.from(Buffer.from(line.string(), 'base64')) };
}
