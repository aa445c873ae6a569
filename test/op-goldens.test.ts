/** Ops against numbers worked out elsewhere: the golden vectors of the published systems, identities, and one graph at many sizes. */

import { describe, expect, test } from 'vitest';
import { graphBuilder } from '../src/graph/builder.ts';
import { add, type Dim, dim, symbol } from '../src/graph/dim.ts';
import { evaluateGraph } from '../src/graph/eval.ts';
import { type Graph, type Value, value } from '../src/graph/graph.ts';
import { type NdArray, ndArray, scalar } from '../src/graph/nd-array.ts';
import type { Attr, Op } from '../src/graph/op.ts';
import { tensor } from '../src/graph/type.ts';
import { ops } from '../src/ops/index.ts';
import { ort } from '../src/targets/ort.ts';
import { portable } from '../src/targets/portable.ts';
import { distance, evaluated, generator, graphOf, modelOf, ran, typeOfArray } from './ops/harness.ts';

/** The goldens are given to six places. */
const golden = 1e-6;

function named(name: string): Op {
  const op = ops.get(name);
  if (!op) throw new Error(`no op ${name}`);
  return op;
}

/** One result of one op on arrays, by the reference. */
function apply(name: string, inputs: readonly (NdArray | undefined)[], attrs: Readonly<Record<string, Attr>> = {}): NdArray {
  const op = named(name);
  const [result] = evaluated(
    graphOf(
      op,
      inputs.map((array) => array && typeOfArray(array)),
      attrs,
    ),
    inputs,
  );
  if (!result) throw new Error(`${name} has no result`);
  return result;
}

function expectNumbers(found: NdArray, numbers: readonly number[], tolerance = golden): void {
  expect(found.data.length).toBe(numbers.length);
  numbers.forEach((x, i) => void expect(Math.abs((found.data[i] ?? Number.NaN) - x), `number ${i} is ${found.data[i]}, not ${x}`).toBeLessThan(tolerance));
}

const logits = ndArray([8], [2.0, 1.0, 0.5, -1.0, 1.9, 0.0, -0.5, 1.2]);
const bias = ndArray([8], [-0.3, 0.2, 0, 0, 0, 0, 0, 0.1]);

describe('routers', () => {
  test('softmax over all, the two best, renormalised', () => {
    const p = apply('softmax', [logits]);
    expectNumbers(p, [0.311295, 0.114519, 0.069459, 0.015498, 0.281672, 0.042129, 0.025553, 0.139874]);
    const picks = apply('top', [logits], { k: dim(2) });
    expect([...picks.data]).toEqual([0, 4]);
    expectNumbers(apply('take', [p, picks]), [0.311295, 0.281672]);
    expectNumbers(apply('softmax', [apply('take', [logits, picks])]), [0.524979, 0.475021]);
  });

  test('sigmoid scores, a bias that steers the pick alone', () => {
    const s = apply('sigmoid', [logits]);
    expectNumbers(s, [0.880797, 0.731059, 0.622459, 0.268941, 0.869892, 0.5, 0.377541, 0.768525]);
    const picks = apply('top', [apply('add', [s, bias])], { k: dim(2) });
    expect([...picks.data].sort()).toEqual([1, 4]);
    const w = apply('take', [s, ndArray([2], [1, 4], 'i64')]);
    const shares = apply('div', [w, apply('sum', [w], { axis: -1, keep: true })]);
    expectNumbers(apply('mul', [shares, scalar(2.5)]), [1.141601, 1.358399]);
  });

  test('√softplus scores', () => {
    const s = apply('sqrt', [apply('softplus', [logits])]);
    const picks = apply('top', [apply('add', [s, bias])], { k: dim(2) });
    const w = apply('take', [s, picks]);
    expect([...picks.data]).toEqual([4, 1]);
    expectNumbers(apply('mul', [apply('div', [w, apply('sum', [w], { axis: -1, keep: true })]), scalar(1.5)]), [0.832194, 0.667806]);
  });

  test('groups by their two best', () => {
    const c = apply('reshape', [apply('add', [apply('sigmoid', [logits]), bias])], { dims: [dim(4), dim(2)] });
    const best = apply('sum', [apply('take', [c, apply('top', [c], { k: dim(2) })])]);
    expectNumbers(best, [1.511856, 0.891401, 1.369892, 1.246065], 2e-6);
    expect([...apply('top', [best], { k: dim(2) }).data]).toEqual([0, 2]);
  });
});

