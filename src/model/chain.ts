/** From a derived model back to what its derivations begin at. */

import type { Derived, ModelDecl } from '../../grammar/ast.ts';
import type { Span } from '../../grammar/span.ts';
import { didYouMean } from '../diagnostics/suggest.ts';
import { type Context, fault, moduleEnv } from './context.ts';
import type { NamedFile } from './derivation.ts';
import { entryWords, type Module } from './program.ts';

/** What derivations begin at, and the derived models from there on, the nearest to it first. */
export interface Chain {
  readonly base: { readonly kind: 'model'; readonly decl: ModelDecl; readonly module: Module; readonly span: Span } | { readonly kind: 'onnx'; readonly file: NamedFile };
  readonly links: readonly Link[];
}

/** One derived model on the way. */
export interface Link {
  readonly what: Derived;
  readonly module: Module;
}

/** The chain of a model; one with a body has no links. Undefined after a fault. */
export function chainOf(context: Context, decl: ModelDecl, module: Module): Chain | undefined {
  const seen: ModelDecl[] = [];
  const links: Link[] = [];
  let at = { decl, module, span: decl.name.span };
  while (at.decl.what.kind === 'derived') {
    const { what } = at.decl;
    const { from } = what;
    links.unshift({ what, module: at.module });
    seen.push(at.decl);
    if (from.kind === 'string') return { base: { kind: 'onnx', file: { path: from.value, span: from.span } }, links };
    const env = moduleEnv(context, at.module);
    const entry = at.module.names.get(from.text);
    if (entry?.kind === 'broken') return undefined;
    if (entry?.kind !== 'model') {
      const models = [...at.module.names].filter(([, { kind }]) => kind === 'model').map(([name]) => name);
      if (!entry) fault(env, 'unknown-name', { name: from.text }, { at: from.span, fixes: didYouMean(from.text, models) });
      else fault(env, 'derived-from-no-model', { name: from.text, what: entryWords[entry.kind] }, { at: from.span });
      return undefined;
    }
    if (seen.includes(entry.decl)) {
      fault(env, 'derivation-circle', { name: decl.name.text }, { at: from.span });
      return undefined;
    }
    at = { decl: entry.decl, module: entry.module, span: from.span };
  }
  return { base: { kind: 'model', ...at }, links };
}

/** The checkpoint that the models of a chain name; the last one that does wins. */
export function weightsNamed({ base, links }: Chain): NamedFile | undefined {
  const own = base.kind === 'model' && base.decl.what.kind === 'defined' ? base.decl.what.body.weights?.from : undefined;
  const from = links.reduce((named, { what }) => what.weights?.from ?? named, own);
  return from && { path: from.value, span: from.span };
}
