/** How mixtures are lowered, on the command line: what is chosen and why, what is asked for, and what a compiled folder says of it. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { distance } from './definition.ts';
import { moec } from './terminal.ts';

const scratch = mkdtempSync(join(tmpdir(), 'moec-lowering-'));
afterAll(() => rmSync(scratch, { recursive: true }));

test('explain says what was chosen, why, and what each lowering would cost', async () => {
  const { code, out } = await moec(['explain', 'models/olmoe.moe']);
  expect(code).toBe(0);
  const [head, row, ...others] = out.slice(out.indexOf('\nmixture') + 1).split('\n');
  expect(head).toMatch(/^mixture +experts +lowering +one token +many tokens +why$/);
  expect(row).toMatch(/\(16\) +8 of 64 +guarded +.*256$/);
  expect(others.slice(0, 5).map((line) => line.trim().split(/ +/)[0])).toEqual(['batched', 'guarded', 'gathered', 'looped', 'fused']);
  expect(others[4]).toMatch(/fused +\S+ .*ms +\S+ .*s/);
  const { mixtures } = JSON.parse((await moec(['explain', 'models/olmoe.moe', '--json'])).out);
  expect(mixtures).toHaveLength(16);
  expect(mixtures[0]).toMatchObject({ experts: 64, picks: 8, few: 'guarded', many: 'guarded', refused: [] });
});

test('a lowering that is asked for is used, and written down', async () => {
  const out = join(scratch, 'moe');
  const { code } = await moec(['compile', 'test/mixtures/moe.moe', '--lowering', 'gathered,looped', '-o', out]);
  expect(code).toBe(0);
  expect(JSON.parse(readFileSync(join(out, 'moec.json'), 'utf8')).lowerings).toEqual({ 'blocks.0.ffn': 'gathered,looped', 'blocks.1.ffn': 'gathered,looped' });
});

test('what cannot be lowered as asked is said, with the reason', async () => {
  const { code, out, err } = await moec(['compile', 'test/mixtures/moa.moe', '--lowering', 'fused', '--dry-run', '-o', join(scratch, 'moa')]);
  expect(code).toBe(0);
  expect(`${out}${err}`).toContain(
    'warning[lowering-not-used]: blocks.0.attn.qs.matmul is not fused but batched: its experts give one result a slot; least for one token and for 256',
  );
  expect(`${out}${err}`).not.toContain('blocks.0.ffn is not');
});

test.each([
  ['ort', 'gathered,fused', 'gathered and fused would each hold the weights of all experts, in an order of their own'],
  ['ort', 'batched,guarded', 'batched experts are ops of their own, and no other lowering stands beside them'],
  ['portable', 'gathered,batched', 'the target portable takes one lowering, whatever the number of tokens'],
  ['portable', 'guarded', 'the target portable has no lowering guarded'],
])('for %s, %s is not used, since %s', async (target, lowering, reason) => {
  const { code, out, err } = await moec(['compile', 'test/mixtures/moe.moe', '--target', target, '--lowering', lowering, '--dry-run', '-o', join(scratch, 'pair')]);
  expect(code).toBe(0);
  expect(`${out}${err}`).toContain(`blocks.0.ffn is not ${lowering} but `);
  expect(`${out}${err}`).toContain(`: ${reason}; `);
});

test('two lowerings read a number of picks that is given when the model runs', async () => {
  const compiled = async (lowering: string): Promise<string> => {
    const out = join(scratch, `active-${lowering}`);
    expect((await moec(['compile', 'test/mixtures/moe.moe', '--active', '--lowering', lowering, '-o', out])).code).toBe(0);
    return out;
  };
  const logits = async (folder: string, active: number, tokens: number): Promise<readonly number[]> => {
    const inputs = join(scratch, 'inputs.json');
    writeFileSync(inputs, JSON.stringify({ input_ids: [Array.from({ length: tokens }, (_, i) => (7 * i + 3) % 32)], active }));
    return JSON.parse((await moec(['run', folder, '--inputs', inputs, '--json'])).out).logits.flat(2);
  };
  const [plain, ...others] = await Promise.all(['batched', 'guarded,gathered', 'gathered,guarded'].map(compiled));
  for (const folder of others) {
    for (const active of [1, 2, 4]) {
      for (const tokens of [1, 6]) {
        const wanted = await logits(plain as string, active, tokens);
        expect(distance(await logits(folder, active, tokens), Float64Array.from(wanted))).toBeLessThan(1e-5);
      }
    }
  }
}, 60_000);

test('a lowering that there is none of is a wrong call', async () => {
  const { code, err } = await moec(['compile', 'test/mixtures/moe.moe', '--lowering', 'sorted']);
  expect(code).toBe(2);
  expect(err).toContain('It is one of batched, guarded, gathered, looped, fused, or two of them with a comma between.');
});
