/** Greedy decoding stepped from JS, keys and values handed from run to run: what benchmarks of decoding measure against. */

import { type InferenceSession, Tensor } from 'onnxruntime-node';

/** Seconds for `count` tokens after the prompt, one row. Tensors that stay on a device are released once they are used. */
export async function decodeByStep(session: InferenceSession, prompt: BigInt64Array, count: number): Promise<number> {
  const start = performance.now();
  let past = emptyPast(session);
  let feed = prompt;
  for (let step = 0; step < count; step++) {
    const total = prompt.length + step;
    const at = BigInt64Array.from(feed, (_, i) => BigInt(total - feed.length + i));
    const results: Record<string, Tensor> = await session.run({ input_ids: row(feed), attention_mask: row(new BigInt64Array(total).fill(1n)), position_ids: row(at), ...past });
    const { logits } = results;
    if (!logits) throw new Error('no logits');
    release(past);
    past = Object.fromEntries(Object.keys(past).map((name) => [name, results[name.replace('past_key_values', 'present')] ?? logits]));
    feed = BigInt64Array.of(BigInt(largest(logits)));
  }
  release(past);
  return (performance.now() - start) / 1000;
}

const row = (data: BigInt64Array): Tensor => new Tensor('int64', data, [1, data.length]);

function emptyPast(session: InferenceSession): Record<string, Tensor> {
  const past: Record<string, Tensor> = {};
  for (const one of session.inputMetadata) {
    if (one.isTensor && one.name.startsWith('past_'))
      past[one.name] = new Tensor(
        'float32',
        new Float32Array(0),
        one.shape.map((size, i) => (typeof size === 'number' ? size : i === 0 ? 1 : 0)),
      );
  }
  return past;
}

function release(past: Readonly<Record<string, Tensor>>): void {
  for (const tensor of Object.values(past)) if (tensor.location === 'gpu-buffer') tensor.dispose();
}

/** The index of the largest logit of the last row. */
function largest({ data, dims }: Tensor): number {
  const numbers = (data as Float32Array).subarray(-(dims.at(-1) ?? 0));
  let best = 0;
  for (let i = 1; i < numbers.length; i++) if ((numbers[i] ?? 0) > (numbers[best] ?? 0)) best = i;
  return best;
}
