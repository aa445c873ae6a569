/** Ops on each element by itself: arithmetic, activations, comparisons, conversions. Two arguments broadcast by numpy's rules. */

import type { Value } from '../graph/graph.ts';
import type { NdArray } from '../graph/nd-array.ts';
import type { Onnx } from '../graph/onnx.ts';
import { type Builder, defineOp, type Op } from '../graph/op.ts';
import type { TensorType } from '../graph/type.ts';
import { floor } from './activations.ts';
import { expand, map, zip } from './arrays.ts';
import { number, only, sumTo, typeOf } from './gradients.ts';
import { onnxTypes } from './onnx-types.ts';
import { broadcastDims, isFloat, isInteger, needBool, needFloat, needNumber, needSameDType } from './rules.ts';
import { axesSamples, binarySamples, integerSamples } from './samples.ts';

interface Binary {
  readonly name: string;
  readonly call?: string | null;
  readonly doc: string;
  readonly f: (a: number, b: number) => number;
  /** For whole numbers, where that differs. */
  readonly whole?: (a: number, b: number) => number;
  readonly grad: (a: Value, b: Value, y: Value, dy: Value, build: Builder) => readonly [Value, Value];
  readonly lower: (a: Value, b: Value, onnx: Onnx, integer: boolean) => Value;
  readonly range?: readonly [number, number];
}

function arithmetic({ name, call = null, doc, f, whole, grad, lower, range }: Binary): Op {
  return defineOp({
    name,
    call,
    doc,
    inputs: ['a', 'b'],
    type: ({ a, b }) => {
      needNumber(name, a, 'a');
      needNumber(name, b, 'b');
      needSameDType(name, a, b);
      return { dtype: a.dtype, dims: broadcastDims(name, a, b) };
    },
    eval: ({ a, b }) => zip(a, b, isInteger(a.dtype) ? (whole ?? f) : f),
    grad: ({ a, b }, _, { y: [y], dy }, build) => {
      const [da, db] = grad(a, b, y ?? a, only(dy), build);
      return { a: sumTo(build, da, a), b: sumTo(build, db, b) };
    },
    lower: ({ a, b }, onnx) => lower(a, b, onnx, isInteger(typeOf(a).dtype)),
    samples: [...binarySamples(range), ...integerSamples],
  });
}

export const add = arithmetic({
  name: 'add',
  doc: 'The sum `a + b`.',
  f: (a, b) => a + b,
  grad: (_a, _b, _y, dy) => [dy, dy],
  lower: (a, b, onnx) => onnx.Add(a, b),
});

export const sub = arithmetic({
  name: 'sub',
  doc: 'The difference `a - b`.',
  f: (a, b) => a - b,
  grad: (_a, _b, _y, dy, build) => [dy, build.one(neg, [dy])],
  lower: (a, b, onnx) => onnx.Sub(a, b),
});

export const mul = arithmetic({
  name: 'mul',
  doc: 'The product `a * b`.',
  f: (a, b) => a * b,
  grad: (a, b, _y, dy, build) => [build.one(mul, [dy, b]), build.one(mul, [dy, a])],
  lower: (a, b, onnx) => onnx.Mul(a, b),
});

export const div = arithmetic({
  name: 'div',
  doc: 'The quotient `a / b`. Whole numbers are rounded towards zero.',
  f: (a, b) => a / b,
  whole: (a, b) => Math.trunc(a / b),
  grad: (_a, b, y, dy, build) => {
    const da = build.one(div, [dy, b]);
    return [da, build.one(neg, [build.one(mul, [da, y])])];
  },
  lower: (a, b, onnx) => onnx.Div(a, b),
  range: [0.5, 2],
});

export const mod = arithmetic({
  name: 'mod',
  doc: 'The remainder `a % b`, with the sign of b.',
  f: (a, b) => a - b * Math.floor(a / b),
  grad: (a, b, _y, dy, build) => [dy, build.one(neg, [build.one(mul, [dy, build.one(floor, [build.one(div, [a, b])])])])],
  lower: (a, b, onnx, integer) => (integer ? onnx.Mod(a, b) : onnx.Sub(a, onnx.Mul(b, onnx.Floor(onnx.Div(a, b))))),
  range: [0.5, 2],
});

/** dy where `condition` holds for a and b, the rest to the other side. */
function routed(condition: Op, a: Value, b: Value, dy: Value, build: Builder): readonly [Value, Value] {
  const [first, zero] = [build.one(condition, [a, b]), number(build, dy, 0)];
  return [build.one(where, [first, dy, zero]), build.one(where, [first, zero, dy])];
}