test('a sink takes its share', () => {
  // One query that meets two keys with scores 1 and 0; values pick out the shares.
  const q = ndArray([1, 1, 1, 1], [1]);
  const k = ndArray([1, 1, 2, 1], [1, 0]);
  const v = ndArray([1, 1, 2, 2], [1, 0, 0, 1]);
  expectNumbers(apply('attend', [q, k, v, undefined, undefined, ndArray([1], [0.5])], { scale: 1 }), [0.50648, 0.186324]);
});

test('a glu with clamped halves', () => {
  const pairs: readonly (readonly [number, number, number])[] = [
    [1, 0.5, 1.268694],
    [10, -9, -41.999719],
    [-2, 3, -0.257366],
    [0, 5, 0],
  ];
  for (const [gate, up, y] of pairs) {
    const g = apply('minimum', [scalar(gate), scalar(7)]);
    const u = apply('clamp', [scalar(up)], { low: -7, high: 7 });
    const open = apply('mul', [g, apply('sigmoid', [apply('mul', [g, scalar(1.702)])])]);
    expectNumbers(apply('mul', [apply('add', [u, scalar(1)]), open]), [y]);
  }
});

test('a gelu feed-forward', () => {
  const keys = ndArray([2, 4], [1, 0, 2, -0.1, 0, 1, 0.2, 3]);
  const values = ndArray([4, 2], [1, 0, 0, 1, 1, 1, -1, 2]);
  const hidden = apply('gelu', [apply('add', [apply('matmul', [ndArray([2], [1, 0.5]), keys]), ndArray([4], [0.1, -0.1, 0, 0.2])])]);
  expectNumbers(apply('add', [apply('matmul', [hidden, values]), ndArray([2], [0.5, -0.5])]), [2.000931, 4.849296]);
});

test('a mixture of two attention heads', () => {
  const x = ndArray([2, 2], [1, 0, 0.5, 1]);
  const p = apply('softmax', [apply('matmul', [x, ndArray([2, 2], [1, 0, 0, 1.5])])]);
  const picks = apply('top', [p], { k: dim(1) });
  expect([...picks.data]).toEqual([0, 1]);
  expectNumbers(apply('take', [p, picks]), [0.731059, 0.731059]);
  const k = apply('matmul', [x, ndArray([2, 1], [1, 0.5])]);
  const v = apply('matmul', [x, ndArray([2, 1], [0, 1])]);
  const [q0, q1] = [ndArray([2, 1], [1, 0]), ndArray([2, 1], [0, 2])].map((w) => apply('matmul', [x, w]));
  const heads = [q0, q1].map(
    (q) =>
      q &&
      apply(
        'attend',
        [q, k, v].map((one) => ndArray([1, 2, 1], one.data)),
        { causal: true, scale: 1 },
      ),
  );
  expect(heads[0]?.data[0]).toBe(0);
  const o1 = heads[1]?.data[1] ?? 0;
  expect(o1).toBeCloseTo(0.5, 12);
  expect(o1 * (p.data[3] ?? 0)).toBeCloseTo(0.365529, 6);
});

describe('positions', () => {
  const x = ndArray(
    [1, 1, 3, 4],
    Float64Array.from({ length: 12 }, (_, i) => Math.sin(i + 1)),
  );
  const f = ndArray([2], [1, 0.01]);

  test('turning by p, then back, is where it was', () => {
    for (const pairs of ['half', 'adjacent']) {
      const there = apply('rope', [x, f, ndArray([3], [3, 4, 5], 'i64')], { pairs });
      expect(distance(apply('rope', [there, f, ndArray([3], [-3, -4, -5], 'i64')], { pairs }), x)).toBeLessThan(1e-14);
    }
  });

  test('scores depend on the distance alone', () => {
    const score = (a: number, b: number): number => {
      const [q, k] = [a, b].map((p) => apply('rope', [ndArray([1, 1, 1, 4], [1, 2, 3, 4]), f, ndArray([1], [p], 'i64')]));
      return q && k ? q.data.reduce((sum, value, i) => sum + value * (k.data[i] ?? 0), 0) : Number.NaN;
    };
    expect(score(7, 4)).toBeCloseTo(score(103, 100), 12);
    expect(Math.abs(score(7, 4) - score(8, 4))).toBeGreaterThan(1e-3);
  });

  test('half pairs, by hand', () => {
    const turned = apply('rope', [ndArray([1, 2], [1, 0]), ndArray([1], [Math.PI / 2]), ndArray([1], [1], 'i64')]);
    expectNumbers(turned, [0, 1], 1e-15);
  });

  test('waves', () => {
    const [a, b] = [Math.sin(3 / 100), Math.cos(3 / 100)];
    expectNumbers(apply('sinusoid', [ndArray([1], [3], 'i64')], { width: dim(4) }), [Math.sin(3), Math.cos(3), a, b], 1e-15);
  });
});

