/** Identity is the law: real models with every expert picked are the dense models again. Bounds are those of the project: 1e-5 in each layer, 1e-4 end to end. */

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Sample } from '../../src/passes/emergent/calibrate.ts';
import { emerge } from '../../src/run/emerge.ts';
import type { Found } from '../../src/run/find-model.ts';
import { samplesOfTokens } from '../../src/run/samples.ts';
import { fixture } from '../fixtures.ts';
import { checkpointModel, must } from '../running.ts';
import { identityOf } from './identity.ts';

const stories = fixture('stories260k');
const albert = fixture('rxn-albert');

/** A fixture and windows of tokens for it. */
function opened(
  folder: string,
  tokens: (expected: { readonly reactions?: readonly { readonly ids: readonly number[] }[] }) => readonly number[],
): readonly [Found, readonly Sample[]] {
  const found = checkpointModel(folder);
  return [found, must(samplesOfTokens(found.model.graph, tokens(JSON.parse(readFileSync(`${folder}/expected.json`, 'utf8'))), 'tokens', 48))];
}

// 172 neurons: 4 and 43 divide them; 16 do not, and 4 neurons of zeros fill experts up.
test.skipIf(stories === undefined).each([
  { experts: '4', group: 'contiguous', score: 'mean_key', repair: 'none' },
  { experts: '43', group: 'random', score: 'representative', repair: 'means', shared: '3' },
  { experts: '16', pad: 'true' },
  { experts: '16', pad: 'true', group: 'carved', score: 'fitted(features: 8)', repair: 'low_rank(4)', shared: '2' },
] as readonly Readonly<Record<string, string>>[])('stories260k with %o (skipped where the fixture is absent)', async (texts) => {
  const given = opened(stories ?? '', () => Array.from({ length: 240 }, (_, i) => (i * 37) % 500));
  const { converted, layers, whole } = await identityOf(...given, texts);
  given[0].checkpoint?.close();
  expect(converted).toBe(5);
  expect(layers).toBeLessThan(1e-5);
  expect(whole).toBeLessThan(1e-4);
});

const reactions = (): ReturnType<typeof opened> => opened(albert ?? '', ({ reactions: all = [] }) => Array.from({ length: 4 }, () => all.flatMap(({ ids }) => ids)).flat());

test.skipIf(albert === undefined).each([
  { experts: '16', layers: 'all' },
  { experts: '16', layers: '3..5', untie: 'true' },
] as readonly Readonly<Record<string, string>>[])(
  'rxn-albert, whose block stands in every layer, with %o (skipped where the fixture is absent)',
  async ({ layers: range, ...texts }) => {
    const given = reactions();
    const found = await identityOf(...given, texts, range === 'all' ? { kind: 'all' } : { kind: 'range', from: 3, to: 5 });
    given[0].checkpoint?.close();
    expect(found.converted).toBe(range === 'all' ? 12 : 2);
    expect(found.layers).toBeLessThan(1e-5);
    expect(found.whole).toBeLessThan(1e-4);
  },
);

test.skipIf(albert === undefined)('layers that split a shared block are refused (skipped where the fixture is absent)', async () => {
  const [found, samples] = reactions();
  const settings = {
    experts: 16,
    picks: 8,
    shared: 0,
    group: { kind: 'contiguous' },
    score: { kind: 'mean_key' },
    repair: { kind: 'none' },
    seed: 0,
    pad: false,
    untie: false,
    inOrder: true,
    tokens: 64,
  } as never;
  const refused = await emerge(found, { settings, chosen: { kind: 'range', from: 3, to: 5 }, samples, version: 'test' });
  found.checkpoint?.close();
  expect(refused).toMatchObject({
    ok: false,
    diagnostics: [{ code: 'shared-block-split', message: expect.stringMatching(/^\S+ has the weights of (\S+, ){9}\S+, which would not be converted with it$/) }],
  });
});
