/** Source text → graph: what a model becomes, held against numbers worked out here and against what the text says. */

import { describe, expect, it } from 'vitest';
import type { Diagnostic } from '../src/diagnostics/diagnostic.ts';
import { evaluateGraph } from '../src/graph/eval.ts';
import type { Graph } from '../src/graph/graph.ts';
import { count, type NdArray, ndArray } from '../src/graph/nd-array.ts';
import type { Source } from '../src/graph/source.ts';
import { showType } from '../src/graph/type.ts';
import type { TensorHeader } from '../src/model/index.ts';
import { type BuildOptions, buildModel, checkProgram, describes, loadProgram, type Model } from '../src/model/index.ts';

/** A program of texts in memory: `main.moe` and what stands beside it. */
function load(main: string, files: Readonly<Record<string, string>> = {}) {
  const texts: Readonly<Record<string, string>> = { 'main.moe': main, ...files };
  return loadProgram('main.moe', {
    read: (path) => texts[path],
    resolve: (_, spec) => (Object.hasOwn(texts, `${spec.replace('./', '')}.moe`) ? `${spec.replace('./', '')}.moe` : undefined),
  });
}

function build(main: string, options: BuildOptions = {}, files: Readonly<Record<string, string>> = {}): Model {
  const { model, diagnostics } = buildModel(load(main, files), options);
  if (!model) throw new Error(diagnostics.map((one) => one.message).join('\n'));
  return model;
}

const check = (main: string, files: Readonly<Record<string, string>> = {}): readonly Diagnostic[] => checkProgram(load(main, files)).diagnostics;
const codes = (diagnostics: readonly Diagnostic[]): readonly string[] => diagnostics.map((one) => one.code);

/** Small numbers that depend on the path alone. */
function numbers(path: string, dims: readonly number[]): NdArray {
  let state = [...path].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 65_521, 7);
  const next = (): number => {
    state = (state * 75 + 74) % 65_537;
    return state / 65_537 - 0.5;
  };
  return ndArray(dims, Array.from({ length: count(dims) }, next));
}

function run(graph: Graph, feeds: Readonly<Record<string, NdArray>>): Readonly<Record<string, NdArray>> {
  const dims = new Map(graph.weights.map(({ path, source }) => [path, source.dims]));
  return evaluateGraph(graph, feeds, (path) => numbers(path, dims.get(path) ?? []));
}

const headers = (entries: Readonly<Record<string, readonly number[]>>): ReadonlyMap<string, TensorHeader> =>
  new Map(Object.entries(entries).map(([name, dims]) => [name, { dims, dtype: 'f32' }]));
const sourceOf = (model: Model, path: string): Source | undefined => model.graph.weights.find((one) => one.path === path)?.source;

const mlp = `
dim B
param D = 3
param H = 2 from config "hidden"
layer Mlp(D: int, H: int) {
  weight up: [D, H]
  weight down: [H, D]
  forward(x: [.., D]) -> [.., D] { h = relu(x @ up)  return h @ down }
  weights { up <- "up.weight".T  down <- "down" }
}
model M for "toy" {
  blocks = repeat 2 of Mlp(D, H)
  forward(x: [B, D]) -> y: [B, D] { return x + blocks(x) * 2 }
  weights { blocks[i] <- "layers.{i}" }
}`;

