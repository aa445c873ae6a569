/** Which model of a file is meant: the one named, else the one that describes the checkpoint. */

import type { ModelDecl } from '../../grammar/ast.ts';
import { didYouMean } from '../diagnostics/suggest.ts';
import { lookUpKey } from './config.ts';
import { type Context, fault, moduleEnv } from './context.ts';
import { familiesOf, isFor, refusals } from './family.ts';

/** What may decide. */
export interface Choosing {
  /** The model of the file that was asked for. */
  readonly name?: string;
  /** Whether the weights of a model are in the checkpoint; absent where there is no checkpoint. */
  readonly isComplete?: (name: string) => boolean;
}

/** The model that is meant: the one named, else the first that is for the config and whose `require`s hold; with a checkpoint, the one whose weights are there. */
export function chooseModel(context: Context, { name, isComplete }: Choosing): ModelDecl | undefined {
  const { root } = context.program;
  const env = moduleEnv(context, root);
  const models = [...root.names.values()].flatMap((entry) => (entry.kind === 'model' && entry.module === root ? [entry.decl] : []));
  const names = models.map((one) => one.name.text);
  if (name !== undefined) {
    const found = models.find((one) => one.name.text === name);
    if (!found) fault(env, 'model-unknown', { file: root.file, name }, { fixes: didYouMean(name, names), notes: names.length > 0 ? [`it has ${names.join(', ')}`] : [] });
    return found;
  }
  const defined = models.length === 1 ? models : models.filter((one) => one.what.kind === 'defined');
  const [first] = defined;
  if (!first && models.length > 1) return ambiguous(context, `it has ${names.join(', ')}`, names[0]);
  if (!first) fault(env, 'no-model', { file: root.file });
  if (defined.length <= 1) return first;
  const meant = defined.filter((one) => isFor(one, context.config));
  const holding = meant.filter((one) => refusals(context, one).length === 0);
  if (holding.length === 1 || (holding.length > 0 && !isComplete)) return holding[0];
  if (holding.length > 1) {
    const complete = holding.filter((one) => isComplete?.(one.name.text));
    if (complete.length <= 1) return complete[0] ?? holding[0];
    return ambiguous(context, `the checkpoint fits ${complete.map((one) => one.name.text).join(', ')}`, complete[0]?.name.text);
  }
  if (meant.length === 0) notFor(context, defined);
  else context.diagnostics.push(...new Map(meant.flatMap((one) => refusals(context, one)).map((one) => [one.message, one])).values());
  return undefined;
}

function ambiguous(context: Context, note: string, example: string | undefined): undefined {
  const { root } = context.program;
  fault(moduleEnv(context, root), 'model-ambiguous', { file: root.file }, { notes: [note], fixes: [{ text: `add --model ${example ?? ''}` }] });
}

function notFor(context: Context, models: readonly ModelDecl[]): void {
  const { root } = context.program;
  const families = [...new Set(models.flatMap(familiesOf))];
  fault(
    moduleEnv(context, root),
    'model-not-for-type',
    { file: root.file, type: String(lookUpKey(context.config, 'model_type')) },
    {
      notes: families.length > 0 ? [`its models are for ${families.join(', ')}`] : [],
      fixes: [{ text: `take the file of that family, or add --model ${models[0]?.name.text ?? ''}` }],
    },
  );
}
