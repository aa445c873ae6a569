/** Recorded results of another implementation, and how far ours are from them. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Session } from '../../src/run/session.ts';
import type { Tensor } from '../../src/run/tensor.ts';
import { must } from '../running.ts';
import { readNpy } from './npy.ts';

/** Agreement with an independent implementation: the largest difference over the largest number, all positions. */
export const tolerance = 1e-4;

/** The recorded tensors of a checkpoint, by name: what it is given, what it gives, and the greedy continuations of two prompts. */
export function recorded(folder: string, prefix: 'in.' | 'out.' | 'greedy.'): Record<string, Tensor> {
  const files = readdirSync(join(folder, 'expected')).filter((name) => name.startsWith(prefix));
  return Object.fromEntries(files.map((name) => [name.slice(prefix.length, -4), readNpy(readFileSync(join(folder, 'expected', name)))]));
}

/** Logits of every position, `size` tokens at a time, each step fed the keys and values of the one before. Where one text is `read` and another written, inputs of the other begin with `decoder_`. */
export async function stepped(session: Session, { dims: [batch = 0, length = 0], data }: Tensor, read: Readonly<Record<string, Tensor>> = {}, size = 1): Promise<Tensor> {
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
  let joined = new Float32Array(0);
  let width = 0;
  for (let at = 0; at < length; at += size) {
    const count = Math.min(size, length - at);
    const block = (columns: number, of: (row: number, column: number) => bigint): Tensor => ({
      dtype: 'i64',
      dims: [batch, columns],
      data: BigInt64Array.from({ length: batch * columns }, (_, i) => of(Math.floor(i / columns), i % columns)),
    });
    const results = must(
      await session.run({
        ...read,
        [`${prefix}input_ids`]: block(count, (row, column) => all[row * length + at + column] ?? 0n),
        [`${prefix}attention_mask`]: block(at + count, () => 1n),
        [`${prefix}position_ids`]: block(count, (_, column) => BigInt(at + column)),
        ...past,
      }),
    );
    const { logits } = results;
    if (!logits) throw new Error('no logits');
    width = logits.dims[2] ?? 0;
    if (at === 0) joined = new Float32Array(batch * length * width);
    const step = logits.data as Float32Array;
    for (let row = 0; row < batch; row++) joined.set(step.subarray(row * count * width, (row + 1) * count * width), (row * length + at) * width);
    past = Object.fromEntries(Object.keys(past).map((name) => [name, results[name.replace('past_key_values', 'present')] ?? logits]));
  }
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
