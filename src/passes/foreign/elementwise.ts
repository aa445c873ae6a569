/** Rows of the table that raises nodes of ONNX: work on each number by itself. */

import type { Value } from '../../graph/graph.ts';
import type { Op } from '../../graph/op.ts';
import * as activations from '../../ops/activations.ts';
import * as elementwise from '../../ops/elementwise.ts';
import { isFloat, isInteger } from '../../ops/rules.ts';
import { type Call, stay } from './call.ts';
import type { Raise } from './raise.ts';
import { namedType } from './type-rule.ts';

const { add, and, cast, clamp, div, eq, ge, gt, le, lt, maximum, minimum, mod, mul, ne, neg, not, or, sub, where } = elementwise;
const { abs, ceil, cos, erf, exp, floor, gelu, gelu_tanh, log, relu, rsqrt, sigmoid, silu, sin, softplus, sqrt, tanh } = activations;

const unary =
  (op: Op): Raise =>
  (call) => [call.one(op, [call.value(0)])];

const binary =
  (op: Op): Raise =>
  (call) => [call.one(op, [call.value(0), call.value(1)])];

/** Any number of inputs, two at a time. */
const folded =
  (op: Op): Raise =>
  (call) => {
    const [first = stay(), ...others] = call.values();
    return [others.reduce((all, one) => call.one(op, [all, one]), first)];
  };

/** Some steps on one float. */
const steps =
  (f: (x: Value, call: Call) => Value): Raise =>
  (call) => {
    const x = call.value(0);
    return isFloat(call.type(0).dtype) ? [f(x, call)] : stay();
  };

const casted: Raise = (call) => {
  const to = namedType(call, 'to');
  if (to === 'string' || call.type(0).dtype === 'string') return stay();
  return [call.one(cast, [call.value(0)], { to })];
};

/** Powers that ops have a name for. */
const power: Raise = (call) => {
  const [x, exponent] = [call.value(0), call.number(1)];
  if (!isFloat(call.type(0).dtype)) return stay();
  switch (exponent) {
    case 1:
      return [x];
    case 2:
      return [call.one(mul, [x, x])];
    case 3:
      return [call.one(mul, [call.one(mul, [x, x]), x])];
    case 0.5:
      return [call.one(sqrt, [x])];
    case -0.5:
      return [call.one(rsqrt, [x])];
    case -1:
      return [call.one(div, [call.like(x, 1), x])];
    default:
      return stay();
  }
};

const clipped: Raise = (call) => {
  const x = call.value(0);
  const [low, high] = [call.number(1), call.number(2)];
  if (isFloat(call.type(0).dtype)) return [call.one(clamp, [x], { low: low ?? Number.NEGATIVE_INFINITY, high: high ?? Number.POSITIVE_INFINITY })];
  const above = low === undefined ? x : call.one(maximum, [x, call.value(1)]);
  return [high === undefined ? above : call.one(minimum, [above, call.value(2)])];
};

/** Of floats, ONNX keeps the sign of the dividend: another remainder than ours. */
const remainder: Raise = (call) => (call.int('fmod', 0) === 0 && isInteger(call.type(0).dtype) ? [call.one(mod, [call.value(0), call.value(1)])] : stay());

const scaled = (call: Call, x: Value, factor: number): Value => call.one(mul, [x, call.like(x, factor)]);
const shifted = (call: Call, x: Value, by: number): Value => call.one(add, [x, call.like(x, by)]);

/** clamp(α · x + β, 0, 1). */
const hardSigmoid = (x: Value, call: Call, alpha: number, beta: number): Value => call.one(clamp, [shifted(call, scaled(call, x, alpha), beta)], { low: 0, high: 1 });

/** x where it is not below 0, else `below`. */
const split = (call: Call, x: Value, below: Value): Value => call.one(where, [call.one(ge, [x, call.like(x, 0)]), x, below]);

