/** The bargain of `moec emerge`: what is measured on what, what is kept from call to call, what is expected before, and that the data and the page have it all. */

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { emergentSettingsOf } from '../src/model/index.ts';
import { findFeedForwards } from '../src/passes/feed-forwards.ts';
import { measureLines } from '../src/run/bargain.ts';
import { computedBy } from '../src/run/measured.ts';
import { inSession, type Session } from '../src/run/session.ts';
import { forecast } from '../src/targets/mixture/forecast.ts';
import { must, targetOf, zooModel } from './running.ts';
import { moec } from './terminal.ts';

let scratch = '';
const place = (name: string): string => join(scratch, name);

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'moec-bargain-'));
  const words = Array.from({ length: 400 }, (_, i) => ['the', 'cat', 'sat', 'on', 'a', 'mat', 'and'][(i * i) % 7]);
  writeFileSync(place('text.txt'), words.join(' '));
  writeFileSync(place('other.txt'), words.join(', '));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

interface Said {
  readonly lines: readonly { readonly name: string; readonly value: number; readonly ofDense: number; readonly cached: boolean }[];
  readonly metric: { readonly kind: string; readonly on: string };
  readonly expected: readonly { readonly tokens: number; readonly dense: number; readonly experts: number }[];
  readonly diagnostics: readonly { readonly code: string; readonly message: string }[];
}

/** The first block of tiny as four experts of 43 neurons. */
async function emerge(more: readonly string[], cache?: string): Promise<Said> {
  const usual = ['emerge', 'models/tiny.moe', '--experts', '4', '--top', '2', '--layers', '0', '--tokens', '256', '--evaluate', '128', '--threads', '1', '-o', place('out')];
  const { code, out, err } = await moec([...usual, '--json', ...more], cache === undefined ? {} : { cache });
  expect({ code, err }).toEqual({ code: 0, err: '' });
  return JSON.parse(out) as Said;
}

describe('figures of an earlier call', { timeout: 120_000 }, () => {
  const calibrated = ['--speed', 'none', '--calibrate'];

  it('are kept by digest, named as such, and measured anew where asked for', async () => {
    const cache = place('cache');
    const first = await emerge([...calibrated, place('text.txt')], cache);
    expect(first.lines.map(({ name }) => name)).toEqual(['dense', 'all experts', 'asked', 'random', 'static', 'oracle', 'contiguous']);
    expect(first.lines.filter(({ cached }) => cached)).toEqual([]);
    const folder = join(cache, 'measured');
    const kept = readdirSync(folder);
    expect(kept).toHaveLength(7);
    // Only what was read can come to 123.
    for (const file of kept) writeFileSync(join(folder, file), JSON.stringify({ value: 123 }));
    const again = await emerge([...calibrated, place('text.txt')], cache);
    expect(again.lines.map(({ value, cached }) => ({ value, cached }))).toEqual(first.lines.map(() => ({ value: 123, cached: true })));
    const anew = await emerge([...calibrated, place('text.txt'), '--no-cache'], cache);
    expect(anew.lines).toEqual(first.lines);
    expect(readdirSync(folder)).toEqual(kept);
  });

  it('are of the same tokens only: another text, and another seed of the weights, are measured', async () => {
    const cache = place('cache-of-tokens');
    const one = await emerge([...calibrated, place('text.txt'), '--held-out', place('other.txt')], cache);
    expect(one.metric.on).toBe(`128 tokens of ${place('other.txt')}`);
    const two = await emerge([...calibrated, place('text.txt'), '--held-out', place('text.txt')], cache);
    expect(two.lines.filter(({ cached }) => cached)).toEqual([]);
    const seeded = await emerge([...calibrated, place('text.txt'), '--held-out', place('text.txt'), '--seed', '5'], cache);
    expect(seeded.lines.filter(({ cached }) => cached)).toEqual([]);
    expect(seeded.lines[0]?.value).not.toBe(two.lines[0]?.value);
  });
});

