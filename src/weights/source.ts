/** The numbers of a weight: streamed as bytes for a file, gathered as an array for evaluation, or found where they lie already. */

import { count, type NdArray, ndArray } from '../graph/nd-array.ts';
import type { Source } from '../graph/source.ts';
import { bytesOf } from '../graph/type.ts';
import type { Checkpoint } from './checkpoint.ts';
import { fromBytes } from './elements.ts';
import { stretchOf } from './stretch.ts';

/** Bytes of one piece. */
const pieceLength = 4 << 20;

/** The little-endian bytes of a source in row-major order, in pieces of a few MB. At most one matrix that is being transposed is in memory besides. A `ReadFault` where the checkpoint fails. */
export function* sourceBytes(source: Source, checkpoint: Checkpoint | undefined): Generator<Uint8Array, void, undefined> {
  const total = count(source.dims);
  if (total === 0) return;
  const read = stretchOf(source, checkpoint);
  const most = Math.max(1, Math.floor(pieceLength / bytesOf[source.dtype]));
  const row = source.dims.at(-1) ?? 1;
  const step = row <= most ? Math.floor(most / row) * row : most;
  for (let from = 0; from < total; from += step) yield read(from, Math.min(total, from + step));
}

/** The numbers of a source as an array, whole in memory. */
export function sourceArray(source: Source, checkpoint: Checkpoint | undefined): NdArray {
  const data = new Float64Array(count(source.dims));
  let at = 0;
  for (const piece of sourceBytes(source, checkpoint)) {
    const numbers = fromBytes(source.dtype, piece);
    data.set(numbers, at);
    at += numbers.length;
  }
  return ndArray(source.dims, data, source.dtype);
}

/** Where bytes lie. */
export interface Location {
  /** Absolute path. */
  readonly file: string;
  readonly offset: number;
  readonly length: number;
}

/** Where the bytes of a source lie in the checkpoint as they are needed; undefined where they have to be moved or computed. */
export function located(source: Source, checkpoint: Checkpoint): Location | undefined {
  const length = count(source.dims) * bytesOf[source.dtype];
  switch (source.kind) {
    case 'tensor': {
      const tensor = checkpoint.tensors.get(source.name);
      return tensor && tensor.dtype === source.dtype && tensor.length === length ? { file: tensor.file, offset: tensor.offset, length } : undefined;
    }
    case 'reshape':
      return located(source.of, checkpoint);
    case 'slice': {
      const within = count(source.of.dims.slice(0, source.axis)) === 1 ? located(source.of, checkpoint) : undefined;
      return within && { file: within.file, offset: within.offset + source.from * count(source.of.dims.slice(source.axis + 1)) * bytesOf[source.dtype], length };
    }
    case 'transpose':
      return source.dims.at(-1) === 1 || source.dims.at(-2) === 1 ? located(source.of, checkpoint) : undefined;
    case 'cast':
      return source.of.dtype === source.dtype ? located(source.of, checkpoint) : undefined;
    default:
      return undefined;
  }
}
