/** Sizes that are known only at run time, counted on a device: from ones along an axis of an input, since asking for a shape is work of the CPU. */

import { constant, type Dim, same, show, subtract, symbol, symbolsOf } from '../graph/dim.ts';
import type { Value } from '../graph/graph.ts';
import { ndArray } from '../graph/nd-array.ts';
import type { Onnx } from '../graph/onnx.ts';
import { onnxTypes } from '../ops/onnx-types.ts';
import { isPast } from '../passes/cache-names.ts';

/** Run-time sizes as values on the device; undefined where no input tells them. */
export interface DeviceSizes {
  /** f32 ones, as many as the size. */
  ones(size: Dim): Value | undefined;
  /** 0, 1, … size - 1 as i32. */
  numbers(size: Dim): Value | undefined;
  /** The size as an i32 scalar. */
  count(size: Dim): Value | undefined;
}

/** Counts along the axes of `inputs`, through `onnx`, which keeps integers in 32 bits. Exact up to 2^24. */
export function deviceSizes(inputs: readonly Value[], onnx: Onnx): DeviceSizes {
  const once = new Map<string, Value | undefined>();
  const share = (key: string, make: () => Value | undefined): Value | undefined => {
    if (!once.has(key)) once.set(key, make());
    return once.get(key);
  };
  // Caches come last: theirs are the axes that may be empty.
  const axes = [...inputs].sort((a, b) => rank(a) - rank(b)).flatMap((input) => (input.type?.dims ?? []).map((size, axis) => ({ input, size, axis })));

  function ones(size: Dim): Value | undefined {
    const known = constant(size);
    if (known !== undefined) return onnx.array(ndArray([known], new Float64Array(known).fill(1)));
    const found = axes.find((one) => same(one.size, size));
    return found && share(`ones ${found.input.name} ${found.axis}`, () => onesAlong(found.input, found.axis));
  }

  function onesAlong(input: Value, axis: number): Value {
    const others = (input.type?.dims ?? []).map((_, i) => i).filter((i) => i !== axis);
    const numbers = input.type?.dtype === 'f32' ? input : onnx.Cast(input, { to: onnxTypes.f32 });
    const along = others.length > 0 ? onnx.ReduceMax(numbers, onnx.ints(others), { keepdims: 0 }) : numbers;
    return onnx.Clip(along, onnx.scalar(1), onnx.scalar(1));
  }

  function numbers(size: Dim): Value | undefined {
    const all = ones(size);
    return all && share(`numbers ${show(size)}`, () => onnx.Cast(onnx.Sub(onnx.CumSum(all, onnx.scalar(0, 'i32')), onnx.scalar(1)), { to: onnxTypes.i32 }));
  }

  function count(size: Dim): Value | undefined {
    const known = constant(size);
    if (known !== undefined) return onnx.scalar(known, 'i32');
    const direct = axes.find((one) => same(one.size, size) && !isPast(one.input));
    if (direct) {
      const all = ones(size);
      return all && share(`count ${show(size)}`, () => onnx.Cast(onnx.ReduceSum(all, onnx.ints([0]), { keepdims: 0 }), { to: onnxTypes.i32 }));
    }
    const [whole, part] =
      axes.flatMap((a) => axes.map((b) => [a, b] as const)).find(([a, b]) => !isPast(a.input) && !isPast(b.input) && same(subtract(a.size, b.size), size)) ?? [];
    if (whole && part) return difference(count(whole.size), count(part.size));
    return symbolsOf(size).length > 1 || !same(size, symbol(symbolsOf(size)[0] ?? '')) ? computed(size) : undefined;
  }

  const difference = (a: Value | undefined, b: Value | undefined): Value | undefined => a && b && onnx.Sub(a, b);

  function computed(size: Dim): Value | undefined {
    const terms = size.terms.map(({ numerator, denominator, powers }): Value | undefined => {
      const factors = (sign: number): readonly (Value | undefined)[] =>
        powers.flatMap(([name, power]) => (power * sign > 0 ? Array<Value | undefined>(power * sign).fill(count(symbol(name))) : []));
      const above = factors(1).reduce((all, one) => all && one && onnx.Mul(all, one), onnx.scalar(numerator, 'i32') as Value | undefined);
      return [...factors(-1), ...(denominator === 1 ? [] : [onnx.scalar(denominator, 'i32')])].reduce((all, one) => all && one && onnx.Div(all, one), above);
    });
    return terms.reduce((sum, one) => sum && one && onnx.Add(sum, one));
  }

  return { ones, numbers, count };
}

const rank = (input: Value): number => (isPast(input) ? 100 : 0) + (input.type?.dims.length ?? 0);
