/** The files that derived models name, on disk: checkpoints, ONNX files, experts and texts, each beside the `.moe` file that names it. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { NodeProto, TensorProto } from '../src/onnx/messages.ts';
import { encodeModel } from '../src/onnx/wire.ts';
import { findFeedForwards } from '../src/passes/feed-forwards.ts';
import { recogniseOps } from '../src/passes/recognise-ops.ts';
import { type Found, modelOfSource } from '../src/run/find-model.ts';
import { makeLlama } from './checkpoints.ts';
import { info, modelOf, node, tensor } from './onnx-messages.ts';
import { repository, repositoryReader } from './repository.ts';
import { must } from './running.ts';
import { moec } from './terminal.ts';

const scratch = mkdtempSync(join(tmpdir(), 'moec-derive-'));
afterAll(() => rmSync(scratch, { recursive: true }));
makeLlama(join(scratch, 'llama'));
makeLlama(join(scratch, 'tuned'), { dtype: 'f16' });

const find = (file: string, text: string, options: { readonly model?: string; readonly weights?: string } = {}): ReturnType<typeof modelOfSource> => {
  const path = join(scratch, file);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, text);
  return modelOfSource(path, { reader: repositoryReader, zoo: join(repository, 'models'), ...options });
};
const using = <T>(found: Found, use: (found: Found) => T): T => {
  try {
    return use(found);
  } finally {
    found.checkpoint?.close();
  }
};

test('a checkpoint is named from the file that names it, in a chain too; one that is given goes before it', () => {
  const derived = 'import { Llama } from "zoo/llama"\nmodel Half from Llama { emergent body.blocks[..].ffn { experts = 4  pick = top(2) }  weights from "../llama" }';
  using(must(find('deep/half.moe', derived)), ({ model, folder, checkpoint }) => {
    expect(folder).toBe(join(scratch, 'llama'));
    expect(model.params.find(({ name }) => name === 'D')).toMatchObject({ value: 16, from: 'config' });
    expect(checkpoint?.tensors.get('lm_head.weight')?.dtype).toBe('f32');
  });
  using(must(find('dense.moe', 'import { Half } from "./deep/half"\nmodel Dense from Half { merge body.blocks[0].ffn {} }')), ({ model, folder }) => {
    expect(folder).toBe(join(scratch, 'llama'));
    expect(model.derivations.flatMap(({ targets }) => targets.map(({ path }) => path))).toEqual(['body.blocks.1.ffn']);
  });
  using(must(find('deep/half.moe', derived, { weights: join(scratch, 'tuned') })), ({ checkpoint }) => expect(checkpoint?.tensors.get('lm_head.weight')?.dtype).toBe('f16'));
});

test('a file is checked with the sizes of the checkpoint that it names, and with those of the family where it names none', async () => {
  makeLlama(join(scratch, 'deep'), { config: { num_hidden_layers: 33 } });
  const said = async (block: number, weights: string): Promise<readonly unknown[]> => {
    const models = `import { Llama } from "zoo/llama"\nmodel Deep from Llama { emergent body.blocks[${block}].ffn { experts = 4  pick = top(2) } ${weights} }\n`;
    writeFileSync(join(scratch, 'deep.moe'), models);
    const { code, err } = await moec(['check', 'deep.moe'], { cwd: scratch });
    return [code, err.split('\n')[0]];
  };
  const beyond = (block: number, layers: number): string => `error[index-out-of-range]: \`[${block}]\` is out of range: there are ${layers}, counted from 0`;
  expect(await said(32, 'weights from "deep"')).toEqual([0, expect.stringContaining('next: ')]);
  expect(await said(33, 'weights from "deep"')).toEqual([1, beyond(33, 33)]);
  expect(await said(32, '')).toEqual([1, beyond(32, 32)]);
  expect(await said(32, 'weights from "gone"')).toEqual([1, beyond(32, 32)]);
});

test('files that are not there are said where they are named', () => {
  const gone = find('gone.moe', 'import { Llama } from "zoo/llama"\nmodel M from Llama { weights from "nowhere" }');
  expect(gone).toMatchObject({
    ok: false,
    diagnostics: [{ code: 'weights-missing', message: 'there is nothing at nowhere to read weights from', at: { span: { file: join(scratch, 'gone.moe') } } }],
  });
  const artefact = `import { Llama } from "zoo/llama"
model M from Llama {
  emergent body.blocks[0].ffn { group = from "m.experts.safetensors" }
  emergent body.blocks[1].ffn { experts = 4  pick = top(2)  text = "none.txt" }
  weights from "llama"
}`;
  expect(find('artefact.moe', artefact)).toMatchObject({
    ok: false,
    diagnostics: [{ message: 'there is no file `m.experts.safetensors`' }, { message: 'there is no file `none.txt`' }],
  });
  for (const name of ['m.experts.safetensors', 'none.txt']) writeFileSync(join(scratch, name), '');
  using(must(find('artefact.moe', artefact)), ({ model }) => expect(model.derivations.length).toBe(2));
});

/** `act(x · a) · b` as an exporter writes it, with the names of nobody. */
function feedForward(at: number): { readonly nodes: readonly NodeProto[]; readonly weights: readonly TensorProto[] } {
  const numbers = (salt: number): readonly number[] => Array.from({ length: 8 * 16 }, (_, i) => Math.sin(i * salt + at));
  const [from, to] = [`v${at}`, `v${at + 1}`];
  return {
    nodes: [
      node('MatMul', [from, `a${at}`], [`h${at}`]),
      node('Relu', [`h${at}`], [`r${at}`]),
      node('MatMul', [`r${at}`, `b${at}`], [`y${at}`]),
      node('Add', [from, `y${at}`], [to]),
    ],
    weights: [tensor(`a${at}`, [8, 16], numbers(1.3)), tensor(`b${at}`, [16, 8], numbers(0.7))],
  };
}

