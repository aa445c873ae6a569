/** Which models of a file describe a checkpoint: the model type is among their families, and every `require` holds. */

import type { Diagnostic } from '../diagnostics/diagnostic.ts';
import { lookUpKey } from './config.ts';
import { newContext, moduleEnv } from './context.ts';
import { instantiate } from './instantiate.ts';
import type { Program } from './program.ts';

/** A model whose families name the checkpoint's type. `refused` holds the `require`s that do not hold, and whatever else is wrong. */
export interface Description {
  readonly model: string;
  readonly holds: boolean;
  readonly refused: readonly Diagnostic[];
}

/** The models of a file that are for the checkpoint's model type, each with whether all it requires holds. */
export function describes(program: Program, config: unknown): readonly Description[] {
  const type = lookUpKey(config, 'model_type');
  return [...program.root.names.values()].flatMap((entry): readonly Description[] => {
    if (entry.kind !== 'model' || entry.module !== program.root || entry.decl.what.kind !== 'defined') return [];
    if (!entry.decl.what.families.some((family) => family.value === type)) return [];
    const context = newContext(program, { config });
    instantiate(entry.decl, entry.module, [], moduleEnv(context, entry.module), entry.decl.name.span);
    const refused = [...program.diagnostics, ...context.diagnostics].filter((one) => one.severity === 'error');
    return [{ model: entry.name.text, holds: refused.length === 0, refused }];
  });
}

/** The model types that the models of a file are for. */
export function familiesOf(program: Program): readonly string[] {
  return [...program.root.names.values()].flatMap((entry) => (entry.kind === 'model' && entry.module === program.root && entry.decl.what.kind === 'defined' ? entry.decl.what.families.map((one) => one.value) : []));
}
