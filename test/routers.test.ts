/** The routers of families that the zoo does not hold, each a program: checked, formatted, and run in small against its definition in f64. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { format } from '../grammar/print.ts';
import { evaluate } from '../src/graph/dim.ts';
import { count, type NdArray, ndArray } from '../src/graph/nd-array.ts';
import { checkProgram, loadProgram } from '../src/model/index.ts';
import { modelOfSource } from '../src/run/find-model.ts';
import type { Tensor } from '../src/run/tensor.ts';
import { defined, distance } from './definition.ts';
import { repository, repositoryReader } from './repository.ts';
import { must, open } from './running.ts';

const folder = join(repository, 'test/routers');
/** f32 on the targets against f64. */
const tolerance = 1e-4;
const small: Readonly<Record<string, string>> = { D: '16', H: '24', I: '8', J: '8', L: '3', W: '8', V: '11', places: '1' };

describe.each(readdirSync(folder).filter((name) => name.endsWith('.moe')))('%s', (file) => {
  const path = `test/routers/${file}`;
  const text = readFileSync(join(folder, file), 'utf8');

  test('nothing is said of it, and it is formatted', () => {
    expect(checkProgram(loadProgram(path, repositoryReader)).diagnostics).toEqual([]);
    expect(format(text, path)).toEqual({ text, faults: [] });
  });

  const set = Object.fromEntries(Object.entries(small).filter(([name]) => text.includes(`\nparam ${name} = `)));
  const found = must(modelOfSource(path, { reader: repositoryReader, zoo: folder, set, seed: 7 }));
  const { graph } = found.model;
  const feeds = Object.fromEntries(
    graph.inputs.map((input, i) => [
      input.name,
      numbers(
        input.type?.dims.map(
          (size) =>
            evaluate(
              size,
              new Map([
                ['B', 2],
                ['S', 7],
              ]),
            ) ?? 1,
        ) ?? [],
        input.type?.dtype === 'i64',
        i,
      ),
    ]),
  );
  const wanted = (): Float64Array => defined(graph, feeds)['y']?.data ?? new Float64Array();

  // A table of experts has no random numbers; the router that reads one stands among the golden vectors.
  if (graph.weights.every(({ source }) => source.dtype === 'f32'))
    test.each(['portable', 'ort'] as const)('in small, on %s, it computes what it says', async (target) => {
      const session = await open(found, target, { form: 'whole' });
      const { y } = must(await session.run(Object.fromEntries(Object.entries(feeds).map(([name, array]) => [name, tensorOf(array)]))));
      await session.close();
      const right = wanted();
      expect(right.reduce((most, one) => Math.max(most, Math.abs(one)), 0)).toBeGreaterThan(0.1);
      expect(distance(y?.data as Float32Array, right)).toBeLessThan(tolerance);
    });
});

/** Rows that differ, or ids below 11. */
function numbers(dims: readonly number[], whole: boolean, at: number): NdArray {
  const of = (i: number): number => (whole ? (i * 7 + at) % 11 : Math.sin((i + 1) * 12.9898 + at) * 2);
  return ndArray(
    dims,
    Array.from({ length: count(dims) }, (_, i) => of(i)),
    whole ? 'i64' : 'f32',
  );
}

function tensorOf({ dims, data, dtype }: NdArray): Tensor {
  return dtype === 'i64' ? { dtype: 'i64', dims, data: BigInt64Array.from(data, BigInt) } : { dtype: 'f32', dims, data: Float32Array.from(data) };
}
