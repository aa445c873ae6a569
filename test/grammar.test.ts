/** The grammar as a whole: that two tokens decide, that real models parse, that no text can break it, that what is generated is up to date. */

import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { ISerializedGast } from 'chevrotain';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { File } from '../grammar/ast.ts';
import { createToken } from '../grammar/chevrotain.ts';
import { conflicts } from '../grammar/conflicts.ts';
import { artefacts } from '../grammar/generate.ts';
import { parse } from '../grammar/parse.ts';
import { MoeParser } from '../grammar/parser.ts';
import { format } from '../grammar/print.ts';
import { reservedWords, softWords, tokenTypes, vocabulary } from '../grammar/tokens.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const moeFiles = (folder: string): readonly string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.moe'))
    .map((name) => `${folder}/${name}`);
const models = [...moeFiles(`${root}/models`), ...moeFiles(`${root}/test/check/zoo`)];

/** The AST without its spans. */
const meaning = (ast: File): unknown => JSON.parse(JSON.stringify(ast, (key, value: unknown) => (/^(?:span|operatorSpan|returnSpan)$/.test(key) ? undefined : value)));

test('two tokens decide everywhere', () => {
  expect(conflicts(new MoeParser().getSerializedGastProductions(), vocabulary, 'file')).toEqual([]);
});

const A = createToken({ name: 'A', pattern: 'a' });
const B = createToken({ name: 'B', pattern: 'b', categories: [A] });
const terminal = (name: string): ISerializedGast => ({ type: 'Terminal', name, label: name, idx: 0 }) as ISerializedGast;
const production = (type: string, ...definition: readonly ISerializedGast[]): ISerializedGast => ({ type, idx: 0, definition }) as unknown as ISerializedGast;
const rule = (name: string, ...definition: readonly ISerializedGast[]): ISerializedGast => ({ type: 'Rule', name, orgText: '', definition }) as unknown as ISerializedGast;

test.each([
  ['an option that eats what follows it', [rule('start', production('Option', terminal('A')), terminal('A'), terminal('B'))], 'Option'],
  ['a repetition that cannot stop', [rule('start', production('Repetition', terminal('A')), terminal('A'), terminal('A'))], 'Repetition'],
  [
    'alternatives with the same two tokens',
    [rule('start', production('Alternation', production('Alternative', terminal('A'), terminal('A')), production('Alternative', terminal('A'), terminal('B'))))],
    'Alternation',
  ],
  [
    'an option against what follows the rule it is in',
    [
      rule('start', { type: 'NonTerminal', name: 'inner', idx: 0 } as ISerializedGast, terminal('A'), terminal('A')),
      rule('inner', production('Option', terminal('B'), terminal('B'))),
    ],
    'Option',
  ],
])('the search for conflicts finds %s', (_, grammar, type) => {
  expect(conflicts(grammar, [A, B], 'start')).toEqual([expect.stringContaining(`${type} cannot decide`)]);
});

test('the search for conflicts is content with what two tokens decide', () => {
  const c = createToken({ name: 'C', pattern: 'c' });
  expect(conflicts([rule('start', production('Option', terminal('A'), terminal('A')), terminal('A'), terminal('C'))], [A, B, c], 'start')).toEqual([]);
});

test('the generator finds nothing wrong with the grammar', () => {
  expect(() => new MoeParser({ skipValidations: false })).not.toThrow();
});

const generated = artefacts();

test.each([...generated])('%s is up to date (npm run generate)', (name, text) => {
  expect(readFileSync(`${root}/grammar/${name}`, 'utf8')).toBe(text);
});

test('the railroad page needs no network', () => {
  const page = generated.get('railroad.html') ?? '';
  expect(page).toContain('drawDiagramsFromSerializedGrammar');
  expect(page.match(/<(?:script|link|img)[^>]*(?:src|href)=/g)).toBeNull();
});

test('the TextMate grammar knows every word', () => {
  const { patterns } = JSON.parse(generated.get('moe.tmLanguage.json') ?? '{}') as { patterns: readonly { match?: string; begin?: string }[] };
  const words = tokenTypes.map((token) => token.PATTERN).filter((pattern): pattern is string => typeof pattern === 'string');
  for (const word of words.filter((one) => /^[a-z]/.test(one)))
    expect(
      patterns.some(({ match }) => match && new RegExp(match).test(`${word} x`)),
      word,
    ).toBe(true);
});

test.each(models.map((path) => [path.slice(root.length), path]))('%s parses', (_, path) => {
  expect(parse(readFileSync(path, 'utf8'), path).faults).toEqual([]);
});

