/** Arrays as numpy saves them. */

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

/** The bytes of a `.npy` file that holds the tensor. */
export function npyBytes({ dtype, dims, data }: Tensor): Buffer {
  const descr = dtype === 'f32' ? '<f4' : dtype === 'i64' ? '<i8' : undefined;
  if (!descr || !(data instanceof Float32Array || data instanceof BigInt64Array)) throw new Error(`not f32 or i64: ${dtype}`);
  const header = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${dims.map((size) => `${size},`).join(' ')}), }`;
  const padded = `${header.padEnd(Math.ceil((header.length + 11) / 64) * 64 - 11)}\n`;
  const head = Buffer.from(`\x93NUMPY\x01\x00__${padded}`, 'latin1');
  head.writeUInt16LE(padded.length, 8);
  return Buffer.concat([head, Buffer.from(data.buffer, data.byteOffset, data.byteLength)]);
}
