/** A checkpoint: tensors by name, where each lies, read lazily. Formats are read in files of their own. */

import type { Diagnostic } from '../diagnostics/diagnostic.ts';
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
  /** Bytes `from` to `to` (relative to the tensor's start; all where left out). A `ReadFault` where the file no longer gives them. */
  read(tensor: TensorInfo, from?: number, to?: number): Uint8Array;
  close(): void;
}

/** A file that was sound when it was opened and fails while it is read: caught where files are written, and reported there. */
export class ReadFault extends Error {
  readonly diagnostic: Diagnostic;

  constructor(diagnostic: Diagnostic) {
    super(diagnostic.message);
    this.name = 'ReadFault';
    this.diagnostic = diagnostic;
  }
}
