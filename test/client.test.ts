import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { writeClient } from '../src/client/client.ts';
import { encodeModel } from '../src/onnx/wire.ts';
import { readFolder } from '../src/run/folder.ts';
import type { Manifest } from '../src/run/manifest.ts';
import type { Port } from '../src/run/tensor.ts';
import { modelOf, node } from './onnx-messages.ts';
import { must } from './running.ts';
import { moec } from './terminal.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
mkdirSync(join(root, 'out'), { recursive: true });
/** Inside the project, so that the module finds onnxruntime-node as a user's would. */
const folder = mkdtempSync(join(root, 'out/test-client-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const tiny = JSON.parse(readFileSync(new URL('run/tiny.json', import.meta.url), 'utf8')) as {
  readonly prompts: readonly (readonly number[])[];
  readonly greedy: readonly (readonly number[])[];
  readonly lastLogits: readonly (readonly number[])[];
};

const ids: readonly Port[] = [
  { name: 'input_ids', dtype: 'i64', dims: ['batch_size', 'sequence_length'] },
  { name: 'attention_mask', dtype: 'i64', dims: ['batch_size', 'total_sequence_length'] },
  { name: 'position_ids', dtype: 'i64', dims: ['batch_size', 'sequence_length'] },
];
const cache = (name: string, length: string): readonly Port[] => ['key', 'value'].map((one) => ({ name: `${name}.0.${one}`, dtype: 'f32', dims: ['batch_size', 2, length, 4] }));
const logits: Port = { name: 'logits', dtype: 'f32', dims: ['batch_size', 'sequence_length', 17] };

/** A compiled folder around a model made elsewhere, and the client for it at `DIR/client.ts`. */
function clientOf(form: 'step' | 'whole'): string {
  const compiled = join(folder, `tiny ${form}`);
  mkdirSync(compiled);
  copyFileSync(new URL(`run/tiny-${form}.onnx`, import.meta.url), join(compiled, 'model.onnx'));
  const step = form === 'step';
  const manifest: Manifest = {
    moec: '0.1.0',
    model: 'tiny_lm',
    source: 'models/tiny.moe',
    params: {},
    target: 'portable',
    form,
    context: 24,
    vocabulary: 17,
    tokenizer: null,
    opset: 21,
    files: [{ name: 'model.onnx', bytes: readFileSync(join(compiled, 'model.onnx')).length }],
    inputs: step ? [...ids, ...cache('past_key_values', 'past_sequence_length')] : ids,
    outputs: step ? [logits, ...cache('present', 'total_sequence_length')] : [logits],
  };
  writeFileSync(join(compiled, 'moec.json'), JSON.stringify(manifest));
  writeFileSync(join(compiled, 'config.json'), '{"eos_token_id": 15}');
  const read = readFolder(compiled);
  if (!read.ok) throw new Error(JSON.stringify(read.diagnostics));
  return writeClient(read.value, join(folder, `${form}.ts`));
}

/** The client for a negation whose sizes nobody knows. */
async function openClient(): Promise<string> {
  const open = (name: string) => ({ name, type: { tensorType: { elemType: 1 } } });
  writeFileSync(join(folder, 'open.onnx'), encodeModel(modelOf({ input: [open('x')], output: [open('y')], node: [node('Neg', ['x'], ['y'])] })));
  expect(await moec(['compile', 'open.onnx', '-o', 'open'], { cwd: folder })).toMatchObject({ code: 0 });
  return writeClient(must(readFolder(join(folder, 'open'))), join(folder, 'open.ts'));
}

/** Compiles and runs a program in strict TypeScript; what it prints. */
function ran(program: string): string {
  writeFileSync(join(folder, 'main.ts'), program);
  writeFileSync(join(folder, 'package.json'), '{"type": "module"}');
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: {
        target: 'es2022',
        module: 'nodenext',
        types: ['node'],
        strict: true,
        noUncheckedIndexedAccess: true,
        exactOptionalPropertyTypes: true,
        noUnusedLocals: true,
        noPropertyAccessFromIndexSignature: true,
        verbatimModuleSyntax: true,
        isolatedModules: true,
      },
      include: ['*.ts'],
    }),
  );
  const call = (file: string, ...args: readonly string[]): string =>
    execFileSync(process.execPath, [file, ...args], { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  call(join(root, 'node_modules/typescript/bin/tsc'), '-p', folder);
  return call(join(folder, 'main.js'));
}

describe('the client of a compiled folder', () => {
  it('takes tensors of any sizes where the model says none', async () => {
    writeFileSync(join(folder, 'open.ts'), await openClient());
    const printed = ran(`
      import { Tensor } from 'onnxruntime-node';
      import { load, type OpenInputs } from './open.js';
      const model = await load();
      const results: unknown[] = [];
      for (const dims of [[], [2], [1, 2]]) {
        const inputs: OpenInputs = { x: new Tensor('float32', Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => i + 1), dims) };
        const { y } = await model.run(inputs);
        results.push([y.dims, [...y.data]]);
      }
      console.log(JSON.stringify(results));
      await model.release();
    `);
    expect(JSON.parse(printed)).toEqual([
      [[], [-1]],
      [[2], [-1, -2]],
      [
        [1, 2],
        [-1, -2],
      ],
    ]);
  });

  it('compiles in strict TypeScript, runs, and continues as numpy does', () => {
    for (const form of ['step', 'whole'] as const) writeFileSync(join(folder, `${form}.ts`), clientOf(form));
    const printed = ran(`
      import { load, type TinyLmInputs, type TinyLmModel, type TinyLmOutputs } from './step.js';
      import { load as loadWhole } from './whole.js';
      const model: TinyLmModel = await load();
      const rows: number[][] = [];
      for (const prompt of ${JSON.stringify(tiny.prompts)}) {
        const tokens: number[] = [];
        for await (const token of model.generate(prompt, { maxTokens: 12, stopTokens: [] })) tokens.push(token);
        rows.push(tokens);
      }
      const stopped: number[] = [];
      for await (const token of model.generate([9, 2])) stopped.push(token);
      const full: number[] = [];
      for await (const token of model.generate([3, 1, 4, 1, 5], { maxTokens: 99 })) full.push(token);
      const reason = await model.generate([]).next().catch((error: unknown) => String(error));
      const whole = await loadWhole();
      const inputs = { input_ids: [[9, 2n]], attention_mask: [[1, 1]], position_ids: [[0, 1]] } satisfies Partial<TinyLmInputs>;
      const outputs = await whole.run(inputs);
      const [batch_size, sequence_length, vocabulary]: TinyLmOutputs['logits']['dims'] = outputs.logits.dims;
      const seventeen: 17 = vocabulary;
      const data: Float32Array = outputs.logits.data;
      const wrong = await whole.run({ ...inputs, position_ids: [[0], [1, 2]] }).catch((error: unknown) => String(error));
      // @ts-expect-error a list too few
      const flat = await whole.run({ ...inputs, position_ids: [0, 1] }).catch((error: unknown) => String(error));
      console.log(JSON.stringify({ rows, stopped, full: full.length, reason, dims: [batch_size, sequence_length, seventeen], last: [...data.subarray(-17)], wrong, flat }));
      await model.release();
      await whole.release();
    `);
    const { last, ...rest } = JSON.parse(printed) as { readonly last: readonly number[] };
    expect(rest).toEqual({
      rows: tiny.greedy,
      stopped: [4, 4, 4, 15],
      full: 19,
      reason: 'RangeError: a prompt of 0 tokens; the context is 24',
      dims: [1, 2, 17],
      wrong: 'TypeError: the lists of position_ids have different lengths',
      flat: 'TypeError: position_ids has the sizes [2]; the model takes i64[batch_size, sequence_length]',
    });
    const wanted = tiny.lastLogits[1] ?? [];
    expect(Math.max(...wanted.map((value, i) => Math.abs(value - (last[i] ?? Number.NaN)))) / Math.max(...wanted.map(Math.abs))).toBeLessThan(1e-4);
  });

  it('reads well', () => {
    const text = readFileSync(join(folder, 'whole.ts'), 'utf8');
    expect(text).toContain(' * tiny_lm, compiled from models/tiny.moe for portable by moec 0.1.0.');
    expect(text).toContain("  /** `i64[batch_size, sequence_length]` */\n  readonly input_ids: TypedTensor<'int64'> | readonly (readonly (number | bigint)[])[];");
    expect(text).toContain("new URL('./tiny%20whole/', import.meta.url)");
    expect(text).not.toContain('generate');
  });
});
