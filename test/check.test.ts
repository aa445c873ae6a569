/** Programs and, in the comment that ends each, exactly what moec says of it; without a comment nothing is said. */

import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { format } from '../grammar/print.ts';
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

/** The reports as the comment at the end of a program, an empty line before it. */
function commented(rendered: string): string {
  return rendered === ''
    ? ''
    : `\n${rendered
        .split('\n')
        .map((line) => `// ${line}`.trimEnd())
        .join('\n')}\n`;
}
