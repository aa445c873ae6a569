/** A file of experts whose numbers do not fit the layer is refused in words, before a graph is made of them. */

import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { count, type NdArray, ndArray } from '../../src/graph/nd-array.ts';
import type { Conversion, Router } from '../../src/passes/emergent/conversion.ts';
import { readArtefact, writeArtefact } from '../../src/run/artefact.ts';
import { makeLlama } from '../checkpoints.ts';
import { must } from '../running.ts';
import { type Called, moec } from '../terminal.ts';

const scratch = mkdtempSync(join(tmpdir(), 'moec-artefact-'));
afterAll(() => rmSync(scratch, { recursive: true }));

const call = (...words: readonly string[]): Promise<Called> => moec(words, { cwd: scratch });

/** The layer that is changed: 16 wide, 24 neurons, of which one expert of 5 always runs and four of 5 are picked from, one of these filled up. */
const path = 'body.blocks.1.ffn';

beforeAll(async () => {
  makeLlama(join(scratch, 'llama'));
  const { code, err } = await call('emerge', 'llama', '--experts', '5', '--shared', '1', '--top', '2', '--pad', '--speed', 'none', '-o', 'converted');
  expect(code, err).toBe(0);
}, 60_000);

/** What compiling says of the conversion with that layer changed. */
async function compiled(change: (conversion: Conversion) => unknown): Promise<Called> {
  for (const folder of ['changed', 'compiled']) rmSync(join(scratch, folder), { recursive: true, force: true });
  cpSync(join(scratch, 'converted'), join(scratch, 'changed'), { recursive: true });
  const file = join(scratch, 'changed/llama.experts.safetensors');
  const stored = must(readArtefact(file, file));
  const changed = stored.map((one) => (one.conversion.path === path ? { ...one, conversion: change(one.conversion) as Conversion } : one));
  expect(changed).not.toEqual(stored);
  writeArtefact(file, changed, 'test');
  return call('compile', 'changed/llama.moe', '-o', 'compiled');
}

const numbers = (...dims: readonly number[]): NdArray =>
  ndArray(
    dims,
    Array.from({ length: count(dims) }, (_, i) => Math.sin(i)),
  );
const routed = (router: Router) => (conversion: Conversion) => ({ ...conversion, router });
const repaired = (rank: number, maps: readonly number[]) => (conversion: Conversion) => ({ ...conversion, repair: { projection: numbers(16, rank), maps: numbers(...maps) } });
const features = (bias: number): Router => ({ kind: 'features', directions: numbers(16, 3), weight: numbers(19, 4), bias: numbers(bias) });
/** The order with the entry at a place replaced. */
const placed =
  (place: (order: readonly number[]) => number, neuron: (order: readonly number[]) => number) =>
  ({ order, ...conversion }: Conversion) => ({ ...conversion, order: order.with(place(order), neuron(order)) });
const firstOf = (order: readonly number[]): number => order.findIndex((neuron) => neuron >= 0);
const padding = (order: readonly number[]): number => order.indexOf(-1);

test.each<readonly [string, (conversion: Conversion) => unknown]>([
  ['experts in another order', ({ order, ...rest }) => ({ ...rest, order: [...order].reverse() })],
  ['more picks', (conversion) => ({ ...conversion, picks: 4 })],
  ['a threshold', (conversion) => ({ ...conversion, threshold: { score: 0, mean: 2 } })],
  ['scores with a bias', routed({ kind: 'linear', weight: numbers(16, 4), bias: numbers(4) })],
  ['scores of features', routed(features(4))],
  ['representatives', routed({ kind: 'representative', gate: numbers(16, 4), up: numbers(16, 4) })],
  ['masses', routed({ kind: 'oracle', norms: numbers(20) })],
  ['random scores', routed({ kind: 'random', directions: numbers(16, 4) })],
  ['means', repaired(0, [4, 1, 16])],
  ['maps', repaired(3, [4, 4, 16])],
])(
  'what fits is compiled: %s',
  async (_, change) => {
    const { code, err } = await compiled(change);
    expect(code, err).toBe(0);
  },
  60_000,
);

