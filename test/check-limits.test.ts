/** Programs that ask for too much are answered with a diagnostic, and soon. */

import { expect, test } from 'vitest';
import type { Code } from '../src/diagnostics/catalog.ts';
import { checkProgram, limits, loadProgram } from '../src/model/index.ts';

/** What is said of files, the first of which is checked, and how many seconds of a processor that took: other work on the machine does not count. */
function codesOf(files: Readonly<Record<string, string>>): { readonly codes: readonly Code[]; readonly seconds: number } {
  const [root = ''] = Object.keys(files);
  const start = process.cpuUsage();
  const program = loadProgram(root, { read: (path) => files[path], resolve: (_, spec) => `${spec.slice(2)}.moe` });
  const { diagnostics } = checkProgram(program);
  const { user, system } = process.cpuUsage(start);
  return { codes: [...new Set(diagnostics.map((one) => one.code))], seconds: (user + system) / 1e6 };
}

const same = 'layer Same(D: int) { forward(x: [.., D]) -> [.., D] { return x } }\n';
const numbers = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i);

/** Layers `L0`, `L1`, …, each a part of the one before. */
const nested = (depth: number): string =>
  numbers(depth)
    .map((i) => `layer L${i}() { part = ${i === depth - 1 ? 'Same(D)' : `L${i + 1}()`}  forward(x: [B, D]) -> [B, D] { return part(x) } }\n`)
    .join('');
const model = (part: string): string => `model M { part = ${part}  forward(x: [B, D]) -> y: [B, D] { return part(x) } }\n`;
const head = `dim B\nparam D = 8\n${same}`;

/** A block of 50 additions. */
const busy = `layer Busy() { forward(x: [B, D]) -> [B, D] { return ${numbers(50)
  .map(() => 'x')
  .join(' + ')} } }\n`;

const chain = Object.fromEntries(
  numbers(limits.importDepth + 8).map((i) => [`f${i}.moe`, `import { A } from "./f${i + 1}"\nlayer A(D: int) { forward(x: [.., D]) -> [.., D] { return x } }\n`]),
);

const programs: readonly (readonly [name: string, code: Code, files: Readonly<Record<string, string>>])[] = [
  ['10^5 nested brackets', 'nesting-too-deep', { 'a.moe': `param x = ${'('.repeat(100_000)}1${')'.repeat(100_000)}\n` }],
  ['10^5 nested lists', 'nesting-too-deep', { 'a.moe': `param x = ${'['.repeat(100_000)}1${']'.repeat(100_000)}\n` }],
  ['10^5 brackets that are never closed', 'nesting-too-deep', { 'a.moe': `param x = ${'(['.repeat(50_000)}` }],
  ['10^5 minus signs', 'nesting-too-deep', { 'a.moe': `param x = ${'- '.repeat(100_000)}1\n` }],
  ['10^5 calls of calls', 'nesting-too-deep', { 'a.moe': `param x = a${'()'.repeat(100_000)}\n` }],
  ['10^5 members of members', 'nesting-too-deep', { 'a.moe': `param x = a${'.b'.repeat(100_000)}\n` }],
  ['10^5 additions', 'nesting-too-deep', { 'a.moe': `param x = ${'1 + '.repeat(100_000)}1\n` }],
  [
    '10^4 additions in a path',
    'nesting-too-deep',
    { 'a.moe': `${head}model M { blocks = repeat 2 of Same(D)  forward(x: [B, D]) -> y: [B, D] { return blocks(x) }  weights { blocks[${'1 + '.repeat(10_000)}1] <- "a" } }\n` },
  ],
  [
    '10^4 additions in a source',
    'nesting-too-deep',
    { 'a.moe': `${head}model M { weight w: [D]  forward(x: [B, D]) -> y: [B, D] { return x * w }  weights { w <- "a"${' + 1.0'.repeat(10_000)} } }\n` },
  ],
  ['10^6 tokens', 'file-too-long', { 'a.moe': `param x = [${'1, '.repeat(500_000)}1]\n` }],
  [
    '10^6 declarations',
    'file-too-long',
    {
      'a.moe': numbers(250_000)
        .map((i) => `param p${i} = 1\n`)
        .join(''),
    },
  ],
  ['a chain of imports', 'imports-too-deep', chain],
  ['layers inside layers', 'layers-too-deep', { 'a.moe': head + nested(limits.layerDepth + 2) + model('L0()') }],
  ['more layers than a model may have', 'too-many-layers', { 'a.moe': head + model('repeat 1_000 of [repeat 1_000 of Same(D)]') }],
  ['a graph without measure', 'graph-too-large', { 'a.moe': head + busy + model('repeat 20 of [repeat 1_000 of Busy()]') }],
];

for (const [name, code, files] of programs) {
  test(`${name}: ${code}`, () => {
    // The least of three: what else runs on the machine takes the processor's caches, and the first time compiles.
    const runs = [codesOf(files), codesOf(files), codesOf(files)];
    for (const { codes } of runs) expect(codes).toContain(code);
    expect(Math.min(...runs.map(({ seconds }) => seconds))).toBeLessThan(2);
  });
}

test('what stays within the limits is no fault', () => {
  expect(codesOf({ 'a.moe': head + nested(limits.layerDepth - 4) + model('repeat 100 of L0()') }).codes).toEqual([]);
});
