/** Recorded results of another implementation, and how far ours are from them. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Session } from '../../src/run/session.ts';
import type { Tensor } from '../../src/run/tensor.ts';
import { must } from '../running.ts';
import { readNpy } from './npy.ts';

/** Agreement with an independent implementation: the largest difference over the largest number, all positions. */
export const tolerance = 1e-4;

/** The recorded tensors of a checkpoint, `in.` or `out.`, by name. */
export function recorded(folder: string, prefix: 'in.' | 'out.'): Record<string, Tensor> {
  const files = readdirSync(join(folder, 'expected')).filter((name) => name.startsWith(prefix));
  return Object.fromEntries(files.map((name) => [name.slice(prefix.length, -4), readNpy(readFileSync(join(folder, 'expected', name)))]));
}

/** Logits of every position, one token at a time, each step fed the keys and values of the one before. Where one text is `read` and another written, inputs of the other begin with `decoder_`. */
export async function stepped(session: Session, { dims: [batch = 0, length = 0], data }: Tensor, read: Readonly<Record<string, Tensor>> = {}): Promise<Tensor> {
  const prefix = Object.keys(read).length > 0 ? 'decoder_' : '';
  const all = data as BigInt64Array;
  let past: Record<string, Tensor> = Object.fromEntries(
    session.inputs
      .filter(({ name }) => name.startsWith('past_'))
      .map(({ name, dims }) => [
        name,
        { dtype: 'f32', dims: dims.map((size, i) => (i === 0 ? batch : typeof size === 'number' ? size : 0)), data: new Float32Array(0) } satisfies Tensor,
      ]),
  );
  const rows: Float32Array[] = [];
  let width = 0;
  for (let at = 0; at < length; at++) {
    const column = (of: (row: number) => bigint): Tensor => ({ dtype: 'i64', dims: [batch, 1], data: BigInt64Array.from({ length: batch }, (_, row) => of(row)) });
    const mask: Tensor = { dtype: 'i64', dims: [batch, at + 1], data: new BigInt64Array(batch * (at + 1)).fill(1n) };
    const results = must(
      await session.run({
        ...read,
        [`${prefix}input_ids`]: column((row) => all[row * length + at] ?? 0n),
        [`${prefix}attention_mask`]: mask,
        [`${prefix}position_ids`]: column(() => BigInt(at)),
        ...past,
      }),
    );
    const { logits } = results;
    if (!logits) throw new Error('no logits');
    width = logits.dims[2] ?? 0;
    rows.push(logits.data as Float32Array);
    past = Object.fromEntries(Object.keys(past).map((name) => [name, results[name.replace('past_key_values', 'present')] ?? logits]));
  }
  const joined = new Float32Array(batch * length * width);
  rows.forEach((step, at) => {
    for (let row = 0; row < batch; row++) joined.set(step.subarray(row * width, (row + 1) * width), (row * length + at) * width);
  });
  return { dtype: 'f32', dims: [batch, length, width], data: joined };
}

/** max|a − b| / max|b|. */
export function difference(found: Tensor | undefined, wanted: Tensor): number {
  if (!found || found.data.length !== wanted.data.length) return Number.POSITIVE_INFINITY;
  const [a, b] = [found.data as Float32Array, wanted.data as Float32Array];
  let [most, largest] = [0, 0];
  b.forEach((value, i) => {
    most = Math.max(most, Number.isNaN(a[i]) ? Number.POSITIVE_INFINITY : Math.abs((a[i] ?? 0) - value));
    largest = Math.max(largest, Math.abs(value));
  });
  return most / largest;
}
