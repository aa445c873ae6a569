/** The step graph computes what the graph of the whole sequence computes: in chunks, one token at a time, with padding in front. Held against the f64 reference of the whole sequence. */

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { evaluateGraph } from '../src/graph/eval.ts';
import type { Graph } from '../src/graph/graph.ts';
import { count, type NdArray, ndArray } from '../src/graph/nd-array.ts';
import { parseGraph } from '../src/graph/parse-text.ts';
import { constantDims } from '../src/graph/type.ts';
import { joined } from '../src/ops/arrays.ts';
import { ops } from '../src/ops/index.ts';
import { addKvCache } from '../src/passes/add-kv-cache.ts';
import { type PassRun, runPasses } from '../src/passes/run.ts';
import { simplify } from '../src/passes/simplify.ts';

const ids = [3, 14, 1, 5, 9, 2, 6];

function wholeGraph(name: string): Graph {
  const [, ...lines] =
    readFileSync(new URL(`passes/add-kv-cache.${name}.graph`, import.meta.url), 'utf8')
      .split(/^====\n/m)[0]
      ?.split('\n') ?? [];
  return parseGraph(lines.join('\n'), ops);
}

/** The same numbers for the same path, spread over [-1, 1). */
function weights(graph: Graph): (path: string) => NdArray {
  const made = new Map(
    graph.weights.map(({ path, source }, w) => [
      path,
      ndArray(
        source.dims,
        Array.from({ length: count(source.dims) }, (_, i) => (Math.sin((i + 1) * 12.9898 + w * 78.233) * 43758.5453) % 1),
      ),
    ]),
  );
  return (path) => made.get(path) ?? ndArray([], []);
}

const step = (graph: Graph, options: PassRun['options'] = {}): Promise<Graph> => runPasses(graph, [{ pass: addKvCache, options }, { pass: simplify }]);

interface State {
  readonly mask: readonly (readonly number[])[];
  readonly past: Readonly<Record<string, NdArray>>;
}

const emptyPast = (graph: Graph, batch: number): State['past'] =>
  Object.fromEntries(
    graph.inputs
      .filter(({ name }) => name.startsWith('past_key_values.'))
      .map(({ name, type }) => {
        const dims = (type?.dims ?? []).map((size) => constantDims([size])?.[0] ?? (size.terms[0]?.powers[0]?.[0] === 'B' ? batch : 0));
        return [name, ndArray(dims, [])];
      }),
  );

/** Feeds a chunk of tokens for each row of the batch; 0 in `mask` is padding. */
function advance(graph: Graph, state: State, tokens: readonly (readonly number[])[], mask: readonly (readonly number[])[]): { readonly logits: NdArray; readonly state: State } {
  const [batch, length] = [tokens.length, tokens[0]?.length ?? 0];
  const all = mask.map((row, i) => [...(state.mask[i] ?? []), ...row]);
  const places = all.map((row) => row.map((_, i) => Math.max(row.slice(0, i + 1).reduce((a, b) => a + b, 0) - 1, 0)).slice(-length));
  const given: Readonly<Record<string, NdArray>> = {
    input_ids: ndArray([batch, length], tokens.flat(), 'i64'),
    attention_mask: ndArray([batch, all[0]?.length ?? 0], all.flat(), 'i64'),
    position_ids: ndArray([batch, length], places.flat(), 'i64'),
    ...state.past,
  };
  const results = evaluateGraph(graph, Object.fromEntries(graph.inputs.map(({ name }) => [name, given[name] ?? ndArray([], [])])), weights(graph));
  const past = Object.fromEntries(
    Object.entries(results)
      .filter(([name]) => name.startsWith('present.'))
      .map(([name, array]) => [name.replace('present', 'past_key_values'), array]),
  );
  return { logits: results['logits'] ?? ndArray([], []), state: { mask: all, past } };
}

function inChunks(graph: Graph, sizes: readonly number[]): readonly NdArray[] {
  let state: State = { mask: [[]], past: emptyPast(graph, 1) };
  let at = 0;
  return sizes.map((size) => {
    const next = advance(graph, state, [ids.slice(at, at + size)], [Array<number>(size).fill(1)]);
    at += size;
    state = next.state;
    return next.logits;
  });
}

const whole = (graph: Graph, tokens: readonly number[]): NdArray =>
  evaluateGraph(graph, { input_ids: ndArray([1, tokens.length], tokens, 'i64') }, weights(graph))['logits'] ?? ndArray([], []);

