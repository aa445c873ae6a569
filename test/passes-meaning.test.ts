/** Passes that clean a graph leave what it computes as it was: random graphs, before and after, by the f64 reference. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Bug } from '../src/diagnostics/bug.ts';
import { graphBuilder } from '../src/graph/builder.ts';
import { dim, symbol } from '../src/graph/dim.ts';
import { evaluateGraph } from '../src/graph/eval.ts';
import { TypeFault } from '../src/graph/fail.ts';
import { type Graph, type Value, value } from '../src/graph/graph.ts';
import { count, type NdArray, ndArray } from '../src/graph/nd-array.ts';
import type { Attr, Op } from '../src/graph/op.ts';
import { parseGraph } from '../src/graph/parse-text.ts';
import { printGraph } from '../src/graph/text.ts';
import { tensor } from '../src/graph/type.ts';
import { ops } from '../src/ops/index.ts';
import { passes } from '../src/passes/index.ts';
import { runPasses } from '../src/passes/run.ts';

const cleaning = ['fold-constants', 'sink-reshapes', 'recognise-activations', 'recognise-norms', 'recognise-attention', 'simplify', 'share-duplicates', 'drop-dead'];

/** Passes whose patterns random graphs seldom hold; their own tests have them. */
const rare: ReadonlySet<string> = new Set(['recognise-norms', 'sink-reshapes']);

const [b, d] = [symbol('B'), dim(4)];

/** Ops with settings that suit [B, 4], [4, B], [B, 1], [4] and scalars now and then; those that do not fit are left out. */
const choices: readonly (readonly [name: string, attrs?: Readonly<Record<string, Attr>>])[] = [
  ['add'],
  ['sub'],
  ['mul'],
  ['mul'],
  ['add'],
  ['maximum'],
  ['neg'],
  ['tanh'],
  ['rsqrt'],
  ['transpose'],
  ['transpose'],
  ['matmul'],
  ['permute', { order: [1, 0] }],
  ['permute', { order: [0, 1] }],
  ['reshape', { dims: [b, dim(2), dim(2)] }],
  ['reshape', { dims: [b, d] }],
  ['reshape', { dims: [b, dim(1), d] }],
  ['reshape', { dims: [dim(1), b, d] }],
  ['reshape', { dims: [dim(4)] }],
  ['unsqueeze', { axis: 0 }],
  ['squeeze', { axis: 0 }],
  ['unsqueeze', { axis: -1 }],
  ['squeeze', { axis: -1 }],
  ['mean', { axis: -1, keep: true }],
  ['sum', { axis: 0, keep: false }],
  ['slice', { axis: -1, from: dim(0), to: d }],
  ['slice', { axis: -1, from: dim(1), to: dim(3) }],
  ['concat', { axis: -1 }],
  ['split', { count: 2, axis: -1 }],
  ['clamp', { low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY }],
  ['cast', { to: 'f32' }],
  ['broadcast', { dims: [b, d] }],
  ['repeat_axis', { n: dim(1), axis: -1 }],
  ['softmax', { axis: -1 }],
];

interface Recipe {
  readonly steps: readonly { readonly choice: number; readonly left: number; readonly right: number }[];
}

function build({ steps }: Recipe): Graph {
  const x = value('x', tensor('f32', [b, d]));
  const w = value('w', tensor('f32', [d]));
  const builder = graphBuilder();
  const held: Value[] = [
    x,
    w,
    ...[0, 1, 2, 0.5].map((number) => builder.constant(ndArray([], [number]))),
    builder.constant(ndArray([4], [1, 1, 1, 1])),
    builder.constant(ndArray([1, 4], [0, 0, 0, 0])),
  ];
  for (const { choice, left, right } of steps) {
    const [name = '', attrs = {}] = choices[choice % choices.length] ?? [];
    const op: Op | undefined = ops.get(name);
    const [one, other] = [held[left % held.length], held[held.length - 1 - (right % held.length)]];
    if (!op || !one || !other) throw new Bug(`no op ${name}`);
    const arity = op.inputs.length === 2 || name === 'concat' ? [one, other] : [one];
    try {
      for (let times = 0; times <= right % 2; times++) held.push(...builder.add(op, arity, attrs));
    } catch (fault) {
      // What does not fit is left out.
      if (!(fault instanceof TypeFault)) throw fault;
    }
  }
  const results = held.slice(-3);
  return builder.finish({
    name: 'random',
    inputs: [x],
    outputs: results.map((held, i) => ({ name: `y${i}`, value: held })),
    weights: [{ value: w, path: 'w', source: { kind: 'tensor', name: 'w', dims: [4], dtype: 'f32' }, storage: 'constant' }],
  });
}

