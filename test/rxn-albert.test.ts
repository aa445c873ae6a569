/** A real masked-language ALBERT over reactions: logits and recovered tokens against an independent implementation. */

import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Session } from '../src/run/session.ts';
import type { Tensor } from '../src/run/tensor.ts';
import { fixture } from './fixtures.ts';
import { checkpointModel, must, open } from './running.ts';

interface Reaction {
  readonly smiles: string;
  readonly ids: readonly number[];
  readonly masked_top1: number;
  readonly masked_total: number;
  readonly logits_pos1_first8: readonly number[];
}

const folder = fixture('rxn-albert');
const mask = folder === undefined ? 0 : readFileSync(`${folder}/vocab.txt`, 'utf8').split(/\r?\n/).indexOf('[MASK]');
const reactions: readonly Reaction[] = folder === undefined ? [] : JSON.parse(readFileSync(`${folder}/expected.json`, 'utf8')).reactions;

describe.skipIf(folder === undefined).each(['portable', 'ort'] as const)('rxn-albert on %s (skipped where the fixture is absent)', (target) => {
  let session: Session;
  beforeAll(async () => {
    session = await open(checkpointModel(folder ?? ''), target);
  });
  afterAll(() => session.close());

  test.each(reactions)('logits of $smiles', async ({ ids, logits_pos1_first8 }) => {
    const logits = await logitsOf(session, [ids]);
    const width = logits.dims[2] ?? 0;
    logits_pos1_first8.forEach((logit, i) => expect(Math.abs(Number((logits.data as Float32Array)[width + i]) - logit)).toBeLessThan(1e-3));
  });

  test('recovers masked tokens as recorded', async () => {
    const found = await Promise.all(reactions.map(({ ids }) => recovered(session, ids)));
    expect(found).toEqual(reactions.map((one) => one.masked_top1));
  });
});

/** How many inner tokens come back when each is masked by itself. */
async function recovered(session: Session, ids: readonly number[]): Promise<number> {
  const inner = ids.slice(1, -1).map((_, i) => i + 1);
  const logits = await logitsOf(
    session,
    inner.map((at) => ids.map((id, i) => (i === at ? mask : id))),
  );
  const [, length = 0, width = 0] = logits.dims;
  const data = logits.data as Float32Array;
  return inner.filter((at, row) => {
    const guess = data.subarray((row * length + at) * width, (row * length + at + 1) * width);
    return guess.indexOf(Math.max(...guess)) === ids[at];
  }).length;
}

async function logitsOf(session: Session, rows: readonly (readonly number[])[]): Promise<Tensor> {
  const width = rows[0]?.length ?? 0;
  const tensor = (of: (id: number) => number): Tensor => ({ dtype: 'i64', dims: [rows.length, width], data: BigInt64Array.from(rows.flat(), (id) => BigInt(of(id))) });
  const { logits } = must(await session.run({ input_ids: tensor((id) => id), attention_mask: tensor(() => 1), token_type_ids: tensor(() => 0) }));
  if (!logits) throw new Error('no logits');
  return logits;
}
