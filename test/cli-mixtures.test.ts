/** The command line on models with mixtures: statistics, another number of picks, functions, and experts compared. */

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodeModel } from '../src/onnx/wire.ts';
import { moec } from './terminal.ts';

let scratch = '';
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'moec-cli-mixtures-'));
  const source = readFileSync(new URL('mixtures/moa.moe', import.meta.url), 'utf8');
  // With 256 tokens a text is its bytes.
  writeFileSync(join(scratch, 'heads.moe'), source.replace('Embedding(32, 8)', 'Embedding(256, 8)').replace('[B, S, 32]', '[B, S, 256]'));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const call = (...words: readonly string[]): ReturnType<typeof moec> => moec(words, { cwd: scratch });
const codes = (err: string): readonly string[] => [...err.matchAll(/\[([a-z-]+)\]:/g)].map((found) => found[1] ?? '');
/** The lines of the table of statistics: mixture, picks. */
const picks = (err: string): readonly string[] => [...err.matchAll(/^((?:body\.)?blocks\.\d+\.\w+) +(\d+) +#/gm)].map(([, path, count]) => `${path} ${count}`);

describe('moec run', () => {
  test('says at the end how mixtures routed', async () => {
    const { code, out, err } = await call('run', 'heads.moe', '--prompt', 'abc', '--max-tokens', '4', '--stats');
    expect(code).toBe(0);
    expect(picks(err)).toEqual(['blocks.0.attn 12', 'blocks.0.ffn 12', 'blocks.1.attn 12', 'blocks.1.ffn 12']);
    const plain = await call('run', 'heads.moe', '--prompt', 'abc', '--max-tokens', '4');
    expect([plain.out, picks(plain.err)]).toEqual([out, []]);
  });

  test('gives statistics as JSON', async () => {
    const { out } = await call('run', 'heads.moe', '--prompt', 'abc', '--max-tokens', '2', '--stats', '--json');
    const { statistics } = JSON.parse(out) as { readonly statistics: { readonly routing: readonly { readonly path: string; readonly tokens: readonly number[] }[] } };
    expect(statistics.routing.map(({ path, tokens }) => `${path} ${tokens.reduce((sum, one) => sum + one, 0)}`)).toEqual([
      'blocks.0.attn 8',
      'blocks.0.ffn 8',
      'blocks.1.attn 8',
      'blocks.1.ffn 8',
    ]);
  });

  test('runs as many experts as are asked for', async () => {
    const { code, err } = await call('run', 'heads.moe', '--prompt', 'abc', '--max-tokens', '4', '--stats', '--active', '3');
    expect([code, picks(err)]).toEqual([0, ['blocks.0.attn 18', 'blocks.0.ffn 18', 'blocks.1.attn 18', 'blocks.1.ffn 18']]);
  });

  test.each(['0', '5'])('refuses %s of 4', async (k) => {
    const { code, err } = await call('run', 'heads.moe', '--prompt', 'abc', '--active', k);
    expect([code, codes(err)]).toEqual([1, ['picks-out-of-range', 'picks-out-of-range']]);
    expect(err).toContain(`${k} of 4 experts cannot be picked`);
    expect(err).toContain('heads.moe:19');
  });

  test('refuses both for a model without mixtures', async () => {
    const at = { cwd: new URL('..', import.meta.url).pathname };
    expect(codes((await moec(['run', 'models/tiny.moe', '--prompt', 'a', '--active', '2'], at)).err)).toEqual(['no-picks-to-set']);
    expect(codes((await moec(['run', 'models/tiny.moe', '--prompt', 'a', '--stats'], at)).err)).toEqual(['no-statistics']);
  });
});

describe('a router of two steps, SparseMixer', () => {
  const at = { cwd: new URL('..', import.meta.url).pathname };
  const small = ['L=2', 'D=64', 'H=32', 'V=256', 'N=4', 'G=2', 'W=16', 'E=4'].flatMap((one) => ['--set', one]);
  const run = (...more: readonly string[]): ReturnType<typeof moec> => moec(['run', 'models/phimoe.moe', ...small, '--prompt', 'abc', '--max-tokens', '4', ...more], at);

  test.each(['1', '3'])('cannot be given %s picks', async (k) => {
    expect(await run('--active', k)).toEqual({
      code: 1,
      out: '',
      err: `error[picks-cannot-be-set]: \`body.blocks.0.ffn\` always picks 2 experts: its router does not end in one \`top(…, k)\`, so there is no k to set
   ╭─ models/phimoe.moe:60:16
 60│     return h + ffn(norm2(h))
   │                ^^^^^^^^^^^^^
   ├─ models/std/routers.moe:103:12
103│     return concat([first, second]), concat([w1, w2])
   │            ^^^^^^^^^^^^^^^^^^^^^^^ the picks, as the router makes them
   = fix leave \`--active\` out

1 error
`,
    });
  });

  test('cannot be compiled to be given one', async () => {
    const { code, err } = await moec(['compile', 'models/phimoe.moe', ...small, '-o', join(scratch, 'phi'), '--active'], at);
    expect([code, codes(err), existsSync(join(scratch, 'phi'))]).toEqual([1, ['picks-cannot-be-set'], false]);
  });

  test('takes the number that it has', async () => {
    const { code, out, err } = await run('--active', '2', '--stats');
    expect([code, codes(err), picks(err)]).toEqual([0, [], ['body.blocks.0.ffn 12', 'body.blocks.1.ffn 12']]);
    expect(out).toBe((await run()).out);
  });
});

describe('a compiled folder', () => {
  test('takes what it was compiled for, and says what it was not', async () => {
    expect((await call('compile', 'heads.moe', '-o', 'plain')).code).toBe(0);
    expect(codes((await call('run', 'plain', '--prompt', 'abc', '--active', '2')).err)).toEqual(['picks-not-asked']);
    expect(codes((await call('run', 'plain', '--prompt', 'abc', '--stats')).err)).toEqual(['no-statistics']);
    expect((await call('compile', 'heads.moe', '-o', 'open', '--active', '--stats')).code).toBe(0);
    const texts = [];
    for (const more of [[], ['--active', '2']]) texts.push((await call('run', 'open', '--prompt', 'abc', '--max-tokens', '4', ...more)).out);
    texts.push((await call('run', 'plain', '--prompt', 'abc', '--max-tokens', '4')).out);
    expect(new Set(texts).size).toBe(1);
    const { code, out, err } = await call('run', 'open', '--prompt', 'abc', '--max-tokens', '4', '--active', '1', '--stats');
    expect([code, picks(err)]).toEqual([0, ['blocks.0.attn 6', 'blocks.0.ffn 6', 'blocks.1.attn 6', 'blocks.1.ffn 6']]);
    expect(out).toBe((await call('run', 'heads.moe', '--prompt', 'abc', '--max-tokens', '4', '--active', '1')).out);
    writeFileSync(join(scratch, 'ids.json'), '{"input_ids": [[1, 2]]}');
    for (const [k, ...wanted] of [
      ['3', 0],
      ['5', 1, 'option-out-of-range'],
    ] as const) {
      const computed = await call('run', 'open', '--inputs', 'ids.json', '--active', k);
      expect([computed.code, ...codes(computed.err).filter((one) => one !== 'input-filled')]).toEqual(wanted);
    }
  });

  test.each(['1', '3'])('with %s picks given is the source with so many, where it is compared and where it is measured', async (k) => {
    expect((await call('compile', 'heads.moe', '-o', 'open', '--active')).code).toBe(0);
    const verified = await call('verify', 'open', 'heads.moe', '--active', k, '--json');
    expect([verified.code, JSON.parse(verified.out)]).toMatchObject([0, { ok: true }]);
    writeFileSync(join(scratch, 'text.txt'), 'the quick brown fox jumps over the lazy dog');
    const nats = [];
    for (const [path, ...more] of [['open', '--active', k], ['heads.moe', '--active', k], ['heads.moe']] as const) {
      const { out } = await call('eval', path, '--text', 'text.txt', '--json', ...more);
      nats.push((JSON.parse(out) as { readonly nats: number }).nats);
    }
    const [open = Number.NaN, set = Number.NaN, usual = Number.NaN] = nats;
    expect(Math.abs(open - set)).toBeLessThan(1e-6);
    expect(Math.abs(open - usual)).toBeGreaterThan(1e-4);
    for (const command of ['eval', 'verify', 'bench'] as const) {
      const { code, err } = await call(command, 'open', ...(command === 'eval' ? ['--text', 'text.txt'] : command === 'verify' ? ['heads.moe'] : []), '--active', '5');
      expect([code, err]).toEqual([1, 'error[option-out-of-range]: --active must be 1 to 4, not 5\n\n1 error\n']);
    }
  });

  test('shows routers as functions, and none with --flatten', async () => {
    for (const [more, names] of [
      [[], ['TopSoftmax', 'TopOfSoftmax']],
      [['--flatten'], []],
    ] as const) {
      const { code } = await call('compile', 'heads.moe', '-o', 'shown', '--generate', ...more);
      expect(code).toBe(0);
      for (const file of ['model.onnx', 'generate.onnx']) expect((decodeModel(readFileSync(join(scratch, 'shown', file))).functions ?? []).map(({ name }) => name)).toEqual(names);
    }
  });
});

describe('experts that take tokens', () => {
  const model = (router: string): string => `import { Embedding, Rotation, Attention } from "std/layers"
import { ${router.split('(')[0]} } from "std/routers"

dim B, S
param D = 16

model Chooses {
  embed = Embedding(256, D)
  turn  = Rotation(8, theta: 10_000.0)
  attn  = Attention(D, heads: 2, kv_heads: 1, width: 8, rotation: turn)
  ffn   = ${router}
  forward(input_ids: i64[B, S]) -> logits: [B, S, 256] {
    x = embed(input_ids)
    h = x + attn(x)
    return (h + ffn(h)) @ embed.table.T
  }
}
`;
  const chosen = [
    'cannot be computed a step at a time: it picks among the rows of S\n   ╭─ models/std/routers.moe:169:9\n169│     t = top(s, c)\n   │         ^^^^^^^^^\n',
    'cannot be computed a step at a time: it adds to any row of S\n   ╭─ models/std/routers.moe:170:12\n170│     return scatter_add(',
  ];
  const blended = [
    'cannot be computed a step at a time: it normalises over the rows of S\n   ╭─ models/std/routers.moe:180:21\n180│     slots = reshape(softmax(s, axis: 1).T @ x, [B, E, p, D])\n   │                     ^^^^^^^^^^^^^^^^^^^\n',
  ];

  test.each([
    ['ExpertChoice(D, H: 8, E: 4, c: 2)', chosen],
    ['Soft(D, H: 8, E: 4, p: 2)', blended],
  ])('%s is refused where a cache is asked for, and runs without', async (router, said) => {
    writeFileSync(join(scratch, 'chooses.moe'), model(router));
    expect((await call('check', 'chooses.moe')).code).toBe(0);
    for (const words of [
      ['run', 'chooses.moe', '--prompt', 'abc'],
      ['compile', 'chooses.moe', '-o', 'chooses'],
      ['compile', 'chooses.moe', '-o', 'chooses', '--target', 'portable'],
    ]) {
      const { code, out, err } = await call(...words);
      expect([code, out, new Set(codes(err))]).toEqual([1, '', new Set(['cannot-step'])]);
      for (const one of said) expect(err.replaceAll(/\S+(?=models\/std)/g, '')).toContain(one);
      expect(err).toContain('= fix compute every token from the whole text: --no-cache\n');
    }
    expect(existsSync(join(scratch, 'chooses'))).toBe(false);
    expect((await call('run', 'chooses.moe', '--prompt', 'abc', '--max-tokens', '2', '--no-cache')).code).toBe(0);
  });
});

describe('moec inspect', () => {
  test('compares experts in a table, and all pairs as JSON', async () => {
    const { code, out } = await call('inspect', 'heads.moe', '--which', '0,3');
    expect(code).toBe(0);
    expect([...out.matchAll(/^(\S+) +4 +(\w+) \((\w+)\)((?: +-?\d\.\d{4}){5})$/gm)].map(([, ...found]) => found.slice(0, 3).join(' '))).toEqual([
      'blocks.0.attn q keys',
      'blocks.0.attn o values',
      'blocks.1.ffn gate keys',
      'blocks.1.ffn up keys',
      'blocks.1.ffn down values',
    ]);
    const { mixtures } = JSON.parse((await call('inspect', 'heads.moe', '--which', '0', '--no-neurons', '--json')).out) as {
      readonly mixtures: readonly { readonly path: string; readonly matrices: readonly Readonly<Record<string, unknown>>[] }[];
    };
    expect(mixtures.map(({ path }) => path)).toEqual(['blocks.0.attn']);
    expect(mixtures[0]?.matrices.map((one) => Object.keys(one).sort().join())).toEqual([
      'averaged,gateCorrelation,name,neurons,role,whole,width',
      'averaged,gateCorrelation,name,neurons,role,whole,width',
    ]);
  });

  test('refuses what it cannot compare', async () => {
    expect(codes((await call('inspect', 'heads.moe', '--which', '4')).err)).toEqual(['option-out-of-range']);
    expect((await call('inspect', 'heads.moe', '--which', 'x')).code).toBe(2);
    expect(codes((await moec(['inspect', 'models/tiny.moe'])).err)).toEqual(['no-experts']);
    expect(existsSync(join(scratch, 'out'))).toBe(false);
  });
});
