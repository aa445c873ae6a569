/** One contender of `gpu` in a process of its own: prints tokens per second as JSON. On WebGPU the cache stays in the device's buffers. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';

const [, , provider = 'cpu', folder = ''] = process.argv;
const context = 256;
const steps = 64;
const manifest = JSON.parse(readFileSync(join(folder, 'moec.json'), 'utf8')) as { readonly outputs: readonly { readonly name: string }[]; readonly params: { readonly V: number } };
const presents = manifest.outputs.map(({ name }) => name).filter((name) => name.startsWith('present.'));
const began = performance.now();
const session = await InferenceSession.create(join(folder, 'model.onnx'), {
  executionProviders: [provider],
  logSeverityLevel: 3,
  ...(provider === 'webgpu'
    ? { extra: { session: { disable_cpu_ep_fallback: '1' } }, preferredOutputLocation: Object.fromEntries(presents.map((name) => [name, 'gpu-buffer' as const])) }
    : {}),
});
const load = (performance.now() - began) / 1000;
const prompt = BigInt64Array.from({ length: context }, (_, i) => BigInt((i * 7919) % manifest.params.V));
const ids = (data: BigInt64Array): Tensor => new Tensor('int64', data, [1, data.length]);
const start = performance.now();
await run(2);
const first = (performance.now() - start) / 1000;
await run(1 + steps);
const short = await run(1);
const long = await run(1 + steps);
console.log(JSON.stringify({ load, first, prefill: context / short, decode: steps / (long - short) }));
process.exit(0);

/** Seconds for `count` tokens after the prompt. */
async function run(count: number): Promise<number> {
  const from = performance.now();
  let past: Record<string, Tensor> = {};
  for (const one of session.inputMetadata) {
    if (one.isTensor && one.name.startsWith('past_'))
      past[one.name] = new Tensor(
        'float32',
        new Float32Array(0),
        one.shape.map((size, i) => (typeof size === 'number' ? size : i === 0 ? 1 : 0)),
      );
  }
  let feed = prompt;
  for (let step = 0; step < count; step++) {
    const total = context + step;
    const at = BigInt64Array.from(feed, (_, i) => BigInt(total - feed.length + i));
    const results: Record<string, Tensor> = await session.run({ input_ids: ids(feed), attention_mask: ids(new BigInt64Array(total).fill(1n)), position_ids: ids(at), ...past });
    const { logits } = results;
    if (!logits) throw new Error('no logits');
    for (const tensor of Object.values(past)) if (tensor.location === 'gpu-buffer') tensor.dispose();
    past = Object.fromEntries(Object.keys(past).map((name) => [name, results[name.replace('past_key_values', 'present')] ?? logits]));
    feed = BigInt64Array.of(BigInt(largest(logits)));
  }
  for (const tensor of Object.values(past)) if (tensor.location === 'gpu-buffer') tensor.dispose();
  return (performance.now() - from) / 1000;
}

/** The index of the largest logit of the last row. */
function largest({ data, dims }: Tensor): number {
  const numbers = (data as Float32Array).subarray(-(dims.at(-1) ?? 0));
  let best = 0;
  for (let i = 1; i < numbers.length; i++) if ((numbers[i] ?? 0) > (numbers[best] ?? 0)) best = i;
  return best;
}
