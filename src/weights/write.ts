/** Writes safetensors: the artefacts of passes, and the checkpoints of tests. */

import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { Bug } from '../diagnostics/bug.ts';
import { count } from '../graph/nd-array.ts';
import { bytesOf, type DType } from '../graph/type.ts';
import { safetensorsNames } from './safetensors.ts';

/** A tensor to write; the pieces are its little-endian bytes in row-major order. */
export interface WrittenTensor {
  readonly name: string;
  readonly dtype: DType;
  readonly dims: readonly number[];
  readonly bytes: Iterable<Uint8Array>;
}

/** Writes the tensors in the order given. The file gets its name when it is complete. Refusals of the system are thrown. */
export function writeSafetensors(file: string, tensors: readonly WrittenTensor[], metadata: Readonly<Record<string, string>> = {}): void {
  const temporary = `${file}.${randomBytes(4).toString('hex')}.part`;
  const handle = openSync(temporary, 'wx');
  try {
    writeAll(handle, headerOf(tensors, metadata));
    for (const { name, dtype, dims, bytes } of tensors) {
      let length = 0;
      for (const piece of bytes) {
        writeAll(handle, piece);
        length += piece.length;
      }
      if (length !== count(dims) * bytesOf[dtype]) throw new Bug(`${name} gave ${length} bytes for ${dtype}[${dims.join(', ')}]`);
    }
    fsyncSync(handle);
  } catch (error) {
    closeSync(handle);
    rmSync(temporary, { force: true });
    throw error;
  }
  closeSync(handle);
  renameSync(temporary, file);
}

/** The length, then the header, padded with spaces so that the numbers begin at a multiple of 8. */
function headerOf(tensors: readonly WrittenTensor[], metadata: Readonly<Record<string, string>>): Uint8Array {
  const entries = new Map<string, unknown>(Object.keys(metadata).length > 0 ? [['__metadata__', metadata]] : []);
  let end = 0;
  for (const { name, dtype, dims } of tensors) {
    const spelt = safetensorsNames.get(dtype);
    if (spelt === undefined || entries.has(name)) throw new Bug(`${name} cannot be written: ${spelt === undefined ? `safetensors has no ${dtype}` : 'it comes twice'}`);
    const length = count(dims) * bytesOf[dtype];
    entries.set(name, { dtype: spelt, shape: dims, data_offsets: [end, end + length] });
    end += length;
  }
  // Written by hand: an object would drop the name `__proto__`.
  const json = Buffer.from(`{${[...entries].map(([name, entry]) => `${JSON.stringify(name)}:${JSON.stringify(entry)}`).join(',')}}`);
  const padded = Buffer.alloc(8 + Math.ceil(json.length / 8) * 8, ' ');
  padded.writeBigUInt64LE(BigInt(padded.length - 8));
  padded.set(json, 8);
  return padded;
}

function writeAll(handle: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(handle, bytes, done, bytes.length - done);
}