describe('what computes a figure', () => {
  it('is another where a file of the code has other bytes, another name, or is new; what is no code does not count', () => {
    const code = place('code');
    mkdirSync(join(code, 'run'), { recursive: true });
    const put = (name: string, text: string): string => {
      writeFileSync(join(code, name), text);
      return computedBy(code);
    };
    const first = put('run/one.js', 'export const one = 1;');
    expect(put('run/one.d.ts', 'export declare const one: 1;')).toBe(first);
    const changed = put('run/one.js', 'export const one = 2;');
    const more = put('two.ts', '');
    renameSync(join(code, 'two.ts'), join(code, 'run/two.ts'));
    expect(new Set([first, changed, more, computedBy(code), computedBy()]).size).toBe(5);
    rmSync(join(code, 'run/two.ts'));
    expect(put('run/one.js', 'export const one = 1;')).toBe(first);
  });
});

describe('models that do not continue texts', { timeout: 120_000 }, () => {
  it('are measured by the share of right answers, each of the controls too', async () => {
    const row = { input_ids: [Array.from({ length: 48 }, (_, i) => (i * 7) % 32)] };
    writeFileSync(place('inputs.json'), JSON.stringify([row, row].map((one) => ({ ...one, attention_mask: [Array(48).fill(1)], token_type_ids: [Array(48).fill(0)] }))));
    writeFileSync(place('rows.json'), JSON.stringify([{ ids: [1, 2, 3, 4, 5, 6] }, { ids: [7, 8, 9, 10], mask: [1] }]));
    const set = ['V=32', 'D=16', 'H=24', 'L=3', 'N=2'].flatMap((one) => ['--set', one]);
    const usual = ['emerge', 'models/albert.moe', '--model', 'AlbertMasked', ...set, '--experts', '4', '--top', '2', '--speed', 'none', '--json', '-o', place('albert')];
    const call = [...usual, '--calibrate', place('inputs.json'), '--held-out', place('rows.json')];
    const said = await moec([...call, '--mask-token', '31']);
    expect(said.code, said.err).toBe(0);
    const { metric, lines } = JSON.parse(said.out) as Said;
    expect(metric).toEqual({ kind: 'accuracy', on: `5 masked tokens of ${place('rows.json')}` });
    expect(lines).toHaveLength(7);
    for (const { value } of lines) expect([0, 0.2, 0.4, 0.6, 0.8, 1]).toContain(value);
    const dense = await moec(['eval', 'models/albert.moe', '--model', 'AlbertMasked', ...set, '--text', place('rows.json'), '--mask-token', '31', '--json']);
    expect(lines[0]?.value).toBe(JSON.parse(dense.out).accuracy);
    expect((await moec(call)).out).toContain('mask-token-missing');
  });
});

describe('what the cost model expects', { timeout: 120_000 }, () => {
  const ort = { target: targetOf('ort'), steps: true, written: true };
  const asked = (experts: number, picks: number): Parameters<typeof forecast>[2] => must(emergentSettingsOf({ experts: String(experts), pick: `top(${picks})` }, (name) => name));

  it('is told before converting where experts lose', async () => {
    const { diagnostics, expected } = await emerge(['--speed', 'none']);
    const told = diagnostics.filter(({ code }) => code === 'experts-not-faster');
    expect(told.map(({ message }) => message.replaceAll(/[\d.]+ ms/g, '_ ms'))).toEqual(
      expected.filter(({ dense, experts }) => experts > dense).map(({ tokens }) => expect.stringContaining(`_ ms for ${tokens === 1 ? 'one token' : '256 tokens'}`)),
    );
    expect(told.length).toBeGreaterThan(0);
    const { code, err } = await moec(['emerge', 'models/tiny.moe', '--experts', '43', '--top', '22', '--speed', 'none', '-o', place('shown')]);
    expect(code).toBe(0);
    expect(err).toMatch(
      /^warning\[experts-not-faster\]: as experts the feed-forwards would take [\d.]+ ms for one token, and [\d.]+ ms as they are, by the costs of the target ort$/m,
    );
  });

  it('is a gain for wide layers, about that of the parameters, and grows with the layers and with the picks', () => {
    const { graph } = zooModel('llama', { set: { V: '64', D: '2048', H: '8192', L: '2', N: '4', G: '4' } }).model;
    const layers = findFeedForwards(graph).found;
    const [one] = forecast(graph, layers, asked(16, 4), ort);
    expect(one?.tokens).toBe(1);
    const gain = (one?.dense ?? 0) / (one?.experts ?? 1);
    expect(gain).toBeGreaterThan(3);
    expect(gain).toBeLessThanOrEqual(4);
    const single = forecast(graph, layers.slice(0, 1), asked(16, 4), ort);
    expect(one?.experts).toBeCloseTo(2 * (single[0]?.experts ?? 0), 9);
    expect(forecast(graph, layers, asked(16, 8), ort)[0]?.experts).toBeGreaterThan(one?.experts ?? 0);
  });
});

