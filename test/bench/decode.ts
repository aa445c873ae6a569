/** Greedy decoding with SmolLM2's shape and random weights at context 256: one run of the loop in the graph, against stepping from JS with the cache read back. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cli, measure, table, timed } from './rounds.ts';

const limit = 1.3;
const shape = { V: 49_152, D: 576, H: 1_536, L: 30, N: 9, G: 3, tied: true };
const folder = join(mkdtempSync(join(tmpdir(), 'moec-bench-')), 'smollm2');
const settings = Object.entries(shape).flatMap(([name, value]) => ['--set', `${name}=${value}`]);
timed([...cli, 'compile', 'models/llama.moe', '--model', 'LlamaTied', ...settings, '--generate', '-o', folder]);
const child = fileURLToPath(new URL('decode-child.ts', import.meta.url));
const figures = measure(
  ['step', 'loop'].map((name) => ({ name, command: ['npx', 'tsx', child, name, folder] })),
  5,
);
rmSync(join(folder, '..'), { recursive: true });
const [step, loop] = [figures.get('step'), figures.get('loop')];
const ratio = (loop?.['decode'] ?? 0) / (step?.['decode'] ?? 1);
table([
  ['SmolLM2 shape, context 256', 'prefill tok/s', 'decode tok/s', 'load s'],
  ['step from JS', step?.['prefill'] ?? 0, step?.['decode'] ?? 0, step?.['load'] ?? 0],
  ['loop in the graph', loop?.['prefill'] ?? 0, loop?.['decode'] ?? 0, loop?.['load'] ?? 0],
]);
console.log(`decode: ${ratio.toFixed(2)} x (limit ${limit})`);
process.exitCode = ratio >= limit ? 0 : 1;