export const maximum = arithmetic({
  name: 'maximum',
  call: 'max',
  doc: 'The larger of two, element by element. At a tie the gradient goes to a.',
  f: Math.max,
  grad: (a, b, _y, dy, build) => routed(ge, a, b, dy, build),
  lower: (a, b, onnx) => onnx.Max(a, b),
});

export const minimum = arithmetic({
  name: 'minimum',
  call: 'min',
  doc: 'The smaller of two, element by element. At a tie the gradient goes to a.',
  f: Math.min,
  grad: (a, b, _y, dy, build) => routed(le, a, b, dy, build),
  lower: (a, b, onnx) => onnx.Min(a, b),
});

interface Comparison {
  readonly name: string;
  readonly doc: string;
  readonly f: (a: number, b: number) => boolean;
  readonly lower: (a: Value, b: Value, onnx: Onnx) => Value;
}

function comparison({ name, doc, f, lower }: Comparison): Op {
  return defineOp({
    name,
    call: null,
    doc,
    inputs: ['a', 'b'],
    type: ({ a, b }) => {
      needSameDType(name, a, b);
      if (name !== 'eq' && name !== 'ne') needNumber(name, a, 'a');
      return { dtype: 'bool', dims: broadcastDims(name, a, b) };
    },
    eval: ({ a, b }) => zip(a, b, (x, y) => Number(f(x, y)), 'bool'),
    grad: 'none',
    lower: ({ a, b }, onnx) => lower(a, b, onnx),
    samples: [...binarySamples(), ...integerSamples],
  });
}

export const eq = comparison({ name: 'eq', doc: 'Whether `a == b`.', f: (a, b) => a === b, lower: (a, b, onnx) => onnx.Equal(a, b) });
export const ne = comparison({ name: 'ne', doc: 'Whether `a != b`.', f: (a, b) => a !== b, lower: (a, b, onnx) => onnx.Not(onnx.Equal(a, b)) });
export const lt = comparison({ name: 'lt', doc: 'Whether `a < b`.', f: (a, b) => a < b, lower: (a, b, onnx) => onnx.Less(a, b) });
export const le = comparison({ name: 'le', doc: 'Whether `a <= b`.', f: (a, b) => a <= b, lower: (a, b, onnx) => onnx.LessOrEqual(a, b) });
export const gt = comparison({ name: 'gt', doc: 'Whether `a > b`.', f: (a, b) => a > b, lower: (a, b, onnx) => onnx.Greater(a, b) });
export const ge = comparison({ name: 'ge', doc: 'Whether `a >= b`.', f: (a, b) => a >= b, lower: (a, b, onnx) => onnx.GreaterOrEqual(a, b) });

function logical(name: string, doc: string, f: (a: number, b: number) => boolean, lower: (a: Value, b: Value, onnx: Onnx) => Value): Op {
  return defineOp({
    name,
    doc,
    inputs: ['a', 'b'],
    type: ({ a, b }) => {
      needBool(name, a, 'a');
      needBool(name, b, 'b');
      return { dtype: 'bool', dims: broadcastDims(name, a, b) };
    },
    eval: ({ a, b }) => zip(a, b, (x, y) => Number(f(x, y))),
    grad: 'none',
    lower: ({ a, b }, onnx) => lower(a, b, onnx),
    samples: [{ inputs: { a: bools([2, 2], 0b0011), b: bools([2, 2], 0b0101) } }, { inputs: { a: bools([2, 1], 0b01), b: bools([3], 0b011) } }],
  });
}

/** Bits of a number, the lowest first. */
function bools(dims: readonly number[], bits: number): NdArray {
  return { dtype: 'bool', dims, data: Float64Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => (bits >> i) & 1) };
}

export const and = logical(
  'and',
  'Whether both hold.',
  (a, b) => a !== 0 && b !== 0,
  (a, b, onnx) => onnx.And(a, b),
);
export const or = logical(
  'or',
  'Whether at least one holds.',
  (a, b) => a !== 0 || b !== 0,
  (a, b, onnx) => onnx.Or(a, b),
);

export const not: Op = defineOp({
  name: 'not',
  doc: 'Whether it does not hold.',
  inputs: ['x'],
  type: ({ x }) => {
    needBool('not', x, 'x');
    return x;
  },
  eval: ({ x }) => map(x, (value) => Number(value === 0)),
  grad: 'none',
  lower: ({ x }, onnx) => onnx.Not(x),
  samples: [{ inputs: { x: bools([2, 3], 0b011010) } }],
});

