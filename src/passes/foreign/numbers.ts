/** Whole numbers that graphs of ONNX compute with: shapes taken apart, changed and put together. They are followed as symbolic sizes, so that a shape is known where nodes spell it out. */

import { isRaw } from '../../graph/attr.ts';
import { add, type Dim, dim, multiply, product as productOf, same, constant as sizeOf, subtract } from '../../graph/dim.ts';
import type { Node, Value } from '../../graph/graph.ts';
import type { NdArray } from '../../graph/nd-array.ts';
import { isInteger, wholeRatio } from '../../ops/rules.ts';
import type { Producers } from '../producers.ts';

/** Whole numbers (or truth values as 0 and 1) without an axis, or along one. */
export interface Numbers {
  readonly rank: 0 | 1;
  readonly values: readonly Dim[];
}

/** What is known of values. */
export interface KnownNumbers {
  of(one: Value): Numbers | undefined;
  /** Learns what the results of a node are, from its inputs as they stand now. */
  learn(node: Node, outputs: readonly Value[]): void;
}

/** More numbers than this are data, not a shape. */
const longest = 64;

/** Constants that stand for "to the end". */
const bounded = (number: number): Dim => dim(Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, Math.trunc(number))));

/** Numbers of constants, and of what follows from them and from shapes. */
export function knownNumbers(from: Producers): KnownNumbers {
  const known = new Map<Value, Numbers>();
  const of = (one: Value): Numbers | undefined => {
    const found = known.get(one);
    if (found) return found;
    const array = from.array(one) ?? rounded(from.of(one, 'onnx.Constant'));
    if (!array || array.dims.length > 1 || array.data.length > longest || !(isInteger(array.dtype) || array.dtype === 'bool')) return undefined;
    const numbers: Numbers = { rank: array.dims.length === 0 ? 0 : 1, values: Array.from(array.data, bounded) };
    known.set(one, numbers);
    return numbers;
  };
  return {
    of,
    learn(node, outputs) {
      const [first] = outputs;
      const found = rules[node.op.foreign?.type ?? '']?.(node, of);
      if (first && found && node.op.foreign?.domain === '' && found.values.length <= longest) known.set(first, found);
    },
  };
}

/** Whole numbers beyond 2^53, which stay in their node: an end past any end. */
function rounded(node: Node | undefined): NdArray | undefined {
  const value = node?.attrs['value'];
  return isRaw(value) ? value.rounded : undefined;
}

type Lookup = (one: Value) => Numbers | undefined;
type Rule = (node: Node, of: Lookup) => Numbers | undefined;

const input = ({ inputs }: Node, i: number, of: Lookup): Numbers | undefined => inputs[i] && of(inputs[i]);
const integer = ({ attrs }: Node, name: string, otherwise: number): number => (typeof attrs[name] === 'number' ? attrs[name] : otherwise);

/** The size of x along each axis from `start` to `end`. */
const shape: Rule = (node) => {
  const dims = node.inputs[0]?.type?.dims;
  return dims && { rank: 1, values: dims.slice(integer(node, 'start', 0), integer(node, 'end', dims.length)) };
};

/** One whole number for each pair, where it is known for all. */
const both =
  (f: (a: Dim, b: Dim) => Dim | undefined): Rule =>
  (node, of) => {
    const [a, b] = [input(node, 0, of), input(node, 1, of)];
    if (!a || !b || (a.values.length !== b.values.length && a.values.length !== 1 && b.values.length !== 1)) return undefined;
    const length = Math.max(a.values.length, b.values.length);
    const pick = (side: Numbers, i: number): Dim => side.values[side.values.length === 1 ? 0 : i] ?? dim(0);
    return all(
      Array.from({ length }, (_, i) => f(pick(a, i), pick(b, i))),
      a.rank === 1 || b.rank === 1 ? 1 : 0,
    );
  };

function all(values: readonly (Dim | undefined)[], rank: 0 | 1): Numbers | undefined {
  return values.every((size) => size !== undefined) ? { rank, values } : undefined;
}

/** Whether two are equal; a size is never below 0. */
function equal(a: Dim, b: Dim): Dim | undefined {
  if (same(a, b)) return dim(1);
  const [x, y] = [sizeOf(a), sizeOf(b)];
  if (x !== undefined && y !== undefined) return dim(0);
  const negative = (x ?? 0) < 0 || (y ?? 0) < 0;
  return negative && isSize(x === undefined ? a : b) ? dim(0) : undefined;
}

const isSize = ({ terms }: Dim): boolean => terms.every(({ numerator }) => numerator > 0);

