/** The target `webgpu` without a GPU: its files hold only what the provider has kernels for, and compute on the CPU what other targets do. On the device itself: test/interop/webgpu.test.ts. */

import { describe, expect, test } from 'vitest';
import { integers, numbersOf } from '../src/run/tensor.ts';
import { type Form, lowerModel } from '../src/targets/pipeline.ts';
import { must, open, targetOf, zooModel } from './running.ts';

/** Ops that models were seen to need, and that onnxruntime 1.30's WebGPU provider has at opset 21 for f32, i32 and, as conditions, bool. */
const kernels = new Set([
  ...[
    'Add',
    'And',
    'Cast',
    'Clip',
    'Concat',
    'Cos',
    'CumSum',
    'Div',
    'Equal',
    'Erf',
    'Exp',
    'Expand',
    'Gather',
    'GatherElements',
    'Gelu',
    'Greater',
    'GreaterOrEqual',
    'Identity',
    'LayerNormalization',
    'constant',
  ],
  ...[
    'Less',
    'LessOrEqual',
    'MatMul',
    'Max',
    'Min',
    'Mul',
    'Not',
    'QuickGelu',
    'ReduceMax',
    'ReduceMean',
    'ReduceSum',
    'Reshape',
    'RotaryEmbedding',
    'Sigmoid',
    'SimplifiedLayerNormalization',
  ],
  ...['Sin', 'Slice', 'Softmax', 'Split', 'Sqrt', 'Squeeze', 'Sub', 'Tanh', 'TopK', 'Transpose', 'Unsqueeze', 'Where'],
]);
/** f32 against f32, sums in another order. */
const tolerance = 1e-4;

const small = (sizes: Readonly<Record<string, number>>): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries({ V: 67, D: 32, L: 2, ...sizes }).map(([name, size]) => [name, String(size)]));
const models = [
  ['llama', 'Llama', small({ H: 48, N: 4, G: 2 })],
  ['llama', 'Llama', small({ H: 48, N: 4, G: 2, window: 4 })],
  ['gpt2', undefined, small({ H: 64, N: 4, P: 40 })],
  ['mixtral', 'Mixtral', small({ H: 48, N: 4, G: 2, E: 5, k: 2 })],
  ['jetmoe', 'JetMoE', small({ H: 48, G: 2, W: 8, E: 4, k: 2 })],
] as const;

describe.each(models)('%s', (family, model, set) => {
  const found = zooModel(family, { set, ...(model ? { model } : {}) });

  test.each<Form>(['whole', 'step'])('the form %s has a kernel for every node', async (form) => {
    const { graph } = must(await lowerModel(found.model.graph, { target: targetOf('webgpu'), form, storage: 'written' }));
    expect([...new Set(graph.nodes.map(({ op }) => op.foreign?.type ?? op.name))].filter((name) => !kernels.has(name))).toEqual([]);
  });

  test('on the CPU it computes what the target `ort` does', async () => {
    const ids = integers(
      [2, 9],
      Array.from({ length: 18 }, (_, i) => (i * 7) % 67),
    );
    const positions = integers(
      [2, 9],
      Array.from({ length: 18 }, (_, i) => i % 9),
    );
    const results = await Promise.all(
      (['webgpu', 'ort'] as const).map(async (target) => {
        const session = await open(found, target, { form: 'whole' });
        const given = { input_ids: ids, position_ids: positions };
        const { logits } = must(await session.run(Object.fromEntries(Object.entries(given).filter(([name]) => session.inputs.some((one) => one.name === name)))));
        await session.close();
        if (!logits) throw new Error('no logits');
        return numbersOf(logits);
      }),
    );
    const [other, wanted] = results;
    const largest = Math.max(...(wanted ?? []).map(Math.abs));
    expect(other?.length).toBe(wanted?.length);
    expect(Math.max(...(wanted ?? []).map((x, i) => Math.abs(x - (other?.[i] ?? Number.NaN)))) / largest).toBeLessThan(tolerance);
  });
});

test('positions far into a text turn as they do elsewhere', async () => {
  const found = zooModel('llama', { model: 'Llama', set: small({ H: 48, N: 2, G: 2 }) });
  const length = 2_500;
  const ids = integers(
    [1, length],
    Array.from({ length }, (_, i) => (i * 31) % 67),
  );
  const last = await Promise.all(
    (['webgpu', 'ort'] as const).map(async (target) => {
      const session = await open(found, target, { form: 'whole' });
      const { logits } = must(await session.run({ input_ids: ids }));
      await session.close();
      return numbersOf(logits ?? ids).slice(-67);
    }),
  );
  const [a, b] = last;
  expect(Math.max(...(b ?? []).map((x, i) => Math.abs(x - (a?.[i] ?? Number.NaN))))).toBeLessThan(tolerance * Math.max(...(b ?? []).map(Math.abs)));
});
