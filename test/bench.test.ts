/** `moec bench`: what the bound is made of, what is printed, and what is refused. Speeds themselves are not held to anything here. */

import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { constant } from '../src/graph/dim.ts';
import { account } from '../src/inspect/account.ts';
import { bareProducts, hiddenProducts } from '../src/passes/bare-products.ts';
import { median, middleOf, quotientsOf } from '../src/run/bench.ts';
import { modelOfSource } from '../src/run/find-model.ts';
import { modelOfOnnx } from '../src/run/find-onnx.ts';
import { valuesIn } from '../src/run/instrument.ts';
import { prepare } from '../src/run/prepare.ts';
import { extentOf } from '../src/run/seeded-inputs.ts';
import { makeLlama } from './checkpoints.ts';
import { repositoryReader } from './repository.ts';
import { checkpointModel, must, targetOf, zooModel } from './running.ts';
import { moec } from './terminal.ts';

let scratch = '';
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'moec-bench-'));
  makeLlama(join(scratch, 'llama'));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe('the bound', () => {
  const models = {
    tiny: () => zooModel('tiny'),
    'a mixture of feed-forwards': () => zooModel('olmoe', { set: { V: '64', D: '32', H: '16', L: '2', N: '2', E: '8', k: '2' } }),
    'mixtures of heads and of feed-forwards': () => must(modelOfSource('test/mixtures/moa.moe', { reader: repositoryReader, zoo: '' })),
  };

  it.each(Object.entries(models))('of %s has the multiplications of one token that `explain` counts', (_, find) => {
    const { graph } = find().model;
    expect(2 * multiplications(graph, 1, false)).toBe(account(graph).total.flops);
  });

  it('of a file of ONNX has them too, and none of a file whose products stand in branches', async () => {
    for (const [name, path, hidden] of [
      ['llama', join(scratch, 'llama'), undefined],
      ['moa', 'test/mixtures/moa.moe', 'If'],
    ] as const) {
      expect((await moec(['compile', path, '--no-cache', '--lowering', 'guarded', '-o', join(scratch, `file-${name}`)])).code).toBe(0);
      const { graph } = must(modelOfOnnx(join(scratch, `file-${name}`, 'model.onnx'))).model;
      expect(hiddenProducts(graph)?.op.foreign?.type).toBe(hidden);
      if (hidden === undefined) expect(2 * multiplications(graph, 1, false)).toBe(account(checkpointModel(path).model.graph).total.flops);
    }
  });

  it('grows with the tokens, all experts taking their share, and has the head for the last one alone', () => {
    const { graph } = models['a mixture of feed-forwards']().model;
    const [one, many, last] = [multiplications(graph, 1, false), multiplications(graph, 64, false), multiplications(graph, 64, true)];
    expect(many).toBe(64 * one);
    expect(many - last).toBe(63 * 32 * 64);
  });

  it('runs as many products as there are, none of them shared', async () => {
    const found = zooModel('albert', { model: 'AlbertMasked', set: { V: '32', D: '16', H: '24', L: '3', N: '2' } });
    const made = bareProducts(found.model.graph, 4, { last: false });
    if (!made) throw new Error('no products');
    const ready = must(await prepare({ ...found, model: { ...found.model, graph: made.graph } }, { target: targetOf('ort'), version: 'test' }));
    const products = valuesIn(ready.model).filter((name) => /\/(Gemm|MatMul)(\.\d+)?$/.test(name));
    ready.dispose?.();
    expect(products.length).toBe(made.graph.nodes.filter(({ op }) => op.name === 'matmul').length);
    // Six of each of three blocks that share their weights, and those around them.
    expect(products.length).toBeGreaterThan(3 * 6);
  });
});

/** Multiplications of a graph of bare products. */
function multiplications(graph: Parameters<typeof bareProducts>[0], tokens: number, last: boolean): number {
  const made = bareProducts(graph, tokens, { last });
  const rows = new Map(made?.operands.map((operand) => [operand.name, operand.rows]));
  return (made?.graph.nodes ?? [])
    .filter(({ op }) => op.name === 'matmul')
    .reduce(
      (sum, { inputs: [x, w] }) => sum + (rows.get(x?.name ?? '') ?? Number.NaN) * (w?.type?.dims ?? []).reduce((product, size) => product * (constant(size) ?? Number.NaN), 1),
      0,
    );
}

