/** Who may import whom, who may touch the file system, and who may use which package. */

import { posix } from 'node:path';
import { type SourceFile, SyntaxKind } from 'ts-morph';
import { expect, test } from 'vitest';
import { sourcesIn, treesOf } from './sources.ts';

/** Layers from left to right: each imports only what stands further left, or what lies in its own folder. */
const layers: readonly (readonly string[])[] = [
  ['grammar'],
  ['diagnostics'],
  ['graph'],
  ['ops'],
  ['weights'],
  ['onnx', 'passes'],
  ['model'],
  ['targets'],
  ['run'],
  ['inspect', 'client'],
  ['index', 'cli', 'lsp'],
];

/** Packages that one layer alone may use. */
const packages: Readonly<Record<string, string>> = {
  chevrotain: 'grammar',
  'onnx-proto': 'onnx',
  protobufjs: 'onnx',
  'onnxruntime-node': 'run',
  '@huggingface/tokenizers': 'run',
  '@huggingface/jinja': 'run',
  'ts-morph': 'client',
  commander: 'cli',
};

/** Layers and files that may touch the file system. Of the grammar, `generate.ts` is run by hand, and `chevrotain.ts` asks whether a file of a package is there. */
const onDisk = ['cli', 'weights', 'run', 'client', 'src/onnx/external-data.ts', 'grammar/generate.ts', 'grammar/chevrotain.ts'];

const trees = treesOf(sourcesIn(['grammar', 'src'], ['.ts']));

/** `src/passes/x.ts` → `passes`, `grammar/parser.ts` → `grammar`, `src/index.ts` → `index`. */
function layerOf(path: string): string {
  const [top = '', second = ''] = path.split('/');
  return top === 'src' ? second.replace(/\.ts$/, '') : top;
}

/** Every module a file names: imports, re-exports, `import()` as a value or a type, and URLs of workers beside it. */
function modulesOf(file: SourceFile): readonly string[] {
  const stated = [...file.getImportDeclarations(), ...file.getExportDeclarations()].flatMap((one) => one.getModuleSpecifierValue() ?? []);
  const called = file.getDescendantsOfKind(SyntaxKind.CallExpression).filter((call) => call.getExpression().getKind() === SyntaxKind.ImportKeyword);
  const asked = called.flatMap((call) => call.getArguments()[0]?.asKind(SyntaxKind.StringLiteral)?.getLiteralValue() ?? []);
  const typed = file.getDescendantsOfKind(SyntaxKind.ImportType).map((one) => one.getArgument().getText().slice(1, -1));
  return [...stated, ...asked, ...typed];
}

const imports = [...trees].flatMap(([path, tree]) => modulesOf(tree).map((module) => ({ path, module })));
const local = imports.filter(({ module }) => module.startsWith('.')).map(({ path, module }) => ({ path, to: posix.join(posix.dirname(path), module) }));
const rank = (layer: string): number => layers.findIndex((group) => group.includes(layer));

test('there is something to look at', () => {
  expect(local.length).toBeGreaterThan(100);
  expect(
    modulesOf(
      treesOf([{ path: 'a.ts', text: "import 'a'; export * from 'b'; const x = await import('c'); type X = import('d').X; import type { Y } from 'e';" }]).get(
        'a.ts',
      ) as SourceFile,
    ),
  ).toEqual(['a', 'e', 'b', 'c', 'd']);
});

test('every folder of src has its place among the layers', () => {
  expect([...new Set([...trees.keys()].map(layerOf))].filter((layer) => rank(layer) < 0)).toEqual([]);
});

test('a layer imports only what stands to its left', () => {
  const wrong = local.filter(({ path, to }) => layerOf(path) !== layerOf(to) && rank(layerOf(to)) >= rank(layerOf(path)));
  expect(wrong.map(({ path, to }) => `${path} imports ${to}`)).toEqual([]);
});

test('local imports spell the file that is there', () => {
  expect(local.filter(({ to }) => !trees.has(to)).map(({ path, to }) => `${path} imports ${to}`)).toEqual([]);
});

test('a package is used by its layer alone', () => {
  const used = imports.flatMap(({ path, module }) => {
    const name = module.startsWith('@') ? module.split('/').slice(0, 2).join('/') : (module.split('/')[0] ?? '');
    const owner = packages[name];
    const known = module.startsWith('.') || module.startsWith('node:') || owner !== undefined;
    return !known ? [`${path} imports ${module}, which has no layer`] : owner !== undefined && owner !== layerOf(path) ? [`${path} imports ${module}`] : [];
  });
  expect(used).toEqual([]);
});

test('only some layers touch the file system', () => {
  const wrong = imports.filter(({ path, module }) => /^(node:)?fs(\/|$)/.test(module) && !onDisk.includes(layerOf(path)) && !onDisk.includes(path));
  expect(wrong.map(({ path }) => path)).toEqual([]);
});

test('only the command line prints and exits', () => {
  const speaks = /\bconsole\s*\.|\bprocess\s*\.\s*(exit|exitCode|stdout|stderr)\b/;
  const wrong = [...trees].filter(
    ([path, tree]) =>
      layerOf(path) !== 'cli' && path !== 'grammar/generate.ts' && tree.getDescendantsOfKind(SyntaxKind.PropertyAccessExpression).some((access) => speaks.test(access.getText())),
  );
  expect(wrong.map(([path]) => path)).toEqual([]);
});

/** What is loaded with a file before anything is called: its files, and the packages these name. */
function loadedWith(start: string): { readonly files: readonly string[]; readonly packages: readonly string[] } {
  const files = new Set([start]);
  const named = new Set<string>();
  for (const path of files) {
    const tree = trees.get(path);
    const stated = tree ? [...tree.getImportDeclarations().filter((one) => !one.isTypeOnly()), ...tree.getExportDeclarations().filter((one) => !one.isTypeOnly())] : [];
    for (const module of stated.flatMap((one) => one.getModuleSpecifierValue() ?? [])) {
      if (module.startsWith('.')) files.add(posix.join(posix.dirname(path), module));
      else if (!module.startsWith('node:')) named.add(module);
    }
  }
  return { files: [...files], packages: [...named].sort() };
}

test('the command line starts with nothing but itself and the words of diagnostics', () => {
  const { files, packages } = loadedWith('src/cli/main.ts');
  expect(packages).toEqual(['commander']);
  // The names of lowerings, for the help of an option; the file loads nothing else.
  expect(files.filter((path) => !['cli', 'diagnostics'].includes(layerOf(path)))).toEqual(['src/targets/target.ts']);
});

test('checking loads no runtime, no ONNX and no TypeScript', () => {
  const { files, packages } = loadedWith('src/model/index.ts');
  expect(files.filter((path) => !trees.has(path))).toEqual([]);
  expect(packages).toEqual([]);
  expect([...new Set(files.map(layerOf))].filter((layer) => rank(layer) > rank('model') || layer === 'onnx')).toEqual([]);
});
