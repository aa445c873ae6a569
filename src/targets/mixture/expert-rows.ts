/** Values inside experts of one kind while they are computed for rows sorted by expert: all rows together, or each expert's apart, whichever a node asks for. */

import type { Value } from '../../graph/graph.ts';
import type { LoweringContext } from '../target.ts';
import type { Kind } from './segment.ts';

/** What values of an expert's body have become. */
export interface ExpertRows {
  /** The rows of all experts, one expert after another. */
  joined(old: Value): Value;
  /** The rows of each expert. */
  apart(old: Value): readonly Value[];
  setJoined(old: Value, now: Value): void;
  setApart(old: Value, now: readonly Value[]): void;
}

/** Nothing computed yet. `counts`, i64 [n], says how many rows each expert has. */
export function expertRows(inside: LoweringContext, { count }: Kind, counts: Value): ExpertRows {
  const { onnx } = inside;
  const whole = new Map<Value, Value>();
  const pieces = new Map<Value, readonly Value[]>();
  const rows: ExpertRows = {
    joined(old) {
      const parts = pieces.get(old);
      if (!whole.has(old) && parts) rows.setJoined(old, onnx.Concat(...parts, { axis: 0 }));
      return whole.get(old) ?? inside.lowered(old);
    },
    apart(old) {
      const all = whole.get(old);
      if (!pieces.has(old) && count === 1) pieces.set(old, [rows.joined(old)]);
      if (!pieces.has(old) && all) rows.setApart(old, onnx.all('Split', [all, counts], { axis: 0 }, count));
      return pieces.get(old) ?? Array.from({ length: count }, () => inside.lowered(old));
    },
    setJoined: (old, now) => void whole.set(old, inside.typed(now, old.type)),
    setApart: (old, now) =>
      void pieces.set(
        old,
        now.map((one) => inside.typed(one, old.type)),
      ),
  };
  return rows;
}
