/** Heads and positions: cutting a width into heads, rotary turns, sinusoids. */

import { constant, type Dim, dim, divide, multiply, same, subtract } from '../graph/dim.ts';
import { fail } from '../graph/fail.ts';
import type { Value } from '../graph/graph.ts';
import { count, type NdArray, ndArray } from '../graph/nd-array.ts';
import type { Onnx } from '../graph/onnx.ts';
import { defineOp, type Op } from '../graph/op.ts';
import { spellType, type TensorType } from '../graph/type.ts';
import { permuted, reshaped } from './arrays.ts';
import { numbersBelow } from './counting.ts';
import { neg } from './elementwise.ts';
import { only, typeOf } from './gradients.ts';
import { onnxTypes } from './onnx-types.ts';
import { meet, needAxes, needFloat, needIndices, needSameDType, spellValue, wholeRatio } from './rules.ts';
import { range } from './shape.ts';

/** The order of axes that exchanges the second and third from the end. */
function exchange(rank: number): readonly number[] {
  const axes = Array.from({ length: rank }, (_, i) => i);
  return [...axes.slice(0, -3), rank - 2, rank - 3, rank - 1];
}

export const split_heads: Op = defineOp({
  name: 'split_heads',
  doc: 'The last axis cut into heads, which then stand before the positions: x [.., S, N·W] to [.., N, S, W].',
  inputs: ['x'],
  attrs: { heads: { kind: 'dim' } },
  type: ({ x }, { heads }) => {
    needAxes('split_heads', x, 2);
    const [s = dim(1), whole = dim(1)] = x.dims.slice(-2);
    const width = wholeRatio(whole, heads);
    if (!width) return fail('does-not-divide', { size: spellValue(whole), parts: `${spellValue(heads)} heads` }, 'x');
    return { dtype: x.dtype, dims: [...x.dims.slice(0, -2), heads, s, width] };
  },
  eval: ({ x }, { heads }, { sizes }) => {
    const [n, whole] = [sizes.of(heads), x.dims.at(-1) ?? 1];
    return permuted(reshaped(x, [...x.dims.slice(0, -1), n, whole / n]), exchange(x.dims.length + 1));
  },
  grad: (_, __, { dy }, build) => ({ x: build.one(merge_heads, [only(dy)]) }),
  lower: ({ x }, onnx, { heads }, results) => {
    const { dims } = typeOf(only(results));
    const apart = onnx.Reshape(x, onnx.shape([...dims.slice(0, -3), dims.at(-2) ?? dim(1), heads, dims.at(-1) ?? dim(1)]));
    return onnx.Transpose(apart, { perm: exchange(dims.length) });
  },
  samples: [
    { inputs: { x: [2, 3, 8] }, attrs: { heads: dim(4) } },
    { inputs: { x: [3, 6] }, attrs: { heads: dim(1) } },
  ],
});

export const merge_heads: Op = defineOp({
  name: 'merge_heads',
  doc: 'Heads side by side again, the reverse of split_heads: x [.., N, S, W] to [.., S, N·W].',
  inputs: ['x'],
  type: ({ x }) => {
    needAxes('merge_heads', x, 3);
    const [n = dim(1), s = dim(1), w = dim(1)] = x.dims.slice(-3);
    return { dtype: x.dtype, dims: [...x.dims.slice(0, -3), s, multiply(n, w)] };
  },
  eval: ({ x }) => {
    const [n = 1, s = 1, w = 1] = x.dims.slice(-3);
    return reshaped(permuted(x, exchange(x.dims.length)), [...x.dims.slice(0, -3), s, n * w]);
  },
  grad: ({ x }, _, { dy }, build) => ({ x: build.one(split_heads, [only(dy)], { heads: typeOf(x).dims.at(-3) ?? dim(1) }) }),
  lower: ({ x }, onnx, _, results) => onnx.Reshape(onnx.Transpose(x, { perm: exchange(typeOf(x).dims.length) }), onnx.shape(typeOf(only(results)).dims)),
  samples: [{ inputs: { x: [2, 4, 3, 2] } }, { inputs: { x: [1, 3, 5] } }],
});

function turnedType(x: TensorType, frequencies: TensorType, at: TensorType | undefined, pairs: string): TensorType {
  needFloat('rope', x);
  needAxes('rope', x, 2);
  needSameDType('rope', x, frequencies, 'frequencies');
  if (pairs !== 'half' && pairs !== 'adjacent') fail('unknown-choice', { setting: 'pairs', choices: '"half" or "adjacent"', found: JSON.stringify(pairs) }, 'x');
  const [width = dim(1), count, ...more] = [x.dims.at(-1), ...frequencies.dims];
  const left = count && more.length === 0 ? constant(subtract(width, multiply(count, 2))) : -1;
  if (!count || (left ?? 0) < 0)
    fail('rotation-too-wide', { count: spellType(frequencies), width: count ? spellValue(multiply(count, 2)) : '?', type: spellType(x), size: spellValue(width) }, 'frequencies');
  if (at) needPositions(x, at);
  return x;
}

