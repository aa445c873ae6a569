/** Broken programs and, in the comment that ends each, exactly what is said of it and what of it is still read. */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Body, Forward, Item } from '../grammar/ast.ts';
import type { Fault } from '../grammar/faults.ts';
import { parse } from '../grammar/parse.ts';
import { placeOf } from '../grammar/span.ts';

const folder = new URL('syntax/', import.meta.url);

for (const file of readdirSync(folder)) {
  test(file, () => {
    const url = new URL(file, folder);
    const text = readFileSync(url, 'utf8');
    const program = text.replace(/(?:^\/\/(?!\/).*\n)+$/m, '');
    const { ast, faults } = parse(program, file);
    const said = [...faults.flatMap((fault) => describe(fault, program)), `reads ${ast.items.map(outline).join(', ') || 'nothing'}`].map((line) => `// ${line}\n`).join('');
    if (process.env['UPDATE']) writeFileSync(url, program + said);
    else expect(text).toBe(program + said);
  });
}

function describe({ code, span, found, expected, cause }: Fault, text: string): readonly string[] {
  const at = (offset: number): string => {
    const { line, column } = placeOf(text, offset);
    return `${line}:${column}`;
  };
  const wanted = expected.length > 0 ? `, expected ${expected.join(' or ')}` : '';
  const first = `${code} ${at(span.start)}-${at(span.end)} found ${found === '' ? 'the end' : found}${wanted}`;
  return cause ? [first, `  ${at(cause.span.start)} ${cause.text}`] : [first];
}

function outline(item: Item): string {
  switch (item.kind) {
    case 'import':
    case 'dim':
      return `${item.kind} ${item.names.map((name) => name.text).join(' ')}`;
    case 'param':
      return `param ${item.name.text}`;
    case 'layer':
      return `layer ${item.name.text}(${item.formals.map((formal) => formal.name.text).join(' ')}) { ${members(item.body)} }`;
    case 'model':
      return item.what.kind === 'defined'
        ? `model ${item.name.text} { ${members(item.what.body)} }`
        : `model ${item.name.text} { ${item.what.derivations.map((one) => `${one.pass.text}(${one.settings.settings.map((setting) => setting.name.text).join(' ')})`).join(' ')} }`;
    case 'train':
      return `train ${item.name.text} { ${[...item.settings.map((setting) => setting.name.text), forward(item.forward)].join(' ')} }`;
  }
}

function members(body: Body): string {
  const names = body.members.flatMap((member) => (member.kind === 'require' ? ['require'] : member.kind === 'part' ? [member.name.text] : member.names.map((name) => name.text)));
  const bindings = (body.weights?.bindings ?? []).map((binding) => `${binding.targets.map((target) => target.head.text).join('+')}<-`);
  return [...names, forward(body.forward), ...bindings].join(' ');
}

function forward({ formals, statements, returns }: Forward): string {
  const targets = statements.flatMap((statement) => statement.targets.map((target) => target.text));
  return `forward(${[...formals.map((formal) => formal.name.text), ...targets, `return ${returns.length}`].join(' ')})`;
}