/** α · (e^x − 1) below 0. */
const elu = (x: Value, call: Call, alpha: number): Value => split(call, x, scaled(call, shifted(call, call.one(exp, [call.one(minimum, [x, call.like(x, 0)])]), -1), alpha));

const swish = (x: Value, call: Call, alpha: number): Value => (alpha === 1 ? call.one(silu, [x]) : call.one(mul, [x, call.one(sigmoid, [scaled(call, x, alpha)])]));

const quick: Raise = steps((x, call) => swish(x, call, call.float('alpha', 1.702)));

/** Gelu of x + bias, where there is one. */
const biased =
  (op: Op): Raise =>
  (call) => [call.one(op, [call.has(1) ? call.one(add, [call.value(0), call.value(1)]) : call.value(0)])];

/** By the name of the op; those of other domains with their domain in front. */
export const elementwiseRows: Readonly<Record<string, Raise>> = {
  Abs: unary(abs),
  Add: binary(add),
  And: binary(and),
  Cast: casted,
  Ceil: unary(ceil),
  Celu: steps((x, call) => {
    const alpha = call.float('alpha', 1);
    const below = scaled(call, shifted(call, call.one(exp, [scaled(call, call.one(minimum, [x, call.like(x, 0)]), 1 / alpha)]), -1), alpha);
    return split(call, x, below);
  }),
  Clip: clipped,
  Cos: unary(cos),
  Div: binary(div),
  Elu: steps((x, call) => elu(x, call, call.float('alpha', 1))),
  Equal: binary(eq),
  Erf: unary(erf),
  Exp: unary(exp),
  Floor: unary(floor),
  Gelu: (call) => [call.one(call.text('approximate', 'none') === 'tanh' ? gelu_tanh : gelu, [call.value(0)])],
  Greater: binary(gt),
  GreaterOrEqual: binary(ge),
  HardSigmoid: steps((x, call) => hardSigmoid(x, call, call.float('alpha', 0.2), call.float('beta', 0.5))),
  HardSwish: steps((x, call) => call.one(mul, [x, hardSigmoid(x, call, 1 / 6, 0.5)])),
  LeakyRelu: steps((x, call) => split(call, x, scaled(call, x, call.float('alpha', 0.01)))),
  Less: binary(lt),
  LessOrEqual: binary(le),
  Log: unary(log),
  Max: folded(maximum),
  Min: folded(minimum),
  Mish: steps((x, call) => call.one(mul, [x, call.one(tanh, [call.one(softplus, [x])])])),
  Mod: remainder,
  Mul: binary(mul),
  Neg: unary(neg),
  Not: unary(not),
  Or: binary(or),
  Pow: power,
  PRelu: (call) => [split(call, call.value(0), call.one(mul, [call.value(0), call.value(1)]))],
  Reciprocal: steps((x, call) => call.one(div, [call.like(x, 1), x])),
  Relu: steps((x, call) => call.one(relu, [x])),
  Selu: steps((x, call) => scaled(call, elu(x, call, call.float('alpha', 1.6732631921768188)), call.float('gamma', 1.0507010221481323))),
  Sigmoid: unary(sigmoid),
  Sin: unary(sin),
  Softplus: unary(softplus),
  Softsign: steps((x, call) => call.one(div, [x, shifted(call, call.one(abs, [x]), 1)])),
  Sqrt: unary(sqrt),
  Sub: binary(sub),
  Sum: folded(add),
  Swish: steps((x, call) => swish(x, call, call.float('alpha', 1))),
  Tanh: unary(tanh),
  ThresholdedRelu: steps((x, call) => call.one(where, [call.one(gt, [x, call.like(x, call.float('alpha', 1))]), x, call.like(x, 0)])),
  Where: (call) => [call.one(where, call.values())],
  Xor: (call) => [call.one(ne, [call.value(0), call.value(1)])],
  'com.microsoft.BiasGelu': biased(gelu),
  'com.microsoft.FastGelu': biased(gelu_tanh),
  'com.microsoft.Gelu': unary(gelu),
  'com.microsoft.QuickGelu': quick,
};
