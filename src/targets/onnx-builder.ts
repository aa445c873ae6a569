/** The ONNX builder that lowerings receive: methods for the ops of the standard, constants and run-time sizes made once. */

import { Bug } from '../diagnostics/bug.ts';
import type { GraphBuilder } from '../graph/builder.ts';
import { constant as constantOf, type Dim, same, show, symbol, symbolsOf } from '../graph/dim.ts';
import { foreign } from '../graph/foreign.ts';
import type { Value } from '../graph/graph.ts';
import { type NdArray, ndArray, scalar } from '../graph/nd-array.ts';
import type { ForeignAttrs, Onnx, OnnxMethods, OnnxName } from '../graph/onnx.ts';
import type { DType } from '../graph/type.ts';

/** Wraps `build`: nodes go there. `inputs` are the graph's inputs, from whose shapes run-time sizes are read. `path` names the nodes of the op being lowered. Inside a branch, sizes are asked of the graph around. */
export function onnxBuilder(build: GraphBuilder, opset: number, inputs: readonly Value[], path: () => string, outer?: Onnx): Onnx {
  const once = new Map<string, Value>();
  const share = (key: string, make: () => Value): Value => {
    const made = once.get(key) ?? make();
    once.set(key, made);
    return made;
  };
  const all: Onnx['all'] = (type, values, attrs, outputs, options = {}) => {
    const names = Array.from({ length: outputs }, (_, i) => ({ name: `${path()}/${type}${outputs > 1 ? `.${i}` : ''}` }));
    return build.foreign(foreign(type, options.domain), values, attrs, names, options.bodies);
  };
  const array = (given: NdArray): Value => {
    const make = () => build.constant(given, nameOfArray(given));
    return given.data.length > 64 ? make() : share(keyOfArray(given), make);
  };
  const rest: Omit<Onnx, keyof OnnxMethods> = {
    opset,
    all,
    array,
    scalar: (given: number, dtype: DType = 'f32') => array(scalar(given, dtype)),
    ints: (values) => array(ndArray([values.length], values, 'i64')),
    size: outer ? outer.size : (dim) => share(`size ${show(dim)}`, () => runtimeSize(dim, onnx, inputs)),
    shape: outer ? outer.shape : (dims) => share(`shape ${dims.map(show).join(', ')}`, () => runtimeShape(dims, onnx)),
  };
  const onnx = withMethods(rest);
  return onnx;
}

/** A builder with a method for every op, each by its `all`. */
export function withMethods(rest: Omit<Onnx, keyof OnnxMethods>): Onnx {
  return new Proxy(rest as Onnx, {
    get: (target, name) => (name in target ? Reflect.get(target, name) : method(name as OnnxName, rest.all)),
  });
}

/** `onnx.Mul(a, b, { … })` for one name. */
function method(type: OnnxName, all: Onnx['all']): OnnxMethods[OnnxName] {
  return (...args) => {
    const last = args.at(-1);
    const attrs = isAttrs(last) ? last : {};
    const values = (isAttrs(last) ? args.slice(0, -1) : args) as readonly (Value | undefined)[];
    const [result] = all(type, values, attrs, 1);
    if (!result) throw new Bug(`${type} has no result`);
    return result;
  };
}

function isAttrs(given: Value | ForeignAttrs | undefined): given is ForeignAttrs {
  return given !== undefined && given['kind'] !== 'value';
}

const keyOfArray = ({ dtype, dims, data }: NdArray): string => `array ${dtype} ${dims.join('x')} ${Array.from(data, (x) => (Object.is(x, -0) ? '-0' : x)).join(',')}`;

const nameOfArray = ({ dtype, dims, data }: NdArray): string => (data.length === 1 && dims.length === 0 ? `${dtype}.${data[0]}` : `${dtype}.${dims.join('x')}`);

/** An i64 scalar with the size. A number that comes in is the size of its name. A dim that an input has as it is, is read from there; others are computed from their names. */
function runtimeSize(dim: Dim, onnx: Onnx, inputs: readonly Value[]): Value {
  const known = constantOf(dim);
  if (known !== undefined) return onnx.scalar(known, 'i64');
  const named = inputs.find(({ name, type }) => type?.dims.length === 0 && type.dtype === 'i64' && same(dim, symbol(name)));
  if (named) return named;
  for (const input of inputs) {
    const axis = input.type?.dims.findIndex((one) => same(one, dim)) ?? -1;
    if (axis >= 0) return onnx.Gather(onnx.Shape(input), onnx.scalar(axis, 'i64'), { axis: 0 });
  }
  return computedSize(dim, onnx);
}

function computedSize(dim: Dim, onnx: Onnx): Value {
  if (dim.terms.length === 1 && same(dim, symbol(symbolsOf(dim)[0] ?? ''))) throw new Bug(`no input has the size ${show(dim)}`);
  const terms = dim.terms.map(({ numerator, denominator, powers }) => {
    const above = powers.filter(([, power]) => power > 0).flatMap(([name, power]) => Array<Value>(power).fill(onnx.size(symbol(name))));
    const below = powers.filter(([, power]) => power < 0).flatMap(([name, power]) => Array<Value>(-power).fill(onnx.size(symbol(name))));
    const top = above.reduce((product, one) => onnx.Mul(product, one), onnx.scalar(numerator, 'i64'));
    return [...below, ...(denominator === 1 ? [] : [onnx.scalar(denominator, 'i64')])].reduce((quotient, one) => onnx.Div(quotient, one), top);
  });
  return terms.reduce((sum, one) => onnx.Add(sum, one));
}

function runtimeShape(dims: readonly Dim[], onnx: Onnx): Value {
  const sizes = dims.map(constantOf);
  if (sizes.every((size) => size !== undefined)) return onnx.ints(sizes);
  const parts: Value[] = [];
  let run: number[] = [];
  const flush = () => {
    if (run.length > 0) parts.push(onnx.ints(run));
    run = [];
  };
  dims.forEach((dim, i) => {
    const size = sizes[i];
    if (size !== undefined) return void run.push(size);
    flush();
    parts.push(onnx.Unsqueeze(onnx.size(dim), onnx.ints([0])));
  });
  flush();
  const [only] = parts;
  return parts.length === 1 && only ? only : onnx.Concat(...parts, { axis: 0 });
}
