/** Trainings: read, and their names and paths checked. Nothing is built from them yet. */

import type { Expr, Ident, Path, Suffix, TrainDecl, Value } from '../../grammar/ast.ts';
import { didYouMean, nearest } from '../diagnostics/suggest.ts';
import { type Context, type Env, fault, moduleEnv, quote } from './context.ts';
import { baseOf } from './derive.ts';
import { bodyOf } from './instantiate.ts';
import { entryWords, type Module } from './program.ts';
import { isFunction } from './scope.ts';
import type { Instance } from './thing.ts';
import { walkPath } from './walk-path.ts';

/** What a training may name. */
interface Scope {
  readonly env: Env;
  /** The model, where it is known; of a derived one, what it is derived from. */
  readonly model?: Instance;
  /** Whether the model has parts that only its derivation makes. */
  readonly derived: boolean;
  readonly names: Set<string>;
}

/** Checks a training: the model it is of, the paths among its settings, the names of its forward. */
export function checkTraining(context: Context, decl: TrainDecl, module: Module): void {
  const env = moduleEnv(context, module);
  const entry = module.names.get(decl.of.text);
  if (entry?.kind === 'broken') return;
  if (entry?.kind !== 'model') {
    const models = [...module.names].filter(([, { kind }]) => kind === 'model').map(([name]) => name);
    if (entry) fault(env, 'derived-from-no-model', { name: decl.of.text, what: entryWords[entry.kind] }, { at: decl.of.span });
    else fault(env, 'unknown-name', { name: decl.of.text }, { at: decl.of.span, fixes: didYouMean(decl.of.text, models) });
    return;
  }
  const model = baseOf(context, entry.decl, entry.module);
  const forward = model && bodyOf(model.decl)?.forward;
  const known = [...(forward?.formals ?? []).map((one) => one.name.text), ...(forward?.results ?? []).flatMap((one) => (one.name ? [one.name.text] : []))];
  const scope: Scope = {
    env,
    ...(model ? { model } : {}),
    derived: entry.decl.what.kind === 'derived',
    names: new Set([...known, ...decl.forward.formals.map((one) => one.name.text)]),
  };
  for (const setting of decl.settings)
    if (setting.value.kind === 'list') for (const item of setting.value.items) if (item.kind !== 'rest' && !isNumber(item)) checkPathExpr(item, scope);
  for (const { targets, value } of decl.forward.statements) {
    checkNames(value, scope);
    for (const { text } of targets) scope.names.add(text);
  }
  for (const value of decl.forward.returns) checkNames(value, scope);
}

const isNumber = (value: Value): boolean => value.kind === 'number' || value.kind === 'negate' || value.kind === 'string' || value.kind === 'bool';

/** A path in a list of paths must lead somewhere. */
function checkPathExpr(value: Value, scope: Scope): void {
  const path = pathOf(value);
  if (path) checkPath(path, scope);
}

function checkPath(path: Path, { env, model, derived }: Scope): void {
  if (!model) return;
  const { targets, missing } = walkPath(path, model, env);
  if (targets.length > 0 || !missing || missing.silent) return;
  const head = missing.span === path.head.span;
  if (!head && (derived || namesValue(path, missing.name))) return;
  fault(env, 'path-unknown', { owner: model.decl.name.text, path: quote(env.context.program, path.span) }, { at: missing.span, fixes: didYouMean(missing.name, missing.known) });
}

/** The last step of a path may be a value that some forward names. */
function namesValue(path: Path, name: string): boolean {
  const last = path.suffixes.at(-1);
  return last?.kind === 'dot' && last.name.text === name;
}

/** `blocks[i].ffn` as an expression, as a path. */
function pathOf(value: Value): Path | undefined {
  const suffixes: Suffix[] = [];
  let at: Value = value;
  while (at.kind === 'member' || at.kind === 'indexed') {
    suffixes.unshift(at.kind === 'member' ? { kind: 'dot', name: at.name, span: at.name.span } : { kind: 'indices', indices: at.indices, span: at.span });
    at = at.object;
  }
  if (at.kind !== 'name') return undefined;
  const head: Ident = { kind: 'ident', text: at.text, span: at.span };
  return { kind: 'path', head, suffixes, span: value.span };
}

/** Every name of an expression is a value of the training, of its model, or of the file. */
function checkNames(expr: Value, scope: Scope): void {
  const path = expr.kind === 'member' || expr.kind === 'indexed' ? pathOf(expr) : undefined;
  if (path && scope.model && !scope.names.has(path.head.text)) return checkPath(path, scope);
  switch (expr.kind) {
    case 'name':
      return checkName(expr, scope);
    case 'call':
      return expr.args.forEach((argument) => checkNames(argument.value, scope));
    case 'binary':
      return [expr.left, expr.right].forEach((one) => checkNames(one, scope));
    case 'negate':
      return checkNames(expr.operand, scope);
    case 'paren':
      return checkNames(expr.inner, scope);
    case 'member':
    case 'indexed':
      return checkNames(expr.object, scope);
    case 'list':
      return expr.items.forEach((item) => item.kind !== 'rest' && checkNames(item, scope));
    default:
      return;
  }
}

function checkName({ text, span }: Extract<Expr, { kind: 'name' }>, { env, model, names }: Scope): void {
  const known = [...names, ...(model ? [...model.parts.keys(), ...model.weights.keys()] : []), ...env.module.names.keys(), 'inf', 'pi'];
  if (!model || known.includes(text) || isFunction(text)) return;
  const found = nearest(text, known);
  fault(env, 'unknown-name', { name: text }, { at: span, fixes: found === undefined ? [] : [{ text: `did you mean \`${found}\`?` }] });
}
