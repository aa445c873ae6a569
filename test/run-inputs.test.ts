import { describe, expect, it } from 'vitest';
import { jsonOfLists, printResults, readInputs } from '../src/run/inputs.ts';
import type { JsonObject } from '../src/run/json.ts';
import { type Port, tensorOf } from '../src/run/tensor.ts';

const ports: readonly Port[] = [
  { name: 'input_ids', dtype: 'i64', dims: ['B', 'S'] },
  { name: 'attention_mask', dtype: 'i64', dims: ['B', 'S'] },
  { name: 'scale', dtype: 'f32', dims: [2] },
  { name: 'keep', dtype: 'bool', dims: [] },
];

const good = {
  input_ids: [
    [1, 2, 3],
    [4, 5, 6],
  ],
  attention_mask: [
    [1, 1, 1],
    [1, 1, 0],
  ],
  scale: [0.5, -1],
  keep: true,
};

/** Every report on inputs, in words. */
const told = (given: JsonObject, of = ports): readonly string[] =>
  readInputs(given, of).diagnostics.map(({ code, message, fixes }) => [`${code}: ${message}`, ...fixes.map(({ text }) => text)].join(' | '));

describe('inputs from a file', () => {
  it('have any sizes where the model says none', () => {
    const open: Port = { name: 'x', dtype: 'f32', dims: [], open: true };
    const read = readInputs({ x: [[1, 2]] }, [open]);
    expect(read).toMatchObject({ ok: true, value: { x: { dims: [1, 2], data: Float32Array.of(1, 2) } } });
    expect(readInputs({ x: 3 }, [open])).toMatchObject({ ok: true, value: { x: { dims: [] } } });
    expect(told({ x: [[1], [2, 3]] }, [open])).toEqual([expect.stringMatching(/^input-is-ragged/)]);
    expect(told({}, [open])).toEqual([expect.stringContaining('f32[..]')]);
  });

  it('become tensors', () => {
    const read = readInputs(good, ports);
    expect(read).toEqual({
      ok: true,
      diagnostics: [],
      value: {
        input_ids: { dtype: 'i64', dims: [2, 3], data: BigInt64Array.of(1n, 2n, 3n, 4n, 5n, 6n) },
        attention_mask: { dtype: 'i64', dims: [2, 3], data: BigInt64Array.of(1n, 1n, 1n, 1n, 1n, 0n) },
        scale: { dtype: 'f32', dims: [2], data: Float32Array.of(0.5, -1) },
        keep: { dtype: 'bool', dims: [], data: Uint8Array.of(1) },
      },
    });
  });

  it('are refused with what to change, all at once', () => {
    expect(told({ ...good, input_ids: undefined, inputs_ids: [[1]] })).toEqual([
      'unknown-input: the model has no input `inputs_ids`',
      'input-has-wrong-shape: `input_ids` is i64[]; the model takes i64[B, S]',
    ]);
    const { input_ids: _, ...rest } = good;
    expect(told({ ...rest, inputs_ids: [[1]] })).toEqual([
      'unknown-input: the model has no input `inputs_ids` | did you mean `input_ids`?',
      'input-missing: the input `input_ids` is missing: i64[B, S]',
    ]);
    expect(told({ ...good, input_ids: [[1, 2, 3], [4]] })).toEqual(['input-is-ragged: the lists of `input_ids` have different lengths: 3 and 1']);
    expect(told({ ...good, input_ids: [[1, 2, 3], 4] })).toEqual(['input-is-ragged: the lists of `input_ids` have different lengths: a number among lists']);
    expect(told({ ...good, input_ids: [1, 2, 3] })).toEqual([
      'input-has-wrong-shape: `input_ids` is i64[3]; the model takes i64[B, S] | put one more pair of brackets around it: a batch of one',
    ]);
    expect(told({ ...good, scale: [1, 2, 3] })).toEqual(['input-has-wrong-shape: `scale` is f32[3]; the model takes f32[2]']);
    expect(
      told({
        ...good,
        input_ids: [
          [1, 2, 3],
          [4, 5, 6.5],
        ],
      }),
    ).toEqual(['input-has-wrong-value: `input_ids` is i64; 6.5 cannot stand in it']);
    expect(told({ ...good, scale: [1, null] })).toEqual(['input-has-wrong-value: `scale` is f32; null cannot stand in it']);
    expect(told({ ...good, keep: 'yes' })).toEqual(['input-has-wrong-value: `keep` is bool; "yes" cannot stand in it']);
    expect(told({ ...good, attention_mask: [[1, 1, 1]] })).toEqual(['input-sizes-disagree: B is 2 in `input_ids` and 1 in `attention_mask`']);
  });

  it('do not break on a deep nest or on names of the prototype', () => {
    let deep: unknown = 1;
    for (let i = 0; i < 100_000; i++) deep = [deep];
    expect(told({ ...good, scale: deep })[0]).toContain('input-has-wrong-shape');
    expect(told(JSON.parse('{"__proto__": [1], "constructor": 1}') as JsonObject).filter((line) => line.startsWith('unknown-input'))).toHaveLength(2);
  });

  it('keep 64-bit integers whole and numbers in their range', () => {
    const wide: readonly Port[] = [
      { name: 'x', dtype: 'i64', dims: ['N'] },
      { name: 'y', dtype: 'u8', dims: ['N'] },
    ];
    expect(readInputs({ x: ['9007199254740993', -5], y: [0, 255] }, wide)).toMatchObject({ ok: true, value: { x: { data: BigInt64Array.of(9007199254740993n, -5n) } } });
    expect(told({ x: [2 ** 60, 0], y: [0, 256] }, wide)).toEqual([
      'input-has-wrong-value: `x` is i64; 1152921504606847000 cannot stand in it',
      'input-has-wrong-value: `y` is u8; 256 cannot stand in it',
    ]);
  });

  it('fill in what is usual, and say so', () => {
    const decoder: readonly Port[] = [
      { name: 'input_ids', dtype: 'i64', dims: ['B', 'S'] },
      { name: 'attention_mask', dtype: 'i64', dims: ['B', 'T'] },
      { name: 'position_ids', dtype: 'i64', dims: ['B', 'S'] },
      { name: 'past_key_values.0.key', dtype: 'f32', dims: ['B', 2, 'P', 4] },
    ];
    expect(told({ input_ids: [[7, 8]] }, decoder)).toEqual([
      'input-filled: `attention_mask` was not given: every token counts',
      'input-filled: `position_ids` was not given: positions run from 0',
      'input-filled: `past_key_values.0.key` was not given: nothing in the past',
    ]);
    expect(readInputs({ input_ids: [[7, 8]] }, decoder)).toMatchObject({
      value: {
        attention_mask: { dims: [1, 2], data: BigInt64Array.of(1n, 1n) },
        position_ids: { data: BigInt64Array.of(0n, 1n) },
        'past_key_values.0.key': { dims: [1, 2, 0, 4] },
      },
    });
    expect(readInputs({ input_ids: [[7]], 'past_key_values.0.key': [[[[1, 2, 3, 4]], [[1, 2, 3, 4]]]] }, decoder)).toMatchObject({
      value: { attention_mask: { dims: [1, 2] }, position_ids: { data: BigInt64Array.of(1n) } },
    });
  });
});

