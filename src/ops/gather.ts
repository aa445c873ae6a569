/** Picking by index: rows of a table, elements of the last axis, the largest ones; and adding back to where they were picked. */

import { constant, type Dim, dim, product, same } from '../graph/dim.ts';
import { fail } from '../graph/fail.ts';
import type { Value } from '../graph/graph.ts';
import { count, type NdArray, ndArray } from '../graph/nd-array.ts';
import { type Builder, defineOp, type Op, type Sample } from '../graph/op.ts';
import { spellType, type TensorType } from '../graph/type.ts';
import { mapLanes } from './arrays.ts';
import { numbersBelow } from './counting.ts';
import { only, typeOf } from './gradients.ts';
import { onnxTypes } from './onnx-types.ts';
import { needAxes, needIndices, needNumber, spellValue } from './rules.ts';
import { reshape, squeeze, unsqueeze } from './shape.ts';

const ids = (dims: readonly number[], values: readonly number[]): NdArray => ndArray(dims, values, 'i64');

/** Faults unless `indices` begins with the first `lead` axes of x. */
function needLead(op: string, x: TensorType, indices: TensorType, lead: number, port: string): void {
  const fits = indices.dims.length >= lead && x.dims.slice(0, lead).every((size, i) => same(size, indices.dims[i] ?? -1));
  if (!fits) fail('leading-axes-differ', { op, indices: spellType(indices), type: spellType(x) }, port);
}

/** Row `index` of `rows` rows of `width` numbers, counted from the end where negative, as ONNX has it. */
const rowAt = (index: number, rows: number): number => (index < 0 ? index + rows : index);

export const gather: Op = defineOp({
  name: 'gather',
  doc: 'The rows of a table that the ids name: table [V, ..], ids [I..] to [I.., ..].',
  inputs: ['table', 'ids'],
  type: ({ table, ids: picks }) => {
    needAxes('gather', table, 1, 'table');
    needIndices('gather', picks, 'ids');
    return { dtype: table.dtype, dims: [...picks.dims, ...table.dims.slice(1)] };
  },
  eval: ({ table, ids: picks }) => {
    const [rows = 1, ...rest] = table.dims;
    const width = count(rest);
    const data = new Float64Array(picks.data.length * width);
    picks.data.forEach((index, i) => {
      const from = rowAt(index, rows) * width;
      data.set(table.data.subarray(from, from + width), i * width);
    });
    return ndArray([...picks.dims, ...rest], data, table.dtype);
  },
  grad: ({ table, ids: picks }, _, { dy }, build) => {
    const { dims } = typeOf(table);
    const [rows = dim(1), ...rest] = dims;
    const flat = build.one(reshape, [picks], { dims: [product(typeOf(picks).dims)] });
    const grads = build.one(reshape, [only(dy)], { dims: [product(typeOf(picks).dims), product(rest)] });
    return { table: build.one(reshape, [build.one(scatter_add, [flat, grads], { n: rows, lead: 0 })], { dims }) };
  },
  lower: ({ table, ids: picks }, onnx) => onnx.Gather(table, picks, { axis: 0 }),
  samples: [
    { inputs: { table: [5, 3], ids: ids([2, 2], [0, 4, 4, 1]) } },
    { inputs: { table: [5], ids: ids([3], [2, 0, 2]) } },
    { inputs: { table: [4, 2, 3], ids: ids([2], [3, 0]) } },
    { inputs: { table: [4, 2], ids: ids([], [2]) } },
  ],
});

export const take: Op = defineOp({
  name: 'take',
  doc: 'The elements of the last axis that the ids name: x [.., n], ids [.., k] to [.., k].',
  inputs: ['x', 'ids'],
  type: ({ x, ids: picks }) => {
    needAxes('take', x, 1);
    needIndices('take', picks, 'ids');
    needLead('take', x, picks, x.dims.length - 1, 'ids');
    if (picks.dims.length !== x.dims.length) fail('ranks-differ', { op: 'take', left: spellType(x), right: spellType(picks) }, 'ids');
    return { dtype: x.dtype, dims: picks.dims };
  },
  eval: ({ x, ids: picks }) => {
    const [n, k] = [x.dims.at(-1) ?? 1, picks.dims.at(-1) ?? 1];
    return ndArray(
      picks.dims,
      picks.data.map((index, i) => x.data[Math.floor(i / k) * n + rowAt(index, n)] ?? Number.NaN),
      x.dtype,
    );
  },
  grad: ({ x, ids: picks }, _, { dy }, build) => {
    const { dims } = typeOf(x);
    const added = build.one(scatter_add, [picks, build.one(unsqueeze, [only(dy)], { axis: -1 })], { n: dims.at(-1) ?? dim(1), lead: dims.length - 1 });
    return { x: build.one(squeeze, [added], { axis: -1 }) };
  },
  lower: ({ x, ids: picks }, onnx) => onnx.GatherElements(x, picks, { axis: typeOf(x).dims.length - 1 }),
  samples: [
    { inputs: { x: [2, 5], ids: ids([2, 2], [4, 0, 1, 1]) } },
    { inputs: { x: [4], ids: ids([3], [3, 3, 0]) } },
    { inputs: { x: [2, 2, 3], ids: ids([2, 2, 1], [0, 1, 2, 0]) } },
  ],
});

