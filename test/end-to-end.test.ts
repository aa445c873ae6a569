/** From a checkpoint to text by the command line: every way to run one model agrees, and a compile writes what it announced, the same each time. */

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { llamaConfig, llamaShapes, makeBert, makeLlama } from './checkpoints.ts';
import { moec } from './terminal.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
mkdirSync(join(root, 'out'), { recursive: true });
/** Inside the project, so that a client's module finds onnxruntime-node as a user's would. */
const scratch = mkdtempSync(join(root, 'out/test-end-'));
afterAll(() => rmSync(scratch, { recursive: true }));

/** A call that has to succeed; what it printed. */
async function done(...call: readonly string[]): Promise<string> {
  const { code, out, err } = await moec(call, { cwd: scratch });
  if (code !== 0) throw new Error(`moec ${call.join(' ')} ended with ${code}: ${err}`);
  return out;
}

/** The files of a folder and their digests. */
function digests(folder: string): Readonly<Record<string, string>> {
  const full = join(scratch, folder);
  return Object.fromEntries(
    readdirSync(full)
      .sort()
      .map((name) => [
        name,
        createHash('sha256')
          .update(readFileSync(join(full, name)))
          .digest('hex'),
      ]),
  );
}

interface Texts {
  readonly texts: readonly { readonly prompt: string; readonly text: string; readonly tokens: readonly number[]; readonly ending: string }[];
  readonly statistics: { readonly generatedTokens: number };
}

/** Continuations as JSON tells them. */
async function texts(target: string, ...options: readonly string[]): Promise<Texts['texts']> {
  return (JSON.parse(await done('run', target, '--json', ...options)) as Texts).texts;
}

beforeAll(async () => {
  makeLlama(join(scratch, 'llama'));
  await done('compile', 'llama', '-o', 'ort', '--generate');
  await done('compile', 'llama', '-o', 'portable', '--target', 'portable');
}, 60_000);

describe('one model', () => {
  const ways: readonly (readonly [string, readonly string[]])[] = [
    ['the portable step', ['llama', '--target', 'portable']],
    ['without a cache', ['llama', '--no-cache']],
    ['a folder compiled for ort', ['ort']],
    ['a folder compiled for portable', ['portable']],
    ['a folder compiled in place', ['in-place']],
    ['a folder of links', ['linked']],
    ['shards', ['shards']],
    ['bf16', ['bf16']],
    ['a folder compiled from f16', ['out/f16']],
  ];
  const greedy = ['--max-tokens', '20'];
  const drawn = (seed: string): readonly string[] => [...greedy, '--temperature', '1.1', '--top-k', '40', '--top-p', '0.95', '--repeat-penalty', '1.2', '--seed', seed];
  /** What the checkpoint itself writes, in the loop of ort. */
  let [continued, sampled]: (Texts['texts'][number] | undefined)[] = [];
  beforeAll(async () => {
    makeLlama(join(scratch, 'in-place'));
    await done('compile', 'in-place', '--in-place');
    await done('compile', 'llama', '-o', 'linked', '--link');
    makeLlama(join(scratch, 'shards'), { shards: 3 });
    makeLlama(join(scratch, 'bf16'), { dtype: 'bf16' });
    makeLlama(join(scratch, 'f16'), { dtype: 'f16' });
    await done('compile', 'f16');
    [continued] = await texts('llama', '-p', 'Once upon', ...greedy);
    [sampled] = await texts('llama', '-p', 'Once upon', ...drawn('7'));
    expect([continued?.tokens.length, sampled?.tokens.length]).toEqual([20, 20]);
  }, 60_000);

  test.each(ways)('draws the same text through %s', async (_, [target = '', ...options]) => {
    expect(await texts(target, '-p', 'Once upon', ...drawn('7'), ...options)).toEqual([sampled]);
  });

  test('is continued greedily the same by a portable step; drawn otherwise with another seed or other numbers', async () => {
    expect(await texts('portable', '-p', 'Once upon', ...greedy)).toEqual([continued]);
    expect(await texts('portable', '-p', 'Once upon', ...drawn('8'))).not.toEqual([sampled]);
    makeLlama(join(scratch, 'other'), { config: { rms_norm_eps: 0.5 } });
    expect(await texts('other', '-p', 'Once upon', ...greedy)).not.toEqual([continued]);
  });

  test('continues several prompts at once as it does each alone', async () => {
    const prompts = ['a', 'The quick brown fox', 'éñ', 'Once upon'];
    const alone: unknown[] = [];
    for (const one of prompts.slice(0, 3)) alone.push(...(await texts('portable', '-p', one, ...greedy)));
    for (const target of ['llama', 'portable']) expect(await texts(target, ...prompts.flatMap((one) => ['-p', one]), ...greedy)).toEqual([...alone, continued]);
  });

  test('a stop text ends the text before it', async () => {
    const full = continued?.text ?? '';
    const stop = full.slice(3, 5);
    expect(await texts('llama', '-p', 'Once upon', ...greedy, '--stop', stop)).toMatchObject([{ text: full.slice(0, full.indexOf(stop)), ending: 'text' }]);
  });
});

