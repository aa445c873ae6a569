/** A short hand for passes that write nodes of ONNX themselves, after lowering. */

import { Bug } from '../diagnostics/bug.ts';
import { type GraphBuilder, graphBuilder } from '../graph/builder.ts';
import { symbol } from '../graph/dim.ts';
import { foreign } from '../graph/foreign.ts';
import { type Graph, type Output, type Value, value } from '../graph/graph.ts';
import { ndArray, scalar } from '../graph/nd-array.ts';
import type { ForeignAttrs } from '../graph/onnx.ts';
import { type DType, type TensorType, tensor } from '../graph/type.ts';

/** Writes nodes of ai.onnx to one graph. Names start with `prefix`. */
export interface Emitter {
  /** One node with one result. */
  (type: string, inputs: readonly (Value | undefined)[], attrs?: ForeignAttrs, result?: TensorType): Value;
  /** One node with several results. */
  several(
    type: string,
    inputs: readonly (Value | undefined)[],
    attrs: ForeignAttrs,
    results: readonly (TensorType | undefined)[],
    bodies?: Readonly<Record<string, Graph>>,
  ): readonly Value[];
  ints(...values: readonly number[]): Value;
  int(value: number): Value;
  float(value: number): Value;
  /** `If` with branches that read the values around them; every branch gives one value. */
  choose(condition: Value, then: (emit: Emitter) => Value, otherwise: (emit: Emitter) => Value, result: TensorType): Value;
  readonly build: GraphBuilder;
}

/** An emitter into `build`. */
export function emitter(build: GraphBuilder, prefix: string): Emitter {
  const several: Emitter['several'] = (type, inputs, attrs, results, bodies) =>
    build.foreign(
      foreign(type),
      inputs,
      attrs,
      results.map((result, i) => ({ name: `${prefix}/${type}${results.length > 1 ? `.${i}` : ''}`, ...(result ? { type: result } : {}) })),
      bodies,
    );
  const emit = (type: string, inputs: readonly (Value | undefined)[], attrs: ForeignAttrs = {}, result?: TensorType): Value => first(several(type, inputs, attrs, [result]));
  return Object.assign(emit, {
    several,
    ints: (...values: readonly number[]) => build.constant(ndArray([values.length], values, 'i64'), `${prefix}/ints`),
    int: (given: number) => build.constant(scalar(given, 'i64'), `${prefix}/int`),
    float: (given: number) => build.constant(scalar(given), `${prefix}/float`),
    choose: (condition: Value, then: (emit: Emitter) => Value, otherwise: (emit: Emitter) => Value, result: TensorType) =>
      first(several('If', [condition], {}, [result], { then_branch: branch(then, `${prefix}/then`, result), else_branch: branch(otherwise, `${prefix}/else`, result) })),
    build,
  });
}

function branch(write: (emit: Emitter) => Value, name: string, type: TensorType): Graph {
  const build = graphBuilder();
  const emit = emitter(build, name);
  const result = emit('Identity', [write(emit)], {}, type);
  return build.finish({ name, inputs: [], outputs: [{ name: result.name, value: result }], weights: [] });
}

function first(values: readonly Value[]): Value {
  const [only] = values;
  if (!only) throw new Bug('a node without results');
  return only;
}

/** A value whose open sizes go by these names; numbers are sizes that are known. */
export function declare(name: string, dtype: DType, dims: readonly (string | number)[]): Value {
  return value(name, typeOf(dtype, dims));
}

/** The type with these sizes. */
export function typeOf(dtype: DType, dims: readonly (string | number)[]): TensorType {
  return tensor(
    dtype,
    dims.map((size) => (typeof size === 'string' ? symbol(size) : size)),
  );
}

/** A result under its value's own name. */
export function output(name: string, held: Value): Output {
  return { name, value: held };
}