function needPositions(x: TensorType, at: TensorType): void {
  needIndices('rope', at, 'positions');
  const [lead, rowCount] = [at.dims.slice(0, -1), at.dims.at(-1)];
  const axes = x.dims.slice(0, -3);
  const fits =
    rowCount !== undefined &&
    same(rowCount, x.dims.at(-2) ?? -1) &&
    (lead.length === 0 || (lead.length <= axes.length && lead.every((size, i) => meet(size, axes[axes.length - lead.length + i] ?? dim(1)) !== undefined)));
  if (!fits) fail('positions-do-not-fit', { found: spellType(at), type: spellType(x) }, 'positions');
}

/** Where the partners of pair j stand within a head of which 2·count numbers turn. */
const partners = (pairs: string, count: number, j: number): readonly [number, number] => (pairs === 'adjacent' ? [2 * j, 2 * j + 1] : [j, j + count]);

function turn(x: NdArray, frequencies: NdArray, at: NdArray | undefined, pairs: string): NdArray {
  const [s, w] = [x.dims.at(-2) ?? 1, x.dims.at(-1) ?? 1];
  const perPositions = count(x.dims.slice(-3));
  const batches = at === undefined ? 1 : at.data.length / s;
  const data = x.data.slice();
  const total = frequencies.data.length;
  for (let row = 0; row < data.length / w; row++) {
    const i = row % s;
    const position = at ? (at.data[(Math.floor((row * w) / perPositions) % batches) * s + i] ?? 0) : i;
    frequencies.data.forEach((frequency, j) => {
      const [first, second] = partners(pairs, total, j).map((offset) => row * w + offset);
      const [a, b] = [x.data[first ?? 0] ?? 0, x.data[second ?? 0] ?? 0];
      const [c, d] = [Math.cos(position * frequency), Math.sin(position * frequency)];
      data[first ?? 0] = a * c - b * d;
      data[second ?? 0] = b * c + a * d;
    });
  }
  return ndArray(x.dims, data, x.dtype);
}

export const rope: Op = defineOp({
  name: 'rope',
  doc:
    'Rotary positions: turns pairs of numbers of x [.., N, S, W] by position · frequency. frequencies [F] turn the first 2·F numbers of each head, the rest stay. ' +
    '`pairs` says which two belong together: "half" j and j + F (Llama), "adjacent" 2j and 2j + 1 (GPT-J). positions are i64[S], or [B, S] where rows differ; 0, 1, … where left out. Gradients reach x alone.',
  inputs: ['x', 'frequencies', 'positions?'],
  attrs: { pairs: { kind: 'string', default: 'half' } },
  type: ({ x, frequencies, positions }, { pairs }) => turnedType(x, frequencies, positions, pairs),
  eval: ({ x, frequencies, positions }, { pairs }) => turn(x, frequencies, positions, pairs),
  grad: ({ x, frequencies, positions }, { pairs }, { dy }, build) => {
    const at = positions ?? build.one(range, [], { n: typeOf(x).dims.at(-2) ?? dim(1) });
    return { x: build.one(rope, [only(dy), frequencies, build.one(neg, [at])], { pairs }) };
  },
  lower: ({ x, frequencies, positions }, onnx, { pairs }) => {
    const { dims } = typeOf(x);
    const at = positions ?? numbersBelow(onnx, dims.at(-2) ?? dim(1));
    const angles = anglesOf(onnx, at, positions ? typeOf(positions).dims.length : 1, frequencies);
    const turned = multiply(typeOf(frequencies).dims[0] ?? dim(1), 2);
    const [first, rest] = parts(onnx, x, [turned, subtract(dims.at(-1) ?? dim(1), turned)]);
    const y = (pairs === 'adjacent' ? turnAdjacent : turnHalves)(onnx, first, [...dims.slice(0, -1), turned], angles);
    return rest ? onnx.Concat(y, rest, { axis: -1 }) : y;
  },
  samples: [
    { inputs: { x: [2, 2, 3, 4], frequencies: ndArray([2], [1, 0.1]) } },
    { inputs: { x: [2, 2, 3, 4], frequencies: ndArray([2], [1, 0.1]), positions: ndArray([3], [4, 5, 6], 'i64') }, attrs: { pairs: 'adjacent' } },
    { inputs: { x: [2, 1, 3, 6], frequencies: ndArray([2], [0.7, 0.2]), positions: ndArray([2, 3], [0, 0, 1, 3, 4, 5], 'i64') } },
    { inputs: { x: [2, 1, 3, 7], frequencies: ndArray([2], [0.7, 0.2]), positions: ndArray([1, 3], [9, 1, 2], 'i64') }, attrs: { pairs: 'adjacent' } },
    { inputs: { x: [3, 4], frequencies: ndArray([2], [0.7, 0.2]) } },
  ],
});

interface Angles {
  readonly cos: Value;
  readonly sin: Value;
}

