/** Functions of one element: exponentials, roots, activations of feed-forwards. */

import type { Value } from '../graph/graph.ts';
import type { Onnx } from '../graph/onnx.ts';
import { type Builder, defineOp, type Op } from '../graph/op.ts';
import { map } from './arrays.ts';
import { add, div, ge, gt, mul, neg, sub, where } from './elementwise.ts';
import { erfOf } from './erf.ts';
import { number, only, typeOf } from './gradients.ts';
import { needFloat } from './rules.ts';
import { axesSamples } from './samples.ts';

/** Arithmetic on values, for gradients that read as formulas. Numbers become constants of the argument's element type. */
interface Arithmetic {
  add(a: Value, b: Value | number): Value;
  sub(a: Value, b: Value | number): Value;
  mul(a: Value, b: Value | number): Value;
  div(a: Value, b: Value | number): Value;
  apply(op: Op, x: Value): Value;
}

function arithmeticOf(build: Builder): Arithmetic {
  const apply = (op: Op) => (a: Value, b: Value | number) => build.one(op, [a, typeof b === 'number' ? number(build, a, b) : b]);
  return { add: apply(add), sub: apply(sub), mul: apply(mul), div: apply(div), apply: (op, x) => build.one(op, [x]) };
}

interface Unary {
  readonly name: string;
  readonly doc: string;
  readonly f: (x: number) => number;
  /** dy/dx from x and y; 'none' where it is zero almost everywhere. */
  readonly slope: 'none' | ((x: Value, y: Value, m: Arithmetic, build: Builder) => Value);
  readonly lower: (x: Value, onnx: Onnx) => Value;
  readonly range?: readonly [number, number];
}

function unary({ name, doc, f, slope, lower, range }: Unary): Op {
  return defineOp({
    name,
    doc,
    inputs: ['x'],
    type: ({ x }) => {
      needFloat(name, x);
      return x;
    },
    eval: ({ x }) => map(x, f),
    grad:
      slope === 'none'
        ? 'none'
        : ({ x }, _, { y: [y], dy }, build) => {
            const m = arithmeticOf(build);
            return { x: m.mul(only(dy), slope(x, y ?? x, m, build)) };
          },
    lower: ({ x }, onnx) => lower(x, onnx),
    samples: axesSamples(range),
  });
}

const positive: readonly [number, number] = [0.2, 3];
const sigmoidOf = (x: number): number => 1 / (1 + Math.exp(-x));
const numberLike = (onnx: Onnx, x: Value, value: number): Value => onnx.scalar(value, typeOf(x).dtype);

export const exp = unary({ name: 'exp', doc: 'e to the power of x.', f: Math.exp, slope: (_, y) => y, lower: (x, onnx) => onnx.Exp(x) });
export const log = unary({
  name: 'log',
  doc: 'The natural logarithm.',
  f: Math.log,
  slope: (x, _, m, build) => m.div(number(build, x, 1), x),
  lower: (x, onnx) => onnx.Log(x),
  range: positive,
});
export const sqrt = unary({
  name: 'sqrt',
  doc: 'The square root.',
  f: Math.sqrt,
  slope: (_, y, m, build) => m.div(number(build, y, 0.5), y),
  lower: (x, onnx) => onnx.Sqrt(x),
  range: positive,
});
export const rsqrt = unary({
  name: 'rsqrt',
  doc: 'One over the square root.',
  f: (x) => 1 / Math.sqrt(x),
  slope: (x, y, m) => m.mul(m.div(y, x), -0.5),
  lower: (x, onnx) => onnx.Reciprocal(onnx.Sqrt(x)),
  range: positive,
});
export const abs = unary({
  name: 'abs',
  doc: 'The size without the sign.',
  f: Math.abs,
  slope: (x, _, __, build) => build.one(where, [build.one(ge, [x, number(build, x, 0)]), number(build, x, 1), number(build, x, -1)]),
  lower: (x, onnx) => onnx.Abs(x),
});
export const floor = unary({ name: 'floor', doc: 'The largest whole number that is not above x.', f: Math.floor, slope: 'none', lower: (x, onnx) => onnx.Floor(x) });
export const ceil = unary({ name: 'ceil', doc: 'The smallest whole number that is not below x.', f: Math.ceil, slope: 'none', lower: (x, onnx) => onnx.Ceil(x) });
export const sin = unary({ name: 'sin', doc: 'The sine of x in radians.', f: Math.sin, slope: (x, _, m) => m.apply(cos, x), lower: (x, onnx) => onnx.Sin(x) });
export const cos = unary({
  name: 'cos',
  doc: 'The cosine of x in radians.',
  f: Math.cos,
  slope: (x, _, m, build) => build.one(neg, [m.apply(sin, x)]),
  lower: (x, onnx) => onnx.Cos(x),
});
export const tanh = unary({
  name: 'tanh',
  doc: 'The hyperbolic tangent.',
  f: Math.tanh,
  slope: (_, y, m, build) => m.sub(number(build, y, 1), m.mul(y, y)),
  lower: (x, onnx) => onnx.Tanh(x),
});
export const sigmoid = unary({
  name: 'sigmoid',
  doc: 'The logistic function 1 / (1 + e^-x).',
  f: sigmoidOf,
  slope: (_, y, m, build) => m.mul(y, m.sub(number(build, y, 1), y)),
  lower: (x, onnx) => onnx.Sigmoid(x),
});
export const silu = unary({
  name: 'silu',
  doc: 'x · sigmoid(x), also called swish.',
  f: (x) => x * sigmoidOf(x),
  slope: (x, y, m, build) => {
    const s = m.apply(sigmoid, x);
    return m.add(y, m.mul(s, m.sub(number(build, y, 1), y)));
  },
  lower: (x, onnx) => onnx.Mul(x, onnx.Sigmoid(x)),
});
export const relu = unary({
  name: 'relu',
  doc: 'x where it is above 0, else 0.',
  f: (x) => Math.max(x, 0),
  slope: (x, _, __, build) => build.one(where, [build.one(gt, [x, number(build, x, 0)]), number(build, x, 1), number(build, x, 0)]),
  lower: (x, onnx) => onnx.Relu(x),
});
export const erf = unary({
  name: 'erf',
  doc: 'The error function, 2/√π ∫₀ˣ e^(-t²) dt.',
  f: erfOf,
  slope: (x, _, m, build) => m.mul(m.apply(exp, build.one(neg, [m.mul(x, x)])), 2 / Math.sqrt(Math.PI)),
  lower: (x, onnx) => onnx.Erf(x),
});
export const softplus = unary({
  name: 'softplus',
  doc: 'log(1 + e^x), a smooth relu.',
  f: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
  slope: (x, _, m) => m.apply(sigmoid, x),
  lower: (x, onnx) => onnx.Softplus(x),
});

