/** What a hostile user gives the command line: each is refused with a diagnostic and the right exit code, and leaves nothing behind. */

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { makeBert, makeLlama } from './checkpoints.ts';
import { type Called, moec } from './terminal.ts';

const scratch = mkdtempSync(join(tmpdir(), 'moec-bad-'));
const temporary = join(scratch, 'tmp');
const before = process.env['TMPDIR'];
beforeAll(async () => {
  mkdirSync(temporary);
  process.env['TMPDIR'] = temporary;
  makeLlama(join(scratch, 'llama'));
  makeBert(join(scratch, 'bert'));
  expect(await moec(['compile', 'llama', '-o', 'compiled'], { cwd: scratch })).toMatchObject({ code: 0 });
}, 60_000);
afterAll(() => {
  if (before === undefined) delete process.env['TMPDIR'];
  else process.env['TMPDIR'] = before;
  spawnSync('umount', [join(scratch, 'disk')]);
  rmSync(scratch, { recursive: true });
});

let made = 0;
let at = '';
beforeEach(() => {
  at = `case-${++made}`;
});

/** Every file and folder of the scratch folder, the temporary folder of the system among them. */
const listing = (): readonly string[] => readdirSync(scratch, { recursive: true, encoding: 'utf8' }).sort();

/** Calls moec, and sees that it says why it refuses and leaves all as it was. */
async function refused(call: readonly string[], code: number, says: string | RegExp): Promise<void> {
  const there = listing();
  const called = await moec(call, { cwd: scratch });
  expect(called).toEqual({ code, out: '', err: typeof says === 'string' ? expect.stringContaining(says) : expect.stringMatching(says) } satisfies Called);
  expect(called.err).not.toMatch(/\n\s+at .*:\d+|^fault:|Stacktrace|undefined|\[object/m);
  expect(listing()).toEqual(there);
}

/** A file of safetensors with this header and so many bytes of numbers. */
function safetensors(header: string, dataLength: number, claimed = BigInt(Buffer.byteLength(header))): Uint8Array {
  const start = Buffer.alloc(8);
  start.writeBigUInt64LE(claimed);
  return Buffer.concat([start, Buffer.from(header), Buffer.alloc(dataLength)]);
}

/** A sound checkpoint whose file `name` is replaced; with undefined it is taken away. */
function spoilt(name: string, content: string | Uint8Array | undefined): string {
  makeLlama(join(scratch, at));
  if (content === undefined) rmSync(join(scratch, at, name));
  else writeFileSync(join(scratch, at, name), content);
  return at;
}

const sound = (): Uint8Array => readFileSync(join(scratch, 'llama/model.safetensors'));
const f32 = (from: number, to: number): string => `{"dtype":"F32","shape":[${(to - from) / 4}],"data_offsets":[${from},${to}]}`;

describe.each(['run', 'compile'])('moec %s', (verb) => {
  const call = (folder: string): readonly string[] => (verb === 'run' ? ['run', folder, '-p', 'x'] : ['compile', folder, '-o', `out-${at}`]);

  test.each<readonly [string, () => string | Uint8Array, string]>([
    ['a file cut short', () => sound().slice(0, -7), 'error[tensor-out-of-file]'],
    ['a header cut short', () => sound().slice(0, 100), 'error[safetensors-cut-short]'],
    ['an empty file', () => '', 'error[safetensors-cut-short]'],
    ['a header of 2^63 bytes', () => safetensors('{}', 0, 2n ** 63n), 'error[safetensors-header-too-long]'],
    ['overlapping tensors', () => safetensors(`{"a":${f32(0, 8)},"b":${f32(4, 12)}}`, 12), 'error[tensors-overlap]'],
    ['offsets beyond the file', () => safetensors(`{"a":${f32(0, 1 << 30)}}`, 4), 'error[tensor-out-of-file]'],
    ['a prototype for a header', () => safetensors('{"__proto__":{"model.norm.weight":{}}}', 0), 'error[tensor-entry-malformed]'],
    ['a million brackets', () => safetensors('['.repeat(1_000_000), 0), 'error[safetensors-header-unreadable]'],
    ['a web page', () => '<html>404 Not Found</html>', /error\[safetensors-[a-z-]+\]/.source],
  ])('refuses weights that are %s', async (_, content, says) =>
    refused(call(spoilt('model.safetensors', content())), 1, new RegExp(says.replace(/^error\[([a-z-]+)\]$/, 'error\\[$1\\]'))),
  );

  test.each([
    ['../llama/model.safetensors', 'is not the name of a file in its folder'],
    ['/etc/passwd', 'is not the name of a file in its folder'],
    ['gone.safetensors', 'error[shard-missing]'],
  ])('refuses an index that leads to %s', async (shard, says) => {
    spoilt('model.safetensors', undefined);
    writeFileSync(join(scratch, at, 'model.safetensors.index.json'), JSON.stringify({ weight_map: { 'model.norm.weight': shard } }));
    await refused(call(at), 1, says);
  });

  test('refuses a tensor too few, one of another shape, and numbers that are whole', async () => {
    makeLlama(join(scratch, at), { shapes: { 'model.norm.weight': undefined } });
    await refused(call(at), 1, 'error[tensor-missing]: the checkpoint has no tensor `model.norm.weight`');
    makeLlama(join(scratch, at), { shapes: { 'model.norm.weight': [15] } });
    await refused(call(at), 1, 'error[tensor-wrong-shape]: `body.norm.gain` is [16]; its source is [15]');
    makeLlama(join(scratch, at), { dtype: 'i32' });
    await refused(call(at), 1, 'error[tensor-wrong-dtype]: `head` is f32; the file has i32');
  });

  test('reads past tensors named for the prototype', async () => {
    makeLlama(join(scratch, at), {
      shapes: Object.fromEntries([
        ['__proto__', [2]],
        ['constructor', [3]],
        ['toString', [1]],
      ]),
    });
    const { code, err } = await moec(call(at), { cwd: scratch });
    expect({ code, err }).toEqual({ code: 0, err: expect.stringContaining('no weight reads 3 tensors') });
  });

  test.each<readonly [string, string | undefined, string]>([
    ['absent', undefined, 'error[target-unknown]'],
    ['cut short', '{"model_type": "llama",', 'error[config-unreadable]'],
    ['a list', '[]', 'error[config-unreadable]'],
    ['null', 'null', 'error[config-unreadable]'],
    ['no text', '\u0000\u0001', 'error[config-unreadable]'],
    ['of no family', '{}', 'error[family-unknown]'],
    ['of an unknown family', '{"model_type": "falcon"}', 'error[family-unknown]: no family file describes model_type falcon'],
    ['of a prototype', '{"model_type": "__proto__"}', 'error[family-unknown]'],
    ['of a family with something unknown', '{"model_type": "llama", "hidden_act": "gelu"}', 'error[family-refuses]'],
    ['full of texts', '{"model_type": "llama", "hidden_size": "wide", "num_hidden_layers": "many"}', 'error['],
    ['negative', '{"model_type": "llama", "hidden_size": -16}', 'error['],
    ['enormous', '{"model_type": "llama", "num_hidden_layers": 1e15}', 'error['],
    ['zero', '{"model_type": "llama", "num_attention_heads": 0}', 'error['],
  ])('refuses a config.json that is %s', async (_, content, says) => refused(call(spoilt('config.json', content)), 1, says));

  test('refuses what is not there, no model, or no param of it', async () => {
    await refused(call('nowhere'), 1, 'error[target-missing]');
    await refused(call('tmp'), 1, 'error[target-unknown]');
    await refused([...call('llama'), '--model', 'Lama'], 1, 'error[');
    await refused([...call('llama'), '--set', 'Q=3'], 1, 'error[');
    await refused([...call('llama'), '--set', 'D=wide'], 1, 'error[');
    await refused([...call('llama'), '--set', 'D=17'], 1, 'error[');
    await refused([...call('llama'), '--set', 'D'], 2, 'NAME=VALUE');
    await refused([...call('llama'), '--target', 'toaster'], 2, 'ort, portable');
    await refused([...call('llama'), '--dump-after', 'no-such-pass'], 2, 'no-such-pass');
    await refused([...call('llama'), '--seed', '-1'], 2, '--seed');
  });
});

describe('moec run', () => {
  test.each<readonly [string, readonly string[], number, string]>([
    ['no tokens to write', ['--max-tokens', '0'], 2, '--max-tokens'],
    ['half a token', ['--max-tokens', '1.5'], 2, '--max-tokens'],
    ['a temperature below 0', ['--temperature', '-1'], 2, '--temperature'],
    ['a temperature of words', ['--temperature', 'hot'], 2, '--temperature'],
    ['an endless temperature', ['--temperature', 'Infinity'], 2, '--temperature'],
    ['more than all', ['--top-p', '1.5'], 2, '--top-p'],
    ['a top-p of nothing', ['--top-p', '0'], 2, '--top-p'],
    ['half a top-k', ['--top-k', '0.5'], 2, '--top-k'],
    ['a min-p beyond 1', ['--min-p', '2'], 2, '--min-p'],
    ['a repeat penalty of nothing', ['--repeat-penalty', '0'], 2, '--repeat-penalty'],
    ['no threads', ['--threads', '0'], 2, '--threads'],
    ['an unknown provider', ['--ep', 'abacus'], 2, '--ep'],
    ['cuda where it is not', ['--ep', 'cuda'], 1, 'error[provider-missing]: cuda cannot be used here'],
    ['a chat without a template', ['--chat'], 1, 'error[chat-template-missing]'],
    ['a prompt beyond the context', ['-p', 'x'.repeat(60)], 1, 'error[prompt-too-long]: the prompt has 60 tokens; the model looks at 48 at most'],
  ])('refuses %s', async (_, options, code, says) => refused(['run', 'llama', ...(options[0] === '-p' ? [] : ['-p', 'x']), ...options], code, says));

  test('continues an empty prompt from the token that begins a text', async () => {
    expect(await moec(['run', 'llama', '-p', '', '--max-tokens', '3'], { cwd: scratch })).toMatchObject({ code: 0, err: expect.stringContaining('one token read') });
  });

  test.each<readonly [string, string | undefined, string]>([
    ['absent', undefined, 'error[tokenizer-missing]'],
    ['cut short', '{"model":', 'error[json-unreadable]'],
    ['empty', '{}', 'error[tokenizer-damaged]'],
    ['of an unknown kind', '{"model": {"type": "Runes", "vocab": {}}}', 'error[tokenizer-damaged]'],
  ])('refuses a tokenizer.json that is %s', async (_, content, says) => refused(['run', spoilt('tokenizer.json', content), '-p', 'x'], 1, says));

  test.each([
    ['no JSON', '{"input_ids": [[1, 2],]}', 'error[json-unreadable]'],
    ['a list', '[1, 2]', 'error['],
    ['nothing', '{}', 'error[input-missing]: the input `input_ids` is missing'],
    ['an unknown name', '{"inputs_id": [[1, 2]]}', 'error[unknown-input]: the model has no input `inputs_id`'],
    ['null', '{"input_ids": [[null]]}', 'error[input-has-wrong-value]'],
    ['a mask of another length', '{"input_ids": [[1, 2]], "attention_mask": [[1, 1, 1]]}', 'error[input-sizes-disagree]'],
    ['a token beyond the vocabulary', '{"input_ids": [[99]]}', 'error[model-does-not-run]'],
  ])('refuses inputs that are %s', async (_, content, says) => {
    const file = join(scratch, `${at}.json`);
    writeFileSync(file, content);
    await refused(['run', 'bert', '--inputs', file], 1, says);
  });

  test('an encoder asked to write says what to do instead', async () => refused(['run', 'bert', '-p', 'x'], 1, '--inputs FILE.json'));
});

/** A compiled folder with one file changed. */
async function compiledWith(name: string, change: (content: Buffer) => string | Uint8Array | undefined): Promise<string> {
  expect(await moec(['compile', 'llama', '-o', at], { cwd: scratch })).toMatchObject({ code: 0 });
  const file = join(scratch, at, name);
  const content = change(readFileSync(file));
  if (content === undefined) rmSync(file);
  else writeFileSync(file, content);
  return at;
}

describe('a compiled folder', () => {
  const flipped = (content: Buffer): Uint8Array => content.map((byte, i) => (i === 1000 ? byte ^ 1 : byte));

  test.each<readonly [string, string, Parameters<typeof compiledWith>[1], string]>([
    ['whose data are gone', 'model.onnx.data', () => undefined, 'error[compiled-file-missing]'],
    ['whose data are cut short', 'model.onnx.data', (content) => content.subarray(0, 100), 'error[compiled-file-changed]'],
    ['with a bit flipped in its data', 'model.onnx.data', flipped, 'its sha256 is another'],
    ['with a bit flipped in its graph', 'model.onnx', flipped, 'its sha256 is another'],
    ['without its tokenizer', 'tokenizer.json', () => undefined, 'error[compiled-file-missing]'],
    ['with another config', 'config.json', () => '{', 'error[compiled-file-changed]'],
    ['with an empty manifest', 'moec.json', () => '', 'error[manifest-damaged]'],
    ['with a manifest that is null', 'moec.json', () => 'null', 'error[manifest-damaged]'],
    ['with a manifest that leads elsewhere', 'moec.json', (content) => content.toString().replace('"model.onnx.data"', '"../llama/config.json"'), 'error[manifest-damaged]'],
    ['with an unknown form', 'moec.json', (content) => content.toString().replace('"form": "step"', '"form": "steps"'), 'error[manifest-damaged]: '],
  ])('%s is refused', async (_, name, change, says) => {
    const folder = await compiledWith(name, change);
    await refused(['run', folder, '-p', 'x'], 1, says);
    await refused(['client', folder, '-o', 'client.ts'], 1, says);
  });
});

describe('where a compile writes', () => {
  test('a folder that moec did not write is left alone', async () => {
    mkdirSync(join(scratch, at));
    expect(await moec(['compile', 'llama', '-o', at], { cwd: scratch })).toMatchObject({ code: 0 });
    expect(await moec(['compile', 'llama', '-o', at], { cwd: scratch })).toMatchObject({ code: 0 });
    writeFileSync(join(scratch, at, 'notes.txt'), 'mine');
    await refused(['compile', 'llama', '-o', at], 1, `error[would-replace]: ${at} is not moec's to replace: it holds notes.txt`);
    await refused(['compile', 'llama', '-o', at, '--dry-run'], 1, 'error[would-replace]');
    await refused(['compile', 'llama', '-o', '.'], 1, 'error[would-replace]');
    await refused(['compile', 'llama', '-o', 'llama'], 1, 'error[would-replace]: llama ');
    await refused(['compile', 'llama', '-o', 'llama/config.json'], 1, 'error[would-replace]: llama/config.json ');
    await refused(['compile', 'llama', '-o', 'llama/config.json/out'], 1, 'error[cannot-write]');
    expect(readFileSync(join(scratch, at, 'notes.txt'), 'utf8')).toBe('mine');
  });

  test('a checkpoint compiled in place is left alone by other compiles, and is compiled in place again', async () => {
    makeLlama(join(scratch, at));
    expect(await moec(['compile', at, '--in-place'], { cwd: scratch })).toMatchObject({ code: 0 });
    for (const name of ['config.json', 'tokenizer.json', 'tokenizer_config.json']) rmSync(join(scratch, at, name));
    await refused(['compile', 'llama', '-o', at], 1, `error[would-replace]: ${at} is not moec's to replace: it holds model.safetensors`);
    makeLlama(join(scratch, at));
    expect(await moec(['compile', at, '--in-place', '--generate'], { cwd: scratch })).toMatchObject({ code: 0 });
  });

  test('a model of somebody else beside the weights is left alone', async () => {
    makeLlama(join(scratch, at));
    writeFileSync(join(scratch, at, 'model.onnx'), 'theirs');
    await refused(['compile', at, '--in-place'], 1, `error[would-replace]: ${at} is not moec's to replace: it holds model.onnx`);
  });

  test('options that do not go together are a wrong call', async () => {
    for (const more of [['--link'], ['-o', at]]) await refused(['compile', 'llama', '--in-place', ...more], 2, "error: option '--in-place' cannot be used with option '");
    for (const more of [['-o', at], ['--report', 'page.html'], ['--speed', 'none'], ['--generate']])
      await refused(['emerge', 'llama', '--sweep', ...more], 2, "error: option '--sweep [GRID]' cannot be used with option '");
    for (const words of [
      ['compile', 'llama', '-o', at],
      ['run', 'llama', '--prompt', 'a'],
    ])
      await refused([...words, '--dump-after', 'lower', '--json'], 2, "error: option '--dump-after <PASS>' cannot be used with option '--json'");
    for (const more of [
      ['--prompt', 'a'],
      ['--temperature', '1'],
      ['--max-tokens', '4'],
    ])
      await refused(['run', 'bert', '--inputs', 'inputs.json', ...more], 2, "error: option '--inputs <FILE>' cannot be used with option '");
  });

  test('options that say nothing of a model are a wrong call', async () => {
    expect(await moec(['compile', 'llama', '-o', at], { cwd: scratch })).toMatchObject({ code: 0 });
    for (const more of [
      ['--weights', 'llama'],
      ['--set', 'D=4'],
      ['--lowering', 'fused'],
      ['--dump-after', 'lower'],
    ])
      await refused(['run', at, '--prompt', 'a', ...more], 2, `error: option '${more[0]}' says nothing of what is compiled already\n`);
    for (const words of [
      ['eval', at, '--text', '-'],
      ['bench', at, at],
      ['verify', at, at],
    ])
      await refused([...words, '--model', 'Llama'], 2, "error: option '--model' says nothing of what is compiled already\n");
    for (const words of [['compile'], ['emerge', '--dry-run']])
      await refused([...words, `${at}/model.onnx`, '--set', 'D=4'], 2, "error: option '--set' says nothing of a model of ONNX\n");
  });

  test('rows to verify on are no longer than what the model looks at', async () => {
    await refused(['verify', 'llama', '--length', '100000'], 1, 'error[option-out-of-range]: ');
  });

  test('what cannot be is said before anything is written', async () => {
    await refused(['compile', 'llama', '-o', at, '--generate', '--target', 'portable'], 1, 'error[target-has-no-loop]');
    await refused(['compile', 'bert', '-o', at, '--generate'], 1, 'error[cannot-generate]');
    await refused(['compile', 'compiled', '-o', at], 1, 'error[target-unknown]');
    writeFileSync(join(scratch, `${at}.moe`), readFileSync(new URL('../models/tiny.moe', import.meta.url)));
    await refused(['compile', `${at}.moe`, '--in-place'], 1, 'error[in-place-needs-checkpoint]');
    await refused(['compile', `${at}.moe`, '--weights', 'gone'], 1, 'error[weights-missing]');
  });

  test('others may read what was written', async () => {
    expect(statSync(join(scratch, 'compiled')).mode & 0o777).toBe(0o777 & ~process.umask());
  });
});

const disk = join(scratch, 'disk');
mkdirSync(disk);
const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'moec-test', disk]).status === 0;

