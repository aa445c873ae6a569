/** Runs small models on WebGPU, no node left to the CPU: `webgpu-samples-child.ts FOLDER`, with samples.json in it, prints a line for every one that departs. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';

interface Numbers {
  readonly dtype: string;
  readonly dims: readonly number[];
  readonly data: readonly string[];
}

interface Sample {
  readonly label: string;
  readonly model: string;
  readonly inputs: Readonly<Record<string, Numbers>>;
  readonly outputs: readonly Numbers[];
}

const [, , folder = ''] = process.argv;
/** The largest difference over the largest number: a GPU's sine may be off by 2^-11. */
const tolerance = 1e-3;

const tensorOf = ({ dtype, dims, data }: Numbers): Tensor => {
  if (dtype === 'i64') return new Tensor('int64', BigInt64Array.from(data, BigInt), dims);
  if (dtype === 'bool') return new Tensor('bool', Uint8Array.from(data, Number), dims);
  return new Tensor('float32', Float32Array.from(data, number), dims);
};
const number = (word: string): number => (word === 'inf' ? Number.POSITIVE_INFINITY : word === '-inf' ? Number.NEGATIVE_INFINITY : Number(word));

for (const { label, model, inputs, outputs } of JSON.parse(readFileSync(join(folder, 'samples.json'), 'utf8')) as readonly Sample[]) {
  try {
    const session = await InferenceSession.create(join(folder, model), {
      executionProviders: ['webgpu'],
      logSeverityLevel: 4,
      extra: { session: { disable_cpu_ep_fallback: '1' } },
    });
    const results = await session.run(Object.fromEntries(session.inputNames.flatMap((name) => (inputs[name] ? [[name, tensorOf(inputs[name])]] : []))));
    outputs.forEach((wanted, i) => {
      const found = results[session.outputNames[i] ?? ''];
      const difference = found ? distance(Array.from(found.data as Float32Array | BigInt64Array, Number), wanted.data.map(number)) : Number.NaN;
      if (!(difference < tolerance)) console.log(`${label}: result ${i} is off by ${difference}`);
    });
    await session.release();
  } catch (error) {
    const { message } = error as Error;
    console.log(`${label}: ${message.includes('fallback to CPU') ? 'leaves the device' : message.split('\n')[0]}`);
  }
}
console.log('done');
process.exit(0);

function distance(a: readonly number[], b: readonly number[]): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  const largest = Math.max(1e-6, ...b.filter(Number.isFinite).map(Math.abs));
  return Math.max(0, ...a.map((x, i) => (x === b[i] ? 0 : Math.abs(x - (b[i] ?? 0)) / largest)));
}