export const rows: Op = defineOp({
  name: 'rows',
  doc: 'The rows that t names within each leading position: x [L.., S, D], t [L.., ..] to [L.., .., D].',
  inputs: ['x', 't'],
  type: ({ x, t }) => {
    needAxes('rows', x, 2);
    needIndices('rows', t, 't');
    needLead('rows', x, t, x.dims.length - 2, 't');
    return { dtype: x.dtype, dims: [...t.dims, ...x.dims.slice(-1)] };
  },
  eval: ({ x, t }) => {
    const [lead, s, d] = [count(x.dims.slice(0, -2)), x.dims.at(-2) ?? 1, x.dims.at(-1) ?? 1];
    const each = t.data.length / Math.max(lead, 1);
    const data = new Float64Array(t.data.length * d);
    t.data.forEach((index, i) => {
      const from = (Math.floor(i / each) * s + rowAt(index, s)) * d;
      data.set(x.data.subarray(from, from + d), i * d);
    });
    return ndArray([...t.dims, d], data, x.dtype);
  },
  grad: ({ x, t }, _, { dy }, build) => ({ x: addedBack(build, t, only(dy), typeOf(x).dims) }),
  lower: ({ x, t }, onnx) => {
    const lead = typeOf(x).dims.length - 2;
    return lead === 0 ? onnx.Gather(x, t, { axis: 0 }) : onnx.GatherND(x, onnx.Unsqueeze(t, onnx.ints([-1])), { batch_dims: lead });
  },
  samples: [
    { inputs: { x: [4, 3], t: ids([2], [3, 0]) } },
    { inputs: { x: [2, 4, 3], t: ids([2, 2], [3, 0, 1, 1]) } },
    { inputs: { x: [2, 4, 3], t: ids([2, 3, 2], [0, 1, 2, 3, 0, 0, 3, 2, 1, 0, 3, 3]) } },
  ],
});

function addedBack(build: Builder, t: Value, dy: Value, dims: readonly Dim[]): Value {
  return build.one(scatter_add, [t, dy], { n: dims.at(-2) ?? dim(1), lead: dims.length - 2 });
}

export const scatter_add: Op = defineOp({
  name: 'scatter_add',
  doc: 'Adds rows to where they belong, the reverse of `rows`: t [L.., ..], y [L.., .., D] to [L.., n, D]. `lead` is the number of leading axes L, 1 where t has more than one axis and nothing is said.',
  inputs: ['t', 'y'],
  attrs: { n: { kind: 'dim' }, lead: { kind: 'int', optional: true } },
  type: ({ t, y }, { n, lead }) => {
    needIndices('scatter_add', t, 't');
    needNumber('scatter_add', y, 'y');
    needAxes('scatter_add', t, (lead ?? 0) + 1, 't');
    const fits = y.dims.length === t.dims.length + 1 && t.dims.every((size, i) => same(size, y.dims[i] ?? -1));
    if (!fits) fail('scatter-shapes-differ', { targets: spellType(t), rows: spellType(y) }, 'y');
    return { dtype: y.dtype, dims: [...t.dims.slice(0, leadOf(t.dims, lead)), n, ...y.dims.slice(-1)] };
  },
  eval: ({ t, y }, { n, lead }, { sizes }) => {
    const front = t.dims.slice(0, leadOf(t.dims, lead));
    const [size, d] = [sizes.of(n), y.dims.at(-1) ?? 1];
    const each = t.data.length / Math.max(count(front), 1);
    const data = new Float64Array(count(front) * size * d);
    t.data.forEach((index, i) => {
      const to = (Math.floor(i / each) * size + rowAt(index, size)) * d;
      for (let c = 0; c < d; c++) data[to + c] = (data[to + c] ?? 0) + (y.data[i * d + c] ?? 0);
    });
    return ndArray([...front, size, d], data, y.dtype);
  },
  grad: ({ t }, _, { dy }, build) => ({ y: build.one(rows, [only(dy), t]) }),
  lower: ({ t, y }, onnx, { n, lead }) => {
    const [dims, d] = [typeOf(t).dims, typeOf(y).dims.at(-1) ?? dim(1)];
    const at = leadOf(dims, lead);
    const front = dims.slice(0, at);
    const flat = [...front, product(dims.slice(at)), d];
    const targets = onnx.Reshape(t, onnx.shape([...flat.slice(0, -1), dim(1)]));
    const zero = onnx.Expand(onnx.scalar(0, typeOf(y).dtype), onnx.shape([...front, n, d]));
    return onnx.ScatterElements(zero, onnx.Expand(targets, onnx.shape(flat)), onnx.Reshape(y, onnx.shape(flat)), { axis: at, reduction: 'add' });
  },
  samples: [
    { inputs: { t: ids([3], [1, 0, 1]), y: [3, 2] }, attrs: { n: dim(4) } },
    { inputs: { t: ids([2, 2, 2], [0, 1, 1, 2, 0, 0, 2, 2]), y: [2, 2, 2, 3] }, attrs: { n: dim(3) } },
    { inputs: { t: ids([2, 2], [0, 1, 1, 0]), y: [2, 2, 1] }, attrs: { n: dim(2), lead: 0 } },
  ],
});