/** x · Φ(x) with Φ the normal distribution function. */
export const gelu = unary({
  name: 'gelu',
  doc: 'x · Φ(x) with the exact normal distribution function, x/2 · (1 + erf(x/√2)).',
  f: (x) => (x / 2) * (1 + erfOf(x / Math.SQRT2)),
  slope: (x, _, m) => {
    const below = m.mul(m.add(m.apply(erf, m.mul(x, Math.SQRT1_2)), 1), 0.5);
    const density = m.mul(m.apply(exp, m.mul(m.mul(x, x), -0.5)), 1 / Math.sqrt(2 * Math.PI));
    return m.add(below, m.mul(x, density));
  },
  lower: (x, onnx) =>
    onnx.opset >= 20
      ? onnx.Gelu(x, { approximate: 'none' })
      : onnx.Mul(onnx.Mul(x, numberLike(onnx, x, 0.5)), onnx.Add(onnx.Erf(onnx.Mul(x, numberLike(onnx, x, Math.SQRT1_2))), numberLike(onnx, x, 1))),
});

const root = Math.sqrt(2 / Math.PI);
const cubic = 0.044715;

/** The tanh approximation of GELU (Hendrycks and Gimpel 2016). */
export const gelu_tanh = unary({
  name: 'gelu_tanh',
  doc: 'GELU by its tanh approximation, x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³))); called gelu_new and gelu_pytorch_tanh in configs.',
  f: (x) => (x / 2) * (1 + Math.tanh(root * (x + cubic * x ** 3))),
  slope: (x, _, m, build) => {
    const square = m.mul(x, x);
    const t = m.apply(tanh, m.mul(m.mul(x, m.add(m.mul(square, cubic), 1)), root));
    const inner = m.mul(m.add(m.mul(square, 3 * cubic), 1), root);
    const outer = m.mul(m.mul(x, m.sub(number(build, t, 1), m.mul(t, t))), 0.5);
    return m.add(m.mul(m.add(t, 1), 0.5), m.mul(outer, inner));
  },
  lower: (x, onnx) => {
    if (onnx.opset >= 20) return onnx.Gelu(x, { approximate: 'tanh' });
    const inner = onnx.Mul(onnx.Mul(x, onnx.Add(onnx.Mul(onnx.Mul(x, x), numberLike(onnx, x, cubic)), numberLike(onnx, x, 1))), numberLike(onnx, x, root));
    return onnx.Mul(onnx.Mul(x, numberLike(onnx, x, 0.5)), onnx.Add(onnx.Tanh(inner), numberLike(onnx, x, 1)));
  },
});
