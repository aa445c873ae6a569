/** Loading mixtures: many small experts in many layers, and wide ones against `batched` and against the size of the file. */

import { fileURLToPath } from 'node:url';
import { measure, table } from './rounds.ts';

const limits = { seconds: 5, batched: 2, memory: 2 };
const child = fileURLToPath(new URL('load-child.ts', import.meta.url));
const small = { D: 64, H: 32, E: 64, L: 24 };
const wide = { D: 1024, H: 512, E: 64, L: 2 };
const contender = (lowering: string, shape: object) => ({ name: `${lowering} ${JSON.stringify(shape)}`, command: ['npx', 'tsx', child, lowering, JSON.stringify(shape)] });
const contenders = [contender('guarded', small), contender('chosen', small), contender('guarded', wide), contender('chosen', wide), contender('batched', wide)];
const figures = measure(contenders, Number(process.env['ROUNDS'] ?? 5));
const of = (lowering: string, shape: object, figure: string): number => figures.get(`${lowering} ${JSON.stringify(shape)}`)?.[figure] ?? Number.NaN;
table([
  ['24 layers × 64 experts', 'load s', 'limit s', 'memory × file'],
  ['guarded', of('guarded', small, 'load'), limits.seconds, of('guarded', small, 'memory')],
  ['chosen', of('chosen', small, 'load'), limits.seconds, of('chosen', small, 'memory')],
]);
table([
  ['D 1024, H 512', 'load s', '× batched', 'memory × file'],
  ...(['guarded', 'chosen', 'batched'] as const).map((name) => [name, of(name, wide, 'load'), of(name, wide, 'load') / of('batched', wide, 'load'), of(name, wide, 'memory')]),
]);
const held =
  of('guarded', small, 'load') < limits.seconds &&
  of('chosen', small, 'load') < limits.seconds &&
  of('chosen', wide, 'load') < limits.batched * of('batched', wide, 'load') &&
  of('chosen', wide, 'memory') < limits.memory;
process.exitCode = held ? 0 : 1;
