/** Inputs from a file: nested lists by name, checked against what the model takes. */

import { type Diagnostic, diagnose, type Outcome, refuse, sink } from '../diagnostics/diagnostic.ts';
import { didYouMean } from '../diagnostics/suggest.ts';
import { count } from '../graph/nd-array.ts';
import type { DType } from '../graph/type.ts';
import { isPast } from '../passes/cache-names.ts';
import { allLogits, decoderPrefix, emptyPast, pastAxis, steppedPrefix } from './decode-step.ts';
import type { JsonObject } from './json.ts';
import type { Tensors } from './protocol.ts';
import { integers, numbersOf, type Port, type Tensor, tensorOf } from './tensor.ts';

/** The feeds of a model, from named nested lists. Usual inputs that are not given are filled in, each with a note. */
export function readInputs(given: JsonObject, ports: readonly Port[]): Outcome<Tensors> {
  const found = sink();
  const names = ports.map(({ name }) => name);
  for (const name of Object.keys(given))
    if (!names.includes(name))
      found.report(
        diagnose(
          'unknown-input',
          { name },
          {
            fixes: didYouMean(
              name,
              names.filter((one) => !Object.hasOwn(given, one)),
            ),
            notes: [`inputs: ${names.join(', ')}`],
          },
        ),
      );
  const feeds = new Map<string, Tensor>();
  for (const port of ports) {
    if (!Object.hasOwn(given, port.name)) continue;
    const read = readTensor(given[port.name], port);
    if (read.ok) feeds.set(port.name, read.value);
    else for (const one of read.diagnostics) found.report(one);
  }
  for (const one of disagreements(ports, feeds)) found.report(one);
  for (const port of ports) {
    if (Object.hasOwn(given, port.name)) continue;
    const usual = filled(port, ports, feeds);
    if (usual) feeds.set(port.name, usual.tensor);
    found.report(usual ? diagnose('input-filled', { name: port.name, value: usual.value }) : diagnose('input-missing', { name: port.name, type: typeOf(port) }));
  }
  return found.failed ? { ok: false, diagnostics: found.all } : { ok: true, value: Object.fromEntries(feeds), diagnostics: found.all };
}

/** The type of an input as moec writes it: `i64[batch_size, sequence_length]`; `f32[..]` where nothing is known of its sizes. */
export function typeOf({ dtype, dims, open }: Pick<Port, 'dtype' | 'dims' | 'open'>): string {
  return `${dtype}[${open ? '..' : dims.join(', ')}]`;
}

/** A list of lists as a tensor, whose sizes and elements fit the port. */
function readTensor(value: unknown, port: Port): Outcome<Tensor> {
  const { name, dtype, open } = port;
  const dims: number[] = [];
  for (let at: unknown = value; Array.isArray(at); at = at[0]) dims.push(at.length);
  if (dims.at(-1) === 0) dims.push(...port.dims.slice(dims.length).map((size) => (typeof size === 'number' ? size : 0)));
  const ranked = open ?? dims.length === port.dims.length;
  const leaves: unknown[] = [];
  const ragged = ranked ? flatten(value, dims, 0, leaves) : undefined;
  if (ragged !== undefined) return refuse(diagnose('input-is-ragged', { name, found: ragged }));
  const fits = ranked && dims.every((size, axis) => open || typeof port.dims[axis] === 'string' || port.dims[axis] === size);
  if (!fits)
    return refuse(
      diagnose(
        'input-has-wrong-shape',
        { name, found: typeOf({ dtype, dims }), expected: typeOf(port) },
        dims.length === port.dims.length - 1 ? { fixes: [{ text: 'put one more pair of brackets around it: a batch of one' }] } : {},
      ),
    );
  const wrong = leaves.find((leaf) => !holds(dtype, leaf));
  if (wrong !== undefined || leaves.includes(undefined)) return refuse(diagnose('input-has-wrong-value', { name, dtype, found: JSON.stringify(wrong) ?? 'nothing' }));
  return { ok: true, value: fill(dtype, dims, leaves), diagnostics: [] };
}

