/** `moec run` and `moec client`, on a compiled folder around a tiny model that numpy has continued. */

import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { moec } from './terminal.ts';

let scratch = '';
let compiled = '';
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'moec-run-'));
  compiled = join(scratch, 'tiny');
  copyModel();
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

function copyModel(): void {
  compiled = mkdtempSync(join(scratch, 'tiny-'));
  copyFileSync(new URL('run/tiny-step.onnx', import.meta.url), join(compiled, 'model.onnx'));
  const bytes = readFileSync(join(compiled, 'model.onnx')).length;
  writeFileSync(
    join(compiled, 'moec.json'),
    JSON.stringify({
      moec: '0.1.0',
      model: 'tiny',
      source: 'tiny.moe',
      params: {},
      target: 'portable',
      form: 'step',
      context: 24,
      vocabulary: 17,
      tokenizer: 'bytes',
      opset: 21,
      files: [{ name: 'model.onnx', bytes }],
      inputs: [],
      outputs: [],
    }),
  );
}

/** A text of bytes. */
const text = (...bytes: readonly number[]): string => String.fromCharCode(...bytes);
const prompt = text(3, 1, 4, 1, 5);
const greedy = text(1, 4, 4, 8, 13, 10);

describe('moec run', () => {
  it('writes the text to standard output, its speed and the next step to standard error', async () => {
    const { code, out, err } = await moec(['run', compiled, '--prompt', prompt, '--max-tokens', '6']);
    expect({ code, out }).toEqual({ code: 0, out: `${greedy}\n` });
    expect(err).toMatch(/^(?:loading the model …\n)?5 tokens read, [\d.]+ a second; 6 written, [\d.]+ a second\nnext: moec client \S+\n$/);
  });

  it('reads the prompt from standard input, and ends at a stop text', async () => {
    expect(await moec(['run', compiled, '-p', '-', '--stop', text(8)], { stdin: prompt })).toMatchObject({ code: 0, out: `${greedy.slice(0, 3)}\n` });
  });

  it('writes several texts one below the other', async () => {
    const { out } = await moec(['run', compiled, '-p', prompt, '-p', text(9, 2), '--max-tokens', '4']);
    expect(out).toBe(`[1] ${text(1, 4, 4, 8)}\n[2] ${text(4, 4, 4, 15)}\n`);
  });

  it('gives all of it as JSON', async () => {
    const { code, out, err } = await moec(['run', compiled, '-p', prompt, '--max-tokens', '99', '--json']);
    const { texts, statistics, diagnostics } = JSON.parse(out) as { texts: readonly { tokens: readonly number[] }[]; statistics: object; diagnostics: readonly { code: string }[] };
    expect([code, err]).toEqual([0, '']);
    expect(texts).toMatchObject([{ prompt, ending: 'length', tokens: expect.arrayContaining([1, 4, 4, 8]) }]);
    expect(statistics).toMatchObject({ promptTokens: 5, generatedTokens: 19 });
    expect(diagnostics.map(({ code: one }) => one)).toEqual(['fewer-tokens']);
  });

  it('computes the results of inputs', async () => {
    const inputs = join(scratch, 'inputs.json');
    writeFileSync(inputs, '{"input_ids": [[9, 2]]}');
    const { code, out, err } = await moec(['run', compiled, '--inputs', inputs]);
    const results = JSON.parse(out) as { logits: readonly (readonly (readonly number[])[])[] };
    const tiny = JSON.parse(readFileSync(new URL('run/tiny.json', import.meta.url), 'utf8')) as { lastLogits: readonly (readonly number[])[] };
    expect([code, Object.keys(results)]).toEqual([0, ['logits', 'present.0.key', 'present.0.value']]);
    for (const [i, wanted] of (tiny.lastLogits[1] ?? []).entries()) expect(results.logits[0]?.[1]?.[i]).toBeCloseTo(wanted, 3);
    expect(err).toContain('note[input-filled]: `attention_mask` was not given: every token counts');
  });

  it.each([
    ['a prompt longer than the context', ['-p', text(...new Array<number>(30).fill(1))], 'error[prompt-too-long]: the prompt has 30 tokens; the model looks at 24 at most'],
    ['an empty prompt', [], 'error[prompt-is-empty]'],
    ['a token beyond the vocabulary', ['-p', 'abc'], 'error[token-out-of-range]: token 97 does not exist: the vocabulary has 17'],
    ['a chat without a template', ['--chat', '-p', prompt], 'error[chat-template-missing]'],
    ['a provider that is not there', ['--ep', 'cuda', '-p', prompt], 'ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild onnxruntime-node'],
    ['inputs that are not there', ['--inputs', '/nowhere.json'], 'error[json-unreadable]: cannot read /nowhere.json: there is no such file'],
  ])('refuses %s', async (_, options, said) => {
    const { code, out, err } = await moec(['run', compiled, ...options]);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toContain(said);
  });

  it.each([
    ['a prompt', ['-p', 'abc'], 'error[token-out-of-range]'],
    ['the tokenizer', ['--chat', '-p', prompt], 'error[chat-template-missing]'],
    ['a file of inputs', ['--inputs', '/nowhere.json'], 'error[json-unreadable]'],
  ])('says what is wrong with %s before the model is loaded', async (_, options, said) => {
    const { code, err } = await moec(['run', compiled, '--ep', 'cuda', ...options]);
    expect(code).toBe(1);
    expect(err).toContain(said);
    expect(err).not.toContain('provider-missing');
  });

  it('refuses a folder whose files have changed', async () => {
    const whole = readFileSync(join(compiled, 'model.onnx'));
    writeFileSync(join(compiled, 'model.onnx'), whole.subarray(0, 100));
    const { code, err } = await moec(['run', compiled, '-p', prompt]);
    writeFileSync(join(compiled, 'model.onnx'), whole);
    expect(code).toBe(1);
    expect(err).toContain('model.onnx is not the file that was written: it has 100 bytes, not 4951');
  });

  it('ends with 130 when it is stopped', async () => {
    const stop = new AbortController();
    const call = moec(['run', compiled, '-p', text(9, 2)], { signal: stop.signal, out: () => stop.abort() });
    expect((await call).code).toBe(130);
  });
});

describe('moec client', () => {
  it('writes the module and says what it has', async () => {
    const file = join(scratch, 'made/here/tiny.ts');
    const { code, out } = await moec(['client', compiled, '-o', file]);
    expect({ code, out }).toEqual({ code: 0, out: `${file}: load(), run(), generate() for tiny; it needs onnxruntime-node\n` });
    expect(readFileSync(file, 'utf8')).toContain('export async function load(');
  });

  it('refuses a folder that was not compiled', async () => {
    const { code, err } = await moec(['client', 'src']);
    expect(code).toBe(1);
    expect(err).toContain('error[not-a-compiled-folder]');
  });
});