test('an encoder computes the results of a file of inputs, the same from a compiled folder', async () => {
  makeBert(join(scratch, 'bert'));
  writeFileSync(
    join(scratch, 'inputs.json'),
    JSON.stringify({
      input_ids: [
        [1, 2, 3],
        [4, 5, 0],
      ],
      attention_mask: [
        [1, 1, 1],
        [1, 1, 0],
      ],
    }),
  );
  await done('compile', 'bert', '-o', 'out/bert');
  const direct = JSON.parse(await done('run', 'bert', '--inputs', 'inputs.json', '--full')) as { last_hidden_state: number[][][] };
  const compiled = JSON.parse(await done('run', 'out/bert', '--inputs', 'inputs.json', '--full')) as typeof direct;
  const [a, b] = [direct, compiled].map(({ last_hidden_state: rows }) => rows.flat(2));
  expect(a).toHaveLength(2 * 3 * 16);
  a?.forEach((value, i) => expect(b?.[i]).toBeCloseTo(value, 5));
});

describe('a compile', () => {
  test.each([
    ['of a checkpoint', ['llama', '--generate']],
    ['of links', ['llama', '--link']],
    ['of half precision', ['f16', '--target', 'portable']],
    ['of random weights', [join(root, 'models/tiny.moe'), '--set', 'D=16', '--set', 'H=24', '--seed', '3']],
  ])('%s writes what a dry run announces, and the same twice', async (_, call) => {
    const there = readdirSync(scratch, { recursive: true });
    const announced = JSON.parse(await done('compile', ...call, '-o', 'twice', '--dry-run', '--json')) as { files: readonly { name: string; bytes: number; how: string }[] };
    expect(readdirSync(scratch, { recursive: true })).toEqual(there);
    const written = JSON.parse(await done('compile', ...call, '-o', 'twice', '--json')) as typeof announced;
    expect(written.files.map(({ name, bytes, how }) => ({ name, bytes, how }))).toEqual(announced.files);
    expect(Object.fromEntries(written.files.map(({ name, bytes }) => [name, bytes]))).toEqual(
      Object.fromEntries(readdirSync(join(scratch, 'twice')).map((name) => [name, statSync(join(scratch, 'twice', name)).size])),
    );
    const first = digests('twice');
    await done('compile', ...call, '-o', 'twice');
    expect(digests('twice')).toEqual(first);
    rmSync(join(scratch, 'twice'), { recursive: true });
  });

  test('in place adds two files and leaves the weights', async () => {
    makeLlama(join(scratch, 'beside'));
    const before = digests('beside');
    await done('compile', 'beside', '--in-place', '--dry-run');
    expect(digests('beside')).toEqual(before);
    await done('compile', 'beside', '--in-place');
    expect(digests('beside')).toMatchObject(before);
    expect(Object.keys(digests('beside')).filter((name) => !(name in before))).toEqual(['model.onnx', 'moec.json']);
    expect(statSync(join(scratch, 'beside/model.onnx')).size).toBeLessThan(40_000);
  });

  test('with --link shares the bytes of the checkpoint, and says so', async () => {
    const { err } = await moec(['compile', 'llama', '-o', 'shared', '--link'], { cwd: scratch });
    expect(err).toContain('warning[data-linked]');
    expect(statSync(join(scratch, 'shared/model.safetensors')).ino).toBe(statSync(join(scratch, 'llama/model.safetensors')).ino);
  });

  test('says what to do next', async () => {
    expect((await moec(['compile', 'llama', '-o', 'next'], { cwd: scratch })).err).toMatch(/\nnext: moec run next --prompt "Once upon a time"\n$/);
    expect((await moec(['run', 'next', '-p', 'x', '--max-tokens', '2'], { cwd: scratch })).err).toMatch(/\nnext: moec client next\n$/);
    expect((await moec(['explain', 'llama'], { cwd: scratch })).err).toMatch(/next: moec compile llama -o out\/llama\n$/);
  });
});

test('explain counts what the checkpoint holds', async () => {
  const { total } = JSON.parse(await done('explain', 'llama', '--json')) as { total: { parameters: number; bytes: number; flops: number; cacheBytes: number } };
  const shapes = Object.entries(llamaShapes(llamaConfig));
  const size = (dims: readonly number[]): number => dims.reduce((a, b) => a * b, 1);
  const parameters = shapes.reduce((sum, [, dims]) => sum + size(dims), 0);
  // Every matrix but the embedding is multiplied once: 2 operations for each of its numbers.
  const flops = 2 * shapes.filter(([name, dims]) => dims.length === 2 && !name.includes('embed')).reduce((sum, [, dims]) => sum + size(dims), 0);
  // Keys and values of 2 layers, 2 heads of width 4, f32.
  expect(total).toMatchObject({ parameters, bytes: 4 * parameters, flops, cacheBytes: 2 * 2 * 2 * 4 * 4 });
});

test('the client of a compiled folder is sound TypeScript and continues as moec does', async () => {
  const [wanted] = await texts('portable', '-p', 'Once', '--max-tokens', '10');
  await done('client', 'portable', '-o', 'client/model.ts');
  const folder = join(scratch, 'client');
  const ids = [...Buffer.from('Once')];
  writeFileSync(
    join(folder, 'main.ts'),
    `import { load } from './model.js';\nconst model = await load();\nconst tokens: number[] = [];\nfor await (const token of model.generate(${JSON.stringify(ids)}, { maxTokens: 10 })) tokens.push(token);\nconsole.log(JSON.stringify(tokens));\nawait model.release();\n`,
  );
  writeFileSync(join(folder, 'package.json'), '{"type": "module"}');
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: { target: 'es2022', module: 'nodenext', types: ['node'], strict: true }, include: ['*.ts'] }));
  execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', folder], { stdio: 'pipe' });
  expect(JSON.parse(execFileSync(process.execPath, [join(folder, 'main.js')], { encoding: 'utf8' }))).toEqual(wanted?.tokens);
});
