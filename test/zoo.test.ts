/** Every family and the library: checked with its defaults, formatted. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { format } from '../grammar/print.ts';
import { checkProgram, loadProgram } from '../src/model/index.ts';
import { repository, repositoryReader } from './repository.ts';

const files = readdirSync(join(repository, 'models'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.moe'))
  .map((name) => `models/${name.replaceAll('\\', '/')}`)
  .sort();

test.each(files)('%s', (path) => {
  const text = readFileSync(join(repository, path), 'utf8');
  expect(checkProgram(loadProgram(path, repositoryReader)).diagnostics).toEqual([]);
  expect(format(text, path)).toEqual({ text, faults: [] });
});
