/** The ONNX builder of a device without 64-bit integers and without shapes at run time: takes what lowerings write and writes what the device computes. */

import { Bug } from '../diagnostics/bug.ts';
import { constant, type Dim, dim, show } from '../graph/dim.ts';
import { type Value, value } from '../graph/graph.ts';
import { type NdArray, ndArray } from '../graph/nd-array.ts';
import type { ForeignAttrs, Onnx, OnnxMethods } from '../graph/onnx.ts';
import type { TensorType } from '../graph/type.ts';
import { onnxTypes } from '../ops/onnx-types.ts';
import { rewrites } from './device-rewrites.ts';
import { type DeviceSizes, deviceSizes } from './device-sizes.ts';
import { resultTypes } from './device-types.ts';
import { withMethods } from './onnx-builder.ts';

/** A node that a lowering asks for. */
export interface Call {
  readonly op: string;
  readonly inputs: readonly (Value | undefined)[];
  readonly attrs: ForeignAttrs;
  readonly outputs: number;
  readonly options?: { readonly domain?: string };
}

/** What a rewrite may use: the builder itself, and what is known of values. */
export interface DeviceTools {
  readonly onnx: Onnx;
  readonly sizes: DeviceSizes;
  typeOf(one: Value | undefined): TensorType | undefined;
  /** The sizes or axes that a vector holds, where lowerings made it. */
  sizesOf(one: Value | undefined): readonly Dim[] | undefined;
  /** The size that a scalar counts. */
  countedBy(one: Value | undefined): Dim | undefined;
  /** The integers in 32 bits. */
  narrow(one: Value): Value;
  /** Writes the node as it is. */
  write(call: Call): readonly Value[];
  /** Says what type a value without one has. */
  assume(one: Value, type: TensorType): void;
}

/** A builder for a device, with what stands at its borders. */
export interface Device {
  readonly onnx: Onnx;
  /** The type a value of the graph has on the device. */
  typeOn(type: TensorType): TensorType;
  /** `now` stands for the lowered `before`. */
  alias(now: Value, before: Value): void;
  /** A result of the graph with the type it has outside. */
  result(one: Value, type: TensorType | undefined): Value;
}

/** Integers below this, and not below its negative, pass through a table to 32 bits: ids, masks and positions are read with it. */
const largestInteger = 1 << 19;

/** Ports that take 64-bit indices as they are; every other one gets 32 bits. */
const indexPorts: Readonly<Record<string, number>> = { Gather: 1, GatherElements: 1, GatherND: 1, RotaryEmbedding: 1, ScatterElements: 1, ScatterND: 1 };
/** Ops whose indices must have 64 bits. */
const wideOnly: ReadonlySet<string> = new Set(['GatherND', 'RotaryEmbedding', 'ScatterND']);
/** The first port of axes and sizes, which are read by the CPU; all after it are too. */
const sizePorts: Readonly<Record<string, number>> = {
  ...Object.fromEntries(['Reshape', 'Unsqueeze', 'Squeeze', 'Slice', 'Split', 'Expand', 'Tile', 'Pad', 'TopK', 'CumSum'].map((op) => [op, 1])),
  ...Object.fromEntries(['ReduceMax', 'ReduceMean', 'ReduceMin', 'ReduceProd', 'ReduceSum', 'ReduceLogSumExp'].map((op) => [op, 1])),
  ConstantOfShape: 0,
};

