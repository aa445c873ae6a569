/** Every op there is, by name and by how the language calls it. An op is added here and in its own file. */

import { constant } from '../graph/constant.ts';
import type { Op } from '../graph/op.ts';
import * as activations from './activations.ts';
import { attend } from './attention.ts';
import * as elementwise from './elementwise.ts';
import * as gathering from './gather.ts';
import { merge_heads, rope, sinusoid, split_heads } from './heads.ts';
import { concat, split } from './join.ts';
import { cross_entropy } from './loss.ts';
import { matmul } from './matmul.ts';
import { layer_norm, rms_norm } from './norm.ts';
import * as reductions from './reduce.ts';
import { mixture, segment } from './routing.ts';
import * as shapes from './shape.ts';

const all: readonly Op[] = [
  constant,
  ...Object.values(elementwise),
  ...Object.values(activations),
  matmul,
  ...Object.values(reductions),
  ...Object.values(shapes),
  concat,
  split,
  ...Object.values(gathering),
  layer_norm,
  rms_norm,
  split_heads,
  merge_heads,
  rope,
  sinusoid,
  attend,
  mixture,
  segment,
  cross_entropy,
];

/** Every op by its name in the graph. */
export const ops: ReadonlyMap<string, Op> = new Map(all.map((op) => [op.name, op]));

const called = new Map<string, Op[]>();
for (const op of all) if (op.call !== null) called.set(op.call, [...(called.get(op.call) ?? []), op]);

/** The ops the language calls by this name; several where the arguments decide, as for `max(a, b)` and `max(x, axis: -1)`. */
export function callable(name: string): readonly Op[] {
  return called.get(name) ?? [];
}