describe('a sweep', { timeout: 120_000 }, () => {
  it.each(['8:0.5:4', '8', '8:', '1:0.5', '8:1.5', '8,x:0.5'])('refuses the grid %s', async (grid) => {
    const { code, out, err } = await moec(['emerge', 'models/tiny.moe', '--sweep', grid]);
    expect({ code, out, err }).toEqual({
      code: 2,
      out: '',
      err: `error: option '--sweep [GRID]' argument '${grid}' is invalid. It is written EXPERTS:SHARES, such as 16,32:0.75,0.5,0.25.\n(\`moec --help\` lists commands, \`moec COMMAND --help\` its options)\n`,
    });
  });

  it('names the tokens that it measured on, and gives calls with all that was asked for', async () => {
    const text = place('text.txt');
    const asked = ['--layers', '0', '--seed', '3', '--calibrate', text, '--tokens', '128'];
    const { code, out, err } = await moec(['emerge', 'models/tiny.moe', '--sweep', '4:0.5', ...asked, '--evaluate', '64']);
    expect(code, err).toBe(0);
    expect(out).toContain(`\nperplexity on 64 tokens of ${text}, after the 128 that were calibrated on\ncalibrated on the dense model, as with --no-in-order; in order,`);
    expect(out).toContain(`\n  moec emerge models/tiny.moe --experts 4 --top 2 --seed 3 --layers 0..1 --calibrate ${text} --tokens 128 --no-in-order\n`);
  });
});

describe('one calibration input alone', { timeout: 120_000 }, () => {
  const call = (...more: readonly string[]): ReturnType<typeof moec> =>
    moec(['emerge', 'models/tiny.moe', '--experts', '4', '--layers', '0', '--speed', 'none', '-o', place('scarce'), ...more]);
  const warning = (file: string, fix: string): string =>
    `warning[judged-on-fitted]: layers were judged on what they were fitted to: ${file} makes one calibration input alone\n  = fix ${fix}\n\n1 warning\n`;

  it('is warned of, with what would make two', async () => {
    // Of 1,371 tokens, one a byte.
    const text = place('text.txt');
    const other = place('other.txt');
    writeFileSync(place('one.json'), JSON.stringify([{ input_ids: [Array.from({ length: 64 }, (_, i) => i)] }]));
    for (const [more, file, fix] of [
      [['--calibrate', text, '--tokens', '512'], text, 'calibrate on more of the text: --tokens 1024'],
      [['--calibrate', text], text, 'calibrate on a text of 2048 tokens or more: half of it is measured on'],
      [['--calibrate', place('one.json'), '--held-out', other], place('one.json'), 'list two inputs or more'],
    ] as const) {
      const { code, err } = await call(...more, '--evaluate', '64');
      expect(code, err).toBe(0);
      expect(err).toContain(warning(file, fix));
    }
  });

  it('is not where the text makes two', async () => {
    const { code, err } = await call('--calibrate', place('text.txt'), '--held-out', place('other.txt'), '--evaluate', '64');
    expect(code, err).toBe(0);
    expect(err).not.toContain('judged-on-fitted');
  });
});

describe('a text to measure on that was calibrated on', { timeout: 120_000 }, () => {
  it.each([['conversion'], ['sweep']])('is warned of by a %s', async (kind) => {
    const [text, other] = [place('text.txt'), place('other.txt')];
    const more = kind === 'sweep' ? ['--sweep', '4:0.5'] : ['--experts', '4', '--speed', 'none', '-o', place('seen')];
    const said = (held: string): ReturnType<typeof moec> =>
      moec(['emerge', 'models/tiny.moe', '--layers', '0', ...more, '--calibrate', text, '--held-out', held, '--tokens', '1024', '--evaluate', '64']);
    const warning = `warning[measured-on-calibrated]: ${text} is both calibrated on and measured on, so that its figures flatter\n`;
    const flattering = await said(text);
    expect([flattering.err, flattering.out]).toEqual([
      expect.stringContaining(warning),
      expect.stringContaining(`\nperplexity on 64 tokens of ${text}, which was calibrated on\n`),
    ]);
    const fair = await said(other);
    expect([fair.err, fair.out]).toEqual([expect.not.stringContaining('measured-on-calibrated'), expect.stringContaining(`\nperplexity on 64 tokens of ${other}\n`)]);
  });
});