describe('a stack of feed-forwards', () => {
  it('computes what the text says', () => {
    const { graph } = build(mlp);
    const x = numbers('x', [2, 3]);
    const block = (rows: readonly number[][], i: number): number[][] => {
      const [up, down] = [numbers(`blocks.${i}.up`, [3, 2]), numbers(`blocks.${i}.down`, [2, 3])];
      const times = (a: readonly number[][], b: NdArray): number[][] =>
        a.map((row) => Array.from({ length: b.dims[1] ?? 0 }, (_, j) => row.reduce((sum, value, k) => sum + value * (b.data[k * (b.dims[1] ?? 0) + j] ?? 0), 0)));
      return times(
        times(rows, up).map((row) => row.map((value) => Math.max(0, value))),
        down,
      );
    };
    const rows = [0, 1].map((i) => [...x.data.slice(3 * i, 3 * i + 3)]);
    const expected = block(block(rows, 0), 1).map((row, i) => row.map((value, j) => (rows[i]?.[j] ?? 0) + 2 * value));
    const { y } = run(graph, { x });
    expect(y?.dims).toEqual([2, 3]);
    expected.flat().forEach((value, i) => expect(y?.data[i]).toBeCloseTo(value, 12));
  });

  it('names weights and values by the way that leads there', () => {
    const { graph } = build(mlp);
    expect(graph.weights.map(({ path }) => path)).toEqual(['blocks.0.up', 'blocks.0.down', 'blocks.1.up', 'blocks.1.down']);
    expect(graph.nodes.map(({ outputs }) => outputs[0]?.name)).toContain('blocks.1.h');
    expect(graph.outputs.map(({ name, value }) => [name, value.type && showType(value.type)])).toEqual([['y', 'f32[B, 3]']]);
  });

  it('takes sizes from the config, and those set by hand before them', () => {
    const shape = (options: BuildOptions): readonly number[] | undefined => sourceOf(build(mlp, options), 'blocks.0.up')?.dims;
    expect(shape({})).toEqual([3, 2]);
    expect(shape({ config: { hidden: 7 } })).toEqual([3, 7]);
    expect(shape({ config: { hidden: 7 }, set: { H: '5' } })).toEqual([3, 5]);
    expect(build(mlp, { config: { hidden: 7 }, set: { D: '1' } }).params).toEqual([
      { name: 'D', value: 1, from: 'set' },
      { name: 'H', value: 7, from: 'config', key: 'hidden' },
    ]);
  });

  it('finds its tensors under the prefixes around them, seen through the steps of the source', () => {
    const tensors = headers({ 'layers.0.up.weight': [2, 3], 'layers.0.down': [2, 3], 'layers.1.up.weight': [2, 3], 'layers.1.down': [2, 3], extra: [1] });
    const { model, diagnostics } = buildModel(load(mlp), { tensors });
    expect(codes(diagnostics)).toEqual(['tensors-unread']);
    expect(model && sourceOf(model, 'blocks.1.up')).toEqual({
      kind: 'transpose',
      dims: [3, 2],
      dtype: 'f32',
      of: { kind: 'tensor', name: 'layers.1.up.weight', dims: [2, 3], dtype: 'f32' },
    });
  });

  it('says what a checkpoint lacks or holds the other way around', () => {
    const lacking = buildModel(load(mlp), { tensors: headers({ 'layer.0.up.weight': [2, 3] }) }).diagnostics;
    expect(codes(lacking)).toContain('tensors-missing');
    const turned = buildModel(load(mlp), {
      tensors: headers({ 'layers.0.up.weight': [3, 2], 'layers.0.down': [2, 3], 'layers.1.up.weight': [2, 3], 'layers.1.down': [2, 3] }),
    }).diagnostics;
    expect(turned.map(({ code, fixes }) => [code, fixes[0]?.text])).toEqual([['weight-is-transposed', 'drop `.T`']]);
    const wide = headers({ 'layers.0.up.weight': [2, 4], 'layers.0.down': [2, 3], 'layers.1.up.weight': [2, 3], 'layers.1.down': [2, 3] });
    expect(codes(buildModel(load(mlp), { tensors: wide }).diagnostics)).toEqual(['tensor-wrong-shape']);
  });
});

const attention = `
dim B, S
param D = 8
param N = 2
layer Rotation(width: int) { forward() -> [width / 2] { return exp(-log(10_000.0) * f32(range(width / 2)) * 2.0 / width) } }
layer Attention() {
  require D % N == 0
  rotation = Rotation(D / N)
  weight q, k, v, o: [D, D]
  forward(x: [B, S, D]) -> [B, S, D] {
    qs = rope(split_heads(x @ q, N), rotation())
    ks = rope(split_heads(x @ k, N), rotation())
    return merge_heads(attend(qs, ks, split_heads(x @ v, N), causal: true)) @ o
  }
  weights { q, k, v <- split("qkv", 3)  o <- "o" }
}
model M {
  blocks = repeat 2 of Attention()
  forward(x: [B, S, D]) -> y: [B, S, D] { return blocks(x) }
  weights { blocks[i] <- "h.{i}" }
}`;