describe('rounds', () => {
  it('are put together by the median of each figure', () => {
    expect(median([5, 1, 3])).toBe(3);
    const round = (load: number, prefill: number, decode: number) => ({ load, speeds: [{ context: 8, prefill, decode }] });
    expect(middleOf([round(1, 30, 2), round(3, 10, 9), round(2, 20, 4)])).toEqual({ load: 2, 'read 8': 20, 'write at 8': 4 });
    // Each round has its own quotient: a slow one spoils none.
    expect(quotientsOf([round(1, 30, 2), round(9, 3, 1), round(2, 20, 4)], [round(1, 15, 1), round(9, 1.5, 0.5), round(1, 10, 1)])).toEqual({
      load: 1,
      'read 8': 2,
      'write at 8': 2,
    });
  });
});

describe('tokens of a run', () => {
  it.each([
    ['along the second axis', 'i64', ['B', 'S'], { rows: 1, tokens: 64 }],
    ['along the only open axis', 'f32', ['S', 16], { rows: 64, tokens: 64 }],
    ['of a list of ids', 'i64', ['S'], { rows: 64, tokens: 64 }],
    ['of a fixed length', 'i64', ['B', 12], { rows: 1, tokens: 12 }],
    ['of a fixed length, as vectors', 'f32', [1, 12, 16], { rows: 1, tokens: 12 }],
    ['where an image is one', 'f32', ['N', 3, 32, 32], { rows: 1, tokens: 1 }],
  ] as const)('%s', (_, dtype, dims, extent) => expect(extentOf([{ name: 'x', dtype, dims }], 64)).toEqual(extent));
});

const quick = ['--contexts', '8', '--steps', '4', '--rounds', '2', '--threads', '1'];

