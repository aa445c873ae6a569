/** Plain matrices in f32, and what several parts of the conversion to experts do with them. Large products go through `Compute`. */

import { Bug } from '../../diagnostics/bug.ts';
import type { Matrix } from '../../graph/compute.ts';

export type { Matrix };

/** A matrix of these numbers, row-major; zeros where they are left out. */
export function matrix(rows: number, columns: number, data: Float32Array = new Float32Array(rows * columns)): Matrix {
  if (data.length !== rows * columns) throw new Bug(`${data.length} numbers do not fill [${rows}, ${columns}]`);
  return { rows, columns, data };
}

/** Row `i`, as a view. */
export function row({ columns, data }: Matrix, i: number): Float32Array {
  return data.subarray(i * columns, (i + 1) * columns);
}

/** The rows of these indices, in their order. */
export function pickRows(from: Matrix, indices: ArrayLike<number>): Matrix {
  const picked = matrix(indices.length, from.columns);
  for (let i = 0; i < indices.length; i++) picked.data.set(row(from, indices[i] as number), i * from.columns);
  return picked;
}

/** The columns of these indices, in their order. */
export function pickColumns(from: Matrix, indices: ArrayLike<number>): Matrix {
  const picked = matrix(from.rows, indices.length);
  for (let t = 0; t < from.rows; t++) {
    for (let i = 0; i < indices.length; i++) picked.data[t * indices.length + i] = from.data[t * from.columns + (indices[i] as number)] as number;
  }
  return picked;
}

/** [m, n] → [n, m], in blocks that stay in the cache. */
export function transposed({ rows, columns, data }: Matrix): Matrix {
  const block = 32;
  const turned = matrix(columns, rows);
  for (let top = 0; top < rows; top += block) {
    const bottom = Math.min(rows, top + block);
    for (let left = 0; left < columns; left += block) {
      const right = Math.min(columns, left + block);
      for (let j = left; j < right; j++) for (let i = top; i < bottom; i++) turned.data[j * rows + i] = data[i * columns + j] as number;
    }
  }
  return turned;
}

/** Matrices of as many columns, one below the other. */
export function below(parts: readonly Matrix[]): Matrix {
  const columns = parts[0]?.columns ?? 0;
  const all = matrix(
    parts.reduce((sum, { rows }) => sum + rows, 0),
    columns,
  );
  let at = 0;
  for (const { data } of parts) {
    all.data.set(data, at);
    at += data.length;
  }
  return all;
}

/** The numbers of the rows 0, step, 2 · step … of so many. */
export function everyRow(rows: number, step: number): Int32Array {
  return Int32Array.from({ length: Math.ceil(rows / step) }, (_, i) => i * step);
}

/** Σ x² of every row, in f64. */
export function squaredNorms(of: Matrix): Float64Array {
  return Float64Array.from({ length: of.rows }, (_, i) => {
    let sum = 0;
    for (let at = i * of.columns; at < (i + 1) * of.columns; at++) sum += (of.data[at] as number) ** 2;
    return sum;
  });
}

/** Means of the columns, in f64. */
export function columnMeans({ rows, columns, data }: Matrix): Float64Array {
  const sums = new Float64Array(columns);
  for (let i = 0, at = 0; i < rows; i++) for (let j = 0; j < columns; j++) sums[j] = (sums[j] as number) + (data[at++] as number);
  return sums.map((sum) => sum / rows);
}

/** Every row divided by its length; a row of zeros stays one. */
export function rowsNormalised(of: Matrix): Matrix {
  const norms = squaredNorms(of);
  const result = matrix(of.rows, of.columns, of.data.slice());
  for (let i = 0; i < of.rows; i++) {
    const length = Math.sqrt(norms[i] as number);
    if (length > 0) scale(row(result, i), 1 / length);
  }
  return result;
}

function scale(numbers: Float32Array, by: number): void {
  for (let i = 0; i < numbers.length; i++) numbers[i] = (numbers[i] as number) * by;
}
