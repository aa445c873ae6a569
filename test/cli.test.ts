/** The manners of the command line: help, exit codes, streams, hints, JSON, progress, and what is left behind. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import { setting } from '../src/cli/command.ts';
import { endWith } from '../src/cli/exit.ts';
import { quoted, table } from '../src/cli/print.ts';
import { bytes, duration, progress, waiting } from '../src/cli/progress.ts';
import { fileReader, nameOf } from '../src/cli/read.ts';
import { stageFolder, writeWhole } from '../src/cli/staging.ts';
import { resolveTarget } from '../src/cli/target.ts';
import { takesColor } from '../src/cli/terminal.ts';
import { Bug } from '../src/diagnostics/bug.ts';
import { makeLlama } from './checkpoints.ts';
import { type Called, moec, recording } from './terminal.ts';

const scratch = mkdtempSync(join(tmpdir(), 'moec-cli-'));
afterAll(() => rmSync(scratch, { recursive: true }));

/** A folder of files, by their names. */
function folder(files: Readonly<Record<string, string>>): string {
  const path = mkdtempSync(join(scratch, 'f-'));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(path, name, '..'), { recursive: true });
    writeFileSync(join(path, name), text);
  }
  return path;
}

const good = 'layer Twice(D: int) {\n  weight w: [D, D]\n  forward(x: [.., D]) -> [.., D] { return (x @ w) @ w }\n}\n';
const bad = 'layer Twice(D: int) {\n  weight w: [D, D]\n  forward(x: [.., D]) -> [.., D] { return x @@ w }\n}\n';

