/** One contender of `gpu` in a process of its own: prints tokens per second as JSON. On WebGPU the cache stays in the device's buffers. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { InferenceSession } from 'onnxruntime-node';
import { decodeByStep } from './step-by-step.ts';

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
const start = performance.now();
await decodeByStep(session, prompt, 2);
const first = (performance.now() - start) / 1000;
await decodeByStep(session, prompt, 1 + steps);
const short = await decodeByStep(session, prompt, 1);
const long = await decodeByStep(session, prompt, 1 + steps);
console.log(JSON.stringify({ load, first, prefill: context / short, decode: steps / (long - short) }));
process.exit(0);
