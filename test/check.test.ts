/** Programs and, in the comment that ends each, exactly what moec says of it; without a comment nothing is said. */

import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { format } from '../grammar/print.ts';
import { checking } from '../src/diagnostics/catalog/checking.ts';
import { syntax } from '../src/diagnostics/catalog/syntax.ts';
import { types } from '../src/diagnostics/catalog/types.ts';
import type { Code } from '../src/diagnostics/catalog.ts';
import { checkFile, fileOf, programs } from './checking.ts';

const architectures = programs().filter((name) => name.startsWith('zoo/'));

for (const name of programs().filter((one) => !architectures.includes(one))) {
  test(name, () => {
    const { path, text, program } = fileOf(name);
    const said = commented(checkFile(name).rendered);
    if (process.env['UPDATE']) writeFileSync(path, program + said);
    else expect(text).toBe(program + said);
  });
}

for (const name of architectures) {
  test(`${name} is without fault, and formatted`, () => {
    const { text } = fileOf(name);
    expect(checkFile(name).rendered).toBe('');
    expect(format(text, name)).toEqual({ text, faults: [] });
  });
}

/** Codes that no program in this folder shows. */
const shownElsewhere: Partial<Record<Code, string>> = {
  'file-not-found': 'there is no file, so no program',
  'file-too-long': 'made in check-limits.test.ts',
  'imports-too-deep': 'made in check-limits.test.ts',
  'layers-too-deep': 'made in check-limits.test.ts',
  'graph-too-large': 'made in check-limits.test.ts',
  'axis-is-not-one': 'no program drops an axis; imported graphs do',
  'gain-does-not-fit': 'norms are written with other ops; passes that recognise them make the op',
};

test('every code of the language is shown by some program', () => {
  const shown = new Set<string>(programs().flatMap((name) => checkFile(name).diagnostics.map((one) => one.code)));
  const codes = Object.keys({ ...syntax, ...checking, ...types });
  expect(codes.filter((code) => !shown.has(code)).sort()).toEqual(Object.keys(shownElsewhere).sort());
  expect([...shown].length).toBeGreaterThan(140);
});

/** The reports as the comment at the end of a program, an empty line before it. */
function commented(rendered: string): string {
  return rendered === ''
    ? ''
    : `\n${rendered
        .split('\n')
        .map((line) => `// ${line}`.trimEnd())
        .join('\n')}\n`;
}