describe.skipIf(!mounted)('a full disk (skipped where none can be mounted)', () => {
  test.each([
    ['weights', ['-o', 'disk/out']],
    ['weights without a folder of their own', ['-o', 'disk/out', '--generate']],
  ])('is told when %s do not fit', async (_, options) => refused(['compile', 'llama', ...options], 1, /error\[cannot-write\]: cannot write .*disk\/.*: the disk is full/));

  test('is told when there is no room for temporary weights', async () => {
    process.env['TMPDIR'] = disk;
    await refused(['run', fileURLToPath(new URL('../models/tiny.moe', import.meta.url)), '-p', 'x'], 1, /error\[cannot-write\]: .*: the disk is full/).finally(() => {
      process.env['TMPDIR'] = temporary;
    });
  });

  test('that is read-only is told', async () => {
    expect(spawnSync('mount', ['-o', 'remount,ro', disk]).status).toBe(0);
    await refused(['compile', 'llama', '-o', 'disk/out'], 1, /error\[cannot-write\]: cannot write .*disk\/out: the file system is read-only/);
  });
});

describe('Ctrl-C', () => {
  const large = ['--set', 'D=1024', '--set', 'H=4096', '--set', 'L=16'];

  /** Calls moec in a process of its own and interrupts it once `begun`; what it said, and what is there afterwards. */
  async function interrupted(
    call: readonly string[],
    begun: (out: string, inside: readonly string[]) => boolean,
  ): Promise<{ readonly code: unknown; readonly err: string; readonly left: readonly string[] }> {
    const place = join(scratch, at);
    mkdirSync(place);
    const root = fileURLToPath(new URL('..', import.meta.url));
    const child = spawn(process.execPath, ['--import', 'tsx', 'src/cli/main.ts', ...call.map((word) => word.replace('AT', place))], {
      cwd: root,
      env: { ...process.env, TMPDIR: place, TSX_DISABLE_CACHE: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let [out, err] = ['', ''];
    child.stdout.on('data', (text) => (out += String(text)));
    child.stderr.on('data', (text) => (err += String(text)));
    const inside = (): readonly string[] => readdirSync(place, { recursive: true, encoding: 'utf8' }).filter((name) => !name.startsWith('tsx'));
    const watch = setInterval(() => {
      if (!begun(out, inside())) return;
      clearInterval(watch);
      child.kill('SIGINT');
    }, 20);
    const [code] = await once(child, 'exit');
    clearInterval(watch);
    return { code, err, left: inside() };
  }
  const writing = (_: string, inside: readonly string[]): boolean => inside.some((name) => name.endsWith('.part'));

  test('in the middle of a compile leaves nothing', async () => {
    expect(await interrupted(['compile', 'models/tiny.moe', ...large, '-o', 'AT/out/large'], writing)).toMatchObject({ code: 130, left: ['out'] });
  });

  test('while weights are made for a run leaves nothing', async () => {
    expect(await interrupted(['run', 'models/tiny.moe', ...large, '-p', 'x'], writing)).toMatchObject({ code: 130, left: [] });
  });

  test('while a text is written ends it', async () => {
    const { code, left } = await interrupted(['run', 'models/tiny.moe', '-p', 'x', '--max-tokens', '100000'], (out) => out.length > 10);
    expect({ code, left }).toEqual({ code: 130, left: [] });
  });
});
