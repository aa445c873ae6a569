/** How large files are, how they are called, and what never stands in one. */

import { SyntaxKind } from 'ts-morph';
import { expect, test } from 'vitest';
import { sourcesIn, treesOf } from './sources.ts';

const most = 400;

/** Files that are longer, each with its reason. */
const excused: Readonly<Record<string, string>> = {
  'grammar/cst.d.ts': 'generated from the parser',
};

const house = sourcesIn(['grammar', 'src']);
const all = [...house, ...sourcesIn(['test', '.package', '.ci'])];
const lines = (text: string): number => text.trimEnd().split('\n').length;

test(`no file has more than ${most} lines without a reason`, () => {
  expect(all.filter(({ path, text }) => lines(text) > most && !(path in excused)).map(({ path, text }) => `${path} has ${lines(text)}`)).toEqual([]);
});

test('no reason is kept longer than its file is long', () => {
  const known = new Map(all.map(({ path, text }) => [path, lines(text)]));
  expect(Object.keys(excused).filter((path) => path !== 'grammar/cst.d.ts' && (known.get(path) ?? 0) <= most)).toEqual([]);
});

test('half of the files have fewer than 150 lines', () => {
  const counts = house.map(({ text }) => lines(text)).sort((a, b) => a - b);
  expect(counts[counts.length >> 1]).toBeLessThan(150);
});

test('files are named in kebab-case for what they hold', () => {
  const named = /^[a-z][a-z0-9]*(-[a-z0-9]+)*(\.test|\.d|\.config)?\.(ts|mjs)$/;
  const empty = /(^|[-/])(utils?|helpers?|common|misc|stuff)([-./]|$)/;
  expect(all.filter(({ path }) => !named.test(path.split('/').at(-1) ?? '') || empty.test(path)).map(({ path }) => path)).toEqual([]);
});

test('a file opens with what it is', () => {
  const opens = (text: string): boolean => /^(#!.*\n)?\/\*\*\s*\*?\s*\S[\s\S]*?\*\//.test(text);
  expect(house.filter(({ path, text }) => !(path in excused) && !opens(text)).map(({ path }) => path)).toEqual([]);
});

test('nothing is `any`, and there are no enums', () => {
  const trees = treesOf(all);
  const found = [...trees].flatMap(([path, tree]) =>
    [...tree.getDescendantsOfKind(SyntaxKind.AnyKeyword), ...tree.getDescendantsOfKind(SyntaxKind.EnumDeclaration)].map((node) => `${path}:${node.getStartLineNumber()}`),
  );
  expect(found).toEqual([]);
});

/** Tables whose lines say what they are by their names, and messages that are described where they come from. */
const plain = /^src\/onnx\/messages\.ts$|^grammar\/tokens\.ts$|^src\/diagnostics\/catalog\//;

test('every exported name says what it is', () => {
  const trees = treesOf(house.filter(({ path }) => !(path in excused) && !plain.test(path)));
  const bare = [...trees].flatMap(([path, tree]) =>
    tree.getStatements().flatMap((statement) => {
      const text = statement.getText();
      const documented = statement.getLeadingCommentRanges().some((comment) => comment.getText().startsWith('/**'));
      // Ops, passes and targets say it to users, as `doc` or `summary`.
      const declares = /^export (async )?(function|const|class|interface|type (?!\{))/.test(text) && !/\b(doc|summary):\s|^export const \w+ = logical\(/.test(text);
      return declares && !documented ? [`${path}: ${text.split('\n')[0]?.slice(0, 80)}`] : [];
    }),
  );
  expect(bare).toEqual([]);
});