describe('what is usual', () => {
  const usual = (given: JsonObject, of: readonly Port[]): unknown => {
    const read = readInputs(given, of);
    return read.ok ? Object.fromEntries(Object.entries(read.value).map(([name, { dims, data }]) => [name, [dims, [...data].map(Number)]])) : read.diagnostics;
  };
  const row = { input_ids: [[7, 8]] };

  it('of a past is no rows, also where it is kept as a latent without heads', () => {
    const latent: readonly Port[] = [
      { name: 'input_ids', dtype: 'i64', dims: ['B', 'S'] },
      { name: 'attention_mask', dtype: 'i64', dims: ['B', 'T'] },
      { name: 'position_ids', dtype: 'i64', dims: ['B', 'S'] },
      { name: 'past_key_values.0.key', dtype: 'f32', dims: ['B', 'P', 4] },
      { name: 'past_key_values.0.value', dtype: 'f32', dims: ['B', 1, 'P', 2] },
    ];
    const ids = [
      [1, 2],
      [7, 8],
    ];
    expect(usual(row, latent)).toEqual({
      input_ids: ids,
      attention_mask: [
        [1, 2],
        [1, 1],
      ],
      position_ids: [
        [1, 2],
        [0, 1],
      ],
      'past_key_values.0.key': [[1, 0, 4], []],
      'past_key_values.0.value': [[1, 1, 0, 2], []],
    });
    const kept = { 'past_key_values.0.key': [[[1, 2, 3, 4]]], 'past_key_values.0.value': [[[[5, 6]]]] };
    expect(usual({ ...row, ...kept }, latent)).toMatchObject({
      attention_mask: [
        [1, 3],
        [1, 1, 1],
      ],
      position_ids: [
        [1, 2],
        [1, 2],
      ],
    });
  });

  it('of a text that is written beside one that is read is its own', () => {
    const both: readonly Port[] = [
      { name: 'decoder_input_ids', dtype: 'i64', dims: ['B', 'T'] },
      { name: 'decoder_attention_mask', dtype: 'i64', dims: ['B', 'T + P'] },
      { name: 'decoder_position_ids', dtype: 'i64', dims: ['B', 'T'] },
      { name: 'input_ids', dtype: 'i64', dims: ['B', 'S'] },
      { name: 'attention_mask', dtype: 'i64', dims: ['B', 'S'] },
      { name: 'past_key_values.0.key', dtype: 'f32', dims: ['B', 1, 'P', 1] },
    ];
    expect(usual({ ...row, decoder_input_ids: [[1, 2, 3]], 'past_key_values.0.key': [[[[5]]]] }, both)).toMatchObject({
      attention_mask: [
        [1, 2],
        [1, 1],
      ],
      decoder_attention_mask: [
        [1, 4],
        [1, 1, 1, 1],
      ],
      decoder_position_ids: [
        [1, 3],
        [1, 2, 3],
      ],
    });
  });
});

