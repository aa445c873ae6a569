/** A checkpoint: tensors by name, where each lies, read lazily. Formats are read in files of their own. */

import type { DType } from '../graph/type.ts';

/** A stored tensor: where its bytes lie in which file. */
export interface TensorInfo {
  readonly name: string;
  readonly dtype: DType;
  readonly dims: readonly number[];
  /** Absolute path of the file. */
  readonly file: string;
  /** Bytes from the start of the file. */
  readonly offset: number;
  readonly length: number;
}

/** An open checkpoint. Nothing is read before it is asked for. */
export interface Checkpoint {
  readonly folder: string;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** Bytes `from` to `to` (relative to the tensor's start; all where left out). */
  read(tensor: TensorInfo, from?: number, to?: number): Uint8Array;
  close(): void;
}
