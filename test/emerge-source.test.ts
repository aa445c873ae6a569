/** The `.moe` file that `moec emerge` writes says of every layer where it stands, so that it is checked and compiled to what was written beside it. */

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { encodeModel } from '../src/onnx/wire.ts';
import { distance } from './definition.ts';
import { info, modelOf, node, tensor } from './onnx-messages.ts';
import { type Called, moec } from './terminal.ts';

const scratch = mkdtempSync(join(tmpdir(), 'moec-emerge-source-'));
afterAll(() => rmSync(scratch, { recursive: true }));

const call = (...words: readonly string[]): Promise<Called> => moec(words, { cwd: scratch });
const wave = (n: number, step: number): readonly number[] => Array.from({ length: n }, (_, i) => Math.sin(i * step));
writeFileSync(join(scratch, 'inputs.json'), JSON.stringify({ x: [0.7, 1.1, 1.9].map((step) => wave(8, step)) }));

test('what moec emerge wrote is converted further, under another name, and says which values it is for', async () => {
  writeFileSync(join(scratch, 'wide.moe'), source('  a = Block()\n  b = Block()', 'b(a(x))').replaceAll('16', 'H').replace('param D = 8', 'param D = 8\nparam H = 32'));
  const half = ['--set', 'H=16', '--seed', '3'];
  const more = ['--experts', '4', '--top', '1', '--speed', 'none', ...half];
  for (const [from, layers, to] of [
    ['wide.moe', '0', 'once'],
    ['once/wide.moe', 'b.ffn', 'twice'],
  ] as const) {
    const { code, err } = await call('emerge', from, '--layers', layers, ...more, '-o', to);
    expect(code, err).toBe(0);
  }
  const text = readFileSync(join(scratch, 'twice/wide.moe'), 'utf8');
  expect(text).toContain(
    'import { WideEmergent } from "../once/wide"\n\n/// WideEmergent with experts in 1 feed-forward, by moec emerge. Its experts are those of --set H=16 --seed 3.\nmodel WideEmergent2 from WideEmergent {\n',
  );
  expect(await outputOf('twice/wide.moe', ...half)).toEqual(await outputOf('twice'));
  expect(distance(await outputOf('twice'), Float64Array.from(await outputOf('once')))).toBeGreaterThan(1e-2);
}, 120_000);

test('a block that is shared is split only where that is written, also where its experts come from a file', async () => {
  writeFileSync(join(scratch, 'shared.moe'), source('  one = Ffn()\n  blocks = repeat 3 of one', 'blocks(x)'));
  const emerge = ['emerge', 'shared.moe', '--experts', '4', '--top', '1', '--speed', 'none'];
  expect((await call(...emerge, '--layers', '1', '--untie', '-o', 'split')).code).toBe(0);
  const text = readFileSync(join(scratch, 'split/shared.moe'), 'utf8');
  expect(text).toContain('  emergent blocks[1] { group = from "shared.experts.safetensors"  untie = true }\n');
  expect(await outputOf('split/shared.moe')).toEqual(await outputOf('split'));
  writeFileSync(join(scratch, 'split/shared.moe'), text.replace('  untie = true', ''));
  const { code, err } = await call('run', 'split/shared.moe', '--inputs', 'inputs.json');
  expect([code, err]).toEqual([
    1,
    expect.stringContaining('error[shared-block-split]: blocks.1 has the weights of blocks.0, blocks.2, which would not be converted with it\n  ╭─ split/shared.moe:'),
  ]);
}, 120_000);

test('a folder is not replaced that holds what the model is made of', async () => {
  const before = (folder: string): readonly string[] => readdirSync(join(scratch, folder)).sort();
  writeFileSync(join(scratch, 'kept.moe'), source('  a = Block()\n  b = Block()', 'b(a(x))'));
  const emerge = ['--experts', '4', '--top', '1', '--speed', 'none'];
  expect((await call('emerge', 'kept.moe', '--layers', '0', ...emerge, '-o', 'kept')).code).toBe(0);
  writeFileSync(join(scratch, 'beside.moe'), 'import { KeptEmergent } from "./kept/kept"\nmodel Beside from KeptEmergent {}\n');
  const named = readFileSync(join(scratch, 'kept/kept.moe'), 'utf8').replace('"kept.experts', '"kept/kept.experts').replace('../kept', './kept');
  writeFileSync(join(scratch, 'names.moe'), named);
  const there = before('kept');
  for (const [file, lost] of [
    ['kept/kept.moe', 'kept.moe'],
    ['beside.moe', 'kept.moe'],
    ['names.moe', 'kept.experts.safetensors'],
    ['kept/model.onnx', 'model.onnx'],
  ])
    for (const words of [
      ['compile', String(file)],
      ['emerge', String(file), '--layers', '0', ...emerge],
      ['emerge', String(file), '--layers', '0', ...emerge, '--dry-run'],
    ]) {
      const { code, err } = await call(...words, '-o', 'kept');
      expect([code, err]).toEqual([1, `error[would-lose-source]: kept holds ${lost}, which the model is made of: write to another folder\n\n1 error\n`]);
    }
  expect(before('kept')).toEqual(there);
}, 120_000);