describe('results', () => {
  it('print as nested lists, large ones as a summary', () => {
    const results = {
      small: tensorOf('f32', [2, 2], [1, 2.5, Number.NaN, -4]),
      flag: tensorOf('bool', [], [1]),
      half: tensorOf('f16', [2], [0.5, -2]),
      large: tensorOf(
        'i64',
        [300],
        Array.from({ length: 300 }, (_, i) => i),
      ),
    };
    expect(printResults(results, false)).toEqual({
      small: [
        [1, 2.5],
        ['NaN', -4],
      ],
      flag: true,
      half: [0.5, -2],
      large: { type: 'i64[300]', min: 0, max: 299, mean: 149.5, first: [0, 1, 2, 3, 4, 5, 6, 7] },
    });
    expect(printResults(results, true)['large']).toHaveLength(300);
  });

  it('have a line for every row, and f32 in its shortest form', () => {
    const results = printResults({ y: tensorOf('f32', [2, 2], [0.1, 1e-7, 16777216, 1 / 3]), n: tensorOf('i64', [], [7]) }, false);
    expect(jsonOfLists(results)).toBe('{\n  "y": [\n    [0.1, 1e-7],\n    [16777216, 0.33333334]\n  ],\n  "n": 7\n}');
    expect(JSON.parse(jsonOfLists(results))).toEqual(results);
  });
});