/** Collects the leaves in order; the lengths that disagree, where some do. */
function flatten(value: unknown, dims: readonly number[], axis: number, leaves: unknown[]): string | undefined {
  if (axis === dims.length) {
    if (Array.isArray(value)) return 'a list among numbers';
    leaves.push(value);
    return undefined;
  }
  if (!Array.isArray(value)) return 'a number among lists';
  if (value.length !== dims[axis]) return `${dims[axis]} and ${value.length}`;
  for (const one of value) {
    const fault = flatten(one, dims, axis + 1, leaves);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

/** Ranges of integers, ends included; 64-bit ones may be written as text. */
const ranges: Readonly<Partial<Record<DType, readonly [bigint, bigint]>>> = {
  i64: [-(2n ** 63n), 2n ** 63n - 1n],
  u64: [0n, 2n ** 64n - 1n],
  i32: [-(2n ** 31n), 2n ** 31n - 1n],
  u32: [0n, 2n ** 32n - 1n],
  i16: [-32768n, 32767n],
  u16: [0n, 65535n],
  i8: [-128n, 127n],
  u8: [0n, 255n],
};

function holds(dtype: DType, leaf: unknown): boolean {
  if (dtype === 'string') return typeof leaf === 'string';
  if (dtype === 'bool') return typeof leaf === 'boolean' || leaf === 0 || leaf === 1;
  const range = ranges[dtype];
  if (!range) return typeof leaf === 'number';
  const whole = integerOf(leaf);
  return whole !== undefined && whole >= range[0] && whole <= range[1];
}

function integerOf(leaf: unknown): bigint | undefined {
  if (typeof leaf === 'number') return Number.isSafeInteger(leaf) ? BigInt(leaf) : undefined;
  return typeof leaf === 'string' && /^-?\d{1,20}$/.test(leaf) ? BigInt(leaf) : undefined;
}

function fill(dtype: DType, dims: readonly number[], leaves: readonly unknown[]): Tensor {
  if (dtype === 'string') return { dtype, dims, data: leaves.map(String) };
  if (dtype === 'i64') return { dtype, dims, data: BigInt64Array.from(leaves, (leaf) => integerOf(leaf) ?? 0n) };
  if (dtype === 'u64') return { dtype, dims, data: BigUint64Array.from(leaves, (leaf) => integerOf(leaf) ?? 0n) };
  return tensorOf(dtype, dims, leaves.map(Number));
}

/** Sizes with a name that are one number here and another there; each is reported once. */
function* disagreements(ports: readonly Port[], feeds: ReadonlyMap<string, Tensor>): Iterable<Diagnostic> {
  const known = new Map<string, { readonly size: number; readonly name: string }>();
  for (const { name, dims } of ports) {
    for (const [axis, symbol] of dims.entries()) {
      const size = feeds.get(name)?.dims[axis];
      if (size === undefined || typeof symbol === 'number' || symbol === '?') continue;
      const before = known.get(symbol);
      if (!before) known.set(symbol, { size, name });
      else if (before.size !== size) yield diagnose('input-sizes-disagree', { size: symbol, a: before.size, first: before.name, b: size, second: name });
    }
  }
}

/** The usual value of an input that was not given, in words and numbers. */
function filled(port: Port, ports: readonly Port[], feeds: ReadonlyMap<string, Tensor>): { readonly tensor: Tensor; readonly value: string } | undefined {
  const own = port.name.startsWith(decoderPrefix) ? decoderPrefix : '';
  const ids = feeds.get(`${own}input_ids`);
  if (ids?.dims.length !== 2) return undefined;
  const [rows = 0, width = 0] = ids.dims;
  const past = rowsBefore(ports, feeds);
  if (isPast(port) && past === 0) {
    const tensor = emptyPast([port], rows)[port.name];
    return tensor && { tensor, value: 'nothing in the past' };
  }
  const all = allLogits([port])[port.name];
  if (all) return { tensor: all, value: 'logits of all tokens' };
  // What a decoder reads beside its own text has no past.
  const before = own === steppedPrefix(ports) ? past : 0;
  if (port.dtype !== 'i64' || port.dims.length !== 2) return undefined;
  const made = (columns: number, value: (column: number) => number): Tensor =>
    integers(
      [rows, columns],
      Array.from({ length: rows * columns }, (_, i) => value(i % columns)),
    );
  switch (port.name.slice(own.length)) {
    case 'attention_mask':
      return { tensor: made(before + width, () => 1), value: 'every token counts' };
    case 'position_ids':
      return { tensor: made(width, (column) => before + column), value: `positions run from ${before}` };
    case 'token_type_ids':
      return { tensor: made(width, () => 0), value: 'all of the first segment' };
    default:
      return undefined;
  }
}

/** The rows of the past that was given; 0 where none was. */
function rowsBefore(ports: readonly Port[], feeds: ReadonlyMap<string, Tensor>): number {
  const given = ports.find((port) => isPast(port) && feeds.has(port.name));
  return (given && feeds.get(given.name)?.dims[pastAxis(given)]) ?? 0;
}

/** What a result is printed as: nested lists, or a summary of a large one. */
export type Printed = number | boolean | string | null | readonly Printed[] | { readonly [key: string]: Printed };

/** Numbers of a result above which a summary says more. */
const printable = 256;

/** Results for JSON: nested lists with `full`, or where they are small; else type, range, mean and the first numbers. NaN and infinities are text. */
export function printResults(results: Tensors, full: boolean): Readonly<Record<string, Printed>> {
  const readable = (tensor: Tensor): Tensor => (tensor.dtype === 'f16' || tensor.dtype === 'bf16' ? { ...tensor, data: numbersOf(tensor) } : tensor);
  return Object.fromEntries(Object.entries(results).map(([name, tensor]) => [name, (full || count(tensor.dims) <= printable ? nested : summary)(readable(tensor))]));
}

function nested({ dtype, dims, data }: Tensor): Printed {
  const leaf = leafOf(dtype, data);
  const build = (axis: number, from: number): Printed => {
    const size = dims[axis];
    if (size === undefined) return leaf(from);
    const stride = count(dims.slice(axis + 1));
    return Array.from({ length: size }, (_, i) => build(axis + 1, from + i * stride));
  };
  return build(0, 0);
}

function leafOf(dtype: DType, data: Tensor['data']): (at: number) => Printed {
  return (at) => {
    const value = data[at];
    if (value === undefined) return null;
    if (dtype === 'bool') return value !== 0;
    if (typeof value === 'bigint') return BigInt(Number(value)) === value && Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
    if (typeof value !== 'number') return value;
    return Number.isFinite(value) ? (dtype === 'f32' ? shortest(value) : value) : String(value);
  };
}

/** The shortest decimal that is the same f32. */
function shortest(value: number): number {
  for (let digits = 6; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return Number(value.toPrecision(9));
}

/** JSON with lists of plain values on one line each, so that a matrix has a line for every row. */
export function jsonOfLists(value: Printed, indent = ''): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const inner = `${indent}  `;
  if (isList(value)) {
    if (value.every((one) => typeof one !== 'object' || one === null)) return `[${value.map((one) => jsonOfLists(one)).join(', ')}]`;
    return `[\n${value.map((one) => inner + jsonOfLists(one, inner)).join(',\n')}\n${indent}]`;
  }
  const fields = Object.entries(value).map(([key, one]) => `${inner}${JSON.stringify(key)}: ${jsonOfLists(one, inner)}`);
  return fields.length === 0 ? '{}' : `{\n${fields.join(',\n')}\n${indent}}`;
}

/** `Array.isArray` for lists that may not be changed. */
function isList(value: Printed): value is readonly Printed[] {
  return Array.isArray(value);
}

function summary(tensor: Tensor): Printed {
  const { dtype, dims, data } = tensor;
  const leaf = leafOf(dtype, data);
  const size = count(dims);
  const first = Array.from({ length: 8 }, (_, i) => leaf(i));
  if (dtype === 'string') return { type: typeOf({ dtype, dims }), first };
  let [least, most, sum, strange] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 0];
  for (let i = 0; i < size; i++) {
    const value = Number(data[i]);
    if (!Number.isFinite(value)) strange++;
    else [least, most, sum] = [Math.min(least, value), Math.max(most, value), sum + value];
  }
  const finite = size - strange;
  return { type: typeOf({ dtype, dims }), ...(finite > 0 ? { min: least, max: most, mean: sum / finite } : {}), ...(strange > 0 ? { notFinite: strange } : {}), first };
}
