/** Models on `ort` in a lowering that is asked for: opened, what was refused, and a whole generation in one run. */

import type { Found } from '../../src/run/find-model.ts';
import { prepare } from '../../src/run/prepare.ts';
import { openSession, type Session } from '../../src/run/session.ts';
import type { Tensor } from '../../src/run/tensor.ts';
import type { LoweringName } from '../../src/targets/target.ts';
import { must, targetOf } from '../running.ts';

/** The model with every mixture in one lowering, and how many segments were refused it, by the reason given. */
export async function openLowered(
  found: Found,
  lowering: LoweringName,
  form: 'step' | 'loop',
): Promise<{ readonly session: Session; readonly refused: Readonly<Record<string, number>> }> {
  const ready = await prepare(found, { target: targetOf('ort'), form, version: 'test', lowering: { few: lowering, many: lowering } });
  const reasons = ready.diagnostics.filter(({ code }) => code === 'lowering-not-used').map(({ message }) => /: (.*?);/.exec(message)?.[1] ?? message);
  const refused = Object.fromEntries([...new Set(reasons)].map((reason) => [reason, reasons.filter((one) => one === reason).length]));
  return { session: must(await openSession(must(ready), { threads: 1 })), refused };
}

/** Greedy continuations of `count` tokens in one run of a Loop, a row for each prompt. */
export async function continued(session: Session, ids: Tensor, mask: Tensor, count: number): Promise<readonly (readonly number[])[]> {
  const [rows = 0] = ids.dims;
  const i64 = (dims: readonly number[], ...numbers: readonly number[]): Tensor => ({ dtype: 'i64', dims, data: BigInt64Array.from(numbers, BigInt) });
  const f32 = (number: number): Tensor => ({ dtype: 'f32', dims: [], data: Float32Array.of(number) });
  const { tokens } = must(
    await session.run({
      input_ids: ids,
      attention_mask: mask,
      max_new_tokens: i64([], count),
      temperature: f32(0),
      top_k: i64([], 0),
      top_p: f32(1),
      min_p: f32(0),
      repetition_penalty: f32(1),
      stop_tokens: i64([0]),
      pad_token: i64([], 0),
      uniforms: { dtype: 'f32', dims: [count, rows], data: new Float32Array(count * rows) },
    }),
  );
  if (!tokens) throw new Error('no tokens');
  const steps = rowsOf(tokens);
  return Array.from({ length: rows }, (_, row) => steps.map((step) => step[row] ?? Number.NaN));
}

/** A matrix of whole numbers as lists. */
export function rowsOf({ dims: [rows = 0, columns = 0], data }: Tensor): readonly (readonly number[])[] {
  const numbers = Array.from(data as BigInt64Array, Number);
  return Array.from({ length: rows }, (_, row) => numbers.slice(row * columns, (row + 1) * columns));
}