describe('causal attention', () => {
  it('caches keys and values of every layer under its path, and rotates by positions', () => {
    const { graph } = build(attention);
    const caches = graph.nodes.filter(({ op }) => op.name === 'cache').map(({ attrs }) => attrs['path']);
    expect(caches).toEqual(['blocks.0/key', 'blocks.0/value', 'blocks.1/key', 'blocks.1/value']);
    expect(graph.nodes.filter(({ op }) => op.name === 'positions').length).toBe(1);
  });

  it('leaves alone what the author caches', () => {
    const own = attention
      .replace('ks = rope(split_heads(x @ k, N), rotation())', 'kept = cache(x)\n    ks = rope(split_heads(kept @ k, N), rotation())')
      .replace('split_heads(x @ v, N)', 'split_heads(kept @ v, N)');
    const caches = build(own)
      .graph.nodes.filter(({ op }) => op.name === 'cache')
      .map(({ attrs }) => attrs['path']);
    expect(caches).toEqual(['blocks.0/kept', 'blocks.1/kept']);
  });

  it('never looks ahead', () => {
    const { graph } = build(attention);
    const x = numbers('x', [1, 4, 8]);
    const changed = { ...x, data: x.data.map((value, i) => (i >= 24 ? value + 1 : value)) };
    const [a, b] = [run(graph, { x })['y'], run(graph, { x: changed })['y']];
    expect([...(b?.data.slice(0, 24) ?? [])]).toEqual([...(a?.data.slice(0, 24) ?? [])]);
    expect(b?.data[24]).not.toBeCloseTo(a?.data[24] ?? 0, 6);
  });

  it('cuts packed tensors', () => {
    const { model } = buildModel(load(attention), { tensors: headers({ 'h.0.qkv': [8, 24], 'h.0.o': [8, 8], 'h.1.qkv': [8, 24], 'h.1.o': [8, 8] }) });
    expect(model && sourceOf(model, 'blocks.1.k')).toMatchObject({ kind: 'slice', axis: 1, from: 8, to: 16, drop: false, dims: [8, 8], of: { kind: 'tensor', name: 'h.1.qkv' } });
  });
});

describe('layers as values', () => {
  const tied = mlp.replace('blocks = repeat 2 of Mlp(D, H)', 'block = Mlp(D, H)  blocks = repeat 3 of block').replace('blocks[i] <- "layers.{i}"', 'block <- "layer"');

  it('a name is the layer that is there: one set of weights', () => {
    const { graph, layers } = build(tied);
    expect(graph.weights.map(({ path }) => path)).toEqual(['block.up', 'block.down']);
    expect(layers.parts[1]?.parts.map((one) => one.tiedTo)).toEqual(['block', 'block', 'block']);
  });

  it('a tied layer has one name in the checkpoint', () => {
    expect(codes(check(tied.replace('block <- "layer"', 'blocks[i] <- "layers.{i}"')))).toContain('tied-prefixes-differ');
  });

  it('a list says which layers stand in a stack, and `repeat 0` is nothing', () => {
    const stacked = (value: string): number => build(mlp.replace('repeat 2 of Mlp(D, H)', value)).graph.weights.length / 2;
    expect(stacked('[repeat 3 of Mlp(D, H), Mlp(D, 5)]')).toBe(4);
    expect(stacked('repeat [1, 0, 1] of { 1: Mlp(D, H)  0: [Mlp(D, H), Mlp(D, H)] }')).toBe(4);
    expect(stacked('repeat i in 3 of Mlp(D, i + 1)')).toBe(3);
    expect(stacked('[repeat 0 of Mlp(D, 9), Mlp(D, H)]')).toBe(1);
  });

  it('arguments beyond the first travel by name to the layers that declare them', () => {
    const { graph } = build(`
dim B
layer A(D: int) { forward(x: [.., D]) -> [.., D] { return x + 1 } }
layer C(D: int) { forward(x: [.., D], by: [.., D]) -> [.., D] { return x * by } }
model M {
  stack = [A(2), C(2), A(2)]
  forward(x: [B, 2], by: [B, 2]) -> y: [B, 2] { return stack(x, by: by) }
}`);
    const { y } = run(graph, { x: ndArray([1, 2], [1, 2]), by: ndArray([1, 2], [10, 100]) });
    expect([...(y?.data ?? [])]).toEqual([21, 301]);
  });

  it('a model is chosen by its family and by what it requires', () => {
    const two = `${mlp}\nparam tied = false from config "tied"\nmodel T for "toy" { require tied  forward(x: [B, D]) -> y: [B, D] { return x } }`.replace(
      'model M for "toy" {',
      'model M for "toy" { require tied == false',
    );
    const program = load(two);
    expect(
      describes(program, { model_type: 'toy', tied: true })
        .filter((one) => one.holds)
        .map((one) => one.model),
    ).toEqual(['T']);
    expect(
      describes(program, { model_type: 'toy' })
        .filter((one) => one.holds)
        .map((one) => one.model),
    ).toEqual(['M']);
    expect(describes(program, { model_type: 'other' })).toEqual([]);
    expect(buildModel(program, { config: { model_type: 'toy', tied: 1 } }).model?.name).toBe('T');
    expect(checkProgram(program).diagnostics).toEqual([]);
  });
});

