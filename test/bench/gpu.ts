/** Prefill and decode on WebGPU against the CPU, stepped from JS with the cache where the provider keeps it: SmolLM2's shape, and a small mixture of experts. Needs a GPU with a driver; SwiftShader does, slowly. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cli, measure, table, timed } from './rounds.ts';

interface Model {
  readonly name: string;
  readonly source: readonly string[];
  readonly shape: Readonly<Record<string, number | boolean>>;
}

const small = process.argv.includes('--small');
const models: readonly Model[] = small
  ? [{ name: 'small Llama', source: ['models/llama.moe', '--model', 'LlamaTied'], shape: { V: 1_024, D: 128, H: 256, L: 2, N: 4, G: 2, tied: true } }]
  : [
      { name: 'SmolLM2-135M', source: ['models/llama.moe', '--model', 'LlamaTied'], shape: { V: 49_152, D: 576, H: 1_536, L: 30, N: 9, G: 3, tied: true } },
      { name: 'mixture, 16 of 512, 2 picked', source: ['models/mixtral.moe', '--model', 'Mixtral'], shape: { V: 8_192, D: 512, H: 512, L: 8, N: 8, G: 4, E: 16, k: 2 } },
    ];
const child = fileURLToPath(new URL('gpu-child.ts', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'moec-bench-'));
const rows: (readonly (string | number)[])[] = [['random weights, f32, context 256', 'prefill tok/s', 'decode tok/s', 'load s', 'first run s']];
for (const [i, { name, source, shape }] of models.entries()) {
  const settings = Object.entries(shape).flatMap(([param, value]) => ['--set', `${param}=${value}`]);
  const contenders = [['webgpu', 'webgpu'] as const, ['cpu', 'ort'] as const].map(([provider, target]) => {
    const folder = join(root, `${i}-${target}`);
    timed([...cli, 'compile', ...source, ...settings, '--target', target, '-o', folder]);
    return { name: provider, command: [process.execPath, '--import', 'tsx', child, provider, folder] };
  });
  const figures = measure(contenders, small ? 1 : 5);
  for (const [provider, { prefill = 0, decode = 0, load = 0, first = 0 }] of figures) rows.push([`${name}, ${provider}`, prefill, decode, load, first]);
  const ratio = (figure: string): number => (figures.get('webgpu')?.[figure] ?? 0) / (figures.get('cpu')?.[figure] ?? 1);
  rows.push([`${name}, ratio`, ratio('prefill'), ratio('decode'), '', '']);
}
rmSync(root, { recursive: true, force: true });
table(rows);
