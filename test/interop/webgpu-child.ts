/** Runs compiled models on WebGPU, no node left to the CPU, in a process that has the driver in its environment: `webgpu-child.ts FOLDER`, with feeds.json in it, leaves results.json. */

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';

const [, , folder = ''] = process.argv;

/** Integers by input, rows of a rectangle. */
type Feeds = Readonly<Record<string, readonly (readonly number[])[]>>;

const feeds = JSON.parse(readFileSync(join(folder, 'feeds.json'), 'utf8')) as Feeds;
const results: Record<string, unknown> = {};
if (existsSync(join(folder, 'whole'))) Object.assign(results, await whole());
if (existsSync(join(folder, 'step'))) Object.assign(results, { prefill: await stepped((length) => length), stepped: await stepped(() => 1) });
writeFileSync(join(folder, 'results.json'), JSON.stringify(results));
process.exit(0);

function open(form: string, keep: readonly string[] = []): Promise<InferenceSession> {
  return InferenceSession.create(join(folder, form, 'model.onnx'), {
    executionProviders: ['webgpu'],
    logSeverityLevel: 3,
    extra: { session: { disable_cpu_ep_fallback: '1' } },
    preferredOutputLocation: Object.fromEntries(keep.map((name) => [name, 'gpu-buffer'])),
  });
}

function integers(rows: readonly (readonly number[])[]): Tensor {
  return new Tensor('int64', BigInt64Array.from(rows.flat(), BigInt), [rows.length, rows[0]?.length ?? 0]);
}

/** Results of the model as it is. */
async function whole(): Promise<Record<string, readonly number[]>> {
  const session = await open('whole');
  const given = Object.fromEntries(session.inputNames.map((name) => [name, integers(feeds[name] ?? [])]));
  const found = await session.run(given);
  await session.release();
  return Object.fromEntries(Object.entries(found).map(([name, { data }]) => [name, Array.from(data as Float32Array)]));
}

/** Logits of every position, some tokens at a time, keys and values kept in the device's buffers. */
async function stepped(size: (length: number) => number): Promise<readonly number[]> {
  const probe = JSON.parse(readFileSync(join(folder, 'step', 'moec.json'), 'utf8')) as { readonly outputs: readonly { readonly name: string }[] };
  const session = await open(
    'step',
    probe.outputs.map(({ name }) => name).filter((name) => name.startsWith('present.')),
  );
  const ids = feeds['input_ids'] ?? [];
  const length = ids[0]?.length ?? 0;
  const rows: number[][] = ids.map(() => []);
  let past: Record<string, Tensor> = {};
  for (const one of session.inputMetadata) {
    if (one.isTensor && one.name.startsWith('past_'))
      past[one.name] = new Tensor(
        'float32',
        new Float32Array(0),
        one.shape.map((axis, i) => (typeof axis === 'number' ? axis : i === 0 ? ids.length : 0)),
      );
  }
  for (let at = 0; at < length; at += size(length)) {
    const to = at + size(length);
    const positions = Array.from({ length: to - at }, (_, i) => at + i);
    const given: Record<string, Tensor> = {
      input_ids: integers(ids.map((row) => row.slice(at, to))),
      attention_mask: integers(ids.map(() => new Array<number>(to).fill(1))),
      position_ids: integers(ids.map(() => positions)),
      ...past,
    };
    const found: Record<string, Tensor> = await session.run(Object.fromEntries(session.inputNames.flatMap((name) => (given[name] ? [[name, given[name]]] : []))));
    const { logits } = found;
    if (!logits) throw new Error('no logits');
    for (const tensor of Object.values(past)) if (tensor.location === 'gpu-buffer') tensor.dispose();
    past = Object.fromEntries(Object.keys(past).map((name) => [name, found[name.replace('past_key_values', 'present')] ?? logits]));
    for (const tensor of Object.values(past)) if (tensor.location !== 'gpu-buffer') throw new Error(`a cache lies in ${tensor.location}`);
    const data = Array.from(logits.data as Float32Array);
    const each = data.length / ids.length;
    rows.forEach((row, i) => row.push(...data.slice(i * each, (i + 1) * each)));
  }
  await session.release();
  return rows.flat();
}
