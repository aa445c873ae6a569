/** `moec emerge` on files of ONNX with more in them than feed-forwards, and what became of them run on odd inputs. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { attributeTypes, type NodeProto, type TensorProto } from '../src/onnx/messages.ts';
import { encodeModel } from '../src/onnx/wire.ts';
import { info, modelOf, node, tensor } from './onnx-messages.ts';
import { type Called, moec } from './terminal.ts';

const scratch = mkdtempSync(join(tmpdir(), 'moec-emerge-onnx-'));
afterAll(() => rmSync(scratch, { recursive: true }));
const call = (...words: readonly string[]): Promise<Called> => moec(words, { cwd: scratch });

const wave = (n: number): readonly number[] => Array.from({ length: n }, (_, i) => Math.sin(i));
const save = (name: string, nodes: readonly NodeProto[], initializer: readonly TensorProto[]): void =>
  writeFileSync(join(scratch, name), encodeModel(modelOf({ input: [info('x', 'rows', 8)], output: [info('y', 'rows', 8)], initializer, node: nodes })));
const ends = [node('Relu', ['h'], ['r']), node('MatMul', ['r', 'b'], ['y'])];
const down = tensor('b', [16, 8], wave(128));
save('whole.onnx', [node('MatMul', ['x', 'a'], ['h']), ...ends], [tensor('a', [8, 16], wave(128)), down]);
writeFileSync(join(scratch, 'branching.json'), JSON.stringify(Array.from({ length: 4 }, (_, n) => ({ x: Array.from({ length: 20 }, (_, i) => wave(8 + i + n).slice(i + n)) }))));

test('a model with branches is calibrated', async () => {
  const branch = (name: string, ...nodes: readonly NodeProto[]) => ({ name, type: attributeTypes.graph, g: { name, output: [info(`${name}.r`, 'rows', 8)], node: nodes } });
  const choose = node('If', ['positive'], ['chosen'], {
    attribute: [branch('then_branch', node('Exp', ['x'], ['e']), node('Mul', ['e', 'x'], ['then_branch.r'])), branch('else_branch', node('Neg', ['x'], ['else_branch.r']))],
  });
  save(
    'branching.onnx',
    [
      node('ReduceSum', ['x'], ['sum'], { attribute: [{ name: 'keepdims', type: attributeTypes.int, i: 0 }] }),
      node('Greater', ['sum', 'nothing'], ['positive']),
      choose,
      node('MatMul', ['chosen', 'a'], ['h']),
      ...ends,
    ],
    [tensor('a', [8, 16], wave(128)), tensor('nothing', [], [0]), down],
  );
  const { code, out } = await call(
    'emerge',
    'branching.onnx',
    '--experts',
    '4',
    '--top',
    '4',
    '--calibrate',
    'branching.json',
    ...['--evaluate', 'none', '--speed', 'none', '--threads', '1', '-o', 'branching'],
  );
  expect([code, out]).toEqual([0, expect.stringContaining('with every expert picked each layer is the dense one again')]);
});

test('experts that are one operator are given no input without rows, which would end the process', async () => {
  writeFileSync(join(scratch, 'rowless.json'), '{"x": []}');
  expect((await call('emerge', 'whole.onnx', '--experts', '4', ...['--evaluate', 'none', '--speed', 'none', '--threads', '1', '-o', 'whole'])).code).toBe(0);
  expect(readFileSync(join(scratch, 'whole/moec.json'), 'utf8')).toContain('"fused": true');
  expect((await call('compile', 'whole/model.onnx', '-o', 'again')).code).toBe(0);
  for (const target of ['whole', 'whole/model.onnx', 'again'])
    expect(await call('run', target, '--inputs', 'rowless.json')).toEqual({
      code: 1,
      out: '',
      err: expect.stringContaining('error[model-does-not-run]: onnxruntime could not run the model: its operator MoE takes no input without rows, as `x` is\n\n1 error\n'),
    });
});
