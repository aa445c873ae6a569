import { afterAll, describe, expect, it } from 'vitest';
import { Bug } from '../src/diagnostics/bug.ts';
import { graphBuilder } from '../src/graph/builder.ts';
import { symbol } from '../src/graph/dim.ts';
import { evaluateGraph } from '../src/graph/eval.ts';
import { type Graph, value } from '../src/graph/graph.ts';
import { ndArray } from '../src/graph/nd-array.ts';
import { tensor } from '../src/graph/type.ts';
import { matmul, softmax } from '../src/ops/index.ts';
import { portableCompute } from './running.ts';

const compute = portableCompute();
afterAll(() => compute.close());

/** softmax(x @ w), for any number of rows. */
const graph = ((): Graph => {
  const build = graphBuilder();
  const x = value('x', tensor('f32', [symbol('M'), 3]));
  const w = value('w', tensor('f32', [3, 4]));
  const y = build.one(softmax, [build.one(matmul, [x, w])], { axis: -1 }, 'y');
  return build.finish({ name: 'test', inputs: [x, w], outputs: [{ name: 'y', value: y }], weights: [] });
})();

const wave = (length: number, step: number): Float64Array => Float64Array.from({ length }, (_, i) => Math.fround(Math.sin(i * step)));

describe('Compute on onnxruntime', () => {
  it('runs a graph as the f64 reference does, 1e-6 absolute, for any size', async () => {
    for (const rows of [1, 5]) {
      const feeds = { x: ndArray([rows, 3], wave(rows * 3, 1.7)), w: ndArray([3, 4], wave(12, 0.9)) };
      const { y } = await compute.run(graph, feeds);
      const wanted = evaluateGraph(graph, feeds, () => ndArray([], [0]))['y'];
      expect(y?.dims).toEqual([rows, 4]);
      expect(Math.max(...(wanted?.data ?? []).map((one, i) => Math.abs(one - (y?.data[i] ?? Number.NaN))))).toBeLessThan(1e-6);
    }
  });

  it('multiplies matrices', async () => {
    const a = { rows: 2, columns: 3, data: Float32Array.of(1, 2, 3, 4, 5, 6) };
    const b = { rows: 3, columns: 1, data: Float32Array.of(7, 9, 11) };
    expect(await compute.product(a, b)).toEqual({ rows: 2, columns: 1, data: Float32Array.of(58, 139) });
  });

  it('runs one graph after another in the worker of the one before, beside a graph that stays', async () => {
    const feeds = { x: ndArray([1, 3], wave(3, 1.7)), w: ndArray([3, 4], wave(12, 0.9)) };
    const first = await compute.run(graph, feeds);
    for (let i = 0; i < 3; i++) {
      const again = { ...graph };
      expect(await compute.run(again, feeds)).toEqual(first);
      await compute.release(again);
    }
    expect(await compute.run(graph, feeds)).toEqual(first);
  });

  it('takes what does not run for a fault of the pass', async () => {
    await expect(compute.run(graph, {})).rejects.toThrow(Bug);
  });
});
