/** What gradients share: constants like a value, zeros, and sums that undo broadcasting. */

import { Bug } from '../diagnostics/bug.ts';
import { constant, type Dim, dim } from '../graph/dim.ts';
import type { Value } from '../graph/graph.ts';
import { scalar } from '../graph/nd-array.ts';
import type { Builder } from '../graph/op.ts';
import { type DType, sameDims, type TensorType } from '../graph/type.ts';
import { cast } from './elementwise.ts';
import { sum } from './reduce.ts';
import { broadcast, size as sizeOp } from './shape.ts';

/** The type of a value that cannot be foreign. */
export function typeOf(value: Value): TensorType {
  if (!value.type) throw new Bug(`the type of ${value.name} is not known`);
  return value.type;
}

/** The gradient of a single result. */
export function only(dy: readonly (Value | undefined)[]): Value {
  const [first] = dy;
  if (!first) throw new Bug('a gradient was asked for without one to start from');
  return first;
}

/** A result by its place. */
export function nth(values: readonly Value[], i: number): Value {
  const found = values[i];
  if (!found) throw new Bug(`there is no result ${i}`);
  return found;
}

/** A constant with the element type of `like`. */
export function number(build: Builder, like: Value, value: number): Value {
  return build.constant(scalar(value, typeOf(like).dtype));
}

/** Zeros of a shape. */
export function zeros(build: Builder, dtype: DType, dims: readonly Dim[]): Value {
  return build.one(broadcast, [build.constant(scalar(0, dtype))], { dims });
}

/** A size as a number to compute with. */
export function sizeAs(build: Builder, size: Dim, dtype: DType): Value {
  const known = constant(size);
  if (known !== undefined) return build.constant(scalar(known, dtype));
  const found = build.one(sizeOp, [], { n: size });
  return dtype === 'i64' ? found : build.one(cast, [found], { to: dtype });
}

/** Sums away what broadcasting from `like` to dy repeated, so that the result has the dims of `like`. */
export function sumTo(build: Builder, dy: Value, like: Value): Value {
  const target = typeOf(like).dims;
  let y = dy;
  while (typeOf(y).dims.length > target.length) y = build.one(sum, [y], { axis: 0, keep: false });
  target.forEach((size, axis) => {
    if (constant(size) === 1 && constant(typeOf(y).dims[axis] ?? dim(1)) !== 1) y = build.one(sum, [y], { axis, keep: true });
  });
  if (!sameDims(typeOf(y).dims, target)) throw new Bug(`a gradient of ${dy.name} does not have the shape of ${like.name}`);
  return y;
}