/** a / b, rounded towards zero. */
function quotient(a: Dim, b: Dim): Dim | undefined {
  const [x, y] = [sizeOf(a), sizeOf(b)];
  if (x !== undefined && y !== undefined) return y === 0 ? undefined : dim(Math.trunc(x / y));
  return wholeRatio(a, b);
}

const extreme =
  (f: (...numbers: readonly number[]) => number): Rule =>
  (node, of) =>
    both((a, b) => (same(a, b) ? a : sizeOf(a) !== undefined && sizeOf(b) !== undefined ? dim(f(sizeOf(a) ?? 0, sizeOf(b) ?? 0)) : undefined))(node, of);

const unchanged: Rule = (node, of) => input(node, 0, of);

const gathered: Rule = (node, of) => {
  const [from, at] = [input(node, 0, of), input(node, 1, of)];
  if (from?.rank !== 1 || !at) return undefined;
  const values = at.values.map((one) => {
    const index = sizeOf(one);
    return index === undefined ? undefined : from.values.at(index);
  });
  return all(values, at.rank);
};

const sliced: Rule = (node, of) => {
  const whole = input(node, 0, of);
  const [start, end] = [input(node, 1, of)?.values[0], input(node, 2, of)?.values[0]].map((one) => one && sizeOf(one));
  const step = node.inputs[4] ? sizeOf(input(node, 4, of)?.values[0] ?? dim(0)) : 1;
  return whole?.rank === 1 && start !== undefined && end !== undefined && step === 1 ? { rank: 1, values: whole.values.slice(start, end) } : undefined;
};

const joined: Rule = (node, of) => {
  const parts = node.inputs.map((one) => one && of(one));
  return parts.every((part) => part?.rank === 1) ? { rank: 1, values: parts.flatMap((part) => part?.values ?? []) } : undefined;
};

/** Axes added or dropped; a shape needs no more than one. */
const toRank =
  (rank: 0 | 1): Rule =>
  (node, of) => {
    const before = input(node, 0, of);
    return before && (rank === 1 ? before.rank === 0 : before.rank === 1 && before.values.length === 1) ? { rank, values: before.values } : undefined;
  };

const filled: Rule = (node, of) => {
  const dims = input(node, 0, of);
  const value = node.attrs['value'];
  const length = dims?.values.length === 1 ? sizeOf(dims.values[0] ?? dim(0)) : undefined;
  const array = typeof value === 'object' && 'data' in value ? value : undefined;
  if (length === undefined || !array || !isInteger(array.dtype)) return undefined;
  return { rank: 1, values: Array.from({ length: Math.min(length, longest + 1) }, () => bounded(array.data[0] ?? 0)) };
};

const chosen: Rule = (node, of) => {
  const [condition, a, b] = [0, 1, 2].map((i) => input(node, i, of));
  if (!condition || !a || !b) return undefined;
  const length = Math.max(condition.values.length, a.values.length, b.values.length);
  const pick = (side: Numbers, i: number): Dim | undefined => side.values[side.values.length === 1 ? 0 : i];
  const values = Array.from({ length }, (_, i) => {
    const holds = pick(condition, i);
    return holds && pick(sizeOf(holds) === 0 ? b : a, i);
  });
  return all(values, condition.rank === 1 || a.rank === 1 || b.rank === 1 ? 1 : 0);
};

const reshaped: Rule = (node, of) => {
  const [before, dims] = [input(node, 0, of), input(node, 1, of)];
  if (!before || !dims || dims.values.length > 1) return undefined;
  return dims.values.length === 0 ? (before.values.length === 1 ? { rank: 0, values: before.values } : undefined) : { rank: 1, values: before.values };
};

const product: Rule = (node, of) => {
  const before = input(node, 0, of);
  return before && { rank: integer(node, 'keepdims', 1) === 0 ? 0 : 1, values: [productOf(before.values)] };
};

const rules: Readonly<Record<string, Rule>> = {
  Shape: shape,
  Size: (node) => {
    const dims = node.inputs[0]?.type?.dims;
    return dims && { rank: 0, values: [productOf(dims)] };
  },
  Gather: gathered,
  Slice: sliced,
  Concat: joined,
  Unsqueeze: toRank(1),
  Squeeze: toRank(0),
  Reshape: reshaped,
  Cast: (node, of) => ([6, 7].includes(integer(node, 'to', 0)) ? input(node, 0, of) : undefined),
  Identity: unchanged,
  Add: both(add),
  Sub: both(subtract),
  Mul: both(multiply),
  Div: both(quotient),
  Min: extreme(Math.min),
  Max: extreme(Math.max),
  Equal: both(equal),
  Where: chosen,
  ConstantOfShape: filled,
  ReduceProd: product,
};
