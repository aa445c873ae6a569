/** Which models of a file describe a checkpoint: its model type is among their families, and every `require` of theirs holds. */

import type { ModelDecl } from '../../grammar/ast.ts';
import type { Diagnostic } from '../diagnostics/diagnostic.ts';
import { lookUpKey } from './config.ts';
import { type Context, moduleEnv, newContext } from './context.ts';
import type { Program } from './program.ts';
import { checkRequire } from './require.ts';

/** The models of the root file that have a body, in the order written. */
function definedModels(program: Program): readonly ModelDecl[] {
  return [...program.root.names.values()].flatMap((entry) => (entry.kind === 'model' && entry.module === program.root && entry.decl.what.kind === 'defined' ? [entry.decl] : []));
}

/** Why a model does not describe what the config says: the `require`s that do not hold. */
export function refusals(context: Context, decl: ModelDecl): readonly Diagnostic[] {
  if (decl.what.kind !== 'defined') return [];
  const trial = newContext(context.program, { config: context.config, set: context.set });
  const env = moduleEnv(trial, context.program.root);
  for (const member of decl.what.body.members) if (member.kind === 'require') checkRequire(member, env, new Map());
  return trial.diagnostics.filter((one) => one.severity === 'error');
}

/** Whether the model is for the config's model type; without one, any model may be meant. */
export function isFor(decl: ModelDecl, config: unknown): boolean {
  const type = lookUpKey(config, 'model_type');
  return type === undefined || familiesOf(decl).length === 0 || familiesOf(decl).some((family) => family === type);
}

/** A model that is for the checkpoint's model type. `refused` holds the `require`s that do not hold. */
export interface Description {
  readonly model: string;
  readonly holds: boolean;
  readonly refused: readonly Diagnostic[];
}

/** The models of a file that are for the checkpoint's model type, each with whether all it requires holds. */
export function describes(program: Program, config: unknown): readonly Description[] {
  const type = lookUpKey(config, 'model_type');
  const context = newContext(program, { config });
  return definedModels(program)
    .filter((decl) => familiesOf(decl).some((family) => family === type))
    .map((decl) => {
      const refused = [...program.diagnostics.filter((one) => one.severity === 'error'), ...refusals(context, decl)];
      return { model: decl.name.text, holds: refused.length === 0, refused };
    });
}

/** The model types a model is for. */
export function familiesOf({ what }: ModelDecl): readonly string[] {
  return what.kind === 'defined' ? what.families.map((one) => one.value) : [];
}
