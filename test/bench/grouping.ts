/** Balanced k-means of the neurons of one layer, and one exact assignment alone: a layer of 11,008 neurons of a 7B model, and one of SmolLM2. */

import { fileURLToPath } from 'node:url';
import { measure, table } from './rounds.ts';

const shapes: readonly (readonly [neurons: number, width: number, experts: number, limit: number])[] = [
  [11_008, 4096, 64, 10],
  [1536, 576, 16, 1],
];
const child = fileURLToPath(new URL('grouping-child.ts', import.meta.url));
const found = measure(
  shapes.map(([neurons, width, experts]) => ({ name: `${neurons} × ${width} in ${experts}`, command: ['npx', 'tsx', child, `${neurons}`, `${width}`, `${experts}`] })),
  3,
);
table([
  ['neurons × width in experts', 'assignment s', 'k-means s', 'inertia of a neuron', 'limit s'],
  ...[...found].map(([name, figures], i) => [name, figures['assignment'] ?? 0, figures['kmeans'] ?? 0, figures['inertia'] ?? 0, shapes[i]?.[3] ?? 0]),
]);
process.exitCode = [...found.values()].every((figures, i) => (figures['kmeans'] ?? Number.NaN) < (shapes[i]?.[3] ?? 0)) ? 0 : 1;