/** Wraps `plain`, whose nodes go to the graph with these inputs. */
export function deviceBuilder(plain: Onnx, inputs: readonly Value[]): Device {
  const types = new Map<Value, TensorType>();
  const vectors = new Map<Value, readonly Dim[]>();
  const counts = new Map<Value, Dim>();
  const narrowed = new Map<Value, Value>();
  const wide = new Map<Value, Value>();
  const open = new Map<string, Value>();
  const typeOf = (one: Value | undefined): TensorType | undefined => one && (one.type ?? types.get(one));
  const isWide = (one: Value): boolean => typeOf(one)?.dtype === 'i64';

  const write: DeviceTools['write'] = ({ op, inputs: given, attrs, outputs, options }) => {
    const sizesFrom = sizePorts[op] ?? Number.POSITIVE_INFINITY;
    const fitted = given.map((one, port) => {
      if (!one) return undefined;
      if (port >= sizesFrom) return settled(one);
      if (indexPorts[op] === port) return widened(wide.get(one) ?? one, wideOnly.has(op));
      return isWide(one) ? narrow(one) : one;
    });
    const results = plain.all(op, fitted, attrs, outputs, options);
    const found = resultTypes(
      op,
      fitted.map((one, port) => one && { type: typeOf(one), sizes: vectors.get(given[port] ?? one) }),
      attrs,
      outputs,
    );
    results.forEach((result, i) => {
      const type = found[i];
      if (type) types.set(result, type);
    });
    return results;
  };

  const widened = (one: Value, needed: boolean): Value => (needed && typeOf(one)?.dtype === 'i32' ? plain.Cast(one, { to: onnxTypes.i64 }) : one);

  /** A vector of sizes as a node: those without a constant are asked for by shape, which leaves the device. */
  const settled = (one: Value): Value => {
    const dims = vectors.get(one);
    return dims && open.get(keyOf(dims)) === one ? plain.shape(dims) : one;
  };

  const narrow = (one: Value): Value => {
    const known = narrowed.get(one);
    if (known || !isWide(one)) return known ?? one;
    const made =
      vectors.has(one) && !open.has(keyOf(vectors.get(one) ?? []))
        ? small(vectors.get(one) ?? [])
        : firstOf(write({ op: 'Gather', inputs: [integers(), one], attrs: { axis: 0 }, outputs: 1 }));
    narrowed.set(one, made);
    wide.set(made, one);
    return made;
  };

  const small = (dims: readonly Dim[]): Value =>
    plain.array(
      ndArray(
        [dims.length],
        dims.map((size) => constant(size) ?? 0),
        'i32',
      ),
    );

  /** 0, 1, 2, … and, counted from the end as indices below 0 are, -1, -2, … as i32. Reading a row of it is the one way from 64 bits to 32 that stays on the device. Runtimes fold it when they load. */
  let table: Value | undefined;
  const integers = (): Value => {
    if (table) return table;
    const side = Math.sqrt(2 * largestInteger);
    const high = Float64Array.from({ length: side }, (_, i) => (i < side / 2 ? i : i - side) * side);
    const low = Float64Array.from({ length: side }, (_, i) => i);
    table = plain.Reshape(plain.Add(plain.array(ndArray([side, 1], high, 'i32')), plain.array(ndArray([1, side], low, 'i32'))), plain.ints([-1]));
    types.set(table, { dtype: 'i32', dims: [dim(2 * largestInteger)] });
    return table;
  };

  const all: Onnx['all'] = (op, given, attrs, outputs, options) => {
    const call: Call = { op, inputs: given, attrs, outputs, ...(options ? { options } : {}) };
    const results = (options?.domain ? undefined : rewrites[op]?.(call, tools)) ?? write(call);
    return results.map((one) => (isWide(one) ? narrow(one) : one));
  };

  const rest: Omit<Onnx, keyof OnnxMethods> = {
    opset: plain.opset,
    all,
    array: (given: NdArray) => plain.array(given.dtype === 'i64' ? { ...given, dtype: 'i32' } : given),
    scalar: (given, dtype) => plain.scalar(given, dtype === 'i64' ? 'i32' : dtype),
    ints: (values) => {
      const made = plain.ints(values);
      vectors.set(
        made,
        values.map((one) => dim(one)),
      );
      return made;
    },
    size: (size) => {
      const made = sizes.count(size) ?? plain.size(size);
      counts.set(made, size);
      return made;
    },
    shape: (dims) => {
      if (dims.every((size) => constant(size) !== undefined)) return onnx.ints(dims.map((size) => constant(size) ?? 0));
      const made = open.get(keyOf(dims)) ?? value('shape', { dtype: 'i64', dims: [dim(dims.length)] });
      open.set(keyOf(dims), made);
      vectors.set(made, dims);
      return made;
    },
  };
  const onnx = withMethods(rest);
  const sizes = deviceSizes(inputs, onnx);
  const tools: DeviceTools = {
    onnx,
    sizes,
    typeOf,
    sizesOf: (one) => one && vectors.get(one),
    countedBy: (one) => one && counts.get(one),
    narrow,
    write,
    assume: (one, type) => void types.set(one, typeOn(type)),
  };
  return {
    onnx,
    typeOn,
    alias(now, before) {
      const one = wide.get(before);
      if (one) wide.set(now, one);
    },
    result: (one, type) => (type?.dtype === 'i64' && !isWide(one) ? widened(wide.get(one) ?? one, true) : one),
  };
}

const typeOn = (type: TensorType): TensorType => (type.dtype === 'i64' ? { ...type, dtype: 'i32' } : type);

const keyOf = (dims: readonly Dim[]): string => dims.map(show).join(', ');

const firstOf = ([one]: readonly Value[]): Value => {
  if (!one) throw new Bug('a node without a result');
  return one;
};