describe('indices', () => {
  const indexed = (expr: string, result: string): readonly number[] => {
    const { graph } = build(`dim B, S\nmodel M { forward(x: [B, S, 3]) -> y: ${result} { return ${expr} } }`);
    return [...(run(graph, { x: ndArray([1, 2, 3], [1, 2, 3, 4, 5, 6]) })['y']?.data ?? [])];
  };

  it.each([
    ['x[.., 0]', '[B, S]', [1, 4]],
    ['x[0.., 1]', '[B, 3]', [4, 5, 6]],
    ['x[.., -1]', '[B, S]', [3, 6]],
    ['x[.., 1..3]', '[B, S, 2]', [2, 3, 5, 6]],
    ['x[.., new]', '[B, S, 3, 1]', [1, 2, 3, 4, 5, 6]],
    ['x[0.., new, 0]', '[B, 1, 3]', [1, 2, 3]],
    ['x.T', '[B, 3, S]', [1, 4, 2, 5, 3, 6]],
  ] as const)('%s', (expr, result, expected) => {
    expect(indexed(expr, result)).toEqual(expected);
  });
});

describe('what is wrong', () => {
  it('is marked where it is, with its cause where that is, and the way there', () => {
    const wrong = mlp.replace('weight down: [H, D]', 'weight down: [D, H]');
    const [only, ...others] = check(wrong);
    expect(others).toEqual([]);
    expect(only?.code).toBe('inner-sizes-differ');
    expect(only?.message).toBe('cannot multiply [.., H] by [D, H]');
    expect(only?.at?.text).toBe('ends in H = 2');
    expect(only?.related.map(({ text, span }) => [text, wrong.slice(span.start, span.end)])).toEqual([['begins with D = 3', 'D']]);
    expect(only?.notes).toEqual(['in blocks = repeat 2 of Mlp(D, H), main.moe:12']);
    expect(only?.fixes[0]?.text).toBe('declare `weight down: [H, D]`');
  });

  it('is said once, however many layers it stands in, and beside other faults', () => {
    const wrong = mlp.replace('relu(x @ up)', 'rellu(x @ up)').replace('return x +', 'return z +').replace('"layers.{i}"', '"layers.{j}"');
    expect(codes(check(wrong))).toEqual(['unknown-function', 'unknown-name', 'hole-unbound']);
  });

  it('is found in layers that no model contains, for any sizes', () => {
    const alone = 'dim B\nlayer L(D: int, H: int) { weight w: [D, H]  forward(x: [B, D]) -> [B, D] { return x @ w } }';
    expect(codes(check(alone))).toEqual(['result-wrong-type']);
    expect(check(alone.replace('-> [B, D]', '-> [B, H]'))).toEqual([]);
  });

  it('is not said of exact divisions that a `require` states', () => {
    expect(
      check(
        'dim B, S\nlayer L(D: int, N: int) { require D % N == 0  weight w: [D, D / N]  forward(x: [B, S, D]) -> [B, S, D] { return merge_heads(split_heads(x, N)) + sum(x @ w, keep: true) } }',
      ),
    ).toEqual([]);
  });

  it.each([
    ['param D = 3 / 2', 'division-inexact'],
    ['param D = 3 / 0', 'division-by-zero'],
    ['param D = E\nparam E = D', 'param-depends-on-itself'],
    ['param D: int = 1.5', 'param-type-mismatch'],
    ['param pi = 3', 'name-is-built-in'],
    ['param D = 1\ndim D', 'name-taken'],
    ['import { X } from "./nowhere"', 'import-not-found'],
    ['import { X } from "./main"', 'import-cycle'],
    ['layer L() { l = L()  forward() -> [1] { return f32(range(1)) } }', 'layer-contains-itself'],
    ['layer L() { l = repeat 20_000 of L()  forward() -> [1] { return f32(range(1)) } }', 'repeat-too-often'],
    ['dim B\nlayer L() { forward(x: [B]) -> [B] { a, b = x  return a } }', 'targets-differ'],
    ['dim B\nlayer L() { forward(x: i64[B]) -> i64[B] { return x + 0.5 } }', 'number-does-not-fit'],
    ['dim B, S\nlayer L() { forward(x: [B]) -> [B] { y = x + f32(range(S))  return x + y } }', 'dim-unbound'],
    ['dim B\nlayer L() { weight w: [B]  forward(x: [B]) -> [B] { return x + w } }', 'size-not-known'],
  ])('%s', (text, code) => {
    expect(codes(check(text))).toContain(code);
  });

  it('notes the keys of a config that nobody asked for, but not the harmless ones', () => {
    const { diagnostics } = buildModel(load(mlp), { config: { hidden: 2, rope_scaling: { type: 'yarn' }, torch_dtype: 'float32', use_cache: true } });
    expect(diagnostics.map(({ code, notes }) => [code, notes])).toEqual([['config-key-unread', ['rope_scaling = {"type":"yarn"}']]]);
  });
});

