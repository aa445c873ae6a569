/** Turns a sample of an op into arrays and graphs, and runs them: by the reference, by finite differences, by onnxruntime. */

import * as onnxruntime from 'onnxruntime-node';
import { graphBuilder } from '../../src/graph/builder.ts';
import { constant, type Dim, dim, symbol, symbolsOf } from '../../src/graph/dim.ts';
import { evaluateGraph } from '../../src/graph/eval.ts';
import { TypeFault } from '../../src/graph/fail.ts';
import { type Graph, type Value, value } from '../../src/graph/graph.ts';
import { count, type NdArray, ndArray } from '../../src/graph/nd-array.ts';
import type { Attr, Op, Sample } from '../../src/graph/op.ts';
import type { TensorType } from '../../src/graph/type.ts';
import { exportModel } from '../../src/onnx/export.ts';
import { lowerGraph } from '../../src/targets/lower.ts';
import type { Target } from '../../src/targets/target.ts';

export const isFloat = (dtype: string): boolean => dtype.startsWith('f') || dtype === 'bf16';

/** Numbers from a seed, by a 32-bit integer generator (mulberry32). */
export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The inputs of a sample in the order of the ports; floats are rounded to f32, so that every column reads the same numbers. */
export function inputsOf(op: Op, sample: Sample, seed = 1): readonly (NdArray | undefined)[] {
  const next = generator(seed);
  const [low, high] = sample.range ?? [-2, 2];
  const draw = (dims: readonly number[]): NdArray =>
    ndArray(
      dims,
      Float64Array.from({ length: count(dims) }, () => Math.fround(low + (high - low) * next())),
    );
  const arrayOf = (given: readonly number[] | NdArray): NdArray =>
    'data' in given ? { ...given, data: isFloat(given.dtype) ? given.data.map(Math.fround) : given.data } : draw(given);
  return op.inputs.flatMap((port) => {
    const given = sample.inputs[port.replace(/[?*]$/, '')];
    if (given === undefined) return port.endsWith('?') ? [undefined] : [];
    return port.endsWith('*') ? (given as readonly (readonly number[])[]).map(draw) : [arrayOf(given as readonly number[] | NdArray)];
  });
}

/** The settings of a sample with the op's defaults. */
export function settingsOf(op: Op, sample: Sample): Readonly<Record<string, Attr>> {
  return Object.fromEntries(Object.entries(op.attrs).map(([name, spec]) => [name, sample.attrs?.[name] ?? spec.default]));
}

export const typeOfArray = ({ dtype, dims }: NdArray): TensorType => ({ dtype, dims: dims.map((size) => dim(size)) });

/** One op on graph inputs x0, x1, …; results y0, y1, …. */
export function graphOf(op: Op, types: readonly (TensorType | undefined)[], attrs: Readonly<Record<string, Attr>>): Graph {
  const build = graphBuilder();
  const inputs = types.map((type, i) => type && value(`x${i}`, type));
  const results = build.add(op, inputs, attrs, { name: 'y' });
  return build.finish({ name: op.name, inputs: inputs.filter((one) => one !== undefined), outputs: results.map((result, i) => ({ name: `y${i}`, value: result })), weights: [] });
}

export function feedsOf(arrays: readonly (NdArray | undefined)[]): Readonly<Record<string, NdArray>> {
  return Object.fromEntries(arrays.flatMap((array, i) => (array ? [[`x${i}`, array]] : [])));
}

const noWeights = (path: string): never => {
  throw new Error(`no weight ${path}`);
};

/** The results of a graph by the reference, in order. */
export function evaluated(graph: Graph, arrays: readonly (NdArray | undefined)[]): readonly NdArray[] {
  const results = evaluateGraph(graph, feedsOf(arrays), noWeights);
  return graph.outputs.map(({ name }) => results[name] ?? noWeights(name));
}

const isDim = (attr: Attr): attr is Dim => typeof attr === 'object' && attr !== null && 'terms' in attr;