describe('measuring that fails', { timeout: 120_000 }, () => {
  afterEach(() => void vi.unstubAllEnvs());

  it('leaves no session and no data file', async () => {
    const folder = mkdtempSync(place('temporary-'));
    vi.stubEnv('TMPDIR', folder);
    const sessions: Session[] = [];
    let made: readonly string[] = [];
    const found = zooModel('tiny');
    const interrupted = measureLines(
      found,
      [['dense', found.model.graph]],
      {
        kind: 'perplexity',
        on: 'nothing',
        key: '',
        of(session) {
          sessions.push(session);
          made = readdirSync(folder);
          return Promise.reject(new Error('interrupted'));
        },
      },
      { threads: 1, version: 'test' },
    );
    await expect(interrupted).rejects.toThrow('interrupted');
    expect(made).toHaveLength(1);
    expect(readdirSync(folder)).toEqual([]);
    expect(await sessions[0]?.run({})).toMatchObject({ ok: false, diagnostics: [{ code: 'session-ended' }] });
  });

  it('removes what was made for a model that does not load', async () => {
    let removed = 0;
    const model = { kind: 'bytes', bytes: new Uint8Array(8).fill(255), dataFolder: '.' } as const;
    const opened = await inSession({ model, form: 'whole', tokenizer: undefined, stop: [], dispose: () => void removed++ }, {}, () => Promise.reject(new Error('it was opened')));
    expect([opened.ok, removed]).toEqual([false, 1]);
  });
});

describe('speed that cannot be measured', { timeout: 120_000 }, () => {
  it('is said, and the conversion stands', async () => {
    const { code, out, err } = await moec(['emerge', 'models/tiny.moe', '--experts', '4', '--target', 'webgpu', '-o', place('webgpu')]);
    expect(code).toBe(0);
    expect(err).toContain('warning[speed-not-measured]: the speed was not measured: the target webgpu is another device\n');
    expect(out).toContain('model.onnx');
  });
});

describe('speed and the page', { timeout: 120_000 }, () => {
  it('times both models in turn, and writes all of it into the page', async () => {
    const text = place('text.txt');
    const page = place('page.html');
    writeFileSync(page, '<!doctype html>\n<p>An older page.</p>\n');
    const call = ['emerge', 'models/tiny.moe', '--experts', '4', '--top', '2', '--layers', '0', '--calibrate', text, '--tokens', '256', '--evaluate', '300', '-o', place('timed')];
    const { code, out, err } = await moec([...call, '--threads', '1', '--report', page]);
    expect(code, err).toBe(0);
    expect(out).toMatch(/^ +perplexity +of dense +read 256 +write$/m);
    expect(out).toMatch(/^dense +[\d.]+ +1\.000 × +[\d.]+ +1\.00 × +[\d.]+ +1\.00 ×$/m);
    expect(out).toMatch(/^asked +[\d.]+ +[\d.]+ × +[\d.]+ +[\d.]+ × +[\d.]+ +[\d.]+ ×$/m);
    expect(out).toContain('\nrandom, static and oracle pick among the same experts, and nothing stands in for those they drop\n');
    expect(out).toMatch(/^tokens a second: medians of \d+ rounds, 1 thread, on that text$/m);
    expect(out).toMatch(/× at best; reading reaches \d+ % of it; writing reaches \d+ % of it/);
    const written = readFileSync(page, 'utf8');
    const dense = /^dense +([\d.]+)/m.exec(out)?.[1] ?? 'nothing';
    expect(written).toContain(`<td>${dense}</td>`);
    expect(written).toContain('writes, tokens/s');
    expect(written).not.toMatch(/NaN|undefined|older/);
  });
});
