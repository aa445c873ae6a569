/** A checkpoint with one number of one expert of each layer changed: what every comparison must notice. */

import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Source } from '../../src/graph/source.ts';
import type { Found } from '../../src/run/find-model.ts';

/** Copies the checkpoint of a model to `out`, with one more in a weight of the first expert of every mixture: of some layer, that expert is picked. */
export function perturb({ model, folder = '' }: Found, out: string): void {
  const { graph } = model;
  const tensors = graph.nodes
    .filter(({ op }) => op.name === 'mixture')
    .map(({ inputs }) => graph.weights.filter(({ value }) => inputs.includes(value)).flatMap(({ source }) => tensorsOf(source))[0]);
  if (tensors.length === 0) throw new Error(`${model.name} has no experts`);
  cpSync(folder, out, { recursive: true });
  const file = join(out, 'model.safetensors');
  const bytes = readFileSync(file);
  const header = 8 + Number(bytes.readBigUInt64LE(0));
  const entries = JSON.parse(bytes.toString('utf8', 8, header)) as Readonly<Record<string, { readonly data_offsets: readonly [number, number] }>>;
  for (const name of tensors) {
    const at = header + (entries[name ?? '']?.data_offsets[0] ?? Number.NaN);
    bytes.writeFloatLE(bytes.readFloatLE(at) + 1, at);
  }
  writeFileSync(file, bytes);
}

/** The tensors that a source reads, in order. */
function tensorsOf(source: Source): readonly string[] {
  if (source.kind === 'tensor') return [source.name];
  if (source.kind === 'concat') return source.of.flatMap(tensorsOf);
  return 'of' in source ? tensorsOf(source.of) : [];
}