export const neg: Op = defineOp({
  name: 'neg',
  call: null,
  doc: 'The negative `-x`.',
  inputs: ['x'],
  type: ({ x }) => {
    needNumber('neg', x);
    return x;
  },
  eval: ({ x }) => map(x, (value) => -value),
  grad: (_, __, { dy }, build) => ({ x: build.one(neg, [only(dy)]) }),
  lower: ({ x }, onnx) => onnx.Neg(x),
  samples: axesSamples(),
});

export const where: Op = defineOp({
  name: 'where',
  doc: 'a where the condition holds, else b. All three broadcast.',
  inputs: ['c', 'a', 'b'],
  type: ({ c, a, b }) => {
    needBool('where', c, 'c');
    needSameDType('where', a, b);
    const both: TensorType = { dtype: a.dtype, dims: broadcastDims('where', a, b) };
    return { dtype: a.dtype, dims: broadcastDims('where', both, c, 'c') };
  },
  eval: ({ c, a, b }, _, { types }) => {
    const chosen = zip(a, b, (x) => x);
    const condition = zip(c, chosen, (x) => x, 'bool');
    const [left, right] = [expand(a, condition.dims), expand(b, condition.dims)];
    return { dtype: types[0]?.dtype ?? a.dtype, dims: condition.dims, data: condition.data.map((hit, i) => (hit !== 0 ? left.data[i] : right.data[i]) ?? 0) };
  },
  grad: ({ c, a, b }, _, { dy }, build) => {
    const zero = number(build, a, 0);
    return { a: sumTo(build, build.one(where, [c, only(dy), zero]), a), b: sumTo(build, build.one(where, [c, zero, only(dy)]), b) };
  },
  lower: ({ c, a, b }, onnx) => onnx.Where(c, a, b),
  samples: [{ inputs: { c: bools([2, 3], 0b010110), a: [2, 3], b: [2, 3] } }, { inputs: { c: bools([2, 1], 0b10), a: [3], b: [] } }],
});

export const clamp: Op = defineOp({
  name: 'clamp',
  doc: 'x held between low and high; `-inf` and `inf` leave a side open.',
  inputs: ['x'],
  attrs: { low: { kind: 'float' }, high: { kind: 'float' } },
  type: ({ x }) => {
    needFloat('clamp', x);
    return x;
  },
  eval: ({ x }, { low, high }) => map(x, (value) => Math.min(Math.max(value, low), high)),
  grad: ({ x }, { low, high }, { dy }, build) => {
    const inside = build.one(and, [build.one(ge, [x, number(build, x, low)]), build.one(le, [x, number(build, x, high)])]);
    return { x: build.one(where, [inside, only(dy), number(build, x, 0)]) };
  },
  lower: ({ x }, onnx, { low, high }) => {
    const { dtype } = typeOf(x);
    const bound = (value: number): Value | undefined => (Number.isFinite(value) ? onnx.scalar(value, dtype) : undefined);
    return Number.isFinite(low) || Number.isFinite(high) ? onnx.Clip(x, bound(low), bound(high)) : onnx.Identity(x);
  },
  samples: [
    { inputs: { x: [2, 5] }, attrs: { low: -0.7, high: 1.1 } },
    { inputs: { x: [7] }, attrs: { low: Number.NEGATIVE_INFINITY, high: 0.5 } },
    { inputs: { x: [7] }, attrs: { low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY } },
  ],
});

export const cast: Op = defineOp({
  name: 'cast',
  call: null,
  doc: 'The same numbers in another element type: `f32(x)`, `i64(x)`. To whole numbers it rounds towards zero; to bool, all but 0 holds.',
  inputs: ['x'],
  attrs: { to: { kind: 'dtype' } },
  type: ({ x }, { to }) => ({ dtype: to, dims: x.dims }),
  eval: ({ x }, { to }) => map(x, to === 'bool' ? (value) => Number(value !== 0) : isFloat(to) ? (value) => value : Math.trunc, to),
  grad: ({ x }, { to }, { dy }, build) => (isFloat(typeOf(x).dtype) && isFloat(to) ? { x: build.one(cast, [only(dy)], { to: typeOf(x).dtype }) } : {}),
  lower: ({ x }, onnx, { to }) => onnx.Cast(x, { to: onnxTypes[to] }),
  samples: [
    { inputs: { x: [2, 3] }, attrs: { to: 'i64' } },
    { inputs: { x: [2, 3] }, attrs: { to: 'bool' } },
    { inputs: { x: { dtype: 'i64', dims: [3], data: Float64Array.of(-2, 0, 7) } }, attrs: { to: 'f32' } },
  ],
});
