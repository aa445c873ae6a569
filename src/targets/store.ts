/** How weights are stored in the file: which bytes are kept as they lie, and which views become nodes or are applied when written. */

import { dim } from '../graph/dim.ts';
import { type Value, value, type Weight } from '../graph/graph.ts';
import type { Onnx } from '../graph/onnx.ts';
import type { Source } from '../graph/source.ts';
import { isMade } from '../graph/views.ts';
import { onnxTypes } from '../ops/index.ts';

/** `checkpoint`: the file points into the checkpoint's own bytes, views become nodes. `written`: data of its own, views applied while writing. */
export type Storage = 'checkpoint' | 'written';

/** The weights of the lowered graph, and what each weight of the model has become. */
export interface Stored {
  readonly weights: readonly Weight[];
  readonly became: ReadonlyMap<Value, Value>;
  /** From a transposed view to what it is the transpose of. */
  readonly transposes: ReadonlyMap<Value, Value>;
}

/** Lays out weights; nodes for views go to `onnx`. Weights with the same source share their bytes. */
export function storeWeights(given: readonly Weight[], storage: Storage, onnx: Onnx): Stored {
  const weights: Weight[] = [];
  const stored = new Map<string, Value>();
  const transposes = new Map<Value, Value>();
  const leaf = (source: Source, path: string, kind: Weight['storage']): Value => {
    const held = value(path, { dtype: source.dtype, dims: source.dims.map((size) => dim(size)) });
    weights.push({ value: held, path, source, storage: kind });
    return held;
  };
  const place = (source: Source, path: string, kind: Weight['storage']): Value => {
    const key = keyOf(source);
    const known = stored.get(key) ?? make(source, path, kind);
    stored.set(key, known);
    return known;
  };
  const make = (source: Source, path: string, kind: Weight['storage']): Value => {
    if (source.kind === 'transpose' && source.dims.length === 2) {
      const inner = place(source.of, storage === 'checkpoint' ? innerName(source.of, path) : path, kind);
      const turned = onnx.Transpose(inner, { perm: [1, 0] });
      transposes.set(turned, inner);
      return turned;
    }
    if (storage === 'written' || liesInFile(source)) return leaf(source, path, kind);
    return applyView(source, (of) => place(of, innerName(of, path), kind), onnx);
  };
  const became = new Map(given.map((weight) => [weight.value, place(weight.source, weight.path, weight.storage)]));
  return { weights, became, transposes };
}

/** Names a stored tensor as the checkpoint does, so that one read by several views is recognised. */
const innerName = (source: Source, path: string): string => (source.kind === 'tensor' ? source.name : path);

/** Whether the bytes stand in a file as they are, whole or whole rows of it, or are made for the file in any case. */
export function liesInFile(source: Source): boolean {
  switch (source.kind) {
    case 'tensor':
      return true;
    case 'slice':
      return (source.axis === 0 && liesInFile(source.of)) || isMade(source);
    case 'reshape':
      return liesInFile(source.of);
    default:
      return isMade(source);
  }
}

/** A view as standard ops on what it looks at; runtimes fold them once when they load. */
function applyView(source: Source, place: (of: Source) => Value, onnx: Onnx): Value {
  switch (source.kind) {
    case 'transpose':
      return onnx.Transpose(place(source.of), { perm: swapLast(source.dims.length) });
    case 'slice': {
      const cut = onnx.Slice(place(source.of), onnx.ints([source.from]), onnx.ints([source.to]), onnx.ints([source.axis]), onnx.ints([1]));
      return source.drop ? onnx.Squeeze(cut, onnx.ints([source.axis])) : cut;
    }
    case 'interleaved':
      return onnx.Slice(place(source.of), onnx.ints([source.from]), onnx.ints([source.of.dims[source.axis] ?? 0]), onnx.ints([source.axis]), onnx.ints([source.step]));
    case 'reshape':
      return onnx.Reshape(place(source.of), onnx.ints(source.dims));
    case 'concat':
      return onnx.Concat(...source.of.map(place), { axis: source.axis });
    case 'cast':
      return onnx.Cast(place(source.of), { to: onnxTypes[source.dtype] });
    case 'arithmetic':
      return applyArithmetic(source, place(source.of), onnx);
    default:
      return place(source);
  }
}

function applyArithmetic(source: Extract<Source, { kind: 'arithmetic' }>, of: Value, onnx: Onnx): Value {
  const operand = source.operand === undefined ? undefined : onnx.scalar(source.operand, source.dtype);
  const [left, right] = source.left ? [operand, of] : [of, operand];
  switch (source.operator) {
    case '+':
      return onnx.Add(left, right);
    case '-':
      return onnx.Sub(left, right);
    case '*':
      return onnx.Mul(left, right);
    case '/':
      return onnx.Div(left, right);
    case 'negate':
      return onnx.Neg(of);
    case 'exp':
      return onnx.Exp(of);
    case 'log':
      return onnx.Log(of);
    case 'sqrt':
      return onnx.Sqrt(of);
    case 'rsqrt':
      return onnx.Reciprocal(onnx.Sqrt(of));
  }
}

function swapLast(rank: number): readonly number[] {
  return Array.from({ length: rank }, (_, i) => (i < rank - 2 ? i : 2 * rank - 3 - i));
}

/** Two sources with the same key have the same bytes. Numbers at hand are told apart by where they are held. */
export function keyOf(source: Source): string {
  return JSON.stringify(source, (name, held: unknown) => (name === 'array' && typeof held === 'object' && held !== null ? idOf(held) : held));
}

const ids = new WeakMap<object, number>();
let next = 0;

function idOf(held: object): number {
  const known = ids.get(held) ?? next++;
  ids.set(held, known);
  return known;
}
