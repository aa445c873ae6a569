/** Programs with tokens taken out, doubled and exchanged: whatever comes of it, the checker answers with diagnostics and never throws. */

import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { renderDiagnostics } from '../src/diagnostics/render.ts';
import { buildModel, checkProgram, loadProgram, type Reader } from '../src/model/index.ts';
import { fileOf, programs } from './checking.ts';
import { repositoryReader } from './repository.ts';

/** Smaller sizes, so that a run takes milliseconds. */
const small: Readonly<Record<string, string>> = { L: '2', E: '4' };

const words = (text: string): readonly string[] => text.match(/\s+|\/\/[^\n]*|"[^"\n]*"|[A-Za-z_]\w*|\d[\w.]*|<-|->|\.\.|[=!<>]=|\S/g) ?? [];

const models = ['models/tiny.moe', 'models/llama.moe', 'models/gpt2.moe', 'models/albert.moe', 'models/std/routers.moe'].map((path) =>
  readFileSync(new URL(`../${path}`, import.meta.url), 'utf8'),
);
const architectures = programs()
  .filter((name) => /^zoo\/(jetmoe|llama4|switch|moa|gpt-oss)/.test(name))
  .map((name) => fileOf(name).program);
const texts = [...models, ...architectures].map(words);

type Change = { readonly kind: 'drop' | 'double' | 'swap' | 'replace'; readonly at: number; readonly with: number };

const change: fc.Arbitrary<Change> = fc.record({ kind: fc.constantFrom('drop', 'double', 'swap', 'replace'), at: fc.nat(), with: fc.nat() });

/** One change among the tokens that are no space. */
function changed(tokens: readonly string[], one: Change): readonly string[] {
  const places = tokens.flatMap((token, i) => (/^\s|^\/\//.test(token) ? [] : [i]));
  const at = places[one.at % places.length] ?? 0;
  const other = places[one.with % places.length] ?? 0;
  return tokens.flatMap((token, i) => {
    if (i === other && one.kind === 'swap') return [tokens[at] ?? ''];
    if (i !== at) return [token];
    switch (one.kind) {
      case 'drop':
        return [];
      case 'double':
        return [token, ' ', token];
      case 'swap':
      case 'replace':
        return [tokens[other] ?? ''];
    }
  });
}

const program = fc
  .record({ tokens: fc.constantFrom(...texts), changes: fc.array(change, { minLength: 1, maxLength: 3 }) })
  .map(({ tokens, changes }) => changes.reduce(changed, tokens).join(''));

const readerOf = (text: string): Reader => ({ ...repositoryReader, read: (path) => (path === 'models/fuzz.moe' ? text : repositoryReader.read(path)) });

test('a changed program is answered with diagnostics, and they can be shown', { timeout: 120_000 }, () => {
  let faults = 0;
  fc.assert(
    fc.property(program, (text) => {
      const reader = readerOf(text);
      const { diagnostics } = checkProgram(loadProgram('models/fuzz.moe', reader), { set: small });
      if (diagnostics.some((one) => one.severity === 'error')) faults += 1;
      expect(renderDiagnostics(diagnostics, (file) => reader.read(file))).toBeTypeOf('string');
    }),
    { numRuns: 200, seed: 1 },
  );
  expect(faults).toBeGreaterThan(100);
});

test('a changed program is built or refused, and nothing else', { timeout: 120_000 }, () => {
  fc.assert(
    fc.property(program, fc.constantFrom({}, { model_type: 'llama', hidden_size: 32 }, { hidden_size: -1, vocab_size: 'many', layer_types: ['x'] }), (text, config) => {
      const { model, diagnostics } = buildModel(loadProgram('models/fuzz.moe', readerOf(text)), { set: small, config, tensors: new Map([['w', { dims: [2, 3], dtype: 'f32' }]]) });
      expect(model !== undefined || diagnostics.some((one) => one.severity === 'error')).toBe(true);
    }),
    { numRuns: 100, seed: 2 },
  );
});
