/** What type rules say of arguments that do not fit: one row per fault, and a row for every code they have. */

import { expect, test } from 'vitest';
import { type Code, catalog, type Entry } from '../src/diagnostics/catalog.ts';
import { types as codes } from '../src/diagnostics/catalog/types.ts';
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
  readonly port?: string;
  readonly fix?: string;
}

const rows: readonly Row[] = [
  { op: 'matmul', inputs: [f32(B, S, H), f32(D, H)], code: 'inner-sizes-differ', says: 'cannot multiply [B, S, H] by [D, H]', port: 'b', fix: 'the right side is stored the other way around: add `.T`' },
  { op: 'matmul', inputs: [f32(B, S, H), f32(D, 7)], code: 'inner-sizes-differ', says: 'cannot multiply [B, S, H] by [D, 7]', port: 'b' },
  { op: 'matmul', inputs: [f32(B, 2, 3), f32(S, 3, 2)], code: 'sizes-differ', says: 'matmul: [B] and [S] do not line up, B is not S', port: 'b' },
  { op: 'add', inputs: [f32(B, S, D), f32(B, S)], code: 'sizes-differ', says: 'add: [B, S, D] and [B, S] do not line up, D is not S', port: 'b', fix: 'add an axis at the end: `…[.., new]`' },
  { op: 'mul', inputs: [f32(B, S), f32(B, D)], code: 'sizes-differ', says: 'mul: [B, S] and [B, D] do not line up, S is not D', port: 'b' },
  { op: 'mul', inputs: [of('i64', S), f32(S)], code: 'dtypes-differ', says: 'mul: i64[S] and [S] are different element types', port: 'b', fix: 'convert i64[S]: `f32(…)`' },
  { op: 'lt', inputs: [f32(S), of('i64', S)], code: 'dtypes-differ', says: 'lt: [S] and i64[S] are different element types', port: 'b', fix: 'convert i64[S]: `f32(…)`' },
  { op: 'softmax', inputs: [of('i64', B, S)], code: 'wrong-dtype', says: 'softmax takes floats, not i64[B, S]', port: 'x', fix: 'convert it: `f32(…)`' },
  { op: 'where', inputs: [f32(S), f32(S), f32(S)], code: 'wrong-dtype', says: 'where takes bool, not [S]', port: 'c', fix: 'compare it: `… > 0`' },
  { op: 'gather', inputs: [f32(9, D), f32(B, S)], code: 'wrong-dtype', says: 'gather takes indices (i64), not [B, S]', port: 'ids', fix: 'convert it: `i64(…)`' },
  { op: 'add', inputs: [of('bool', S), of('bool', S)], code: 'wrong-dtype', says: 'add takes numbers, not bool[S]', port: 'a', fix: 'convert it: `f32(…)`' },
  { op: 'transpose', inputs: [f32(D)], code: 'too-few-axes', says: '`.T` needs at least 2 axes, [D] has 1', port: 'x' },
  { op: 'sum', inputs: [f32(B, S, D)], attrs: { axis: 3 }, code: 'no-such-axis', says: '[B, S, D] has no axis 3', port: 'x' },
  { op: 'unsqueeze', inputs: [f32(B)], attrs: { axis: -3 }, code: 'no-such-axis', says: '[B] has no axis -3', port: 'x' },
  { op: 'split_heads', inputs: [f32(B, S, D)], attrs: { heads: dim(7) }, code: 'does-not-divide', says: 'D = 576 does not divide into 7 heads', port: 'x' },
  { op: 'split', inputs: [f32(B, D)], attrs: { count: 5 }, code: 'does-not-divide', says: 'D = 576 does not divide into 5 equal parts', port: 'x', fix: 'give the sizes as a list' },
  { op: 'split', inputs: [f32(B, D)], attrs: { sizes: [dim(512), dim(128)] }, code: 'split-sizes-wrong', says: 'the parts [512, 128] add up to 640, the axis has D = 576', port: 'x' },
  { op: 'split', inputs: [f32(B, D)], code: 'split-needs-parts', says: '`split` takes a number of parts or a list of sizes', port: 'x' },
  { op: 'split', inputs: [f32(B, D)], attrs: { count: 2, sizes: [dim(288), dim(288)] }, code: 'split-needs-parts', says: '`split` takes a number of parts or a list of sizes', port: 'x' },
  { op: 'reshape', inputs: [f32(B, S, D)], attrs: { dims: [B, S, dim(5)] }, code: 'element-count-differs', says: 'cannot reshape [B, S, D] to [B, S, 5]: 576 * B * S elements are not 5 * B * S', port: 'x' },
  { op: 'permute', inputs: [f32(B, S, D)], attrs: { order: [0, 2] }, code: 'not-a-permutation', says: '[0, 2] does not order the 3 axes of [B, S, D]', port: 'x' },
  { op: 'permute', inputs: [f32(B, S)], attrs: { order: [0, 0] }, code: 'not-a-permutation', says: '[0, 0] does not order the 2 axes of [B, S]', port: 'x' },
  { op: 'squeeze', inputs: [f32(B, S)], attrs: { axis: 1 }, code: 'axis-is-not-one', says: 'axis 1 of [B, S] has size S, only an axis of size 1 can be dropped', port: 'x' },
  { op: 'slice', inputs: [f32(S, 64)], attrs: { axis: -1, from: dim(0), to: dim(65) }, code: 'slice-out-of-range', says: '0..65 is not a range of an axis of size 64', port: 'x' },
  { op: 'slice', inputs: [f32(S)], attrs: { axis: 0, from: dim(3), to: dim(2) }, code: 'slice-out-of-range', says: '3..2 is not a range of an axis of size S', port: 'x' },
  { op: 'broadcast', inputs: [f32(S, D)], attrs: { dims: [dim(8), D] }, code: 'cannot-broadcast', says: '[S, D] cannot be repeated to [8, D]', port: 'x' },
  { op: 'broadcast', inputs: [f32(2, D)], attrs: { dims: [D] }, code: 'cannot-broadcast', says: '[2, D] cannot be repeated to [D]', port: 'x' },
  { op: 'concat', inputs: [f32(B, S, D), f32(D)], code: 'ranks-differ', says: 'concat: [B, S, D] and [D] have different numbers of axes', port: 'parts' },
  { op: 'concat', inputs: [f32(B, D), f32(S, D)], code: 'sizes-differ', says: 'concat: [B, D] and [S, D] do not line up, B is not S', port: 'parts' },
  { op: 'concat', inputs: [], code: 'nothing-to-join', says: '`concat` needs at least one part', port: 'parts' },
  { op: 'top', inputs: [f32(B, 8)], attrs: { k: dim(16) }, code: 'picks-too-many', says: 'cannot pick 16 of 8', port: 'x' },
  { op: 'top', inputs: [f32(B, 8)], attrs: { k: dim(0) }, code: 'picks-too-many', says: 'cannot pick 0 of 8', port: 'x' },
  { op: 'take', inputs: [f32(B, S, 8), of('i64', S, S, 2)], code: 'leading-axes-differ', says: 'take: i64[S, S, 2] does not begin with the leading axes of [B, S, 8]', port: 'ids' },
  { op: 'cross_entropy', inputs: [f32(B, S, 9), of('i64', B)], code: 'leading-axes-differ', says: 'cross_entropy: i64[B] does not begin with the leading axes of [B, S, 9]', port: 'labels' },
  { op: 'take', inputs: [f32(B, 8), of('i64', B)], code: 'ranks-differ', says: 'take: [B, 8] and i64[B] have different numbers of axes', port: 'ids' },
  { op: 'scatter_add', inputs: [of('i64', B, 4, 2), f32(B, 2, D)], attrs: { n: S }, code: 'scatter-shapes-differ', says: 'each of i64[B, 4, 2] needs a row of [B, 2, D]', port: 'y' },
  { op: 'rms_norm', inputs: [f32(S, 64), f32(32)], code: 'gain-does-not-fit', says: 'rms_norm: gain is [32], the last axis has 64', port: 'gain' },
  { op: 'layer_norm', inputs: [f32(S, 64), f32(64), f32(1, 64)], code: 'gain-does-not-fit', says: 'layer_norm: bias is [1, 64], the last axis has 64', port: 'bias' },
  { op: 'attend', inputs: [f32(B, 9, S, 64), f32(B, 2, S, 64), f32(B, 2, S, 64)], code: 'heads-do-not-group', says: '9 query heads cannot share 2 heads of keys and values', port: 'k' },
  { op: 'attend', inputs: [f32(B, 8, S, 64), f32(B, 8, S, 32), f32(B, 8, S, 64)], code: 'attention-shapes-differ', says: 'queries [B, 8, S, 64], keys [B, 8, S, 32] and values [B, 8, S, 64] do not fit: queries are 64 wide, keys 32', port: 'k' },
  { op: 'attend', inputs: [f32(B, 8, S, 64), f32(B, 8, S, 64), f32(S, 64)], code: 'attention-shapes-differ', says: 'queries [B, 8, S, 64], keys [B, 8, S, 64] and values [S, 64] do not fit: values need heads, positions and a width', port: 'v' },
  { op: 'attend', inputs: [f32(B, 8, S, 64), f32(B, 8, S, 64), f32(B, 8, 1, 64)], code: 'attention-shapes-differ', says: 'queries [B, 8, S, 64], keys [B, 8, S, 64] and values [B, 8, 1, 64] do not fit: there are S keys and 1 values', port: 'v' },
  { op: 'attend', inputs: [f32(B, 8, S, 64), f32(S, 8, S, 64), f32(S, 8, S, 64)], code: 'attention-shapes-differ', says: 'queries [B, 8, S, 64], keys [S, 8, S, 64] and values [S, 8, S, 64] do not fit: the axes in front differ', port: 'k' },
  { op: 'attend', inputs: [f32(B, 8, S, 64), f32(B, 8, S, 64), f32(B, 8, S, 64), of('bool', S, B)], code: 'mask-does-not-fit', says: 'keep is bool[S, B], attention here is over [B, 8, S, S]', port: 'keep' },
  { op: 'attend', inputs: [f32(B, 8, S, 64), f32(B, 8, S, 64), f32(B, 8, S, 64), of('i64', B, S)], code: 'wrong-dtype', says: 'attend takes bool, not i64[B, S]', port: 'keep', fix: 'compare it: `… > 0`' },
  { op: 'attend', inputs: [f32(B, 8, S, 64), f32(B, 8, S, 64), f32(B, 8, S, 64), undefined, undefined, f32(4)], code: 'mask-does-not-fit', says: 'sinks is [4], attention here is over [B, 8, S, S]', port: 'sinks' },
  { op: 'attend', inputs: [f32(B, 8, S, 64), f32(B, 8, S, 64), f32(B, 8, S, 64)], attrs: { window: 0 }, code: 'setting-out-of-range', says: 'window must be at least 1, not 0', port: 'q' },
  { op: 'rope', inputs: [f32(B, 8, S, 64), f32(64)], code: 'rotation-too-wide', says: '[64] frequencies turn 128 numbers, [B, 8, S, 64] ends in 64', port: 'frequencies' },
  { op: 'rope', inputs: [f32(B, 8, S, 64), f32(32), of('i64', B)], code: 'positions-do-not-fit', says: 'i64[B] does not give a position for each row of [B, 8, S, 64]', port: 'positions' },
  { op: 'rope', inputs: [f32(B, 8, S, 64), f32(32)], attrs: { pairs: 'interleaved' }, code: 'unknown-choice', says: 'pairs is "half" or "adjacent", not "interleaved"', port: 'x' },
  { op: 'sinusoid', inputs: [of('i64', S)], attrs: { width: S }, code: 'size-must-be-known', says: 'sinusoid needs its width as a number, S is known only at run time', port: 'positions' },
  { op: 'sinusoid', inputs: [of('i64', S)], attrs: { width: dim(5) }, code: 'setting-out-of-range', says: 'width must be even, not 5', port: 'positions' },
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
