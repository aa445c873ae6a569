/** Reads arrays as numpy saves them. */

import type { Tensor } from '../../src/run/tensor.ts';

/** The tensor of a `.npy` file of version 1: little-endian, row-major, f4 or i8. */
export function readNpy(bytes: Buffer): Tensor {
  const length = bytes.readUInt16LE(8);
  const header = bytes.toString('latin1', 10, 10 + length);
  const dims = [...(/'shape': \(([^)]*)\)/.exec(header)?.[1] ?? '').matchAll(/\d+/g)].map(Number);
  const body = bytes.buffer.slice(bytes.byteOffset + 10 + length, bytes.byteOffset + bytes.length);
  if (!header.includes("'fortran_order': False")) throw new Error('not row-major');
  if (header.includes("'<f4'")) return { dtype: 'f32', dims, data: new Float32Array(body) };
  if (header.includes("'<i8'")) return { dtype: 'i64', dims, data: new BigInt64Array(body) };
  throw new Error(`not f4 or i8: ${header}`);
}
