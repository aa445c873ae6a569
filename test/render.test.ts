/** Reports as people and as programs get them, with their exact text. */

import { expect, test } from 'vitest';
import type { Diagnostic, Label } from '../src/diagnostics/diagnostic.ts';
import { diagnosticsJson } from '../src/diagnostics/json.ts';
import { countOf, renderDiagnostic, renderDiagnostics } from '../src/diagnostics/render.ts';

/** A label on the n-th occurrence of `what` in a file's text. */
function label(files: Readonly<Record<string, string>>, file: string, what: string, text = '', nth = 0): Label {
  const source = files[file] ?? '';
  let start = source.indexOf(what);
  for (let i = 0; i < nth; i++) start = source.indexOf(what, start + 1);
  expect(start).toBeGreaterThanOrEqual(0);
  return { span: { file, start, end: start + what.length }, text };
}

function report(parts: Partial<Diagnostic> & { readonly message: string }): Diagnostic {
  return { code: 'unexpected-token', severity: 'error', related: [], notes: [], fixes: [], ...parts };
}

const shown = (diagnostic: Diagnostic, files: Readonly<Record<string, string>>, options: Parameters<typeof renderDiagnostic>[2] = {}): string =>
  `\n${renderDiagnostic(diagnostic, (file) => files[file], options)}\n`;

test('the fault, its cause in the same file, where it was made and what to do', () => {
  const files = {
    'std/layers.moe': `${'\n'.repeat(53)}  weight gate: [D, H]\n  weight down: [D, H]\n  forward(x: [.., D]) -> [.., D] { return (silu(x @ gate) * (x @ up)) @ down }\n`,
  };
  const fault = report({
    message: 'cannot multiply [.., H] by [D, H]',
    at: label(files, 'std/layers.moe', '(silu(x @ gate) * (x @ up))', 'ends in H = 1536'),
    related: [label(files, 'std/layers.moe', 'D', 'begins with D = 576', 1)],
    notes: ['in ffn = SwiGLU(D, H), models/smollm2.moe:15'],
    fixes: [{ text: 'declare `weight down: [H, D]`' }],
  });
  expect(shown(fault, files)).toBe(`
error[unexpected-token]: cannot multiply [.., H] by [D, H]
  ╭─ std/layers.moe:56:43
56│   forward(x: [.., D]) -> [.., D] { return (silu(x @ gate) * (x @ up)) @ down }
  │                                           ^^^^^^^^^^^^^^^^^^^^^^^^^^^ ends in H = 1536
55│   weight down: [D, H]
  │                 ^ begins with D = 576
  = in  ffn = SwiGLU(D, H), models/smollm2.moe:15
  = fix declare \`weight down: [H, D]\`
`);
});

test('a fault without a place is its message, notes and fixes', () => {
  expect(shown(report({ message: '`k` is [576, 192]; the file has [192, 576]', fixes: [{ text: 'add `.T`' }], severity: 'warning' }), {})).toBe(`
warning[unexpected-token]: \`k\` is [576, 192]; the file has [192, 576]
  = fix add \`.T\`
`);
});

test('labels in other files follow under headings of their own', () => {
  const files = { 'a.moe': 'model A {\n  ffn = SwiGLU(D)\n}\n', 'std/layers.moe': '/// Gated.\nlayer SwiGLU(D: int, H: int) {}\n' };
  const fault = report({
    message: '`SwiGLU` takes 2 arguments',
    at: label(files, 'a.moe', 'SwiGLU(D)', 'gives 1'),
    related: [label(files, 'std/layers.moe', 'H: int', 'not given'), label(files, 'a.moe', 'A', 'in this model')],
  });
  expect(shown(fault, files)).toBe(`
error[unexpected-token]: \`SwiGLU\` takes 2 arguments
  ╭─ a.moe:2:9
 2│   ffn = SwiGLU(D)
  │         ^^^^^^^^^ gives 1
 1│ model A {
  │       ^ in this model
  ├─ std/layers.moe:2:22
 2│ layer SwiGLU(D: int, H: int) {}
  │                      ^^^^^^ not given
`);
});

test('two labels on one line stand under it one after the other', () => {
  const files = { 'a.moe': 'y = a + b' };
  expect(shown(report({ message: 'no', at: label(files, 'a.moe', '+'), related: [label(files, 'a.moe', 'a', '[2]'), label(files, 'a.moe', 'b', '[3]')] }), files)).toBe(`
error[unexpected-token]: no
  ╭─ a.moe:1:7
 1│ y = a + b
  │       ^
  │     ^ [2]
  │         ^ [3]
`);
});

test('tabs and wide characters keep carets under what they mark', () => {
  const files = { 'a.moe': '\tx = "日本" + 𝛼e\u0301 ! z', 'b.moe': '\tx = 1\t+ y' };
  expect(shown(report({ message: 'no', at: label(files, 'a.moe', '!', 'here'), related: [label(files, 'b.moe', '+', 'there')] }), files)).toBe(`
error[unexpected-token]: no
  ╭─ a.moe:1:18
 1│     x = "日本" + 𝛼e\u0301 ! z
  │                     ^ here
  ├─ b.moe:1:8
 1│     x = 1   + y
  │             ^ there
`);
});

