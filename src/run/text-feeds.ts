/** What a model of text is fed for whole sequences of one length, whichever form it was compiled in; for models that are measured rather than driven. */

import { type Diagnostic, diagnose } from '../diagnostics/diagnostic.ts';
import { activeName } from '../passes/set-picks.ts';
import { allLogits, emptyPast } from './decode-step.ts';
import type { Executable } from './executable.ts';
import type { Tensors } from './protocol.ts';
import type { Session } from './session.ts';
import { integers, type Port } from './tensor.ts';

/** What a token of a text has of the inputs beside `input_ids`, by its column: it counts, stands in its place, and is of the first segment. */
export const besideIds: Readonly<Record<string, (column: number) => number>> = {
  attention_mask: () => 1,
  position_ids: (column) => column,
  token_type_ids: () => 0,
};

/** Feeds for `rows` of tokens, all of one length: every token counts, positions run from 0, all of the first segment, nothing in the past. */
export function textFeeds({ inputs, executable }: Pick<Session, 'inputs' | 'executable'>, rows: readonly (readonly number[])[]): Tensors {
  const width = rows[0]?.length ?? 0;
  const square = [rows.length, width];
  const all = (value: (column: number) => number): ReturnType<typeof integers> =>
    integers(
      square,
      Float64Array.from({ length: rows.length * width }, (_, i) => value(i % width)),
    );
  const usual: Tensors = {
    input_ids: integers(square, rows.flat()),
    ...Object.fromEntries(Object.entries(besideIds).map(([name, value]) => [name, all(value)])),
    ...(executable.active ? { [activeName]: integers([], [executable.active.usual]) } : {}),
    ...allLogits(inputs),
    ...emptyPast(inputs, rows.length),
  };
  return Object.fromEntries(inputs.flatMap(({ name }) => (usual[name] ? [[name, usual[name]]] : [])));
}

/** The result that holds the logits: `logits`, or the only one there is. */
export function logitsOf({ outputs }: Pick<Session, 'outputs'>): Port | undefined {
  return outputs.find(({ name }) => name === 'logits') ?? (outputs.length === 1 ? outputs[0] : undefined);
}

/** Why a model cannot be measured on tokens, where it cannot. */
export function whyNoText(session: Session): Diagnostic | undefined {
  const { inputs } = session;
  const refuse = (reason: string): Diagnostic => diagnose('cannot-evaluate', { reason });
  if (!inputs.some(({ name, dims }) => name === 'input_ids' && dims.length === 2)) return refuse('it has no input `input_ids` with a row for each text');
  const fed = textFeeds(session, [[0]]);
  const stranger = inputs.find(({ name }) => !Object.hasOwn(fed, name));
  if (stranger) return refuse(`it takes \`${stranger.name}\`, which no text gives`);
  return logitsOf(session) ? undefined : refuse('it has no result `logits`');
}

/** The token among some that a model of such a vocabulary does not have, where there is one. */
export function strangeToken({ vocabulary }: Pick<Executable, 'vocabulary'>, tokens: readonly number[] | Float64Array): Diagnostic | undefined {
  const wrong = tokens.find((token) => !Number.isInteger(token) || token < 0 || (vocabulary !== undefined && token >= vocabulary));
  return wrong === undefined ? undefined : diagnose('token-out-of-range', { token: wrong, vocabulary: vocabulary ?? 'no such number' });
}
