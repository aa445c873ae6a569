/** Every op × every sample: its type against its reference, its gradient against finite differences, its lowering against the reference in onnxruntime. */

import { describe, expect, test } from 'vitest';
import type { Op, Sample } from '../src/graph/op.ts';
import { ops } from '../src/ops/index.ts';
import { ort } from '../src/targets/ort.ts';
import { portable } from '../src/targets/portable.ts';
import type { Target } from '../src/targets/target.ts';
import { webgpu } from '../src/targets/webgpu.ts';
import { differences, distance, evaluated, generator, gradients, graphOf, inputsOf, isFloat, modelOf, openSizes, ran, settingsOf, typeOfArray } from './ops/harness.ts';

/** Central differences with steps of 1e-5 on f64 are off by about 1e-10 of the third derivative and 1e-11 of rounding; 1e-6 of the largest gradient leaves room for steep ops. */
const slopeTolerance = 1e-6;
/** f32 against f64 over a few hundred additions. */
const laneTolerance = 1e-5;

/** Inputs that are floats and yet have no gradient, by what their ops say of themselves. */
const flat = new Set(['rope frequencies']);
/** What only a target lowers. */
const later = new Set(['mixture', 'segment']);

const oldest: Target = { ...portable, name: 'opset 18', opset: 18, ir: 8 };

const rows: readonly (readonly [label: string, op: Op, sample: Sample])[] = [...ops.values()].flatMap((op) =>
  op.samples.map((sample, i) => [`${op.name} ${i}`, op, sample] as const),
);

test('every op has samples, and a first sentence that stands alone', () => {
  const bare = [...ops.values()].filter((op) => op.samples.length === 0).map((op) => op.name);
  expect(bare).toEqual([...later]);
  for (const op of ops.values()) expect(op.doc, op.name).toMatch(/^\S.*?\.(\s|$)/s);
});

describe('types agree with the reference', () => {
  test.each(rows)('%s', (_, op, sample) => {
    const arrays = inputsOf(op, sample);
    const types = op.type(
      arrays.map((array) => array && typeOfArray(array)),
      settingsOf(op, sample),
    );
    const results = evaluated(
      graphOf(
        op,
        arrays.map((array) => array && typeOfArray(array)),
        sample.attrs ?? {},
      ),
      arrays,
    );
    expect(results.map(typeOfArray).map(showType)).toEqual(types.map(showType));
  });
});

describe('gradients agree with finite differences', () => {
  const differentiable = rows.filter(([, op, sample]) => op.grad !== 'none' && inputsOf(op, sample).some((array) => array && isFloat(array.dtype)));
  test.each(differentiable)('%s', (_, op, sample) => {
    const arrays = inputsOf(op, sample);
    const attrs = settingsOf(op, sample);
    const expected = differences(op, arrays, attrs);
    for (const { types, attrs: settings } of [{ types: arrays.map((array) => array && typeOfArray(array)), attrs }, openSizes(op, arrays, attrs)]) {
      const found = gradients(op, arrays, types, settings);
      expected.forEach((slope, i) => {
        const port = (op.inputs[i] ?? op.inputs.at(-1) ?? '').replace(/[?*]$/, '');
        const given = found[i];
        if (!slope || flat.has(`${op.name} ${port}`)) return;
        if (!given) {
          expect(
            slope.data.every((x) => x === 0),
            `${op.name} has no gradient for ${port}`,
          ).toBe(true);
          return;
        }
        expect(distance(given, slope), `${op.name} ${port}`).toBeLessThan(slopeTolerance);
      });
    }
  });

  test('ops without a gradient are flat, or have no float to differentiate', () => {
    const sloped = rows.filter(([, op, sample]) => {
      if (op.grad !== 'none') return false;
      return differences(op, inputsOf(op, sample), settingsOf(op, sample)).some((slope) => slope?.data.some((x) => x !== 0));
    });
    expect(sloped.map(([label]) => label)).toEqual([]);
  });
});

describe.each<readonly [string, Target, boolean]>([
  ['portable, sizes known at run time', portable, true],
  ['portable, sizes known', portable, false],
  ['ort, sizes known at run time', ort, true],
  ['webgpu on the CPU, sizes known at run time', webgpu, true],
  ['opset 18', oldest, false],
])('%s agrees with the reference', (_, target, opened) => {
  test.each(rows)('%s', async (_label, op, sample) => {
    const arrays = inputsOf(op, sample);
    const known = { types: arrays.map((array) => array && typeOfArray(array)), attrs: settingsOf(op, sample) };
    const { types, attrs } = opened ? openSizes(op, arrays, known.attrs) : known;
    const expected = evaluated(graphOf(op, known.types, known.attrs), arrays);
    const found = await ran(modelOf(graphOf(op, types, attrs), target), arrays);
    expect(found.length).toBe(expected.length);
    expected.forEach((array, i) => {
      const result = found[i];
      if (!result) throw new Error('a result is missing');
      expect(distance(result, array), `result ${i}`).toBeLessThan(laneTolerance);
    });
  });
});

test('most samples also run with sizes known only at run time', () => {
  const withInputs = rows.filter(([, op, sample]) => inputsOf(op, sample).some((array) => array?.dims.some((size) => size > 1)));
  const open = withInputs.filter(([, op, sample]) => openSizes(op, inputsOf(op, sample), settingsOf(op, sample)).open);
  expect(open.length / withInputs.length).toBeGreaterThan(0.85);
});

describe('a fault in an op is noticed', () => {
  const silu = named('silu');
  const sample: Sample = { inputs: { x: [2, 3] } };

  test('a gradient off by a thousandth', () => {
    const { grad } = silu;
    if (grad === 'none') throw new Error('silu has a gradient');
    const wrong: Op = {
      ...silu,
      grad: (inputs, attrs, results, build) =>
        grad(inputs, attrs, results, build).map((one) => one && build.one(named('mul'), [one, build.constant({ dtype: 'f32', dims: [], data: Float64Array.of(1.001) })])),
    };
    const arrays = inputsOf(wrong, sample);
    const [slope] = differences(wrong, arrays, {});
    const [found] = gradients(
      wrong,
      arrays,
      arrays.map((array) => array && typeOfArray(array)),
      {},
    );
    expect(slope && found && distance(found, slope)).toBeGreaterThan(slopeTolerance);
  });

  test('a lowering to another activation', async () => {
    const wrong: Op = { ...silu, lower: ([x], onnx) => [onnx.Relu(x)] };
    const arrays = inputsOf(wrong, sample);
    const graph = graphOf(
      wrong,
      arrays.map((array) => array && typeOfArray(array)),
      {},
    );
    const [found] = await ran(modelOf(graph, portable), arrays);
    const [expected] = evaluated(graph, arrays);
    expect(found && expected && distance(found, expected)).toBeGreaterThan(laneTolerance);
  });

  test('one perturbed number', () => {
    const [x] = inputsOf(silu, sample);
    if (!x) throw new Error('no input');
    const at = Math.floor(generator(3)() * x.data.length);
    expect(distance({ ...x, data: x.data.map((value, i) => (i === at ? value + 1e-3 : value)) }, x)).toBeGreaterThan(laneTolerance);
  });
});

function named(name: string): Op {
  const op = ops.get(name);
  if (!op) throw new Error(`no op ${name}`);
  return op;
}

function showType({ dtype, dims }: ReturnType<typeof typeOfArray>): string {
  return `${dtype}[${dims.map((size) => size.terms[0]?.numerator ?? 0).join(', ')}]`;
}
