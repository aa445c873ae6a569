/** How an op is written in the language, for `moec ops` and the reference. */

import type { AttrSpec, Op } from '../graph/op.ts';

/** How it is called: `softmax(x, axis: -1)`; `?` marks what may be left out, brackets what only the compiler uses. */
export function signature(op: Op): string {
  const inputs = op.inputs.map((port) => (port.endsWith('*') ? `[${port.slice(0, -1)}, …]` : port));
  const settings = Object.entries(op.attrs)
    .filter(([name]) => op.call === null || name !== 'path')
    .map(([name, spec]) => setting(name, spec));
  const call = `${op.call ?? op.name}(${[...inputs, ...settings].join(', ')})`;
  return op.call === null ? `[${call}]` : call;
}

function setting(name: string, spec: AttrSpec): string {
  const written = spellDefault(spec);
  if (written !== undefined) return `${name}: ${written}`;
  return spec.optional || spec.default !== undefined ? `${name}?` : name;
}

/** The default as an author would write it; undefined where there is none to write. */
export function spellDefault({ default: given }: AttrSpec): string | undefined {
  if (given === Number.POSITIVE_INFINITY) return 'inf';
  if (given === Number.NEGATIVE_INFINITY) return '-inf';
  const simple = ['number', 'string', 'boolean'].includes(typeof given) || Array.isArray(given);
  return simple ? JSON.stringify(given) : undefined;
}

/** The first sentence of a description. */
export function firstSentence(doc: string): string {
  return /^.*?[.](?=\s|$)/s.exec(doc)?.[0] ?? doc;
}