const parts = [0, 1, 2, 3].map(feedForward);
const bytes = encodeModel(
  modelOf({ input: [info('v0', 'rows', 8)], output: [info('v4', 'rows', 8)], initializer: parts.flatMap(({ weights }) => weights), node: parts.flatMap(({ nodes }) => nodes) }),
);

test('a model of an ONNX file has its graph, its weights and the feed-forwards found in it', () => {
  mkdirSync(join(scratch, 'exported'));
  writeFileSync(join(scratch, 'exported/four.onnx'), bytes);
  const derived = 'model M from onnx "exported/four.onnx" { emergent ffn[1..3] { experts = 4  pick = top(2) } }';
  using(must(find('four.moe', derived)), ({ model, source, checkpoint, imported }) => {
    expect(model).toMatchObject({ name: 'M', base: { kind: 'onnx', file: { path: 'exported/four.onnx' } } });
    expect(source).toBe(join(scratch, 'four.moe'));
    expect(checkpoint?.tensors.size).toBe(8);
    expect(imported?.opset).toBeGreaterThanOrEqual(21);
    const targets = model.derivations.flatMap((one) => one.targets.map(({ path }) => path));
    expect(targets).toEqual(['ffn.1', 'ffn.2']);
    expect(findFeedForwards(recogniseOps(model.graph)).found.map(({ path }) => path)).toEqual(expect.arrayContaining(targets));
  });
  using(must(find('again.moe', 'import { M } from "./four"\nmodel N from M { merge ffn[1] {} }')), ({ model }) =>
    expect(model.derivations.flatMap(({ targets }) => targets.length)).toEqual([1]),
  );
});

test.each([
  ['gone', 'model M from onnx "gone.onnx" { }', 'named-file-missing', 'there is no file `gone.onnx`'],
  ['weights', 'model M from onnx "exported/four.onnx" { weights from "llama" }', 'onnx-brings-weights', '`exported/four.onnx` brings its own weights'],
  [
    'beyond',
    'model M from onnx "exported/four.onnx" { emergent ffn[3..6] { experts = 4  pick = top(2) } }',
    'index-out-of-range',
    '`[3..6]` is out of range: there are 4, counted from 0',
  ],
  ['other', 'model M from onnx "exported/four.onnx" { emergent mlp[0] { experts = 4  pick = top(2) } }', 'path-unknown', '`exported/four.onnx` has no `mlp[0]`'],
])('of an ONNX file, refused: %s', (name, text, code, message) => {
  expect(find(`${name}-onnx.moe`, text)).toMatchObject({ ok: false, diagnostics: [{ code, message, at: { span: { file: join(scratch, `${name}-onnx.moe`) } } }] });
});

test('the command line marks the name of what is missing', async () => {
  writeFileSync(join(scratch, 'marked.moe'), 'model M from onnx "gone.onnx" { }\n');
  expect(await moec(['compile', 'marked.moe'], { cwd: scratch })).toEqual({
    code: 1,
    out: '',
    err: `error[named-file-missing]: there is no file \`gone.onnx\`
  ╭─ marked.moe:1:19
 1│ model M from onnx "gone.onnx" { }
  │                   ^^^^^^^^^^^

1 error
`,
  });
});
