/** `require` of a layer or a model: conditions on constants, checked while it is made. */

import type { Expr, ModelDecl, Require } from '../../grammar/ast.ts';
import type { Diagnostic } from '../diagnostics/diagnostic.ts';
import { multiply, relabel, same, show, symbol } from '../graph/dim.ts';
import { isPlain, showConstant } from './arithmetic.ts';
import { type Context, type Env, fault, openMark, quote } from './context.ts';
import { evaluate } from './evaluate.ts';
import { lookUpLocal } from './scope.ts';
import { type Thing, thingWords } from './thing.ts';

/** Whether one `require` holds, or may: what is not known counts as given. `names` are those of the layer. */
export function checkRequire(require: Require, env: Env, names: Map<string, Thing>): boolean {
  const { condition } = require;
  const thing = evaluate(condition, env);
  if (thing.kind === 'poison') return false;
  if (thing.kind !== 'bool') {
    fault(env, 'require-is-no-condition', { found: isPlain(thing) ? showConstant(thing) : thingWords[thing.kind] }, { at: condition.span });
    return false;
  }
  if (thing.value === undefined) assumeDivides(condition, env, names);
  if (thing.value !== false) return true;
  const apart = refusalsOf(env);
  report(require, apart ? { ...env, context: { ...env.context, diagnostics: apart } } : env);
  return apart !== undefined;
}

/** Where the refusals of a model for some family are kept, if they are kept apart. */
function refusalsOf({ context: { refusals }, owner, depth }: Env): Diagnostic[] | undefined {
  if (!refusals || depth !== 1 || owner?.kind !== 'model' || familiesOf(owner).length === 0) return undefined;
  const own = refusals.get(owner) ?? [];
  refusals.set(owner, own);
  return own;
}

const familiesOf = ({ what }: ModelDecl): readonly string[] => (what.kind === 'defined' ? what.families.map((one) => one.value) : []);

/** The refusals that count: those of a model with no other in the file that takes these values for one of its families. */
export function refusalsLeft({ refusals }: Context, models: readonly ModelDecl[]): readonly Diagnostic[] {
  return [...(refusals ?? [])].flatMap(([model, diagnostics]) => {
    const own = familiesOf(model);
    return models.some((other) => !refusals?.has(other) && familiesOf(other).some((family) => own.includes(family))) ? [] : diagnostics;
  });
}

function report({ condition, span }: Require, env: Env): void {
  const notes = [...namesIn(condition)].flatMap((name) => valueNote(name, env));
  fault(env, 'require-failed', { condition: quote(env.context.program, condition.span) }, { at: span, notes });
}

/** In a layer checked alone, `require D % N == 0` makes an unknown `D` a multiple of `N`, so that what follows divides. */
function assumeDivides(condition: Expr, env: Env, names: Map<string, Thing>): void {
  if (condition.kind !== 'binary' || condition.operator !== '==' || condition.right.kind !== 'number' || condition.right.value !== 0) return;
  const { left } = condition;
  if (left.kind !== 'binary' || left.operator !== '%' || left.left.kind !== 'name') return;
  const name = left.left.text;
  const [size, part] = [names.get(name), evaluate(left.right, env)];
  if (size?.kind !== 'int' || part.kind !== 'int' || !same(size.value, symbol(name + openMark))) return;
  const times = symbol(`${name} / ${show({ terms: part.value.terms })}${openMark}`);
  names.set(name, { kind: 'int', value: relabel(multiply(part.value, times), name) });
}

function valueNote(name: string, env: Env): readonly string[] {
  const entry = env.module.names.get(name);
  const thing = lookUpLocal(env, name) ?? (entry?.kind === 'param' ? evaluate({ kind: 'name', text: name, span: entry.decl.name.span }, env) : undefined);
  return thing && isPlain(thing) ? [`${name} = ${showConstant(thing)}`] : [];
}

/** The names that expressions in a piece of the AST mention. */
export function namesIn(node: unknown, found = new Set<string>()): ReadonlySet<string> {
  if (Array.isArray(node)) node.forEach((one) => namesIn(one, found));
  else if (typeof node === 'object' && node !== null) {
    if ('kind' in node && node.kind === 'name' && 'text' in node) found.add(String(node.text));
    Object.values(node).forEach((one) => namesIn(one, found));
  }
  return found;
}
