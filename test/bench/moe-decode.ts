/** Greedy decoding of a mixture of 16 layers and 32 experts, f32 with random weights, in the loop of the graph, against llama.cpp on the same shape. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeGguf } from './gguf.ts';
import { cli, measure, table, timed } from './rounds.ts';

const limit = 1.3;
const shape = { V: 49_152, D: 1_024, H: 512, L: 16, N: 16, G: 4, E: 32, k: 4 };
const folder = mkdtempSync(join(tmpdir(), 'moec-bench-'));
const settings = Object.entries(shape).flatMap(([name, value]) => ['--set', `${name}=${value}`]);
const child = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
try {
  timed([...cli, 'compile', 'models/mixtral.moe', ...settings, '--generate', '-o', join(folder, 'moe')]);
  const gguf = join(folder, 'moe.gguf');
  writeGguf(gguf, shape);
  const figures = measure(
    [
      { name: 'moec', command: ['npx', 'tsx', child('decode-child.ts'), 'loop', join(folder, 'moe')] },
      { name: 'llama.cpp', command: ['npx', 'tsx', child('llama-child.ts'), gguf] },
    ],
    Number(process.env['ROUNDS'] ?? 5),
  );
  table([
    ['16 layers, D 1024, 32 experts of 512, top 4', 'prefill tok/s', 'decode tok/s', 'load s'],
    ...[...figures].map(([name, each]) => [name, each['prefill'] ?? 0, each['decode'] ?? 0, each['load'] ?? 0]),
  ]);
  const ratio = (figures.get('moec')?.['decode'] ?? 0) / (figures.get('llama.cpp')?.['decode'] ?? 1);
  console.log(`decode: ${ratio.toFixed(2)} x llama.cpp (limit ${limit})`);
  process.exitCode = ratio >= limit ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true });
}
