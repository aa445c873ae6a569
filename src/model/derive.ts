/** Derived models: what was done to a model, read and checked here, built by passes. */

import type { Derived, ModelDecl, Path } from '../../grammar/ast.ts';
import { didYouMean } from '../diagnostics/suggest.ts';
import { type Context, type Env, fault, moduleEnv, quote } from './context.ts';
import { instantiate } from './instantiate.ts';
import { entryWords, type Module } from './program.ts';
import type { Instance } from './thing.ts';
import { walkPath } from './walk-path.ts';

/** The derivations the language knows; each will be a pass. */
const derivations = ['emergent', 'merge', 'grow', 'patch'];

/** Checks a derived model: what it is derived from, the names of its derivations, their paths. */
export function checkDerived(context: Context, decl: ModelDecl, module: Module): void {
  const { what } = decl;
  if (what.kind !== 'derived') return;
  const env = moduleEnv(context, module);
  for (const { pass } of what.derivations) {
    if (!derivations.includes(pass.text))
      fault(env, 'pass-unknown', { name: pass.text }, { at: pass.span, fixes: didYouMean(pass.text, derivations), notes: [`there are ${derivations.join(', ')}`] });
  }
  for (const { settings } of what.derivations) {
    for (const [i, setting] of settings.settings.entries()) {
      const other = settings.settings.slice(0, i).find((one) => one.name.text === setting.name.text);
      if (other) fault(env, 'setting-twice', { name: setting.name.text }, { at: setting.name.span, related: [{ span: other.span, text: 'set here first' }] });
    }
  }
  const base = baseOf(context, decl, module);
  if (!base) return;
  for (const derivation of what.derivations) checkPath(derivation.path, base, env);
}

function checkPath(path: Path, base: Instance, env: Env): boolean {
  const { targets, missing } = walkPath(path, base, env);
  if (targets.length > 0 || missing?.silent) return true;
  fault(
    env,
    'path-unknown',
    { owner: base.decl.name.text, path: quote(env.context.program, path.span) },
    { at: missing?.span ?? path.span, fixes: didYouMean(missing?.name ?? '', missing?.known ?? []) },
  );
  return false;
}

/** The model with a body that a chain of derivations begins at, made with the values at hand; undefined for ONNX files and after a fault. */
export function baseOf(context: Context, decl: ModelDecl, module: Module): Instance | undefined {
  const env = moduleEnv(context, module);
  if (decl.what.kind === 'defined') return instanceOf(context, decl, module, decl.name.span);
  const seen = [decl];
  let at: { readonly what: Derived; readonly module: Module } | undefined = decl.what.kind === 'derived' ? { what: decl.what, module } : undefined;
  while (at) {
    const { from } = at.what;
    if (from.kind === 'string') return undefined;
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
    seen.push(entry.decl);
    if (entry.decl.what.kind === 'defined') return instanceOf(context, entry.decl, entry.module, from.span);
    at = { what: entry.decl.what, module: entry.module };
  }
  return undefined;
}

function instanceOf(context: Context, decl: ModelDecl, module: Module, span: Path['span']): Instance | undefined {
  const made = instantiate(decl, module, [], moduleEnv(context, module), span);
  return made.kind === 'instance' && !made.broken ? made : undefined;
}

/** Says that a derived model cannot be built yet. */
export function derivationOf(context: Context, decl: ModelDecl, module: Module): void {
  if (decl.what.kind !== 'derived') return;
  const [first] = decl.what.derivations;
  fault(moduleEnv(context, module), 'derivation-not-built', { name: decl.name.text, pass: first?.pass.text ?? 'nothing' }, { at: first?.span ?? decl.name.span });
}
