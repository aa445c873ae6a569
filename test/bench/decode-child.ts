/** One contender of `decode` in a process of its own: prints tokens per second as JSON. */

import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { decodeByStep } from './step-by-step.ts';

const [, , way = 'step', folder = ''] = process.argv;
const context = 256;
const steps = 64;
const options: InferenceSession.SessionOptions = { intraOpNumThreads: 2, logSeverityLevel: 3 };
const prompt = BigInt64Array.from({ length: context }, (_, i) => BigInt((i * 7919) % 49_152));
const ids = (data: BigInt64Array, ...dims: number[]): Tensor => new Tensor('int64', data, dims);
const began = performance.now();
const session = await InferenceSession.create(join(folder, way === 'loop' ? 'generate.onnx' : 'model.onnx'), options);
const load = (performance.now() - began) / 1000;
const run = way === 'loop' ? byLoop : (count: number) => decodeByStep(session, prompt, count);
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