test('a stretch of several lines shows its first and its last', () => {
  const files = { 'a.moe': 'layer A() {\n  weight w: [D]\n  forward(x: [D]) -> [D] {\n    return x\n  }\n}\n' };
  const long = report({ message: 'no', at: label(files, 'a.moe', (files['a.moe'] ?? '').slice(6), 'never used') });
  expect(shown(long, files)).toBe(`
error[unexpected-token]: no
  ╭─ a.moe:1:7
 1│ layer A() {
  │       ^^^^^
  ┆
 6│ }
  │ ^ never used
`);
  expect(shown(report({ message: 'no', at: label(files, 'a.moe', 'x\n  }', 'two') }), files)).toBe(`
error[unexpected-token]: no
  ╭─ a.moe:4:12
 4│     return x
  │            ^
 5│   }
  │   ^ two
`);
});

test('a long line is cut to a window around the mark', () => {
  const files = { 'a.moe': `start = ${'[a, b], '.repeat(20)}oops, ${'[c, d], '.repeat(20)}end` };
  const fault = report({
    message: 'no',
    at: label(files, 'a.moe', 'oops', 'a text that does not fit behind the mark it is for'),
    related: [label(files, 'a.moe', 'start', 'from here')],
  });
  expect(shown(fault, files, { width: 64 })).toBe(`
error[unexpected-token]: no
  ╭─ a.moe:1:169
 1│ …, b], [a, b], oops, [c, d], [c, d], [c, d], [c, d], [c, d]…
  │                ^^^^
  │           a text that does not fit behind the mark it is for
 1│ start = [a, b], [a, b], [a, b], [a, b], [a, b], [a, b], [a,…
  │ ^^^^^ from here
`);
  for (const line of shown(fault, files, { width: 64 }).split('\n')) expect(line.length).toBeLessThanOrEqual(64);
});

test('the end of the file can be marked', () => {
  const files = { 'a.moe': 'layer A() {\n' };
  expect(shown(report({ message: 'no', at: { span: { file: 'a.moe', start: 12, end: 12 }, text: 'ends here' } }), files)).toBe(`
error[unexpected-token]: no
  ╭─ a.moe:2:1
 2│
  │ ^ ends here
`);
});

test('what a terminal would obey is never sent to it', () => {
  const files = { 'a\u001b[2J.moe': 'x = "\u001b[31m\u202eabc"' };
  const fault = report({ message: 'tensor `\u001b]0;title\u0007`', at: label(files, 'a\u001b[2J.moe', 'x', '\u009b1m'), notes: ['\u001b[2J'], fixes: [{ text: '\u0008' }] });
  expect(shown(fault, files)).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
});

test('a file whose text is not at hand is named all the same', () => {
  expect(shown(report({ message: 'no', at: { span: { file: 'gone.moe', start: 3, end: 5 }, text: 'here' } }), {}, { relative: (file) => `./${file}` })).toBe(`
error[unexpected-token]: no
  ╭─ ./gone.moe
  │ here
`);
});

test('colours wrap the text and change nothing else', () => {
  const files = { 'a.moe': 'y = a + b' };
  const fault = report({ message: 'no', at: label(files, 'a.moe', '+', 'here'), related: [label(files, 'a.moe', 'a', '[2]')], notes: ['in A'] });
  const colored = shown(fault, files, { color: true });
  expect(colored).toContain('\u001b[31m^\u001b[39m');
  expect(colored).toContain('\u001b[36m[2]\u001b[39m');
  expect(colored.replace(/\u001b\[\d+m/g, '')).toBe(shown(fault, files));
});

test('several reports end in a count, in which nothing is left out', () => {
  const one = report({ message: 'a' });
  expect(countOf([one, one, report({ message: 'b', severity: 'warning' })])).toBe('2 errors, 1 warning');
  expect(countOf([report({ message: 'b', severity: 'note' })])).toBe('1 note');
  expect(renderDiagnostics([], () => undefined)).toBe('');
  expect(renderDiagnostics([one, one, one], () => undefined, { limit: 1 })).toBe('error[unexpected-token]: a\n\n3 errors, 1 shown');
});

test('as data: lines and columns from 1, offsets from 0, edits with their ranges', () => {
  const files = { 'a.moe': 'x = 1\r\nyy = 2\n' };
  const at = label(files, 'a.moe', 'yy', 'here');
  const [data] = diagnosticsJson(
    [report({ message: 'no', at, related: [label(files, 'a.moe', 'x')], notes: ['n'], fixes: [{ text: 'drop it', edit: { span: at.span, replacement: '' } }] })],
    (file) => (files['a.moe'] && file === 'a.moe' ? files['a.moe'] : undefined),
  );
  const range = { start: { offset: 7, line: 2, column: 1 }, end: { offset: 9, line: 2, column: 3 } };
  expect(data).toEqual({
    code: 'unexpected-token',
    severity: 'error',
    message: 'no',
    file: 'a.moe',
    range,
    label: 'here',
    related: [{ label: '', file: 'a.moe', range: { start: { offset: 0, line: 1, column: 1 }, end: { offset: 1, line: 1, column: 2 } } }],
    notes: ['n'],
    fixes: [{ text: 'drop it', edit: { file: 'a.moe', range, replacement: '' } }],
  });
});