/** cos and sin [.., S, F], with an axis for heads where positions have one for the batch. The nodes are the same for every layer, so a later pass keeps one set. */
function anglesOf(onnx: Onnx, at: Value, rank: number, frequencies: Value): Angles {
  const column = onnx.Unsqueeze(onnx.Cast(at, { to: onnxTypes[typeOf(frequencies).dtype] }), onnx.ints(rank > 1 ? [-3, -1] : [-1]));
  const angles = onnx.Mul(column, frequencies);
  return { cos: onnx.Cos(angles), sin: onnx.Sin(angles) };
}

/** The last axis in two; the second part is absent where it is empty. */
function parts(onnx: Onnx, x: Value, [first, rest]: readonly [Dim, Dim]): readonly [Value, Value | undefined] {
  if (constant(rest) === 0) return [x, undefined];
  const [a, b] = onnx.all('Split', [x, onnx.shape([first, rest])], { axis: -1 }, 2);
  return [a ?? x, b];
}

/** (a, b) turned: a·cos − b·sin and b·cos + a·sin. */
function turnPair(onnx: Onnx, a: Value, b: Value, { cos, sin }: Angles): readonly [Value, Value] {
  return [onnx.Sub(onnx.Mul(a, cos), onnx.Mul(b, sin)), onnx.Add(onnx.Mul(b, cos), onnx.Mul(a, sin))];
}

function turnHalves(onnx: Onnx, x: Value, _: readonly Dim[], angles: Angles): Value {
  const [a, b] = onnx.all('Split', [x], { axis: -1, num_outputs: 2 }, 2);
  return onnx.Concat(...turnPair(onnx, a ?? x, b ?? x, angles), { axis: -1 });
}

function turnAdjacent(onnx: Onnx, x: Value, dims: readonly Dim[], angles: Angles): Value {
  const pairsOf = divide(dims.at(-1) ?? dim(2), 2) ?? dim(1);
  const [a, b] = onnx.all('Split', [onnx.Reshape(x, onnx.shape([...dims.slice(0, -1), pairsOf, dim(2)]))], { axis: -1, num_outputs: 2 }, 2);
  const last = onnx.ints([-1]);
  const turned = turnPair(onnx, onnx.Squeeze(a ?? x, last), onnx.Squeeze(b ?? x, last), angles).map((part) => onnx.Unsqueeze(part, last));
  return onnx.Reshape(onnx.Concat(...turned, { axis: -1 }), onnx.shape(dims));
}

/** 10000^(−2j/width), repeated for sine and cosine. */
function wavesOf(width: number): { readonly frequencies: NdArray; readonly phases: NdArray } {
  const each = Array.from({ length: width }, (_, i) => 10_000 ** (-(2 * Math.floor(i / 2)) / width));
  return {
    frequencies: ndArray([width], each),
    phases: ndArray(
      [width],
      each.map((_, i) => (i % 2) * (Math.PI / 2)),
    ),
  };
}

export const sinusoid: Op = defineOp({
  name: 'sinusoid',
  doc: 'Positions as waves (Vaswani et al. 2017): positions [..] to [.., width], number 2j is sin(p / 10000^(2j/width)), number 2j + 1 its cosine.',
  inputs: ['positions'],
  attrs: { width: { kind: 'dim' } },
  type: ({ positions }, { width }) => {
    needIndices('sinusoid', positions, 'positions');
    const known = constant(width);
    if (known === undefined) fail('size-must-be-known', { op: 'sinusoid', what: 'its width', found: spellValue(width) }, 'positions');
    if (known < 2 || known % 2 !== 0) fail('setting-out-of-range', { setting: 'width', range: 'even', found: known }, 'positions');
    return { dtype: 'f32', dims: [...positions.dims, width] };
  },
  eval: ({ positions }, { width }, { sizes }) => {
    const { frequencies, phases } = wavesOf(sizes.of(width));
    const data = Array.from(positions.data).flatMap((p) => Array.from(frequencies.data, (frequency, i) => Math.sin(p * frequency + (phases.data[i] ?? 0))));
    return ndArray([...positions.dims, frequencies.data.length], data);
  },
  grad: 'none',
  lower: ({ positions }, onnx, { width }) => {
    const size = constant(width) ?? 2;
    const { frequencies } = wavesOf(size);
    const angles = onnx.Mul(onnx.Unsqueeze(onnx.Cast(positions, { to: onnxTypes.f32 }), onnx.ints([-1])), onnx.array(frequencies));
    const even = onnx.array({ dtype: 'bool', dims: [size], data: Float64Array.from({ length: size }, (_, i) => 1 - (i % 2)) });
    return onnx.Where(even, onnx.Sin(angles), onnx.Cos(angles));
  },
  samples: [
    { inputs: { positions: ndArray([3], [0, 1, 7], 'i64') }, attrs: { width: dim(6) } },
    { inputs: { positions: ndArray([2, 2], [0, 5, 3, 2], 'i64') }, attrs: { width: dim(4) } },
  ],
});