/** The types and settings with sizes above 1 known only at run time, as far as the op's rule allows: all of them, those of first axes, or none. */
export function openSizes(
  op: Op,
  arrays: readonly (NdArray | undefined)[],
  attrs: Readonly<Record<string, Attr>>,
): { readonly types: readonly (TensorType | undefined)[]; readonly attrs: Readonly<Record<string, Attr>>; readonly open: boolean } {
  const sizes = new Set(arrays.flatMap((array) => array?.dims ?? []).filter((size) => size > 1));
  const firsts = new Set(arrays.flatMap((array) => array?.dims.slice(0, 1) ?? []).filter((size) => size > 1));
  for (const chosen of [sizes, firsts]) {
    if (chosen.size === 0) continue;
    const swap = (size: Dim): Dim => {
      const known = constant(size);
      return known !== undefined && chosen.has(known) ? symbol(`n${known}`) : size;
    };
    const types = arrays.map((array) => array && { dtype: array.dtype, dims: array.dims.map((size) => swap(dim(size))) });
    const opened = Object.fromEntries(
      Object.entries(attrs).map(([name, attr]) => [name, isDim(attr) ? swap(attr) : Array.isArray(attr) ? attr.map((one) => (isDim(one) ? swap(one) : one)) : attr]),
    ) as Readonly<Record<string, Attr>>;
    try {
      const results = op.type(types, opened);
      const bound = new Set(types.flatMap((type) => type?.dims.flatMap(symbolsOf) ?? []));
      if (results.every(({ dims }) => dims.every((size) => symbolsOf(size).every((name) => bound.has(name))))) return { types, attrs: opened, open: true };
    } catch (fault) {
      if (!(fault instanceof TypeFault)) throw fault;
    }
  }
  return { types: arrays.map((array) => array && typeOfArray(array)), attrs, open: false };
}

/** The graph lowered to a target, as the bytes of a model. */
export function modelOf(graph: Graph, target: Target): Uint8Array {
  return exportModel(lowerGraph(graph, target, 'written'), { opset: target.opset, ir: target.ir, domains: target.domains, place: ({ path }) => noWeights(path) });
}

/** The results of a model in onnxruntime, in order. */
export async function ran(model: Uint8Array, arrays: readonly (NdArray | undefined)[]): Promise<readonly NdArray[]> {
  const session = await onnxruntime.InferenceSession.create(model, { graphOptimizationLevel: 'basic', intraOpNumThreads: 1, logSeverityLevel: 3 });
  try {
    const feeds = Object.fromEntries(Object.entries(feedsOf(arrays)).map(([name, array]) => [name, tensorOf(array)]));
    const results = await session.run(feeds);
    return session.outputNames.map((name) => arrayOf(results[name]));
  } finally {
    await session.release();
  }
}

function tensorOf({ dtype, dims, data }: NdArray): onnxruntime.Tensor {
  if (dtype === 'f32') return new onnxruntime.Tensor('float32', Float32Array.from(data), dims);
  if (dtype === 'i64') return new onnxruntime.Tensor('int64', BigInt64Array.from(data, BigInt), dims);
  if (dtype === 'bool') return new onnxruntime.Tensor('bool', Uint8Array.from(data), dims);
  throw new Error(`no tensor of ${dtype}`);
}

const dtypeNames: Readonly<Record<string, NdArray['dtype']>> = { float32: 'f32', int64: 'i64', bool: 'bool' };

function arrayOf(tensor: onnxruntime.Tensor | undefined): NdArray {
  if (!tensor) throw new Error('a result is missing');
  return ndArray(tensor.dims, Float64Array.from(tensor.data as Float32Array, Number), dtypeNames[tensor.type] ?? 'string');
}

/** max|a − b| / max(1, max|b|); infinite where shapes or element types differ. */
export function distance(a: NdArray, b: NdArray): number {
  if (a.dtype !== b.dtype || a.dims.join() !== b.dims.join()) return Number.POSITIVE_INFINITY;
  const scale = b.data.reduce((top, x) => (Number.isFinite(x) ? Math.max(top, Math.abs(x)) : top), 1);
  return a.data.reduce(
    (worst, x, i) =>
      Math.max(
        worst,
        Object.is(x, b.data[i]) || x === b.data[i] ? 0 : Math.abs(x - (b.data[i] ?? Number.NaN)) / scale,
        Number.isNaN(x) && !Number.isNaN(b.data[i]) ? Number.POSITIVE_INFINITY : 0,
      ),
    0,
  );
}

