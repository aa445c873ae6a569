/** Source texts → modules: parses a file and what it imports, and says what each name of a file stands for. */

import type { Ident, ImportDecl, Item } from '../../grammar/ast.ts';
import { parse } from '../../grammar/parse.ts';
import { type Diagnostic, diagnose } from '../diagnostics/diagnostic.ts';
import { didYouMean } from '../diagnostics/suggest.ts';
import { limits } from './limits.ts';
import { type Entry, entryWords, type Module, type Program, type Reader } from './program.ts';
import { diagnoseFault } from './syntax.ts';

interface Loading {
  readonly reader: Reader;
  readonly modules: Map<string, Module>;
  readonly diagnostics: Diagnostic[];
  /** Files being loaded, outermost first. */
  readonly chain: string[];
}

/** Loads `path` and its imports. A program always comes back; what is wrong with it stands in its diagnostics. */
export function loadProgram(path: string, reader: Reader): Program {
  const loading: Loading = { reader, modules: new Map(), diagnostics: [], chain: [] };
  const text = reader.read(path);
  if (text === undefined) loading.diagnostics.push(diagnose('file-not-found', { path }));
  const root = loadModule(path, text ?? '', loading);
  let library: ReadonlyMap<string, string> | undefined;
  return { root, modules: loading.modules, diagnostics: loading.diagnostics, library: () => (library ??= layersOfLibrary(path, reader)) };
}

const libraryFiles = ['std/layers', 'std/routers'];

function layersOfLibrary(from: string, reader: Reader): ReadonlyMap<string, string> {
  return new Map(
    libraryFiles.flatMap((spec) => {
      const file = reader.resolve(from, spec);
      const text = file === undefined ? undefined : reader.read(file);
      return text === undefined ? [] : parse(text, spec).ast.items.flatMap((item) => (item.kind === 'layer' ? [[item.name.text, spec] as const] : []));
    }),
  );
}

function loadModule(file: string, text: string, loading: Loading): Module {
  const { ast, faults } = parse(text, file);
  loading.diagnostics.push(...faults.map(diagnoseFault));
  const names = new Map<string, Entry>();
  const module: Module = { file, text, ast, names };
  loading.modules.set(file, module);
  loading.chain.push(file);
  for (const item of ast.items) {
    for (const entry of item.kind === 'import' ? importNames(item, file, loading) : declare(item, module)) add(entry, names, loading);
  }
  loading.chain.pop();
  return module;
}

function declare(item: Exclude<Item, ImportDecl>, module: Module): readonly Entry[] {
  switch (item.kind) {
    case 'dim':
      return item.names.map((name) => ({ kind: 'dim', name, decl: item, module }));
    case 'param':
      return [{ kind: 'param', name: item.name, decl: item, module }];
    case 'layer':
      return [{ kind: 'layer', name: item.name, decl: item, module }];
    case 'model':
      return [{ kind: 'model', name: item.name, decl: item, module }];
    case 'train':
      return [{ kind: 'train', name: item.name, decl: item, module }];
  }
}

const builtin = new Set(['inf', 'pi', 'new']);

function add(entry: Entry, names: Map<string, Entry>, loading: Loading): void {
  const { text, span } = entry.name;
  const other = names.get(text);
  if (builtin.has(text)) {
    loading.diagnostics.push(diagnose('name-is-built-in', { name: text }, { at: span }));
  } else if (other) {
    loading.diagnostics.push(
      diagnose(
        'name-taken',
        { name: text, what: entryWords[other.kind] },
        { at: span, related: [{ span: other.name.span, text: 'declared here first' }], fixes: [{ text: 'give one of them another name' }] },
      ),
    );
  } else {
    names.set(text, entry);
  }
}

function importNames(item: ImportDecl, from: string, loading: Loading): readonly Entry[] {
  const target = importedModule(item, from, loading);
  return item.names.map((name): Entry => {
    if (!target) return { kind: 'broken', name };
    const found = target.names.get(name.text);
    if (found && found.kind !== 'broken') return { ...found, name };
    if (!found && !parsedBadly(target, loading)) reportMissing(name, item, target, loading);
    return { kind: 'broken', name };
  });
}

function reportMissing(name: Ident, item: ImportDecl, target: Module, loading: Loading): void {
  const known = [...target.names.values()].filter(({ kind }) => kind === 'layer' || kind === 'model').map((one) => one.name.text);
  const fixes = didYouMean(name.text, known);
  loading.diagnostics.push(
    diagnose(
      'import-missing-name',
      { from: item.from.value, name: name.text },
      {
        at: name.span,
        fixes,
        notes: fixes.length === 0 && known.length > 0 && known.length <= 24 ? [`it declares ${known.join(', ')}`] : [],
      },
    ),
  );
}

const parsedBadly = (module: Module, loading: Loading): boolean => loading.diagnostics.some((one) => one.severity === 'error' && one.at?.span.file === module.file);

function importedModule(item: ImportDecl, from: string, loading: Loading): Module | undefined {
  const spec = item.from.value;
  const report = (diagnostic: Diagnostic): undefined => void loading.diagnostics.push(diagnostic);
  const path = loading.reader.resolve(from, spec);
  if (path === undefined) return report(diagnose('import-not-found', { from: spec }, { at: item.from.span, fixes: importFixes(spec) }));
  if (loading.chain.includes(path)) {
    const cycle = [...loading.chain.slice(loading.chain.indexOf(path)), path].join(' → ');
    return report(diagnose('import-cycle', { from: spec }, { at: item.from.span, notes: [cycle] }));
  }
  const known = loading.modules.get(path);
  if (known) return known;
  if (loading.chain.length >= limits.importDepth) return report(diagnose('imports-too-deep', { limit: limits.importDepth }, { at: item.from.span }));
  const text = loading.reader.read(path);
  if (text === undefined) return report(diagnose('import-not-found', { from: spec }, { at: item.from.span, fixes: importFixes(spec) }));
  return loadModule(path, text, loading);
}

function importFixes(spec: string): readonly { readonly text: string }[] {
  if (spec.startsWith('std/')) return didYouMean(spec, libraryFiles);
  return spec.startsWith('.') || spec.startsWith('zoo/')
    ? []
    : [{ text: `write "./${spec}" for a file beside this one, "zoo/${spec}" for a model that comes with moec, or "std/…" for the library` }];
}
