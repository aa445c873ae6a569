/** Views of sources: each takes a source and gives one that yields the same stored numbers cut, turned or renamed; views that undo each other vanish. */

import type { Source } from './source.ts';
import type { DType } from './type.ts';

/** The last two axes exchanged. */
export function transposedView(of: Source): Source {
  if (of.kind === 'transpose') return of.of;
  const [rows = 1, columns = 1] = of.dims.slice(-2);
  return { kind: 'transpose', of, dtype: of.dtype, dims: [...of.dims.slice(0, -2), columns, rows] };
}

/** Rows `from` to `to`, half-open, of an axis counted from 0. */
export function slicedView(of: Source, axis: number, from: number, to: number): Source {
  if (from === 0 && to === of.dims[axis]) return of;
  if (of.kind === 'slice' && of.axis === axis && !of.drop) return slicedView(of.of, axis, of.from + from, of.from + to);
  return { kind: 'slice', of, axis, from, to, drop: false, dtype: of.dtype, dims: of.dims.map((size, i) => (i === axis ? to - from : size)) };
}

/** Every `step`-th row of an axis counted from 0, from `from`. */
export function interleavedView(of: Source, axis: number, from: number, step: number): Source {
  if (from === 0 && step === 1) return of;
  return { kind: 'interleaved', of, axis, from, step, dtype: of.dtype, dims: of.dims.map((size, i) => (i === axis ? Math.ceil((size - from) / step) : size)) };
}

/** Rows of an axis counted from 0 in the order named; -1 is a row of zeros. */
export function pickedView(of: Source, axis: number, order: readonly number[]): Source {
  return { kind: 'picked', of, axis, order, dtype: of.dtype, dims: of.dims.map((size, i) => (i === axis ? order.length : size)) };
}

/** The same numbers in the same order under other sizes. */
export function reshapedView(of: Source, dims: readonly number[]): Source {
  if (dims.length === of.dims.length && dims.every((size, i) => size === of.dims[i])) return of;
  if (of.kind === 'reshape') return reshapedView(of.of, dims);
  return { kind: 'reshape', of, dtype: of.dtype, dims };
}

/** The numbers in another element type. */
export function castView(of: Source, dtype: DType): Source {
  return of.dtype === dtype ? of : { kind: 'cast', of, dtype, dims: of.dims };
}

/** Several sources one after another along an axis counted from 0. */
export function joinedView(of: readonly [Source, ...Source[]], axis: number): Source {
  const [first, ...others] = of;
  if (others.length === 0) return first;
  const total = of.reduce((sum, { dims }) => sum + (dims[axis] ?? 0), 0);
  return { kind: 'concat', of, axis, dtype: first.dtype, dims: first.dims.map((size, i) => (i === axis ? total : size)) };
}

/** Whether no number of a source lies in a checkpoint as it is wanted: all are made, or picked row by row, for the file. */
export function isMade(source: Source): boolean {
  if (['random', 'literal', 'picked'].includes(source.kind)) return true;
  if (source.kind === 'concat') return source.of.every(isMade);
  return 'of' in source && isMade(source.of as Source);
}

/** Whether a source has rows in another order than they are stored in. */
export function isRearranged(source: Source): boolean {
  if (source.kind === 'picked') return true;
  if (source.kind === 'concat') return source.of.some(isRearranged);
  return 'of' in source && isRearranged(source.of);
}

/** Texts that two sources share exactly when they yield the same numbers by the same views. Arrays at hand are told apart by identity. */
export function sourceKeys(): (source: Source) => string {
  const ids = new Map<object, number>();
  const keyOf = (source: Source): string => {
    const { kind, dtype, dims } = source;
    const own = `${kind} ${dtype}[${dims.join()}]`;
    switch (source.kind) {
      case 'tensor':
        return `${own} ${JSON.stringify(source.name)}`;
      case 'random':
        return `${own} ${JSON.stringify(source.path)} ${source.seed} ${source.deviation} ${source.value}`;
      case 'literal':
        ids.set(source.array.data, ids.get(source.array.data) ?? ids.size);
        return `${own} ${ids.get(source.array.data)}`;
      case 'concat':
        return `${own} ${source.axis} (${source.of.map(keyOf).join('; ')})`;
      case 'slice':
        return `${own} ${source.axis} ${source.from} (${keyOf(source.of)})`;
      case 'interleaved':
        return `${own} ${source.axis} ${source.from} ${source.step} (${keyOf(source.of)})`;
      case 'picked':
        return `${own} ${source.axis} ${source.order.join()} (${keyOf(source.of)})`;
      case 'arithmetic':
        return `${own} ${source.operator} ${source.operand} ${source.left} (${keyOf(source.of)})`;
      case 'transpose':
      case 'reshape':
      case 'cast':
        return `${own} (${keyOf(source.of)})`;
    }
  };
  return keyOf;
}