describe('mixtures', () => {
  const mixed = `${mlp.replace('repeat 2 of Mlp(D, H)', 'mixture 4 of Mlp(D, H) { score = linear  pick = top(2)  weigh = softmax(picked) }').replace('blocks[i] <- "layers.{i}"', 'blocks[e] <- "experts.{e}"  blocks.router.gate <- "gate"')}`;

  it('are one node with the router and one expert as bodies, their weights stacked', () => {
    const { graph } = build(mixed);
    const node = graph.nodes.find(({ op }) => op.name === 'mixture');
    expect(Object.keys(node?.bodies ?? {})).toEqual(['router', 'expert']);
    expect(graph.weights.map(({ path, source }) => [path, source.dims])).toEqual([
      ['blocks.up', [4, 3, 2]],
      ['blocks.down', [4, 2, 3]],
      ['blocks.router.gate', [3, 4]],
    ]);
  });

  it('read the experts one by one', () => {
    const one = {
      ...Object.fromEntries(
        [0, 1, 2, 3].flatMap(
          (e) =>
            [
              [`experts.${e}.up.weight`, [2, 3]],
              [`experts.${e}.down`, [2, 3]],
            ] as const,
        ),
      ),
      gate: [3, 4],
    };
    const { model, diagnostics } = buildModel(load(mixed), { tensors: headers(one) });
    expect(diagnostics).toEqual([]);
    expect(model && sourceOf(model, 'blocks.down')).toMatchObject({ kind: 'concat', axis: 0, dims: [4, 2, 3] });
  });

  it('are checked against their routers', () => {
    expect(codes(check(mixed.replace('top(2)', 'top(5)')))).toContain('picks-out-of-range');
    expect(codes(check(mixed.replace('param D = 3', 'param D = 3\nparam linear = 1')))).toContain('setting-word-hidden');
    expect(codes(check(mixed.replace('  pick = top(2)', '')))).toContain('setting-missing');
  });
});
