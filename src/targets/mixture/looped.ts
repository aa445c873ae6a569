/** A segment as one `Loop` over the experts that were picked, each with its slice of the stacked weights: a graph of the same size for any number of experts. */

import { type Value, value } from '../../graph/graph.ts';
import { ndArray } from '../../graph/nd-array.ts';
import { tensor } from '../../graph/type.ts';
import type { Lowering, LoweringContext } from '../target.ts';
import { gatherRows, type Picks, putBack, sortPicks } from './picks.ts';
import { applyGraph, type Kind, knownSizes, present, readSegment, type Segment } from './segment.ts';

/** Lowers a segment; the rows that come out are appended expert by expert, which is the order of sorted picks. */
export const looped: Lowering = (node, context, old) => {
  const { onnx } = context;
  const segment = readSegment(node, old);
  const picks = sortPicks(onnx, segment.experts, segment.n);
  const sorted = segment.rows.map((row) => gatherRows(onnx, row.value, row.slotted, segment, picks));
  const ends = onnx.CumSum(picks.counts, onnx.scalar(0, 'i64'));
  const bounds = { starts: onnx.Sub(ends, picks.counts), ends };
  const none = onnx.array(ndArray([0, ...knownSizes(segment.out)], []));
  const all = segment.kinds.reduce<Value>((done, kind, i) => loop({ context, segment, sorted, picks, ...bounds }, kind, `${segment.name}/${i}`, done), none);
  return [putBack(onnx, all, segment, picks)];
};

/** What the loops of one segment share. */
interface Scene {
  readonly context: LoweringContext;
  readonly segment: Segment;
  readonly sorted: readonly Value[];
  readonly picks: Picks;
  /** i64 [n]: where the rows of each expert begin and end. */
  readonly starts: Value;
  readonly ends: Value;
}

/** Appends what the picked experts of one kind give to `done`. */
function loop({ context, segment, sorted, picks, starts, ends }: Scene, kind: Kind, name: string, done: Value): Value {
  const { onnx } = context;
  const numbers = onnx.array(
    ndArray(
      [segment.n],
      Array.from({ length: segment.n }, (_, e) => (e >= kind.from && e < kind.from + kind.count ? 1 : 0)),
      'i64',
    ),
  );
  const active = onnx.Reshape(onnx.NonZero(onnx.Mul(picks.counts, numbers)), onnx.ints([-1]));
  const turn = value(`${name}/turn`, tensor('i64', []));
  const going = value(`${name}/going`, tensor('bool', []));
  const before = value(`${name}/before`);
  const body = context.branch(
    name,
    (inside) => {
      const own = inside.onnx;
      const e = own.Gather(active, own.Reshape(turn, own.ints([1])), { axis: 0 });
      const from = own.Gather(starts, e, { axis: 0 });
      const to = own.Gather(ends, e, { axis: 0 });
      const at = own.Squeeze(own.Sub(e, own.ints([kind.from])), own.ints([0]));
      const rows = sorted.map((one) => own.Slice(one, from, to, own.ints([0])));
      const weights = kind.stacked.map((one) => own.Gather(one, at, { axis: 0 }));
      return [own.Identity(going), own.Concat(before, applyGraph(inside, kind.body, [...rows, ...weights]), { axis: 0 })];
    },
    [turn, going, before],
  );
  const [all] = onnx.all('Loop', [onnx.Size(active), onnx.array(ndArray([], [1], 'bool')), done], {}, 1, { bodies: { body } });
  return present(all);
}
