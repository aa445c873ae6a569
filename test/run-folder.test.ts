import { createHash } from 'node:crypto';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkpointInfo } from '../src/run/checkpoint-info.ts';
import { readFolder } from '../src/run/folder.ts';
import type { Manifest } from '../src/run/manifest.ts';
import type { Port } from '../src/run/tensor.ts';
import { fixture } from './fixtures.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'moec-test-'));
  copyFileSync(new URL('run/tiny-step.onnx', import.meta.url), join(folder, 'model.onnx'));
  writeFileSync(join(folder, 'config.json'), '{"eos_token_id": 2, "bos_token_id": 1, "max_position_embeddings": 24}');
  const model = readFileSync(join(folder, 'model.onnx'));
  manifest({ files: [{ name: 'model.onnx', bytes: model.length, sha256: createHash('sha256').update(model).digest('hex') }] });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Writes moec.json with these fields in place of the usual ones. */
function manifest(fields: Readonly<Record<string, unknown>>): void {
  const port: Port = { name: 'input_ids', dtype: 'i64', dims: ['batch_size', 'sequence_length'] };
  const whole: Manifest = {
    moec: '0.1.0',
    model: 'Tiny',
    source: 'tiny.moe',
    params: { D: 8 },
    target: 'ort',
    form: 'step',
    vocabulary: 17,
    tokenizer: 'bytes',
    opset: 24,
    files: [],
    inputs: [port],
    outputs: [],
  };
  let before: object = {};
  try {
    before = JSON.parse(readFileSync(join(folder, 'moec.json'), 'utf8')) as object;
  } catch {
    // The first one.
  }
  writeFileSync(join(folder, 'moec.json'), JSON.stringify({ ...whole, ...before, ...fields }));
}

const told = (verify = false): readonly string[] => readFolder(folder, { verify }).diagnostics.map(({ code, message }) => `${code}: ${message.replaceAll(folder, 'DIR')}`);

describe('a compiled folder', () => {
  it('becomes something to run', () => {
    expect(readFolder(folder)).toMatchObject({
      ok: true,
      value: {
        executable: { model: { kind: 'file', path: join(folder, 'model.onnx') }, form: 'step', context: 24, vocabulary: 17, tokenizer: { kind: 'bytes' }, stop: [2], bos: 1 },
      },
    });
    manifest({ context: 12, tokenizer: null });
    expect(readFolder(folder)).toMatchObject({ value: { executable: { context: 12, tokenizer: undefined } } });
  });

  it('says what is missing or changed', () => {
    writeFileSync(join(folder, 'model.onnx'), readFileSync(join(folder, 'model.onnx')).fill(0, 0, 1));
    expect(told()).toEqual(['compiled-file-changed: DIR/model.onnx is not the file that was written: its sha256 is another']);
    truncateSync(join(folder, 'model.onnx'), 10);
    expect(told()).toEqual(['compiled-file-changed: DIR/model.onnx is not the file that was written: it has 10 bytes, not 4951']);
    unlinkSync(join(folder, 'model.onnx'));
    expect(told()).toEqual(['compiled-file-missing: DIR/model.onnx is missing']);
  });

  it('is refused where moec.json is not what it should be', () => {
    const damaged = (fields: Readonly<Record<string, unknown>>): readonly string[] => {
      manifest(fields);
      return told();
    };
    expect(damaged({ form: 'steps' })).toEqual(['manifest-damaged: DIR/moec.json does not describe a compiled model: `form` is not one of whole, step, loop']);
    expect(damaged({ form: 'step', files: [{ name: '../secret', bytes: 1 }] })[0]).toContain('`files` is not a list of files');
    expect(damaged({ files: [{ name: '/etc/passwd', bytes: 1 }] })[0]).toContain('`files` is not a list of files');
    expect(damaged({ files: [] })).toEqual(['manifest-damaged: DIR/moec.json does not describe a compiled model: it lists no model.onnx']);
    writeFileSync(join(folder, 'moec.json'), '{"moec": ');
    expect(told()[0]).toContain('manifest-damaged');
    unlinkSync(join(folder, 'moec.json'));
    expect(told()).toEqual(['not-a-compiled-folder: DIR holds no moec.json']);
  });
});

describe('the small files of a checkpoint', () => {
  const write = (name: string, value: unknown): void => writeFileSync(join(folder, name), JSON.stringify(value));
  const info = (): unknown => {
    const read = checkpointInfo(folder);
    if (!read.ok) return read.diagnostics.map(({ code }) => code);
    const { config: _, ...facts } = read.value;
    return facts;
  };

  it('say where texts end, how long they are and what begins them', () => {
    write('config.json', { eos_token_id: 2, n_positions: 1024, vocab_size: 50257 });
    write('generation_config.json', { eos_token_id: [5, 2], bos_token_id: 1, pad_token_id: 0 });
    expect(info()).toEqual({ tokenizer: undefined, stop: [5, 2], context: 1024, vocabulary: 50257, bos: 1, pad: 0 });
  });

  it('may be silent, nested or without a limit', () => {
    write('config.json', { text_config: { max_position_embeddings: 99 } });
    expect(info()).toEqual({ tokenizer: undefined, stop: [], context: 99 });
    write('config.json', {});
    write('tokenizer_config.json', { model_max_length: 1e30 });
    expect(info()).toEqual({ tokenizer: undefined, stop: [] });
    write('tokenizer_config.json', { model_max_length: 512 });
    expect(info()).toEqual({ tokenizer: undefined, stop: [], context: 512 });
  });

  it('are refused where they are no JSON', () => {
    writeFileSync(join(folder, 'config.json'), '{');
    expect(info()).toEqual(['json-unreadable']);
  });

  it.skipIf(!fixture('stories260k'))('of stories260k (skipped where fixtures are absent)', () => {
    const read = checkpointInfo(fixture('stories260k') ?? '');
    expect(read).toMatchObject({ ok: true, value: { stop: [2], context: 512, vocabulary: 512, bos: 1, tokenizer: { kind: 'file' } } });
  });
});
