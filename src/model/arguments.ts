/** Arguments meet formals: by position, then by name; each once, none too many, none missing. */

import type { Formal, Ident } from '../../grammar/ast.ts';
import type { Span } from '../../grammar/span.ts';
import { didYouMean } from '../diagnostics/suggest.ts';
import { type Env, fault } from './context.ts';
import type { Thing } from './thing.ts';

/** An argument as given: its value, where it was written, its name where it has one. */
export interface GivenArgument {
  readonly name?: Ident;
  readonly thing: Thing;
  readonly span: Span;
  /** The name that was written as the value, where it was one. */
  readonly spelling?: string;
  /** Where the elements of a list were written. */
  readonly items?: readonly Span[];
}

/** The argument for each formal that got one; a fault where they do not fit. Undefined after a fault. */
export function matchArguments(env: Env, callee: string, formals: readonly Formal[], args: readonly GivenArgument[], span: Span): ReadonlyMap<string, GivenArgument> | undefined {
  const given = new Map<string, GivenArgument>();
  let failed = false;
  const declared = (formal: Formal): { readonly span: Span; readonly text: string } => ({ span: formal.span, text: 'declared here' });
  for (const [i, argument] of args.entries()) {
    const formal = argument.name ? formals.find((one) => one.name.text === argument.name?.text) : formals[i];
    if (!formal) {
      failed = true;
      if (argument.name)
        fault(
          env,
          'argument-unknown',
          { callee, name: argument.name.text },
          {
            at: argument.name.span,
            fixes: didYouMean(
              argument.name.text,
              formals.map((one) => one.name.text),
            ),
            notes: signature(callee, formals),
          },
        );
      else fault(env, 'too-many-arguments', { callee, takes: counted(formals.length), given: args.length }, { at: argument.span, notes: signature(callee, formals) });
    } else if (given.has(formal.name.text)) {
      failed = true;
      fault(
        env,
        'argument-twice',
        { callee, name: formal.name.text },
        { at: argument.name?.span ?? argument.span, related: [{ span: given.get(formal.name.text)?.span ?? span, text: 'given here first' }] },
      );
    } else {
      given.set(formal.name.text, argument);
    }
  }
  for (const formal of formals) {
    if (given.has(formal.name.text) || formal.initial || failed) continue;
    fault(env, 'argument-missing', { callee, name: formal.name.text }, { at: span, related: [declared(formal)] });
    failed = true;
  }
  return failed ? undefined : given;
}

const counted = (count: number): string => (count === 0 ? 'no arguments' : count === 1 ? 'one argument' : `${count} arguments`);

function signature(callee: string, formals: readonly Formal[]): readonly string[] {
  return formals.length > 0 ? [`\`${callee}\` takes ${formals.map((one) => one.name.text).join(', ')}`] : [];
}
