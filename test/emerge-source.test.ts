/** The `.moe` file that `moec emerge` writes says of every layer where it stands, so that it is checked and compiled to what was written beside it. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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

async function outputOf(target: string): Promise<readonly number[]> {
  const { code, out, err } = await call('run', target, '--inputs', 'inputs.json', '--json', '--full');
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
