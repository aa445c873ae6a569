/** What a step is told about its rows: which columns are text and which are padding, and the position of every row. */

import { Bug } from '../diagnostics/bug.ts';
import type { GraphBuilder } from '../graph/builder.ts';
import { type Dim, dim, same, symbolsOf } from '../graph/dim.ts';
import { type Node, type Value, value } from '../graph/graph.ts';
import { scalar } from '../graph/nd-array.ts';
import { tensor } from '../graph/type.ts';
import { add, and, cast, gt, maximum, sub } from '../ops/elementwise.ts';
import { cumsum } from '../ops/reduce.ts';
import { range, size, unsqueeze } from '../ops/shape.ts';
import type { Positions } from './step.ts';

/** The sizes of a step: its rows, those before it, and both together. */
export interface StepSizes {
  readonly rows: Dim;
  readonly past: Dim;
  readonly total: Dim;
}

/** The inputs of a step, and the values computed from them, each once. */
export interface Padding {
  /** The axis of the batch; 1 where the model has none. */
  readonly batch: Dim;
  /** What stands for inputs of the whole graph. */
  readonly replaced: ReadonlyMap<Value, Value>;
  /** The position of each new row. */
  positions(build: GraphBuilder): Value;
  /** The position of each row so far. */
  keyPositions(build: GraphBuilder): Value;
  /** The inputs of a causal attention with padding kept out. */
  masked(node: Node, build: GraphBuilder): readonly (Value | undefined)[];
  /** The inputs in the order of files: tokens, mask, positions, the rest. */
  used(): readonly Value[];
}

/**
 * Inputs for a graph that takes `inputs`; an `attention_mask` or `position_ids` of the rows among them is the one that is used. Where these names
 * are those of another text, as in a model that reads one and writes another, those of a step begin with `decoder_` as the tokens do.
 */
export function padding(inputs: readonly Value[], { rows, past, total }: StepSizes, kind: Positions): Padding {
  const [name] = symbolsOf(rows);
  const hasRows = (one: Value): boolean => one.type?.dims.some((size) => same(size, rows)) ?? false;
  const main = inputs.find((one) => one.name === 'input_ids' && hasRows(one)) ?? inputs.find(hasRows);
  if (!main?.type || name === undefined) throw new Bug('no input has rows');
  const lead = main.type.dims.slice(
    0,
    main.type.dims.findIndex((size) => same(size, rows)),
  );
  const prefix = main.name.startsWith('decoder_') ? 'decoder_' : '';
  const given = (own: string): Value | undefined => inputs.find((one) => one.name === prefix + own && hasRows(one));
  const [givenMask, givenPositions] = [given('attention_mask'), given('position_ids')];
  const mask = value(`${prefix}attention_mask`, tensor(givenMask?.type?.dtype ?? 'i64', [...lead, total]));
  const places = givenPositions ?? value(`${prefix}position_ids`, tensor('i64', [...lead, rows]));
  let wanted = givenPositions !== undefined;
  const once = <T>(make: (build: GraphBuilder) => T): ((build: GraphBuilder) => T) => {
    let made: T | undefined;
    return (build) => (made ??= make(build));
  };
  const isText = once((build) => (mask.type?.dtype === 'bool' ? mask : build.one(gt, [mask, build.constant(scalar(0, mask.type?.dtype ?? 'i64'), 'zero')], {}, 'is_text')));
  const counted = once((build) => {
    const ones = mask.type?.dtype === 'i64' ? mask : build.one(cast, [isText(build)], { to: 'i64' });
    const before = build.one(sub, [build.one(cumsum, [ones], { axis: -1 }, 'texts'), build.constant(scalar(1, 'i64'), 'one')], {}, 'key_positions');
    return build.one(maximum, [before, build.constant(scalar(0, 'i64'), 'zero')], {}, 'key_positions');
  });
  const fromPast = once((build) => build.one(add, [build.one(range, [], { n: rows }, 'rows'), build.one(size, [], { n: past }, 'past')], {}, 'positions'));
  const fromZero = once((build) => build.one(range, [], { n: total }, 'key_positions'));
  return {
    batch: lead[0] ?? dim(1),
    replaced: new Map(givenMask ? [[givenMask, mask]] : []),
    positions(build) {
      if (kind === 'batch') return fromPast(build);
      wanted = true;
      return places;
    },
    keyPositions: (build) => (kind === 'batch' ? fromZero : counted)(build),
    masked(node, build) {
      const [q, k, v, keep, ...rest] = node.inputs;
      const leads = (q?.type?.dims ?? []).slice(0, -3);
      return [q, k, v, joined(isText(build), keep, leads, rows, build), ...rest];
    },
    used: () => [main, mask, ...(wanted ? [places] : []), ...inputs.filter((one) => one !== main && one !== givenMask && one !== givenPositions)],
  };
}

/** The columns that are text, and what the author keeps of them, as one `keep`. Axes of size 1 stand for leading axes before and after the batch, rows and heads. */
function joined(text: Value, keep: Value | undefined, lead: readonly Dim[], rows: Dim, build: GraphBuilder): Value {
  const leads = lead.length;
  const widen = (one: Value, at: number, count: number): Value =>
    Array.from({ length: Math.max(count, 0) }).reduce<Value>((wide) => build.one(unsqueeze, [wide], { axis: at }, one.name), one);
  const [batch, ...more] = text.type?.dims ?? [];
  const front =
    batch && more.length > 0
      ? Math.max(
          0,
          lead.findIndex((size) => same(size, batch)),
        )
      : 0;
  const fronted = widen(text, 0, front);
  const columns = widen(fronted, front + 1, leads + 1 - (fronted.type?.dims.length ?? 0));
  const own = keep?.type?.dims ?? [];
  if (!keep) return columns;
  const byRows = own.length === 2 && same(own[0] ?? -1, rows);
  const wide = byRows ? widen(keep, 0, leads) : keep;
  const rank = wide.type?.dims.length ?? 0;
  return build.one(and, [widen(columns, leads, rank - leads - 1), wide], {}, 'keep');
}