test('help fits a screen, and so does a call with nothing', async () => {
  const { code, out, err } = await moec(['--help']);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(out.trimEnd().split('\n').length).toBeLessThanOrEqual(24);
  expect(Math.max(...out.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
  expect(await moec([])).toEqual({ code, out, err });
});

test('every command has its line in the help, and help with examples of its own', async () => {
  const { out } = await moec(['--help']);
  const commands = (out.split('Commands:\n')[1] ?? '').split('\n').flatMap((line) => /^ {2}([a-z]+) /.exec(line)?.[1] ?? []);
  expect(commands).toEqual(expect.arrayContaining(['check', 'format', 'explain', 'passes', 'ops']));
  for (const command of commands.filter((name) => name !== 'help')) {
    const help = await moec([command, '--help']);
    expect(help.code).toBe(0);
    expect(help.out).toMatch(new RegExp(`\nExamples:\n  moec ${command}`));
    expect(Math.max(...help.out.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100);
  }
});

test('the version is that of the package', async () => {
  expect((await moec(['--version'])).out).toBe(`${JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version}\n`);
});

test('a wrong call ends with 2 and names what was probably meant', async () => {
  expect(await moec(['chekc'])).toEqual({ code: 2, out: '', err: expect.stringContaining('(Did you mean check?)') });
  expect(await moec(['help', 'chekc'])).toEqual(await moec(['chekc']));
  expect(await moec(['help', 'check'])).toEqual(await moec(['check', '--help']));
  expect(await moec(['check', 'x.moe', '--jsno'])).toEqual({ code: 2, out: '', err: expect.stringContaining('(Did you mean --json?)') });
  expect(await moec(['check'])).toEqual({ code: 2, out: '', err: expect.stringContaining("missing required argument 'files'") });
  expect(await moec(['check', 'x.moe', '--set', 'D'])).toEqual({ code: 2, out: '', err: expect.stringContaining('NAME=VALUE') });
  expect(await moec(['explain', 'inner-size-differ'])).toEqual({ code: 2, out: '', err: expect.stringContaining('Did you mean inner-sizes-differ?') });
  expect(await moec(['passes', 'fold-constant'])).toEqual({ code: 2, out: '', err: expect.stringContaining('Did you mean fold-constants?') });
  expect(await moec(['ops', 'atend'])).toEqual({ code: 2, out: '', err: expect.stringContaining('Did you mean attend?') });
});

test('check: a good file ends with 0 and a next step, a bad one with 1 and its faults on standard error', async () => {
  const cwd = folder({ 'good.moe': good, 'bad.moe': bad });
  expect(await moec(['check', 'good.moe'], { cwd })).toEqual({ code: 0, out: 'good.moe: no errors\n', err: 'next: moec explain good.moe\n' });
  const { code, out, err } = await moec(['check', 'good.moe', 'bad.moe'], { cwd });
  expect({ code, out }).toEqual({ code: 1, out: '' });
  expect(err).toMatch(/^error\[[a-z-]+\]: .*\n {2}╭─ bad\.moe:3:\d+\n 3│ {3}forward.*\n {2}│ +\^+/);
  expect(err).toMatch(/\n1 error\n$/);
});

test('check --json prints one document on standard output and nothing else', async () => {
  const cwd = folder({ 'bad.moe': bad });
  const { code, out, err } = await moec(['check', 'bad.moe', '--json'], { cwd });
  expect({ code, err }).toEqual({ code: 1, err: '' });
  const { files, diagnostics } = JSON.parse(out);
  expect(files).toEqual(['bad.moe']);
  expect(diagnostics[0]).toMatchObject({ severity: 'error', file: 'bad.moe', range: { start: { line: 3 }, end: { line: 3 } } });
});

test('check of a folder is a check of every file in it; one that is not there is a fault', async () => {
  const cwd = folder({ 'a.moe': good, 'deep/b.moe': good, 'empty/readme.txt': '' });
  expect((await moec(['check', '.'], { cwd })).out).toBe('2 files: no errors\n');
  expect(await moec(['check', 'empty'], { cwd })).toMatchObject({ code: 1, err: expect.stringContaining('target-unknown') });
  expect(await moec(['check', 'nowhere.moe'], { cwd })).toMatchObject({ code: 1, err: expect.stringContaining('nowhere.moe') });
});

test('check takes params from a configuration, and says a fault of a shared file once', async () => {
  const sized = `param D = 64 from config "size"\nlayer Half() {\n  require D % 2 == 0\n  weight w: [D, D / 2]\n  forward(x: [.., D]) -> [.., D / 2] { return x @ w }\n}\ndim S\nmodel M {\n  half = Half()\n  forward(x: [S, D]) -> y: [S, D / 2] { return half(x) }\n}\n`;
  const user = 'import { Twice } from "./bad"\ndim S\nmodel M {\n  twice = Twice(4)\n  forward(x: [S, 4]) -> y: [S, 4] { return twice(x) }\n}\n';
  const cwd = folder({ 'sized.moe': sized, 'ckpt/config.json': '{ "size": 7 }', 'ckpt/broken.json': '{', 'bad.moe': bad, 'a.moe': user, 'b.moe': user });
  expect(await moec(['check', 'sized.moe'], { cwd })).toMatchObject({ code: 0 });
  expect(await moec(['check', 'sized.moe', '--config', 'ckpt'], { cwd })).toMatchObject({ code: 1, err: expect.stringContaining('D = 7') });
  expect(await moec(['check', 'sized.moe', '--config', 'ckpt/broken.json'], { cwd })).toMatchObject({ code: 1, err: expect.stringContaining('cannot read ckpt/broken.json') });
  const { err } = await moec(['check', 'bad.moe', 'a.moe', 'b.moe'], { cwd });
  expect(err.match(/bad\.moe:3/g)).toHaveLength(1);
});

test('text that is not UTF-8 is refused', async () => {
  const cwd = folder({});
  writeFileSync(join(cwd, 'latin.moe'), Buffer.from([0x2f, 0x2f, 0xe9, 0x0a]));
  expect(await moec(['check', 'latin.moe'], { cwd })).toMatchObject({ code: 1, err: expect.stringContaining('cannot read latin.moe: it is not text in UTF-8') });
});

test('format: writes in place, only what changes, and leaves no other file', async () => {
  const messy = good.replace('weight w: [D, D]', 'weight   w:[D,D]');
  const cwd = folder({ 'messy.moe': messy, 'good.moe': good, 'bad.moe': bad });
  expect(await moec(['format', '--check', 'messy.moe', 'good.moe'], { cwd })).toMatchObject({ code: 1, out: 'would change messy.moe\n' });
  expect(readFileSync(join(cwd, 'messy.moe'), 'utf8')).toBe(messy);
  expect(await moec(['format', 'messy.moe', 'good.moe'], { cwd })).toMatchObject({ code: 0, out: 'formatted messy.moe\n' });
  expect(readFileSync(join(cwd, 'messy.moe'), 'utf8')).toBe(readFileSync(join(cwd, 'good.moe'), 'utf8'));
  expect(await moec(['format', 'messy.moe'], { cwd })).toMatchObject({ code: 0, out: 'messy.moe: nothing to change\n' });
  expect(await moec(['format', 'bad.moe'], { cwd })).toMatchObject({ code: 1, out: '' });
  expect(readFileSync(join(cwd, 'bad.moe'), 'utf8')).toBe(bad);
  expect(readdirSync(cwd).sort()).toEqual(['bad.moe', 'good.moe', 'messy.moe']);
});

test('format - goes from standard input to standard output', async () => {
  expect(await moec(['format', '-'], { stdin: good.replace('weight w: [D, D]', 'weight   w:[D,D]') })).toEqual({
    code: 0,
    out: (await moec(['format', '-'], { stdin: good })).out,
    err: '',
  });
  expect(await moec(['format', '-'], { stdin: bad })).toMatchObject({ code: 1, out: '' });
});

test('explain: a code, with or without what stands around it; all of them; as data', async () => {
  const { code, out } = await moec(['explain', 'inner-sizes-differ']);
  expect(code).toBe(0);
  expect(out).toMatch(/^error\[inner-sizes-differ\]: cannot multiply ‹left› by ‹right›\n\n/);
  expect((await moec(['explain', 'error[inner-sizes-differ]'])).out).toBe(out);
  expect((await moec(['explain'])).out.split('\n').length).toBeGreaterThan(40);
  expect(JSON.parse((await moec(['explain', 'cannot-read', '--json'])).out)).toMatchObject({ code: 'cannot-read', severity: 'error' });
});

test('a graph is printed after a pass that runs, and said to be none after one that does not', async () => {
  const shown = async (pass: string): Promise<Called> => moec(['compile', 'models/tiny.moe', '--set', 'L=1', '--dry-run', '--dump-after', pass]);
  expect((await shown('lower')).out).toContain('graph Tiny(');
  const none = await shown('cut-mixtures');
  expect([none.out.includes('graph'), none.err]).toEqual([
    false,
    expect.stringContaining('note[pass-not-run]: the pass cut-mixtures is not run here, so there is no graph after it\n'),
  ]);
});

test('passes and ops are listed, shown one by one, and given as data', async () => {
  expect((await moec(['passes'])).out).toMatch(/^fold-constants {2,}\S/m);
  expect((await moec(['passes', 'fold-constants'])).out).toMatch(/^fold-constants: /);
  expect(JSON.parse((await moec(['passes', '--json'])).out).map((pass: { name: string }) => pass.name)).toContain('drop-dead');
  expect((await moec(['ops'])).out).toMatch(/^attend\(q, k, v/m);
  expect((await moec(['ops', 'attend'])).out).toMatch(/causal: +bool/);
  expect(JSON.parse((await moec(['ops', '--json'])).out).map((op: { name: string }) => op.name)).toContain('softmax');
});

test('what the system refuses is no fault of moec: 1, and the path with the reason in words', async () => {
  const path = folder({ 'a.txt': '' });
  const refused = (act: () => unknown): string => {
    const { terminal, said } = recording();
    try {
      act();
    } catch (error) {
      expect(endWith(error, terminal, [])).toBe(1);
    }
    return said().err.split('\n')[0] ?? '';
  };
  expect(refused(() => readFileSync(path))).toBe('error[cannot-read]: cannot read what was opened: it is a folder');
  expect(refused(() => readdirSync(join(path, 'a.txt')))).toBe(`error[cannot-read]: cannot read ${path}/a.txt: a part of the path is no folder`);
  expect(refused(() => mkdtempSync(join(path, 'none/moec-')))).toBe(`error[cannot-write]: cannot write ${path}/none: there is no such file or folder`);
  expect(refused(() => mkdirSync(join(path, 'a.txt/b')))).toBe(`error[cannot-write]: cannot write ${path}/a.txt/b: a part of the path is no folder`);
});

test('without a folder for temporary files, and with a folder in the place of a small file, the path is said', async () => {
  const none = join(scratch, 'none');
  vi.stubEnv('TMPDIR', none);
  const bench = await moec(['bench', 'models/tiny.moe']).finally(() => vi.unstubAllEnvs());
  expect([bench.code, bench.err]).toEqual([1, expect.stringContaining(`error[cannot-write]: cannot write ${none}: there is no such file or folder\n`)]);
  const checkpoint = folder({ 'special_tokens_map.json/a': '' });
  makeLlama(checkpoint);
  const compiled = await moec(['compile', checkpoint, '-o', join(scratch, 'out')]);
  expect([compiled.code, compiled.err]).toEqual([1, expect.stringContaining(`error[file-not-readable]: cannot read ${checkpoint}/special_tokens_map.json: it is a folder\n`)]);
  expect(existsSync(join(scratch, 'out'))).toBe(false);
});

test.skipIf(!existsSync('/dev/full'))('output on a full disk ends with 1 and says so once', async () => {
  const full = openSync('/dev/full', 'w');
  const child = spawn(process.execPath, ['--import', 'tsx', 'src/cli/main.ts', 'explain', '--json'], { cwd: recording().terminal.cwd, stdio: ['ignore', full, 'pipe'] });
  closeSync(full);
  const said: Buffer[] = [];
  child.stderr?.on('data', (piece: Buffer) => said.push(piece));
  const [code] = await once(child, 'close');
  expect([code, Buffer.concat(said).toString('utf8')]).toEqual([1, 'error[cannot-write]: cannot write the output: no room left on the device\n\n1 error\n']);
});

test('a fault of moec itself ends with 3 and a file that a report can carry', () => {
  const { terminal, said } = recording();
  expect(endWith(new Bug('two nodes of one name', 'graph g(x: f32[2]) {}'), terminal, ['check', 'x.moe'])).toBe(3);
  const { err } = said();
  const report = /^\/.*report\.txt$/m.exec(err)?.[0] ?? '';
  expect(err).toMatch(/^fault: two nodes of one name\n/);
  expect(readFileSync(report, 'utf8')).toMatch(/^moec \d.*\nmoec check x\.moe\n[\s\S]*graph g\(x: f32\[2\]\) \{\}/);
  rmSync(join(report, '..'), { recursive: true });
});

test('what was stopped by its user ends with 130 and says nothing', () => {
  const { terminal, said } = recording({ signal: AbortSignal.abort() });
  expect(endWith(new Error('aborted'), terminal, [])).toBe(130);
  expect(said()).toEqual({ out: '', err: '' });
});

test('a target is a source, a checkpoint or a compiled folder', () => {
  const cwd = folder({ 'm.moe': good, 'ckpt/config.json': '{}', 'out/moec.json': '{}', 'out/config.json': '{}', 'src/m.moe': good, 'a.txt': '' });
  expect(resolveTarget(cwd, 'm.moe')).toEqual({ kind: 'source', file: join(cwd, 'm.moe') });
  expect(resolveTarget(cwd, 'ckpt/')).toEqual({ kind: 'checkpoint', folder: join(cwd, 'ckpt') });
  expect(resolveTarget(cwd, 'out')).toEqual({ kind: 'compiled', folder: join(cwd, 'out') });
  expect(resolveTarget(cwd, 'src')).toMatchObject({ code: 'target-unknown', fixes: [{ text: 'name one of its files, such as src/m.moe' }] });
  expect(resolveTarget(cwd, 'a.txt')).toMatchObject({ code: 'target-unknown' });
  expect(resolveTarget(cwd, 'cktp')).toMatchObject({ code: 'target-missing', fixes: [{ text: 'did you mean `ckpt`?' }] });
});

test('imports resolve beside the file, and std/ to the library, never elsewhere', () => {
  const cwd = folder({ 'a/m.moe': '', 'a/parts.moe': '', 'b/parts.moe': '' });
  const reader = fileReader(recording({ cwd }).terminal);
  expect(reader.resolve('a/m.moe', './parts')).toBe('a/parts.moe');
  expect(reader.resolve('a/m.moe', '../b/parts.moe')).toBe('b/parts.moe');
  expect(reader.resolve('a/m.moe', 'std/layers')).toMatch(/\/models\/std\/layers\.moe$/);
  expect(reader.resolve('a/m.moe', 'parts')).toBeUndefined();
  expect(reader.resolve('a/m.moe', 'std/nothing')).toBeUndefined();
  expect(reader.read('a/gone.moe')).toBeUndefined();
  expect(nameOf(cwd, join(cwd, 'a/m.moe'))).toBe('a/m.moe');
  expect(nameOf(join(cwd, 'a'), join(cwd, 'b/parts.moe'))).toBe(join(cwd, 'b/parts.moe'));
});

test('a staged folder appears whole or not at all, and replaces what was there', () => {
  const cwd = folder({ 'out/old.txt': 'old' });
  const given = stageFolder(join(cwd, 'out'));
  writeFileSync(join(given.path, 'new.txt'), 'new');
  expect(readdirSync(join(cwd, 'out'))).toEqual(['old.txt']);
  given.commit();
  given.discard();
  expect(readdirSync(join(cwd, 'out'))).toEqual(['new.txt']);
  const dropped = stageFolder(join(cwd, 'out'));
  writeFileSync(join(dropped.path, 'half.txt'), 'half');
  dropped.discard();
  expect(readdirSync(cwd)).toEqual(['out']);
  expect(readdirSync(join(cwd, 'out'))).toEqual(['new.txt']);
});

test('what the system refuses to write is a diagnostic, and leaves nothing', () => {
  const cwd = folder({ 'file.txt': 'a file' });
  expect(() => writeWhole(join(cwd, 'file.txt/a.moe'), 'x', 'file.txt/a.moe')).toThrow('cannot write file.txt/a.moe: a part of the path is no folder');
  expect(() => stageFolder(join(cwd, 'file.txt/out'))).toThrow(/cannot write/);
  expect(readdirSync(cwd)).toEqual(['file.txt']);
  writeWhole(join(cwd, 'file.txt'), 'whole', 'file.txt');
  expect(readFileSync(join(cwd, 'file.txt'), 'utf8')).toBe('whole');
  expect(existsSync(join(cwd, 'file.txt'))).toBe(true);
  expect(readdirSync(cwd)).toEqual(['file.txt']);
});

test('progress: nothing within a second, a bar that is taken away on a terminal, lines elsewhere', () => {
  const run = (given: Parameters<typeof recording>[0], times: readonly number[], json = false): string => {
    const { terminal, said } = recording(given);
    let now = 0;
    const shown = progress(terminal, 'writing', { json }, () => now);
    times.forEach((time, i) => {
      now = time;
      shown.at(i + 1, times.length);
    });
    shown.end();
    return said().err;
  };
  expect(run({ watched: true }, [100, 500, 900])).toBe('');
  expect(run({ watched: true }, [500, 1500, 2000], true)).toBe('');
  expect(run({ watched: true }, [500, 2000, 2050, 4000])).toBe(
    `\r\u001b[K${'━'.repeat(12)}${'─'.repeat(12)} writing 50 %, 2 s left\r\u001b[K${'━'.repeat(24)} writing 100 %, 0 s left\r\u001b[K`,
  );
  expect(run({}, [1200, 2400, 9000, 12000])).toBe('writing 25 %, 4 s left\nwriting 100 %, 0 s left\n');
});

test('waiting is said after a second, and taken away on a terminal', () => {
  vi.useFakeTimers();
  const said = (given: Parameters<typeof recording>[0], time: number, json = false): string => {
    const one = recording(given);
    const shown = waiting(one.terminal, 'loading', { json });
    vi.advanceTimersByTime(time);
    shown.end();
    return one.said().err;
  };
  expect([said({}, 900), said({}, 1100), said({}, 1100, true), said({ watched: true }, 900), said({ watched: true }, 1100)]).toEqual([
    '',
    'loading …\n',
    '',
    '',
    'loading …\r\u001b[K',
  ]);
  vi.useRealTimers();
});

test('numbers and names for people', () => {
  expect([0, 999, 1_000, 538_000_000, 5_380_000_000].map(bytes)).toEqual(['0 B', '999 B', '1.0 kB', '538 MB', '5.4 GB']);
  expect([400, 8_200, 125_000].map(duration)).toEqual(['0 s', '8 s', '2 min 5 s']);
  expect([quoted('a/b.moe'), quoted("it's here.moe")]).toEqual(['a/b.moe', "'it'\\''s here.moe'"]);
  expect(
    table([
      ['a', 1, 'x'],
      ['日本', 22, ''],
    ]),
  ).toBe('a      1  x\n日本  22\n');
  expect([setting('D=64'), setting('theta=1e4', { D: '64' })]).toEqual([{ D: '64' }, { D: '64', theta: '1e4' }]);
});

test('colours: for terminals, unless the environment says otherwise', () => {
  expect(takesColor({ isTTY: true }, {})).toBe(true);
  expect(takesColor({ isTTY: false }, {})).toBe(false);
  expect(takesColor({ isTTY: true }, { NO_COLOR: '1' })).toBe(false);
  expect(takesColor({ isTTY: true }, { NO_COLOR: '' })).toBe(true);
  expect(takesColor({ isTTY: true }, { TERM: 'dumb' })).toBe(false);
  expect(takesColor({ isTTY: false }, { FORCE_COLOR: '1' })).toBe(true);
  expect(takesColor({ isTTY: true }, { FORCE_COLOR: '1', NO_COLOR: '1' })).toBe(false);
});

test('Ctrl-C ends a process that waits with 130', async () => {
  const child = spawn(process.execPath, ['--import', 'tsx', 'src/cli/main.ts', 'format', '-'], { cwd: recording().terminal.cwd, stdio: ['pipe', 'pipe', 'pipe'] });
  const ended = once(child, 'exit');
  // More than a pipe holds: it goes through only once the process reads.
  await new Promise((resolve) => child.stdin.write('// waits\n'.repeat(100_000), resolve));
  child.kill('SIGINT');
  expect((await ended)[0]).toBe(130);
});
