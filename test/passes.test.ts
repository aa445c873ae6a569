/** Every file of test/passes: a command, a graph, and the graph the command makes of it. `npm run update` rewrites the results. */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import type { Diagnostic } from '../src/diagnostics/diagnostic.ts';
import type { Attr } from '../src/graph/op.ts';
import { parseGraph } from '../src/graph/parse-text.ts';
import { printGraph } from '../src/graph/text.ts';
import { verifyGraph } from '../src/graph/verify.ts';
import { ops } from '../src/ops/index.ts';
import { passes } from '../src/passes/index.ts';
import { type PassRun, runPasses } from '../src/passes/run.ts';

const folder = fileURLToPath(new URL('passes/', import.meta.url));
const files = readdirSync(folder).filter((file) => file.endsWith('.graph'));

/** `run add-kv-cache last=true, drop-dead`. */
function readCommand(line: string): readonly PassRun[] {
  return line
    .replace(/^run /, '')
    .split(',')
    .map((words) => {
      const [name = '', ...settings] = words.trim().split(/\s+/);
      const pass = passes.get(name);
      if (!pass) throw new Error(`no pass is called ${name}`);
      return { pass, options: Object.fromEntries(settings.map((setting) => setting.split('=')).map(([key = '', value = '']) => [key, readSetting(value)])) };
    });
}

const readSetting = (word: string): Attr => (word === 'true' || word === 'false' ? word === 'true' : Number.isNaN(Number(word)) ? word : Number(word));

async function result(command: string, text: string): Promise<string> {
  const found: Diagnostic[] = [];
  const graph = parseGraph(text, ops);
  verifyGraph(graph);
  const done = await runPasses(graph, readCommand(command), { context: { report: (one) => found.push(one) } });
  return [
    printGraph(done),
    ...found.map(
      ({ severity, code, message, notes, fixes }) =>
        `${severity}[${code}]: ${message}\n${[...notes.map((note) => `  = ${note}\n`), ...fixes.map((fix) => `  = fix ${fix.text}\n`)].join('')}`,
    ),
  ].join('');
}

for (const file of files) {
  test(file, async () => {
    const whole = readFileSync(folder + file, 'utf8');
    const [before = '', expected = ''] = whole.split(/^====\n/m);
    const [command = '', ...rest] = before.split('\n');
    const actual = await result(command, rest.join('\n'));
    if (process.env['UPDATE']) writeFileSync(folder + file, `${before.trimEnd()}\n====\n${actual}`);
    else expect(actual).toBe(expected);
    if (!actual.includes(']: ')) expect(printGraph(parseGraph(actual, ops))).toBe(actual);
  });
}

test('every pass has a test and every test names a pass', () => {
  const tested = new Set(files.map((file) => file.split('.')[0]));
  expect([...passes.keys()].filter((name) => !tested.has(name))).toEqual([]);
  expect([...tested].filter((name) => !passes.has(name ?? ''))).toEqual([]);
});