const leadOf = (dims: readonly unknown[], lead: number | undefined): number => lead ?? (dims.length > 1 ? 1 : 0);

const ties: readonly Sample[] = [
  { inputs: { x: [3, 6] }, attrs: { k: dim(2) } },
  { inputs: { x: ndArray([2, 4], [1, 3, 3, 1, 0, 0, 0, 0]) }, attrs: { k: dim(3) } },
  { inputs: { x: [5] }, attrs: { k: dim(5) } },
];

export const top: Op = defineOp({
  name: 'top',
  doc: 'Where the k largest of the last axis stand, the largest first and the lower index first among equals: x [.., n] to i64[.., k].',
  inputs: ['x'],
  attrs: { k: { kind: 'dim' } },
  type: ({ x }, { k }) => {
    needNumber('top', x);
    needAxes('top', x, 1);
    const [size, picked] = [x.dims.at(-1) ?? dim(1), constant(k)];
    if ((picked ?? 1) < 1 || (constant(size) ?? Number.POSITIVE_INFINITY) < (picked ?? 0)) fail('picks-too-many', { k: spellValue(k), size: spellValue(size) }, 'x');
    return { dtype: 'i64', dims: [...x.dims.slice(0, -1), k] };
  },
  eval: ({ x }, { k }, { sizes }) => mapLanes(x, -1, sizes.of(k), (lane) => Array.from(lane.keys()).sort((a, b) => (lane[b] ?? 0) - (lane[a] ?? 0) || a - b), 'i64'),
  grad: 'none',
  lower: ({ x }, onnx, { k }) => onnx.all('TopK', [x, onnx.shape([k])], { axis: -1, largest: 1, sorted: 1 }, 2)[1] ?? x,
  samples: ties,
});

export const one_hot: Op = defineOp({
  name: 'one_hot',
  doc: '1 where the id is, 0 elsewhere, along a new last axis: ids [..] to [.., n].',
  inputs: ['ids'],
  attrs: { n: { kind: 'dim' } },
  type: ({ ids: picks }, { n }) => {
    needIndices('one_hot', picks, 'ids');
    return { dtype: 'f32', dims: [...picks.dims, n] };
  },
  eval: ({ ids: picks }, { n }, { sizes }) => {
    const size = sizes.of(n);
    const data = new Float64Array(picks.data.length * size);
    picks.data.forEach((index, i) => {
      if (index >= 0 && index < size) data[i * size + index] = 1;
    });
    return ndArray([...picks.dims, size], data);
  },
  grad: 'none',
  lower: ({ ids: picks }, onnx, { n }) => onnx.Cast(onnx.Equal(onnx.Unsqueeze(picks, onnx.ints([-1])), numbersBelow(onnx, n)), { to: onnxTypes.f32 }),
  samples: [
    { inputs: { ids: ids([2, 2], [0, 2, 1, 1]) }, attrs: { n: dim(3) } },
    { inputs: { ids: ids([3], [4, -1, 0]) }, attrs: { n: dim(4) } },
  ],
});