const numbers = (dims: readonly number[], seed: number): NdArray =>
  ndArray(
    dims,
    Array.from({ length: count(dims) }, (_, i) => Math.sin(seed + i * 1.7) * 2),
  );

const run = (graph: Graph): Readonly<Record<string, NdArray>> => evaluateGraph(graph, { x: numbers([3, 4], 1) }, () => numbers([4], 2));

function distance(a: NdArray, b: NdArray): number {
  expect(a.dims).toEqual(b.dims);
  return a.data.reduce((worst, one, i) => {
    const other = b.data[i] ?? 0;
    const error = Object.is(one, other) || (Number.isNaN(one) && Number.isNaN(other)) || one === other ? 0 : Math.abs(one - other) / Math.max(1, Math.abs(other));
    return Math.max(worst, Number.isNaN(error) ? Number.POSITIVE_INFINITY : error);
  }, 0);
}

const recipe = fc.record({ steps: fc.array(fc.record({ choice: fc.nat(999), left: fc.nat(999), right: fc.nat(12) }), { minLength: 1, maxLength: 24 }) });

for (const chosen of [...cleaning.map((name) => [name]), cleaning]) {
  test(`${chosen.length === 1 ? chosen[0] : 'all of them'} leaves the meaning`, async () => {
    let changed = 0;
    await fc.assert(
      fc.asyncProperty(recipe, async (one) => {
        const graph = build(one);
        const done = await runPasses(
          graph,
          chosen.flatMap((name) => (passes.get(name) ? [{ pass: passes.get(name) ?? fail(name) }] : [])),
        );
        if (printGraph(done) !== printGraph(graph)) changed++;
        const [before, after] = [run(graph), run(done)];
        for (const [name, array] of Object.entries(before)) expect(distance(after[name] ?? ndArray([], []), array)).toBeLessThan(1e-9);
        expect(printGraph(parseGraph(printGraph(done), ops))).toBe(printGraph(done));
      }),
      { numRuns: 150, seed: 5 },
    );
    if (!rare.has(chosen[0] ?? '')) expect(changed).toBeGreaterThan(20);
  });
}

function fail(name: string): never {
  throw new Bug(`no pass ${name}`);
}

test('norms are the same numbers as what they were recognised in', async () => {
  const text = `graph norms(x: f32[B, 4]) -> (a, b, c)
  weight w: f32[4] = "w"
  eps: f32[] = 0.01
  one: f32[] = 1
  square = mul(x, x)
  average = mean(square, keep: true)
  above = add(average, eps)
  root = rsqrt(above)
  unit = mul(x, root)
  more = add(w, one)
  a = mul(unit, more)
  middle = mean(x, keep: true)
  y = sub(x, middle)
  ysquare = mul(y, y)
  variance = mean(ysquare, keep: true)
  stable = add(eps, variance)
  inverse = rsqrt(stable)
  normal = mul(inverse, y)
  scaled = mul(w, normal)
  b = add(w, scaled)
  deviation = sqrt(stable)
  c = div(y, deviation)
`;
  const graph = parseGraph(text, ops);
  const done = await runPasses(graph, [{ pass: passes.get('recognise-norms') ?? fail('recognise-norms') }]);
  expect(done.nodes.map(({ op }) => op.name).filter((name) => name.endsWith('norm'))).toEqual(['rms_norm', 'layer_norm', 'layer_norm']);
  const [before, after] = [run(graph), run(done)];
  for (const [name, array] of Object.entries(before)) expect(distance(after[name] ?? ndArray([], []), array)).toBeLessThan(1e-12);
});
