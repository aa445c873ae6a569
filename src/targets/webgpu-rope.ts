/** Rotary positions for WebGPU: one kernel a turn, and angles from tables, since sine and cosine on a GPU may be off by 2^-11 and worse for large angles. */

import { constant, type Dim, dim } from '../graph/dim.ts';
import type { Value } from '../graph/graph.ts';
import { ndArray } from '../graph/nd-array.ts';
import type { Onnx } from '../graph/onnx.ts';
import { numbersBelow } from '../ops/counting.ts';
import type { Lowering } from './target.ts';

/** Rows of a table: positions are read as 1024·high + low, so that two tables reach 2^20. */
const side = 1024;

/** Lowers turns of [B, N, S, W] to com.microsoft.RotaryEmbedding; leaves other ranks to the standard lowering. */
export const ropeByOp: Lowering = ({ inputs: [x, frequencies, positions], attrs }, { onnx }) => {
  const dims = x?.type?.dims ?? [];
  const count = constant(frequencies?.type?.dims[0] ?? dim(0));
  const [batch, heads, rows, width] = dims;
  if (!x || !frequencies || !count || !batch || !heads || !rows || !width || dims.length !== 4) return undefined;
  const own = positions?.type?.dims.length === 2 && constant(positions.type.dims[0] ?? dim(1)) !== 1;
  const { cos, sin } = turns(onnx, positions ?? numbersBelow(onnx, rows), frequencies, count);
  const places = own ? placesOf(onnx, batch, rows) : onnx.array(ndArray([1], [0], 'i64'));
  const [wide, pairs] = [constant(width), constant(heads)];
  const partial = wide !== 2 * count;
  if (partial && pairs === undefined) return undefined;
  return onnx.all(
    'RotaryEmbedding',
    [x, places, cos, sin],
    { interleaved: attrs['pairs'] === 'adjacent' ? 1 : 0, ...(partial ? { num_heads: pairs, rotary_embedding_dim: 2 * count } : {}) },
    1,
    { domain: 'com.microsoft' },
  );
};

/** Which row of the angles belongs to each row of x, [B, S]: all of the first sequence, then all of the second. */
function placesOf(onnx: Onnx, batch: Dim, rows: Dim): Value {
  const first = onnx.Mul(onnx.Unsqueeze(numbersBelow(onnx, batch), onnx.ints([1])), onnx.size(rows));
  return onnx.Add(first, numbersBelow(onnx, rows));
}

/** cos and sin of every position in turn, [rows, F]: cos(a + b) and sin(a + b) from a row for the high digits and one for the low. The tables are constants once a runtime has folded them. */
function turns(onnx: Onnx, positions: Value, frequencies: Value, count: number): { readonly cos: Value; readonly sin: Value } {
  const flat = onnx.Reshape(positions, onnx.ints([-1]));
  const high = onnx.Div(flat, onnx.scalar(side, 'i64'));
  const low = onnx.Sub(flat, onnx.Mul(high, onnx.scalar(side, 'i64')));
  const [coarse, fine] = [table(onnx, side, frequencies), table(onnx, 1, frequencies)];
  const row = (of: Value, at: Value): Value => onnx.Gather(of, at, { axis: 0 });
  const [a, b] = [
    { cos: row(coarse.cos, high), sin: row(coarse.sin, high) },
    { cos: row(fine.cos, low), sin: row(fine.sin, low) },
  ];
  const shaped = (one: Value): Value => onnx.Reshape(one, onnx.ints([-1, count]));
  return {
    cos: shaped(onnx.Sub(onnx.Mul(a.cos, b.cos), onnx.Mul(a.sin, b.sin))),
    sin: shaped(onnx.Add(onnx.Mul(a.sin, b.cos), onnx.Mul(a.cos, b.sin))),
  };
}

/** cos and sin of i · step · frequency, [1024, F]. */
function table(onnx: Onnx, step: number, frequencies: Value): { readonly cos: Value; readonly sin: Value } {
  const column = onnx.array(
    ndArray(
      [side, 1],
      Float64Array.from({ length: side }, (_, i) => i * step),
    ),
  );
  const angles = onnx.Mul(column, frequencies);
  return { cos: onnx.Cos(angles), sin: onnx.Sin(angles) };
}
