/** The weights of one expert out of those of all: a tensor of its own where it lies as one, without a copy. */

import { Bug } from '../diagnostics/bug.ts';
import type { GraphBuilder } from '../graph/builder.ts';
import { dim } from '../graph/dim.ts';
import { type Graph, type Value, value, type Weight } from '../graph/graph.ts';
import type { Picked, Source } from '../graph/source.ts';
import { slice, squeeze } from '../ops/shape.ts';

/** Hands out weights of single experts. */
export interface ExpertWeights {
  /** Row `e` of a lifted value: a weight where the value is one, else a slice. */
  of(lifted: Value, e: number, build: GraphBuilder): Value;
  /** The weight itself, for lowerings that place it; undefined where the value is computed. */
  weightOf(lifted: Value, e: number): Weight | undefined;
  /** The weights made so far. */
  made(): readonly Weight[];
}

/** For the weights of a graph. */
export function expertWeights(graph: Graph): ExpertWeights {
  const lifted = liftedWeights(graph);
  const made = new Map<string, Weight>();
  const weightOf = (one: Value, e: number): Weight | undefined => {
    const whole = lifted.get(one);
    if (!whole) return undefined;
    const path = `${whole.path}.${e}`;
    const known = made.get(path);
    if (known) return known;
    const source = expertSource(whole.source, e);
    const weight: Weight = { path, source, storage: whole.storage, value: value(path, { dtype: source.dtype, dims: source.dims.map((size) => dim(size)) }) };
    made.set(path, weight);
    return weight;
  };
  return {
    weightOf,
    of: (one, e, build) => weightOf(one, e)?.value ?? build.one(squeeze, [build.one(slice, [one], { axis: 0, from: dim(e), to: dim(e + 1) })], { axis: 0 }),
    made: () => [...made.values()],
  };
}

/** The weights of a graph by what holds them, and transposed ones, which are views of the same bytes. */
export function liftedWeights(graph: Graph): ReadonlyMap<Value, Weight> {
  const held = new Map(graph.weights.map((weight) => [weight.value, weight]));
  for (const { op, inputs, outputs } of graph.nodes) {
    const [from] = inputs;
    const [to] = outputs;
    const weight = op.name === 'transpose' && from ? held.get(from) : undefined;
    const dims = weight?.source.dims;
    if (!weight || !dims || !to) continue;
    const source: Source = { kind: 'transpose', of: weight.source, dims: [...dims.slice(0, -2), dims.at(-1) ?? 1, dims.at(-2) ?? 1], dtype: weight.source.dtype };
    held.set(to, { ...weight, value: to, path: `${weight.path}.T`, source });
  }
  return held;
}

/** Row `e` of the first axis, looked up through views so that what lies as a tensor of its own stays one. */
export function expertSource(source: Source, e: number): Source {
  const dims = source.dims.slice(1);
  const { dtype } = source;
  switch (source.kind) {
    case 'concat': {
      if (source.axis !== 0) return { ...source, of: source.of.map((part) => expertSource(part, e)), axis: source.axis - 1, dims };
      let at = e;
      for (const part of source.of) {
        const size = part.dims[0] ?? 0;
        if (at < size) return expertSource(part, at);
        at -= size;
      }
      throw new Bug(`no row ${e}`);
    }
    case 'reshape':
      if (source.dims[0] === 1 && sameSizes(source.of.dims, dims)) return source.of;
      if (source.of.kind === 'picked' && source.of.axis === 0 && sameSizes(source.of.dims.slice(1), dims.slice(1))) return pickedRows(source.of, e, dims);
      break;
    case 'transpose':
      if (dims.length >= 2) return { kind: 'transpose', of: expertSource(source.of, e), dims, dtype };
      break;
    case 'slice':
      if (source.axis > 0 && !source.drop) return { ...source, of: expertSource(source.of, e), axis: source.axis - 1, dims };
      break;
    case 'picked':
      if (source.axis > 0) return { ...source, of: expertSource(source.of, e), axis: source.axis - 1, dims };
      break;
    case 'interleaved':
      if (source.axis > 0) return { ...source, of: expertSource(source.of, e), axis: source.axis - 1, dims };
      break;
    case 'arithmetic':
    case 'cast':
      return { ...source, of: expertSource(source.of, e), dims };
    default:
      break;
  }
  return { kind: 'slice', of: source, axis: 0, from: e, to: e + 1, drop: true, dims, dtype };
}

/** The neurons of one expert, picked without the others. */
function pickedRows(source: Picked, e: number, dims: readonly number[]): Source {
  const [size = 0] = dims;
  return { ...source, order: source.order.slice(e * size, (e + 1) * size), dims };
}

const sameSizes = (a: readonly number[], b: readonly number[]): boolean => a.length === b.length && a.every((size, i) => size === b[i]);