/** How an example that is not a file of its own becomes one. */
const wrappers: Readonly<Record<string, (text: string) => string>> = {
  '': (text) => text,
  'fragment-item': (text) => text,
  'fragment-member': (text) => (/^ *forward\(/m.test(text) ? `layer Example() {\n${text}}\n` : `layer Example() {\n${text}  forward() -> f32[] { return 0.0 }\n}\n`),
  'fragment-statement': (text) => `layer Example() {\n  forward() -> f32[] {\n${text}    return 0.0\n  }\n}\n`,
  'fragment-binding': (text) => `layer Example() {\n  forward() -> f32[] { return 0.0 }\n  weights {\n${text}  }\n}\n`,
};

test('every example of LANGUAGE.md parses', () => {
  const examples = [...readFileSync(`${root}/grammar/LANGUAGE.md`, 'utf8').matchAll(/^```(\S*) ?(.*)\n([\s\S]*?)^```$/gm)];
  expect(examples.length).toBeGreaterThan(20);
  for (const [, language, kind = '', text = ''] of examples) {
    expect(language).toBe('moe');
    const wrap = wrappers[kind];
    if (!wrap) throw new Error(`an example is marked ${kind}`);
    expect(parse(wrap(text), 'LANGUAGE.md').faults, text).toEqual([]);
  }
});

test('LANGUAGE.md names every word and every link leads somewhere', () => {
  const page = readFileSync(`${root}/grammar/LANGUAGE.md`, 'utf8');
  for (const word of [...reservedWords, ...softWords]) expect(page).toContain(`\`${word.PATTERN}\``);
  const headings = [...page.matchAll(/^## (.*)$/gm)].map(([, heading = '']) => heading.toLowerCase().replaceAll(' ', '-'));
  for (const [, target] of page.matchAll(/\]\(#([^)]*)\)/g)) expect(headings).toContain(target);
});

test('documentation is what stands right above a declaration', () => {
  const { ast } = parse(
    '/// Of the file.\n\n/// Two\n/// lines.\ndim B\nparam D = 3 /// after it\nparam H = 4\n// plain\nlayer A() {\n  /// The gain.\n  weight g: [D]\n  forward() -> [] { return 1 } }',
    'x',
  );
  expect(ast.items.map((item) => ('doc' in item ? item.doc : undefined))).toEqual(['Two\nlines.', undefined, undefined, undefined]);
  const layer = ast.items[3];
  expect(layer?.kind === 'layer' && layer.body.members[0]?.kind === 'weight' && layer.body.members[0].doc).toBe('The gain.');
});

test('operators bind as in arithmetic, to the left', () => {
  const shape = (text: string): unknown => JSON.parse(JSON.stringify(meaning(parse(`param x = ${text}`, 'x').ast))).items[0].value;
  expect(shape('a - b - c')).toMatchObject({ kind: 'binary', operator: '-', left: { kind: 'binary', operator: '-' }, right: { kind: 'name', text: 'c' } });
  expect(shape('a + b * c')).toMatchObject({ operator: '+', right: { operator: '*' } });
  expect(shape('-a.T @ b')).toMatchObject({ operator: '@', left: { kind: 'negate', operand: { kind: 'member' } } });
  expect(shape('a + b == c * d')).toMatchObject({ operator: '==', left: { operator: '+' }, right: { operator: '*' } });
  expect(shape('a - (b - c)')).toMatchObject({ left: { text: 'a' }, right: { kind: 'paren', inner: { operator: '-' } } });
});

/** Where every node of a tree lies. */
function spans(node: unknown): readonly { readonly start: number; readonly end: number }[] {
  if (Array.isArray(node)) return node.flatMap(spans);
  if (typeof node !== 'object' || node === null) return [];
  const own = 'start' in node && 'end' in node ? [node as { start: number; end: number }] : [];
  return [...own, ...Object.values(node).flatMap(spans)];
}

/** Reads and formats a text; whatever it is, nothing throws and every span lies inside it. */
function survives(text: string): void {
  const parsed = parse(text, 'x.moe');
  for (const { start, end } of spans([parsed.ast, parsed.faults, parsed.comments])) {
    if (!(0 <= start && start <= end && end <= text.length)) throw new Error(`a span of ${start} to ${end} in ${text.length} characters: ${JSON.stringify(text)}`);
  }
  const formatted = format(text, 'x.moe');
  if (parsed.faults.length > 0) {
    expect(formatted.text).toBe(text);
    return;
  }
  const again = parse(formatted.text, 'x.moe');
  expect(again.faults).toEqual([]);
  expect(meaning(again.ast)).toEqual(meaning(parsed.ast));
  const words = (comments: typeof parsed.comments): readonly string[] => comments.map((one) => one.text.replace(/^\/+/, '')).sort();
  expect(words(again.comments)).toEqual(words(parsed.comments));
  expect(format(formatted.text, 'x.moe').text).toBe(formatted.text);
}

const seeds = models.map((path) => readFileSync(path, 'utf8'));
const images = [...tokenTypes.flatMap((token) => (typeof token.PATTERN === 'string' ? [token.PATTERN] : [])), 'x', 'y', 'B', '3', '1e-5', '"s"', '// c\n', '/// d\n', '\n', '\n\n'];

test('any text', () => {
  fc.assert(fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.string({ maxLength: 200 })), survives), { numRuns: 400, seed: 1 });
});

test('any row of tokens', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...images), { maxLength: 60 }), fc.constantFrom(' ', ''), (tokens, between) => survives(tokens.join(between))),
    { numRuns: 400, seed: 2 },
  );
});

