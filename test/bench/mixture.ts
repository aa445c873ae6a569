/** Mixtures of gated feed-forwards in every lowering, onnxruntime's own `MoE`, and dense feed-forwards of the width that is active, at 1, 16 and 256 tokens: several layers, so that weights come from memory as they do in a model. */

import { fileURLToPath } from 'node:url';
import { loweringNames } from '../../src/targets/target.ts';
import { type Figures, measure, table } from './rounds.ts';

/** Of the choice against the best lowering, and at one token against dense; small experts are a fifth slower to read than the matrices they were cut from. */
const limits = { best: 1.15, dense: 1.3, denseOfSmall: 1.5 };
const shapes = [
  { D: 576, H: 96, E: 16, k: 8 },
  { D: 512, H: 1024, E: 16, k: 2 },
  { D: 2048, H: 512, E: 16, k: 4 },
  { D: 1024, H: 512, E: 64, k: 8 },
] as const;
const tokens = [1, 16, 256] as const;
const rounds = Number(process.env['ROUNDS'] ?? 5);
/** Experts of fewer hidden values are small. */
const small = 256;
/** Bytes that a token reads at least, more than the caches hold. */
const cold = 64 << 20;
const child = fileURLToPath(new URL('mixture-child.ts', import.meta.url));
const names = process.env['ONLY']?.split(',') ?? ['chosen', ...loweringNames, 'MoE', 'dense'];
const layersOf = ({ D, H, k }: (typeof shapes)[number]): number => Math.ceil(cold / (3 * 4 * D * H * k));
let held = true;
for (const shape of shapes) {
  const figures = measure(
    names.map((name) => ({ name, command: ['npx', 'tsx', child, name, JSON.stringify({ ...shape, L: layersOf(shape) })] })),
    rounds,
  );
  const of = (name: string, count: number): number => figures.get(name)?.[`t${count}`] ?? Number.NaN;
  const best = (count: number): number => Math.min(...names.filter((name) => name !== 'dense').map((name) => of(name, count)));
  const row = (name: string, each: Figures): (string | number)[] => [
    name,
    ...tokens.flatMap((count) => [each[`t${count}`] ?? Number.NaN, of(name, count) / best(count)]),
    each['load'] ?? Number.NaN,
  ];
  table([
    [
      Object.entries(shape)
        .map(([name, size]) => `${name} ${size}`)
        .join(' '),
      ...tokens.flatMap((count) => [`T=${count} ms`, '× best']),
      'load s',
    ],
    ...[...figures].map(([name, each]) => row(name, each)),
  ]);
  const overBest = Math.max(...tokens.map((count) => of('chosen', count) / best(count)));
  const overDense = of('chosen', 1) / of('dense', 1);
  const mostDense = shape.H < small ? limits.denseOfSmall : limits.dense;
  console.log(`chosen: ${overBest.toFixed(2)} × the best (limit ${limits.best}); one token ${overDense.toFixed(2)} × dense (limit ${mostDense})\n`);
  held &&= overBest <= limits.best && overDense <= mostDense;
}
process.exitCode = held ? 0 : 1;