test.each<readonly [string, (conversion: Conversion) => unknown, string]>([
  ['a neuron twice', placed(firstOf, (order) => order.findLast((neuron) => neuron >= 0) ?? 0), 'is in its experts twice'],
  ['a neuron in an expert and in the shared one', ({ shared, ...rest }) => placed(firstOf, () => shared[0] ?? 0)({ ...rest, shared }), 'is in its experts twice'],
  ['a neuron for padding', placed(padding, (order) => order[firstOf(order)] ?? 0), 'is in its experts twice'],
  ['padding for a neuron', placed(firstOf, () => -1), 'is in no expert'],
  ['a shared neuron too few', ({ shared, ...rest }) => ({ ...rest, shared: shared.slice(1) }), 'is in no expert'],
  ['a neuron beyond the last', placed(firstOf, () => 24), `\`${path}\` has 24 neurons, and neuron 24 is in its experts`],
  ['a neuron before the first', placed(firstOf, () => -2), `\`${path}\` has 24 neurons, and neuron -2 is in its experts`],
  ['padding among the shared', ({ shared, ...rest }) => ({ ...rest, shared: [...shared, -1] }), `\`${path}\` has 24 neurons, and neuron -1 is in its experts`],
  ['an order too short', ({ order, ...rest }) => ({ ...rest, order: order.slice(1) }), `the order of \`${path}\` has 19 entries for 4 experts of 5`],
  ['no experts', (conversion) => ({ ...conversion, experts: 0 }), `\`${path}\` has 0 as its \`experts\``],
  ['half a neuron', (conversion) => ({ ...conversion, size: 2.5 }), `\`${path}\` has 2.5 as its \`size\``],
  ['no picks', (conversion) => ({ ...conversion, picks: 0 }), `\`${path}\` has 0 as its \`picks\``],
  ['more picks than experts', (conversion) => ({ ...conversion, picks: 5 }), `\`${path}\` picks 5 of 4 experts`],
  ['a threshold of nothing', (conversion) => ({ ...conversion, threshold: { score: Number.NaN, mean: 2 } }), `the threshold of \`${path}\` is not a number`],
  ['a mean of nothing', (conversion) => ({ ...conversion, threshold: { score: 0, mean: Number.NaN } }), `the threshold of \`${path}\` is not a number`],
  ['scores of five experts', routed({ kind: 'linear', weight: numbers(16, 5) }), `\`${path}.router.weight\` is [16, 5], not [16, 4]`],
  ['a bias for one', routed({ kind: 'linear', weight: numbers(16, 4), bias: numbers(1) }), `\`${path}.router.bias\` is [1], not [4]`],
  [
    'weights of fewer features',
    routed({ kind: 'features', directions: numbers(16, 2), weight: numbers(19, 4), bias: numbers(4) }),
    `\`${path}.router.weight\` is [19, 4], not [18, 4]`,
  ],
  ['a bias of features for five', routed(features(5)), `\`${path}.router.bias\` is [5], not [4]`],
  [
    'directions of another width',
    routed({ kind: 'features', directions: numbers(8, 3), weight: numbers(19, 4), bias: numbers(4) }),
    `\`${path}.router.directions\` is [8, 3], not [16, 3]`,
  ],
  ['half a representative', routed({ kind: 'representative', gate: numbers(16, 4) }), `\`${path}.router.up\` is missing`],
  ['representatives of three', routed({ kind: 'representative', gate: numbers(16, 3), up: numbers(16, 4) }), `\`${path}.router.gate\` is [16, 3], not [16, 4]`],
  ['masses of too few', routed({ kind: 'oracle', norms: numbers(19) }), `\`${path}.router.norms\` is [19], not [20]`],
  ['random scores of five', routed({ kind: 'random', directions: numbers(16, 5) }), `\`${path}.router.directions\` is [16, 5], not [16, 4]`],
  ['scores that are not finite', routed({ kind: 'linear', weight: ndArray([16, 4], Array(64).fill(Number.NaN)) }), `\`${path}.router.weight\` has numbers that are not finite`],
  ['a router of another time', (conversion) => ({ ...conversion, router: { kind: 'clairvoyant' } }), `\`${path}\` has a router of an unknown kind, \`clairvoyant\``],
  ['means of three', repaired(0, [3, 1, 16]), `\`${path}.repair.maps\` is [3, 1, 16], not [4, 1, 16]`],
  ['maps of another rank', repaired(3, [4, 3, 16]), `\`${path}.repair.maps\` is [4, 3, 16], not [4, 4, 16]`],
  [
    'maps of another width',
    (conversion) => ({ ...conversion, repair: { projection: numbers(8, 3), maps: numbers(4, 4, 16) } }),
    `\`${path}.repair.projection\` is [8, 3], not [16, 3]`,
  ],
])('refused: %s', async (_, change, said) => {
  const { code, out, err } = await compiled(change);
  expect({ code, out }).toEqual({ code: 1, out: '' });
  expect(err).toMatch(/^error\[artefact-damaged\]: llama\.experts\.safetensors does not hold a conversion: [^\n]*\n {2}╭─ changed\/llama\.moe:5:3\n/);
  expect(err.split('\n')[0]).toContain(said);
  expect(err).toContain('\n1 error\n');
  expect(existsSync(join(scratch, 'compiled'))).toBe(false);
});