describe('moec bench', () => {
  it('prints a table of both models, their bound and their quotient', async () => {
    const { code, out, err } = await moec(['bench', 'models/tiny.moe', join(scratch, 'llama'), ...quick]);
    expect([code, out.split('\n').map((line) => line.replace(/ {2,}.*$/, ''))]).toEqual([
      0,
      [
        'tokens a second',
        'models/tiny.moe',
        join(scratch, 'llama'),
        'bound of models/tiny.moe',
        `bound of ${join(scratch, 'llama')}`,
        'models/tiny.moe, share of its bound',
        `${join(scratch, 'llama')}, share of its bound`,
        `models/tiny.moe / ${join(scratch, 'llama')}`,
        'medians of 2 rounds, 1 thread',
        '',
      ],
    ]);
    expect(out).toMatch(/^tokens a second +load s +read 8 +write at 8\nmodels\/tiny.moe +[\d.]+ +[\d.]+ +[\d.]+\n/);
    expect(err).toMatch(/next: moec verify models\/tiny.moe \S+\n$/);
  }, 120_000);

  it('gives every round as JSON, and no bound of mixtures that are compiled', async () => {
    const source = readFileSync(new URL('mixtures/moa.moe', import.meta.url), 'utf8');
    writeFileSync(join(scratch, 'heads.moe'), source.replace('Embedding(32, 8)', 'Embedding(256, 8)').replace('[B, S, 32]', '[B, S, 256]'));
    expect((await moec(['compile', join(scratch, 'heads.moe'), '--lowering', 'guarded', '-o', join(scratch, 'compiled')])).code).toBe(0);
    const { code, out } = await moec(['bench', join(scratch, 'compiled'), ...quick, '--json']);
    const { models, diagnostics, threads } = JSON.parse(out);
    expect([code, threads, diagnostics.map((one: { code: string }) => one.code)]).toEqual([0, 1, ['no-bound']]);
    const round = { load: expect.any(Number), speeds: [{ context: 8, prefill: expect.any(Number), decode: expect.any(Number) }] };
    const medians = { load: expect.any(Number), 'read 8': expect.any(Number), 'write at 8': expect.any(Number) };
    expect(models).toEqual([{ name: join(scratch, 'compiled'), medians, rounds: [round, round] }]);
  }, 60_000);

  it('says when one model is stepped and the other is not', async () => {
    const compiled = join(scratch, 'stepped');
    expect((await moec(['compile', 'models/tiny.moe', '-o', compiled])).code).toBe(0);
    const beside = async (other: string): Promise<string> => (await moec(['bench', compiled, other, ...quick, '--no-bound'])).err;
    expect(await beside('models/tiny.moe')).toContain(
      `note[forms-differ]: ${compiled} is stepped token by token, models/tiny.moe writes in a loop of its graph: the difference of the two ways is in the figures`,
    );
    expect(await beside(compiled)).not.toContain('forms-differ');
  }, 60_000);

  it('leaves out what one of two models does not do', async () => {
    const reads = join(scratch, 'reads');
    expect((await moec(['compile', 'models/tiny.moe', '--no-cache', '-o', reads])).code).toBe(0);
    const more = ['--contexts', '8,16', '--steps', '2', '--rounds', '1', '--threads', '1', '--no-bound'];
    const { out } = await moec(['bench', reads, 'models/tiny.moe', ...more]);
    const [head = '', , , quotient = ''] = out.split('\n');
    expect(head).toMatch(/^tokens a second +load s +read 8 +write at 8 +read 16 +write at 16$/);
    expect(quotient).toMatch(/ \/ \S+( +\d+\.\d\d){3}$/);
    // The third figure is of the second context, not of what the other writes at the first.
    expect(quotient.lastIndexOf(' ') + 1).toBe(head.indexOf('read 16'));
    const { quotients } = JSON.parse((await moec(['bench', 'models/tiny.moe', reads, ...more, '--json'])).out);
    expect(Object.keys(quotients)).toEqual(['load', 'read 8', 'read 16']);
  }, 120_000);

  it('says what a process said first of its end', async () => {
    writeFileSync(join(scratch, 'ends.mjs'), "console.error('<--- Last few GCs --->\\nfault: one\\ntwo');\nprocess.exit(3);\n");
    vi.stubEnv('NODE_OPTIONS', `--import=${join(scratch, 'ends.mjs')}`);
    const found = await moec(['bench', 'models/tiny.moe', ...quick, '--no-bound']).finally(() => vi.unstubAllEnvs());
    expect([found.code, found.err]).toEqual([
      1,
      expect.stringContaining('error[session-ended]: the session ended before it was done: the process of contender-0 ended with 3: fault: one\n'),
    ]);
  }, 60_000);

  const small = ['V=64', 'D=16', 'H=32', 'L=1', 'E=4', 'W=8', 'picked=2'].flatMap((one) => ['--set', one]);
  it.each([
    ['does not continue', ['models/tiny.moe', '--no-cache']],
    ['writes to what it reads beside a prompt', ['models/moa.moe', ...small]],
  ])(
    'only reads where a model %s',
    async (_, words) => {
      const { out } = await moec(['bench', ...words, ...quick, '--no-bound', '--json']);
      expect(JSON.parse(out).models[0].medians).toEqual({ load: expect.any(Number), 'read 8': expect.any(Number) });
    },
    60_000,
  );

  it('says what its process was refused as it would be said here', async () => {
    const broken = join(scratch, 'broken');
    expect((await moec(['compile', 'models/tiny.moe', '-o', broken])).code).toBe(0);
    const read = JSON.parse(readFileSync(join(broken, 'moec.json'), 'utf8'));
    const file = join(broken, 'model.onnx');
    const bytes = readFileSync(file).fill(255, 0, 16);
    writeFileSync(file, bytes);
    for (const one of read.files) if (one.name === 'model.onnx') one.sha256 = createHash('sha256').update(bytes).digest('hex');
    writeFileSync(join(broken, 'moec.json'), JSON.stringify(read));
    const { code, err } = await moec(['bench', broken, ...quick, '--no-bound']);
    expect([code, err.match(/onnxruntime/g)?.length]).toEqual([1, 1]);
  }, 60_000);

  it.each<readonly [string, readonly string[], number, string]>([
    ['a context beyond the model', ['llama', '--contexts', '40', '--steps', '8'], 1, 'error[option-out-of-range]: --contexts must be 39 at most with --steps 8, not 40'],
    ['steps beyond the model', ['llama', '--steps', '48'], 1, 'error[option-out-of-range]: --steps must be'],
    ['contexts that are none', ['llama', '--contexts', '0'], 2, 'It is a list of whole numbers up to 16777216, such as 64,512.'],
    ['contexts that no list holds', ['llama', '--contexts', '99999999999'], 2, 'It is a list of whole numbers up to 16777216'],
    ['steps that no list holds', ['llama', '--steps', '99999999999'], 2, 'It is a whole number, from 1 to 16777216.'],
    ['a model that is not there', ['lama'], 1, 'error[target-missing]'],
  ])('refuses %s', async (_, [model = '', ...more], code, said) => {
    const found = await moec(['bench', join(scratch, model), ...more]);
    expect([found.code, found.out]).toEqual([code, '']);
    expect(found.err).toContain(said);
  });

  it('keeps the command of its processes out of the help', async () => {
    expect((await moec(['--help'])).out).not.toContain('bench-round');
  });
});