test('erf and gelu, by tables', () => {
  expectNumbers(apply('erf', [ndArray([5], [0.5, 1, 2, 3, -3.5])]), [0.5204998778130465, 0.8427007929497149, 0.9953222650189527, 0.9999779095030014, -0.9999992569016276], 1e-15);
  expectNumbers(apply('gelu', [ndArray([2], [1, -1])]), [0.8413447460685429, -0.15865525393145707], 1e-15);
});

describe('one attention at many sizes', () => {
  const [B, S, P] = [symbol('B'), symbol('S'), symbol('P')];
  const total = add(P, S);
  const f32 = (name: string, ...dims: readonly (Dim | number)[]): Value => value(name, tensor('f32', dims));

  /** q of S rows, keys and values of P + S rows of which P come as an input of their own, and a padding mask. */
  function graph(attrs: Readonly<Record<string, Attr>>): Graph {
    const build = graphBuilder();
    const [q, past, fresh] = [f32('q', B, 6, S, 8), f32('past', B, 2, P, 8), f32('fresh', B, 2, S, 8)];
    const keep = value('keep', tensor('i64', [B, total]));
    const all = build.one(named('concat'), [past, fresh], { axis: -2 });
    const seen = build.one(named('gt'), [keep, build.constant(scalar(0, 'i64'))]);
    const y = build.one(named('attend'), [q, all, all, seen], attrs);
    return build.finish({ name: 'attention', inputs: [q, past, fresh, keep], outputs: [{ name: 'y', value: y }], weights: [] });
  }

  const draw = (seed: number, dims: readonly number[]): NdArray => {
    const next = generator(seed);
    return ndArray(
      dims,
      Float64Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => Math.fround(next() * 2 - 1)),
    );
  };

  function feeds(b: number, s: number, p: number): readonly NdArray[] {
    const keep = ndArray(
      [b, p + s],
      Array.from({ length: b * (p + s) }, (_, i) => (i % (p + s) < Math.floor(i / (p + s)) ? 0 : 1)),
      'i64',
    );
    return [draw(1, [b, 6, s, 8]), draw(2, [b, 2, p, 8]), draw(3, [b, 2, s, 8]), keep];
  }

  const names = ['q', 'past', 'fresh', 'keep'];
  const reference = (made: Graph, arrays: readonly NdArray[]): NdArray =>
    evaluateGraph(made, Object.fromEntries(names.map((name, i) => [name, arrays[i] ?? scalar(0)])), () => scalar(0))['y'] ?? scalar(0);

  test.each([
    ['causal', { causal: true }],
    ['causal in a window', { causal: true, window: 3 }],
    ['causal in chunks', { causal: true, chunk: 4 }],
    ['both ways', {}],
  ])('%s', async (_, attrs) => {
    const made = graph(attrs);
    const renamed = { ...made, inputs: made.inputs.map((input, i) => ({ ...input, name: `x${i}` })) };
    const swap = new Map(made.inputs.map((input, i) => [input, renamed.inputs[i] ?? input]));
    const runnable: Graph = { ...renamed, nodes: made.nodes.map((node) => ({ ...node, inputs: node.inputs.map((one) => one && (swap.get(one) ?? one)) })) };
    for (const target of [portable, ort]) {
      const model = modelOf(runnable, target);
      for (const [b, s, p] of [
        [1, 1, 0],
        [1, 5, 0],
        [3, 1, 7],
        [2, 3, 4],
      ] as const) {
        const arrays = feeds(b, s, p);
        const [found] = await ran(model, arrays);
        expect(found && distance(found, reference(made, arrays)), `${target.name} ${b} ${s} ${p}`).toBeLessThan(1e-5);
      }
    }
  });

  test('a padded row equals the row alone', () => {
    const made = graph({ causal: true });
    const [q, past, fresh, keep] = feeds(2, 4, 3);
    if (!q || !past || !fresh || !keep) throw new Error('no feeds');
    const both = reference(made, [q, past, fresh, keep]);
    const rest = (array: NdArray, from: number): NdArray => {
      const [, heads = 1, rows = 1, width = 1] = array.dims;
      const block = array.data.slice(heads * rows * width);
      const kept = Array.from({ length: heads }, (_, head) => Array.from(block.slice((head * rows + from) * width, (head + 1) * rows * width))).flat();
      return ndArray([1, heads, rows - from, width], kept);
    };
    const alone = reference(made, [rest(q, 0), rest(past, 1), rest(fresh, 0), ndArray([1, 6], [1, 1, 1, 1, 1, 1], 'i64')]);
    expect(distance(alone, rest(both, 0))).toBeLessThan(1e-12);
  });
});