/** A model of these parts, applied as `body` says. */
const source = (parts: string, body: string): string => `dim S
param D = 8

layer Ffn() {
  weight a: [D, 16]
  weight b: [16, D]
  forward(x: [.., D]) -> [.., D] { return x + relu(x @ a) @ b }
}

layer Block() {
  ffn = Ffn()
  forward(x: [.., D]) -> [.., D] { return ffn(x) }
}

layer Tower() {
  blocks = repeat 2 of Block()
  forward(x: [.., D]) -> [.., D] { return blocks(x) }
}

layer Three() {
  ups   = repeat 3 of Map(D, 16)
  downs = repeat 3 of Map(16, D)
  forward(x: [.., D]) -> [.., D] {
    y = x + relu(x @ ups[0].w) @ downs[0].w + relu(x @ ups[1].w) @ downs[1].w
    return y + relu(y @ ups[2].w) @ downs[2].w
  }
}

layer Map(I: int, O: int) {
  weight w: [I, O]
  forward(x: [.., I]) -> [.., O] { return x @ w }
}

model Dense {
${parts}
  forward(x: [S, D]) -> y: [S, D] { return ${body} }
}
`;

/** Feed-forwards of ONNX in turn, each added to what it reads, with these names in front of those of their values. */
function exported(places: readonly string[]): Uint8Array {
  const parts = places.map((place, i) => ({
    nodes: [
      node('MatMul', [i === 0 ? 'x' : `s${i}`, `a${i}`], [`${place}.h`]),
      node('Relu', [`${place}.h`], [`${place}.r`]),
      node('MatMul', [`${place}.r`, `b${i}`], [`${place}.y`]),
      node('Add', [i === 0 ? 'x' : `s${i}`, `${place}.y`], [`s${i + 1}`]),
    ],
    weights: [tensor(`a${i}`, [8, 16], wave(128, 1.3 + i)), tensor(`b${i}`, [16, 8], wave(128, 0.7 + i))],
  }));
  return encodeModel(
    modelOf({
      input: [info('x', 'rows', 8)],
      output: [info(`s${places.length}`, 'rows', 8)],
      initializer: parts.flatMap(({ weights }) => weights),
      node: parts.flatMap(({ nodes }) => nodes),
    }),
  );
}

async function outputOf(target: string, ...more: readonly string[]): Promise<readonly number[]> {
  const { code, out, err } = await call('run', target, ...more, '--inputs', 'inputs.json', '--json', '--full');
  expect(code, err).toBe(0);
  const [y] = Object.values(JSON.parse(out) as Readonly<Record<string, unknown[]>>);
  return (y ?? []).flat(3) as number[];
}

test.each<readonly [string, string, string | Uint8Array, readonly string[]]>([
  ['repeats in repeats', 'towers.moe', source('  towers = repeat 2 of Tower()', 'towers(x)'), ['towers[0].blocks[0..2].ffn', 'towers[1].blocks[0..2].ffn']],
  ['repeats of repeats', 'grid.moe', source('  grid = repeat 2 of repeat 3 of Ffn()', 'grid(x)'), ['grid[0..6]']],
  ['repeats around one layer, and a layer alone', 'loose.moe', source('  towers = repeat 2 of Block()\n  last = Block()', 'last(towers(x))'), ['towers[0..2].ffn', 'last.ffn']],
  ['several in one layer', 'threes.moe', source('  threes = repeat 2 of Three()', 'threes(x)'), [0, 1].flatMap((i) => ['.y', '.y[2]', ''].map((end) => `threes[${i}]${end}`))],
  ['maps of the model itself', 'maps.moe', source('  last = Block()\n  up = Map(D, 16)\n  down = Map(16, D)', 'last(x + down(relu(up(x))))'), ['ffn[0]', 'last.ffn']],
  ['an import without names', 'plain.onnx', exported(['/1', '/2', '/3']), ['ffn[0..3]']],
  ['an import with names of the language', 'named.onnx', exported(['a.0.b.0.ffn', 'a.0.b.1.ffn', 'a.1.b.0.ffn']), ['a[0].b[0..2].ffn', 'a[1].b[0].ffn']],
  ['an import whose names begin with a word that is reserved', 'reserved.onnx', exported(['layer.0.ffn', 'layer.1.ffn']), ['ffn[0..2]']],
  ['an import whose names have parts that are neither names nor numbers', 'parts.onnx', exported(['a.0th.ffn', 'a.1st.ffn']), ['ffn[0..2]']],
])(
  '%s',
  async (_, file, model, paths) => {
    writeFileSync(join(scratch, file), model);
    const name = file.replace(/\..*/, '');
    const emerged = await call('emerge', file, '--experts', '4', '--top', '1', '--speed', 'none', '-o', name);
    expect(emerged.code, emerged.err).toBe(0);
    const written = `${name}/${name}.moe`;
    expect([...readFileSync(join(scratch, written), 'utf8').matchAll(/^ {2}emergent (\S+) /gm)].map(([, path]) => path)).toEqual(paths);
    const checked = await call('check', written);
    expect([checked.code, checked.out + checked.err]).toEqual([0, expect.stringContaining('no errors')]);
    const compiled = await call('compile', written, '-o', `${name}-again`);
    expect(compiled.code, compiled.err).toBe(0);
    const converted = await outputOf(name);
    expect(await outputOf(`${name}-again`)).toEqual(converted);
    // One expert of four is not the dense model.
    expect(distance(converted, Float64Array.from(await outputOf(file)))).toBeGreaterThan(1e-2);
  },
  60_000,
);
