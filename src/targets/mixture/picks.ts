/** Picks sorted by expert: which rows each expert gets, and how what experts give is put back in the order of tokens and slots. */

import { constant, dim } from '../../graph/dim.ts';
import type { Value } from '../../graph/graph.ts';
import { ndArray } from '../../graph/nd-array.ts';
import type { Onnx } from '../../graph/onnx.ts';
import { knownSizes, openShape, type Segment } from './segment.ts';

/** The picks of all tokens, p = token · k + slot, in the order of their experts. */
export interface Picks {
  /** i64 [P]: the pick at each place of the sorted order. */
  readonly order: Value;
  /** i64 [P]: the place of each pick in the sorted order. */
  readonly places: Value;
  /** i64 [P]: the expert at each place of the sorted order. */
  readonly sorted: Value;
  /** i64 [n]: how many picks each expert has. */
  readonly counts: Value;
}

/** Sorts picks of `experts` i64 [tokens.., k] among `n`. Equal experts keep the order of tokens. */
export function sortPicks(onnx: Onnx, experts: Value, n: number): Picks {
  const flat = onnx.Reshape(experts, onnx.ints([-1]));
  const total = onnx.Shape(flat);
  const ascending = (keys: Value): readonly Value[] => onnx.all('TopK', [keys, total], { axis: 0, largest: 0, sorted: 1 }, 2);
  const [sorted = flat, order = flat] = ascending(flat);
  const [, places = order] = ascending(order);
  const numbers = onnx.array(
    ndArray(
      [n, 1],
      Array.from({ length: n }, (_, e) => e),
      'i64',
    ),
  );
  const counts = onnx.ReduceSum(onnx.Cast(onnx.Equal(numbers, flat), { to: 7 }), onnx.ints([1]), { keepdims: 0 });
  return { order, places, sorted, counts };
}

/** The rows of an argument in the order of picks: [P, rest]. `arg` is [tokens.., rest], or [k, tokens.., rest] where `slotted`. */
export function gatherRows(onnx: Onnx, arg: Value, slotted: boolean, { lead, slots }: Segment, { order }: Picks): Value {
  const rest = arg.type?.dims.slice(lead.length + (slotted ? 1 : 0)) ?? [];
  const k = constant(slots);
  const flat = onnx.Reshape(arg, onnx.ints([-1, ...knownSizes(rest)]));
  const each = onnx.size(slots);
  const token = k === 1 ? order : onnx.Div(order, each);
  if (!slotted || k === 1) return onnx.Gather(flat, token, { axis: 0 });
  const tokens = onnx.Div(onnx.Squeeze(onnx.Shape(order), onnx.ints([0])), each);
  return onnx.Gather(flat, onnx.Add(onnx.Mul(onnx.Sub(order, onnx.Mul(token, each)), tokens), token), { axis: 0 });
}

/** What experts gave, [P, out] in the order of picks, as the result of the segment. */
export function putBack(onnx: Onnx, all: Value, { lead, slots, out, summed, weights }: Segment, { places }: Picks): Value {
  const k = constant(slots);
  const byPick = onnx.Gather(all, places, { axis: 0 });
  if (k === 1 && !weights && summed) return onnx.Reshape(byPick, openShape(onnx, [...lead, ...out]));
  const apart = onnx.Reshape(byPick, onnx.shape([dim(-1), slots, ...out]));
  if (!summed) return onnx.Reshape(onnx.Transpose(apart, { perm: [1, 0, ...out.map((_, i) => i + 2)] }), openShape(onnx, [slots, ...lead, ...out]));
  const weighted = weights ? onnx.Mul(apart, onnx.Reshape(weights, onnx.shape([dim(-1), slots, ...out.map(() => dim(1))]))) : apart;
  const total = k === 1 ? onnx.Squeeze(weighted, onnx.ints([1])) : onnx.ReduceSum(weighted, onnx.ints([1]), { keepdims: 0 });
  return onnx.Reshape(total, openShape(onnx, [...lead, ...out]));
}
