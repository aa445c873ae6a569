/** Picks sorted by expert: which rows each expert gets, and how what experts give is put back in the order of tokens and slots. */

import { Bug } from '../../diagnostics/bug.ts';
import { constant, type Dim, dim } from '../../graph/dim.ts';
import type { Node, Value } from '../../graph/graph.ts';
import { ndArray } from '../../graph/nd-array.ts';
import type { Onnx } from '../../graph/onnx.ts';

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
  const numbers = onnx.array(ndArray([n, 1], Array.from({ length: n }, (_, e) => e), 'i64'));
  const counts = onnx.ReduceSum(onnx.Cast(onnx.Equal(numbers, flat), { to: 7 }), onnx.ints([1]), { keepdims: 0 });
  return { order, places, sorted, counts };
}

/** The rows of an argument in the order of picks: [P, rest]. `arg` is [tokens.., rest], or [k, tokens.., rest] where `slotted`. */
export function gatherRows(onnx: Onnx, arg: Value, slotted: boolean, experts: Value, { order }: Picks): Value {
  const lead = (experts.type?.dims.length ?? 1) - 1;
  const rest = arg.type?.dims.slice(lead + (slotted ? 1 : 0)) ?? [];
  const k = constant(slotsOf(experts));
  const flat = onnx.Reshape(arg, onnx.ints([-1, ...sizes(rest)]));
  const slots = onnx.size(slotsOf(experts));
  const token = k === 1 ? order : onnx.Div(order, slots);
  if (!slotted || k === 1) return onnx.Gather(flat, token, { axis: 0 });
  const tokens = onnx.Div(onnx.Squeeze(onnx.Shape(order), onnx.ints([0])), slots);
  return onnx.Gather(flat, onnx.Add(onnx.Mul(onnx.Sub(order, onnx.Mul(token, slots)), tokens), token), { axis: 0 });
}

/** What experts gave, [P, out] in the order of picks, as the result of the segment. */
export function putBack(onnx: Onnx, all: Value, { attrs, outputs }: Node, experts: Value, weights: Value | undefined, { places }: Picks): Value {
  const lead = experts.type?.dims.slice(0, -1) ?? [];
  const out = attrs['out'] as readonly Dim[];
  const slots = slotsOf(experts);
  const k = constant(slots);
  const byPick = onnx.Gather(all, places, { axis: 0 });
  const summed = attrs['summed'] === true;
  if (k === 1 && !weights && summed) return onnx.Reshape(byPick, shapeOf(onnx, lead, out));
  const apart = onnx.Reshape(byPick, onnx.shape([dim(-1), slots, ...out]));
  if (!summed) {
    const rank = 2 + out.length;
    return onnx.Reshape(onnx.Transpose(apart, { perm: [1, 0, ...Array.from({ length: rank - 2 }, (_, i) => i + 2)] }), shapeOf(onnx, [slots, ...lead], out));
  }
  const weighted = weights ? onnx.Mul(apart, onnx.Reshape(weights, onnx.shape([dim(-1), slots, ...out.map(() => dim(1))]))) : apart;
  const total = k === 1 ? onnx.Squeeze(weighted, onnx.ints([1])) : onnx.ReduceSum(weighted, onnx.ints([1]), { keepdims: 0 });
  if (!outputs[0]) throw new Bug('a segment without a result');
  return onnx.Reshape(total, shapeOf(onnx, lead, out));
}

/** A shape whose first open size is left to `Reshape`. */
function shapeOf(onnx: Onnx, lead: readonly Dim[], out: readonly Dim[]): Value {
  const dims = [...lead, ...out];
  const open = dims.findIndex((size) => constant(size) === undefined);
  return onnx.shape(dims.map((size, i): Dim => (i === open ? dim(-1) : size)));
}

/** How many experts a token picks. */
function slotsOf(experts: Value): Dim {
  const slots = experts.type?.dims.at(-1);
  if (!slots) throw new Bug('experts without slots');
  return slots;
}

const sizes = (dims: readonly Dim[]): readonly number[] =>
  dims.map((size) => {
    const known = constant(size);
    if (known === undefined) throw new Bug('a row of open size');
    return known;
  });