/** A fixed factor for every element of a result, so that a gradient is that of one number. */
function factorsOf(results: readonly NdArray[]): readonly NdArray[] {
  const next = generator(7);
  return results.map(({ dims, data }) =>
    ndArray(
      dims,
      Float64Array.from(data, () => next() * 2 - 1),
    ),
  );
}

/** Gradients of Σ factor · result by central differences of the reference; one array for each float input. */
export function differences(op: Op, arrays: readonly (NdArray | undefined)[], attrs: Readonly<Record<string, Attr>>, step = 1e-5): readonly (NdArray | undefined)[] {
  const graph = graphOf(
    op,
    arrays.map((array) => array && typeOfArray(array)),
    attrs,
  );
  const factors = factorsOf(evaluated(graph, arrays));
  const total = (given: readonly (NdArray | undefined)[]): number =>
    evaluated(graph, given).reduce((sum, { data, dtype }, i) => (isFloat(dtype) ? sum + data.reduce((all, x, j) => all + x * (factors[i]?.data[j] ?? 0), 0) : sum), 0);
  return arrays.map((array, at) => {
    if (!array || !isFloat(array.dtype)) return undefined;
    const moved = (i: number, by: number): number => total(arrays.map((one, j) => (j === at ? { ...array, data: array.data.map((x, k) => (k === i ? x + by : x)) } : one)));
    return ndArray(
      array.dims,
      array.data.map((_, i) => (moved(i, step) - moved(i, -step)) / (2 * step)),
      array.dtype,
    );
  });
}

/** The same gradients by the op's rule; undefined where it has none. */
export function gradients(
  op: Op,
  arrays: readonly (NdArray | undefined)[],
  types: readonly (TensorType | undefined)[],
  attrs: Readonly<Record<string, Attr>>,
): readonly (NdArray | undefined)[] {
  if (op.grad === 'none') return [];
  const build = graphBuilder();
  const inputs = types.map((type, i) => type && value(`x${i}`, type));
  const y = build.add(op, inputs, attrs);
  const factors = factorsOf(
    evaluated(
      graphOf(
        op,
        arrays.map((array) => array && typeOfArray(array)),
        attrsOf(arrays, types, attrs),
      ),
      arrays,
    ),
  );
  const dy = y.map((result, i) => value(`dy${i}`, result.type));
  const found = op.grad(inputs, attrs, { y, dy }, build);
  const present = found.flatMap((one, i): readonly { readonly name: string; readonly value: Value }[] => (one ? [{ name: `g${i}`, value: one }] : []));
  const graph = build.finish({ name: 'gradient', inputs: [...inputs.filter((one) => one !== undefined), ...dy], outputs: present, weights: [] });
  const results = evaluateGraph(graph, { ...feedsOf(arrays), ...Object.fromEntries(factors.map((factor, i) => [`dy${i}`, factor])) }, noWeights);
  return found.map((_, i) => results[`g${i}`]);
}

/** Symbols in settings replaced by the numbers that the arrays give them. */
function attrsOf(arrays: readonly (NdArray | undefined)[], types: readonly (TensorType | undefined)[], attrs: Readonly<Record<string, Attr>>): Readonly<Record<string, Attr>> {
  const numbers = new Map(types.flatMap((type, i) => type?.dims.flatMap((size, axis) => symbolsOf(size).map((name) => [name, arrays[i]?.dims[axis] ?? 0] as const)) ?? []));
  const close = (size: Dim): Dim => {
    const [name] = symbolsOf(size);
    return name === undefined ? size : dim(numbers.get(name) ?? 0);
  };
  return Object.fromEntries(
    Object.entries(attrs).map(([name, attr]) => [name, isDim(attr) ? close(attr) : Array.isArray(attr) ? attr.map((one) => (isDim(one) ? close(one) : one)) : attr]),
  ) as Readonly<Record<string, Attr>>;
}
