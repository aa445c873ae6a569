/** What type rules say of arguments that do not fit: one row per fault, and a row for every code they have. */

import { expect, test } from 'vitest';
import { types as codes } from '../src/diagnostics/catalog/types.ts';
import { type Code, catalog, type Entry } from '../src/diagnostics/catalog.ts';
import { fill } from '../src/diagnostics/template.ts';
import { withDefaults } from '../src/graph/builder.ts';
import { type DimLike, dim, relabel, symbol } from '../src/graph/dim.ts';
import { TypeFault } from '../src/graph/fail.ts';
import type { Attr } from '../src/graph/op.ts';
import { type DType, type TensorType, tensor } from '../src/graph/type.ts';
import { ops } from '../src/ops/index.ts';

const B = symbol('B');
const S = symbol('S');
const D = relabel(dim(576), 'D');
const H = relabel(dim(1536), 'H');

const f32 = (...dims: readonly DimLike[]): TensorType => tensor('f32', dims);
const of = (dtype: DType, ...dims: readonly DimLike[]): TensorType => tensor(dtype, dims);

interface Row {
  readonly op: string;
  readonly inputs: readonly (TensorType | undefined)[];
  readonly attrs?: Readonly<Record<string, Attr>>;
  readonly code: Code;
  readonly says: string;
  readonly port: string;
  readonly fix?: string;
}

function row(op: string, inputs: Row['inputs'], port: string, code: Code, says: string, rest: Pick<Row, 'attrs' | 'fix'> = {}): Row {
  return { op, inputs, port, code, says, ...rest };
}