test('models with pieces cut out, doubled or moved', () => {
  const edit = fc.record({ at: fc.nat(), length: fc.nat({ max: 40 }), insert: fc.oneof(fc.constant(''), fc.constantFrom(...images), fc.string({ maxLength: 5 })) });
  const model = fc.constantFrom(...seeds);
  fc.assert(
    fc.property(model, fc.array(edit, { minLength: 1, maxLength: 4 }), (text, edits) => {
      survives(edits.reduce((now, { at, length, insert }) => now.slice(0, at % (now.length + 1)) + insert + now.slice((at % (now.length + 1)) + length), text));
    }),
    { numRuns: 100, seed: 3 },
  );
});

test('models with comments and line breaks anywhere between two words', () => {
  const gap = fc.constantFrom('// c\n', '\n// c\n', '/// d\n', '\n/// d\n', '\n', '\n\n\n');
  fc.assert(
    fc.property(fc.constantFrom(...seeds), fc.array(fc.record({ at: fc.nat(), gap }), { minLength: 1, maxLength: 6 }), (text, gaps) => {
      const places = [...text.matchAll(/(?<=[\])},:=]|\w) (?=[^/])/g)]
        .map((match) => match.index)
        .filter((at) => !/\/\/|"[^"]*$/.test(text.slice(text.lastIndexOf('\n', at) + 1, at)));
      const chosen = [...new Set(gaps.map(({ at }) => places[at % places.length] ?? 0))].sort((a, b) => b - a);
      survives(chosen.reduce((now, at, i) => `${now.slice(0, at)} ${gaps[i]?.gap ?? ''}${now.slice(at)}`, text));
    }),
    { numRuns: 80, seed: 4 },
  );
});

test.each([
  ['open brackets', '('.repeat(100_000), 'nesting-too-deep'],
  ['brackets, closed', `param a = ${'['.repeat(100_000)}${']'.repeat(100_000)}`, 'nesting-too-deep'],
  ['calls', `param a = ${'f('.repeat(100_000)}`, 'nesting-too-deep'],
  ['operators', `param a = 1${' + 1'.repeat(20_000)}`, 'nesting-too-deep'],
  ['repeats', `layer A() { a = ${'repeat 1 of '.repeat(20_000)}B() forward() -> [] { return 1 } }`, 'nesting-too-deep'],
  ['suffixes', `param a = b${'.c'.repeat(20_000)}`, 'nesting-too-deep'],
  ['a million tokens', 'a '.repeat(1_000_000), 'file-too-long'],
  ['a million signs', ','.repeat(1_000_000), 'file-too-long'],
  ['as many tokens as are read', '= '.repeat(49_999), 'unexpected-token'],
  ['thousands of broken layers', 'layer A() { forward( }} b '.repeat(4_500), 'unclosed-bracket'],
])('%s: a fault, and soon', (_, text, code) => {
  const start = process.cpuUsage();
  const { faults } = parse(text, 'x.moe');
  expect(faults[0]?.code).toBe(code);
  expect(faults.length).toBeLessThanOrEqual(100);
  expect(format(text, 'x.moe').text).toBe(text);
  expect(milliseconds(start)).toBeLessThan(2_000);
});

test('what is just within the limits is read', () => {
  const deep = (depth: number): string => `param a = ${'f(['.repeat(depth / 2)}1${'])'.repeat(depth / 2)}`;
  expect(parse(deep(196), 'x').faults).toEqual([]);
  expect(format(deep(196), 'x').faults).toEqual([]);
  expect(parse(deep(210), 'x').faults.map((fault) => fault.code)).toEqual(['nesting-too-deep']);
  survives(`param a = 1${' + 1'.repeat(900)}`);
});

test('a file of 300 lines takes a few milliseconds', () => {
  const model = seeds.reduce((longest, text) => (text.length > longest.length ? text : longest), '');
  const text = model.repeat(Math.ceil(300 / model.split('\n').length));
  const times = Array.from({ length: 10 }, () => {
    const start = process.cpuUsage();
    parse(text, 'x.moe');
    return milliseconds(start);
  }).sort((a, b) => a - b);
  expect(times[5]).toBeLessThan(60);
});

/** Processor time since `start`: what other processes take does not count. */
function milliseconds(start: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
}
