/** One contender of `decode` in a process of its own: prints tokens per second as JSON. */

import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';

const [, , way = 'step', folder = ''] = process.argv;
const context = 256;
const steps = 64;
const options: InferenceSession.SessionOptions = { intraOpNumThreads: 2, logSeverityLevel: 3 };
const prompt = BigInt64Array.from({ length: context }, (_, i) => BigInt((i * 7919) % 49_152));
const ids = (data: BigInt64Array, ...dims: number[]): Tensor => new Tensor('int64', data, dims);
const began = performance.now();
const session = await InferenceSession.create(join(folder, way === 'loop' ? 'generate.onnx' : 'model.onnx'), options);
const load = (performance.now() - began) / 1000;
const run = way === 'loop' ? byLoop : byStep;
await run(4);
const first = await run(1);
const all = await run(1 + steps);
console.log(JSON.stringify({ load, prefill: context / first, decode: steps / (all - first) }));

/** Seconds for `count` tokens after the prompt. */
async function byLoop(count: number): Promise<number> {
  const scalar = (value: number): Tensor => new Tensor('float32', Float32Array.of(value), []);
  const start = performance.now();
  const { tokens } = await session.run({
    input_ids: ids(prompt, 1, context),
    attention_mask: ids(new BigInt64Array(context).fill(1n), 1, context),
    max_new_tokens: ids(BigInt64Array.of(BigInt(count))),
    temperature: scalar(0),
    top_k: ids(BigInt64Array.of(0n)),
    top_p: scalar(1),
    min_p: scalar(0),
    repetition_penalty: scalar(1),
    stop_tokens: ids(new BigInt64Array(0), 0),
    pad_token: ids(BigInt64Array.of(0n)),
    uniforms: new Tensor('float32', new Float32Array(count), [count, 1]),
  });
  if (tokens?.dims[0] !== count) throw new Error(`${tokens?.dims} tokens`);
  return (performance.now() - start) / 1000;
}

/** The same, each step a run whose keys and values come back to JS. */
async function byStep(count: number): Promise<number> {
  const start = performance.now();
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
    const results: Record<string, Tensor> = await session.run({
      input_ids: ids(feed, 1, feed.length),
      attention_mask: ids(new BigInt64Array(total).fill(1n), 1, total),
      position_ids: ids(at, 1, feed.length),
      ...past,
    });
    const { logits } = results;
    if (!logits) throw new Error('no logits');
    feed = BigInt64Array.of(BigInt(largest(logits)));
    past = Object.fromEntries(Object.keys(past).map((name) => [name, results[name.replace('past_key_values', 'present')] ?? logits]));
  }
  return (performance.now() - start) / 1000;
}

/** The index of the largest logit of the last row. */
function largest({ data, dims }: Tensor): number {
  const numbers = (data as Float32Array).subarray(-(dims.at(-1) ?? 0));
  let best = 0;
  for (let i = 1; i < numbers.length; i++) if ((numbers[i] ?? 0) > (numbers[best] ?? 0)) best = i;
  return best;
}