const rows: readonly Row[] = [
  row('matmul', [f32(B, S, H), f32(D, H)], 'b', 'inner-sizes-differ', 'cannot multiply [B, S, H] by [D, H]', { fix: 'the right side is stored the other way around: add `.T`' }),
  row('matmul', [f32(B, S, H), f32(D, 7)], 'b', 'inner-sizes-differ', 'cannot multiply [B, S, H] by [D, 7]'),
  row('matmul', [f32(B, 2, 3), f32(S, 3, 2)], 'b', 'sizes-differ', 'matmul: [B] and [S] do not line up, B is not S'),
  row('add', [f32(B, S, D), f32(B, S)], 'b', 'sizes-differ', 'add: [B, S, D] and [B, S] do not line up, D is not S', { fix: 'add an axis at the end: `…[.., new]`' }),
  row('mul', [f32(B, S), f32(B, D)], 'b', 'sizes-differ', 'mul: [B, S] and [B, D] do not line up, S is not D'),
  row('mul', [of('i64', S), f32(S)], 'b', 'dtypes-differ', 'mul: i64[S] and [S] are different element types', { fix: 'convert i64[S]: `f32(…)`' }),
  row('lt', [f32(S), of('i64', S)], 'b', 'dtypes-differ', 'lt: [S] and i64[S] are different element types', { fix: 'convert i64[S]: `f32(…)`' }),
  row('softmax', [of('i64', B, S)], 'x', 'wrong-dtype', 'softmax takes floats, not i64[B, S]', { fix: 'convert it: `f32(…)`' }),
  row('where', [f32(S), f32(S), f32(S)], 'c', 'wrong-dtype', 'where takes bool, not [S]', { fix: 'compare it: `… > 0`' }),
  row('gather', [f32(9, D), f32(B, S)], 'ids', 'wrong-dtype', 'gather takes indices (i64), not [B, S]', { fix: 'convert it: `i64(…)`' }),
  row('add', [of('bool', S), of('bool', S)], 'a', 'wrong-dtype', 'add takes numbers, not bool[S]', { fix: 'convert it: `f32(…)`' }),
  row('transpose', [f32(D)], 'x', 'too-few-axes', '`.T` needs at least 2 axes, [D] has 1'),
  row('sum', [f32(B, S, D)], 'x', 'no-such-axis', '[B, S, D] has no axis 3', { attrs: { axis: 3 } }),
  row('unsqueeze', [f32(B)], 'x', 'no-such-axis', '[B] has no axis -3', { attrs: { axis: -3 } }),
  row('split_heads', [f32(B, S, D)], 'x', 'does-not-divide', 'D = 576 does not divide into 7 heads', { attrs: { heads: dim(7) } }),
  row('split', [f32(B, D)], 'x', 'does-not-divide', 'D = 576 does not divide into 5 equal parts', { attrs: { count: 5 }, fix: 'give the sizes as a list' }),
  row('split', [f32(B, D)], 'x', 'split-sizes-wrong', 'the parts [512, 128] add up to 640, the axis has D = 576', { attrs: { sizes: [dim(512), dim(128)] } }),
  row('split', [f32(B, D)], 'x', 'split-needs-parts', '`split` takes a number of parts or a list of sizes'),
  row('split', [f32(B, D)], 'x', 'split-needs-parts', '`split` takes a number of parts or a list of sizes', { attrs: { count: 2, sizes: [dim(288), dim(288)] } }),
  row('reshape', [f32(B, S, D)], 'x', 'element-count-differs', 'cannot reshape [B, S, D] to [B, S, 5]: 576 * B * S elements are not 5 * B * S', {
    attrs: { dims: [B, S, dim(5)] },
  }),
  row('permute', [f32(B, S, D)], 'x', 'not-a-permutation', '[0, 2] does not order the 3 axes of [B, S, D]', { attrs: { order: [0, 2] } }),
  row('permute', [f32(B, S)], 'x', 'not-a-permutation', '[0, 0] does not order the 2 axes of [B, S]', { attrs: { order: [0, 0] } }),
  row('squeeze', [f32(B, S)], 'x', 'axis-is-not-one', 'axis 1 of [B, S] has size S, only an axis of size 1 can be dropped', { attrs: { axis: 1 } }),
  row('slice', [f32(S, 64)], 'x', 'slice-out-of-range', '0..65 is not a range of an axis of size 64', { attrs: { axis: -1, from: dim(0), to: dim(65) } }),
  row('slice', [f32(S)], 'x', 'slice-out-of-range', '3..2 is not a range of an axis of size S', { attrs: { axis: 0, from: dim(3), to: dim(2) } }),
  row('broadcast', [f32(S, D)], 'x', 'cannot-broadcast', '[S, D] cannot be repeated to [8, D]', { attrs: { dims: [dim(8), D] } }),
  row('broadcast', [f32(2, D)], 'x', 'cannot-broadcast', '[2, D] cannot be repeated to [D]', { attrs: { dims: [D] } }),
  row('concat', [f32(B, S, D), f32(D)], 'parts', 'ranks-differ', 'concat: [B, S, D] and [D] have different numbers of axes'),
  row('concat', [f32(B, D), f32(S, D)], 'parts', 'sizes-differ', 'concat: [B, D] and [S, D] do not line up, B is not S'),
  row('concat', [], 'parts', 'nothing-to-join', '`concat` needs at least one part'),
  row('top', [f32(B, 8)], 'x', 'picks-too-many', 'cannot pick 16 of 8', { attrs: { k: dim(16) } }),
  row('top', [f32(B, 8)], 'x', 'picks-too-many', 'cannot pick 0 of 8', { attrs: { k: dim(0) } }),
  row('take', [f32(B, S, 8), of('i64', S, S, 2)], 'ids', 'leading-axes-differ', 'take: i64[S, S, 2] does not begin with the leading axes of [B, S, 8]'),
  row('cross_entropy', [f32(B, S, 9), of('i64', B)], 'labels', 'leading-axes-differ', 'cross_entropy: i64[B] does not begin with the leading axes of [B, S, 9]'),
  row('take', [f32(B, 8), of('i64', B)], 'ids', 'ranks-differ', 'take: [B, 8] and i64[B] have different numbers of axes'),
  row('scatter_add', [of('i64', B, 4, 2), f32(B, 2, D)], 'y', 'scatter-shapes-differ', 'each of i64[B, 4, 2] needs a row of [B, 2, D]', { attrs: { n: S } }),
  row('rms_norm', [f32(S, 64), f32(32)], 'gain', 'gain-does-not-fit', 'rms_norm: gain is [32], the last axis has 64'),
  row('layer_norm', [f32(S, 64), f32(64), f32(1, 64)], 'bias', 'gain-does-not-fit', 'layer_norm: bias is [1, 64], the last axis has 64'),
  row('attend', [f32(B, 9, S, 64), f32(B, 2, S, 64), f32(B, 2, S, 64)], 'k', 'heads-do-not-group', '9 query heads cannot share 2 heads of keys and values'),
  row(
    'attend',
    [f32(B, 8, S, 64), f32(B, 8, S, 32), f32(B, 8, S, 64)],
    'k',
    'attention-shapes-differ',
    'queries [B, 8, S, 64], keys [B, 8, S, 32] and values [B, 8, S, 64] do not fit: queries are 64 wide, keys 32',
  ),
  row(
    'attend',
    [f32(B, 8, S, 64), f32(B, 8, S, 64), f32(S, 64)],
    'v',
    'attention-shapes-differ',
    'queries [B, 8, S, 64], keys [B, 8, S, 64] and values [S, 64] do not fit: values need heads, positions and a width',
  ),
  row(
    'attend',
    [f32(B, 8, S, 64), f32(B, 8, S, 64), f32(B, 8, 1, 64)],
    'v',
    'attention-shapes-differ',
    'queries [B, 8, S, 64], keys [B, 8, S, 64] and values [B, 8, 1, 64] do not fit: there are S keys and 1 values',
  ),
  row(
    'attend',
    [f32(B, 8, S, 64), f32(S, 8, S, 64), f32(S, 8, S, 64)],
    'k',
    'attention-shapes-differ',
    'queries [B, 8, S, 64], keys [S, 8, S, 64] and values [S, 8, S, 64] do not fit: the axes in front differ',
  ),
  row('attend', [f32(B, 8, S, 64), f32(B, 8, S, 64), f32(B, 8, S, 64), of('bool', S, B)], 'keep', 'mask-does-not-fit', 'keep is bool[S, B], attention here is over [B, 8, S, S]'),
  row('attend', [f32(B, 8, S, 64), f32(B, 8, S, 64), f32(B, 8, S, 64), of('i64', B, S)], 'keep', 'wrong-dtype', 'attend takes bool, not i64[B, S]', { fix: 'compare it: `… > 0`' }),
  row(
    'attend',
    [f32(B, 8, S, 64), f32(B, 8, S, 64), f32(B, 8, S, 64), undefined, undefined, f32(4)],
    'sinks',
    'mask-does-not-fit',
    'sinks is [4], attention here is over [B, 8, S, S]',
  ),
  row('attend', [f32(B, 8, S, 64), f32(B, 8, S, 64), f32(B, 8, S, 64)], 'q', 'setting-out-of-range', 'window must be at least 1, not 0', { attrs: { window: 0 } }),
  row('rope', [f32(B, 8, S, 64), f32(64)], 'frequencies', 'rotation-too-wide', '[64] frequencies turn 128 numbers, [B, 8, S, 64] ends in 64'),
  row('rope', [f32(B, 8, S, 64), f32(32), of('i64', B)], 'positions', 'positions-do-not-fit', 'i64[B] does not give a position for each row of [B, 8, S, 64]'),
  row('rope', [f32(B, 8, S, 64), f32(32)], 'x', 'unknown-choice', 'pairs is "half" or "adjacent", not "interleaved"', { attrs: { pairs: 'interleaved' } }),
  row('sinusoid', [of('i64', S)], 'positions', 'size-must-be-known', 'sinusoid needs its width as a number, S is known only at run time', { attrs: { width: S } }),
  row('sinusoid', [of('i64', S)], 'positions', 'setting-out-of-range', 'width must be even, not 5', { attrs: { width: dim(5) } }),
];

test.each(rows)('$op: $says', ({ op: name, inputs, attrs, code, says, port, fix }) => {
  const op = ops.get(name);
  if (!op) throw new Error(`no op ${name}`);
  try {
    op.type(inputs, withDefaults(op, attrs ?? {}));
  } catch (fault) {
    if (!(fault instanceof TypeFault)) throw fault;
    const entry: Entry = catalog[fault.code];
    expect({ code: fault.code, says: fill(entry.message, fault.holes), port: fault.port, fix: fault.fix }).toEqual({ code, says, port, fix });
    return;
  }
  throw new Error('the rule finds nothing wrong');
});

test('every code of the type rules is met', () => {
  const met = new Set<string>(rows.map(({ code }) => code));
  expect(Object.keys(codes).filter((code) => !met.has(code))).toEqual([]);
});