function expectClose(actual: NdArray, expected: NdArray): void {
  expect(actual.dims).toEqual(expected.dims);
  const largest = expected.data.reduce((top, one) => Math.max(top, Math.abs(one)), 0);
  const error = actual.data.reduce((top, one, i) => Math.max(top, Math.abs(one - (expected.data[i] ?? Number.NaN))), 0);
  expect(error / largest, 'relative error').toBeLessThan(1e-12);
}

for (const name of ['llama', 'latent', 'positions', 'fallback']) {
  for (const sizes of [[7], [4, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1], [2, 3, 2]]) {
    test(`${name}: chunks of ${sizes.join(', ')} give the logits of the whole`, async () => {
      const graph = wholeGraph(name);
      expectClose(joined(inChunks(await step(graph), sizes), 1), whole(graph, ids));
    });
  }
}

for (const name of ['llama', 'latent', 'positions']) {
  test(`${name}: a padded batch gives what its prompts give alone`, async () => {
    const graph = wholeGraph(name);
    const stepped = await step(graph);
    const start: State = { mask: [[], []], past: emptyPast(stepped, 2) };
    const prompt = advance(
      stepped,
      start,
      [
        [3, 14, 1, 5, 9],
        [0, 0, 7, 8, 9],
      ],
      [
        [1, 1, 1, 1, 1],
        [0, 0, 1, 1, 1],
      ],
    );
    const next = advance(stepped, prompt.state, [[2], [4]], [[1], [1]]);
    const width = next.logits.dims[2] ?? 0;
    const alone = [
      [3, 14, 1, 5, 9, 2],
      [7, 8, 9, 4],
    ].map((tokens) => whole(graph, tokens).data.slice(-width));
    expectClose(
      next.logits,
      ndArray(
        [2, 1, width],
        alone.flatMap((row) => [...row]),
      ),
    );
  });

  test(`${name}: the last row alone is the last row of all`, async () => {
    const graph = wholeGraph(name);
    const last = inChunks(await step(graph, { last: true }), [3, 3, 1]);
    const expected = whole(graph, ids);
    const width = expected.dims[2] ?? 0;
    [2, 5, 6].forEach((row, i) => expectClose(last[i] ?? ndArray([], []), ndArray([1, 1, width], expected.data.slice(row * width, (row + 1) * width))));
  });
}

test('a step that restarts its positions is noticed', async () => {
  const graph = wholeGraph('llama');
  const stepped = await step(graph);
  const first = advance(stepped, { mask: [[]], past: emptyPast(stepped, 1) }, [ids.slice(0, 6)], [[1, 1, 1, 1, 1, 1]]);
  const given = {
    ...first.state.past,
    input_ids: ndArray([1, 1], [6], 'i64'),
    attention_mask: ndArray([1, 7], Array(7).fill(1), 'i64'),
    position_ids: ndArray([1, 1], [0], 'i64'),
  };
  const wrong = evaluateGraph(stepped, given, weights(stepped))['logits'] ?? ndArray([], []);
  const right = whole(graph, ids);
  expect(() => expectClose(wrong, ndArray(wrong.dims, right.data.slice(-16)))).toThrow('relative error');
});

test('the step of a model that says its own mask and positions uses them', async () => {
  const graph = parseGraph(
    `graph given(input_ids: i64[B, S], attention_mask: i64[B, S], position_ids: i64[B, S]) -> (logits)
  weight embed: f32[16, 8] = "embed"
  weight frequencies: f32[2] = "frequencies"
  x = gather(embed, input_ids)
  h = split_heads(x, heads: 2)
  r = rope(h, frequencies, position_ids)
  zero: i64[] = 0
  keep = gt(attention_mask, zero)
  y = attend(r, r, h, keep, causal: true)
  logits = merge_heads(y)
`,
    ops,
  );
  const stepped = await step(graph);
  expect(stepped.inputs.map(({ name }) => name)).toEqual(['input_ids', 'attention_mask', 'position_ids', 'past_key_values.0.key', 'past_key_values.0.value']);
  const results = inChunks(stepped, [4, 3]);
  const places = ndArray([1, 7], [0, 1, 2, 3, 4, 5, 6], 'i64');
  const expected = evaluateGraph(graph, { input_ids: ndArray([1, 7], ids, 'i64'), attention_mask: ndArray([1, 7], Array(7).fill(1), 'i64'), position_ids: places }, weights(graph));
  expectClose(joined(results, 1), expected['logits'] ?? ndArray([], []));
});
