/** The functions in LANGUAGE.md are those of the ops, with their own words; `npm run update` writes them. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { firstSentence, signature } from '../src/cli/signature.ts';
import { ops } from '../src/ops/index.ts';
import { repository } from './repository.ts';

const path = join(repository, 'grammar/LANGUAGE.md');
const begin = '<!-- functions -->\n';
const end = '<!-- /functions -->\n';

test('LANGUAGE.md lists every function with what it says of itself', () => {
  const text = readFileSync(path, 'utf8');
  const [before, rest = ''] = text.split(begin);
  const [listed, after] = rest.split(end);
  const wanted = list();
  if (process.env['UPDATE']) writeFileSync(path, `${before}${begin}${wanted}${end}${after}`);
  else expect(listed).toBe(wanted);
});

function list(): string {
  const called = [...ops.values()].filter(({ call }) => call !== null).sort((a, b) => (a.call ?? '').localeCompare(b.call ?? '') || a.name.localeCompare(b.name));
  return `| call | gives |\n| --- | --- |\n${called.map((op) => `| \`${signature(op)}\` | ${firstSentence(op.doc).replaceAll('|', '\\|')} |\n`).join('')}`;
}
