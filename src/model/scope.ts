/** What a name means where it stands: the layer's own names, then those of the file, then the language's. */

import type { Ident, Name } from '../../grammar/ast.ts';
import type { Details } from '../diagnostics/diagnostic.ts';
import { nearest } from '../diagnostics/suggest.ts';
import { relabel } from '../graph/dim.ts';
import type { Op } from '../graph/op.ts';
import { dtypes } from '../graph/type.ts';
import { ops } from '../ops/index.ts';
import { type Env, fault, markUsed } from './context.ts';
import { constantFunctions } from './functions.ts';
import { resolveParam } from './params.ts';
import { type Entry, entryWords } from './program.ts';
import { poison, type Thing } from './thing.ts';

/** The thing a name stands for in the scopes of layers and forwards; undefined where only the file may know it. */
export function lookUpLocal(env: Env, name: string): Thing | undefined {
  for (const scope of env.scopes) {
    const found = scope.get(name);
    if (found) {
      env.frame?.read.add(name);
      if (env.owner) markUsed(env.context, env.owner, name);
      return found;
    }
  }
  return undefined;
}

/** What a name stands for as a value; a fault where it stands for nothing, or for something that is no value. */
export function lookUp(env: Env, { text, span }: Name | Ident): Thing {
  const local = lookUpLocal(env, text);
  if (local) return local;
  const entry = env.module.names.get(text);
  if (entry) return thingOf(env, entry, { text, span });
  if (text === 'inf') return { kind: 'float', value: Infinity };
  if (text === 'pi') return { kind: 'float', value: Math.PI };
  if (isFunction(text)) return fault(env, 'function-not-called', { name: text }, { at: span, fixes: [{ text: `call it: \`${text}(…)\`` }] });
  return unknownName(env, text, { at: span });
}

function thingOf(env: Env, entry: Entry, { text, span }: { readonly text: string; readonly span: Name['span'] }): Thing {
  switch (entry.kind) {
    case 'broken':
      return poison;
    case 'param':
      return resolveParam(env.context, entry.decl, entry.module);
    case 'dim':
      return dimOf(env, text, span);
    case 'layer':
    case 'model':
      return fault(
        env,
        'layer-not-called',
        { name: text, what: entryWords[entry.kind] },
        { at: span, related: [{ span: entry.decl.name.span, text: 'declared here' }], fixes: [{ text: `\`${text}(…)\` makes one` }] },
      );
    case 'train':
      return fault(env, 'not-a-value', { name: text, what: 'a training' }, { at: span });
  }
}

function dimOf(env: Env, text: string, span: Name['span']): Thing {
  if (!env.frame) return fault(env, 'size-not-known', { name: text }, { at: span, fixes: [{ text: `declare \`param ${text} = …\` if it is a constant of the model` }] });
  const size = env.frame.dims.get(text);
  if (size) return { kind: 'int', value: relabel(size, text) };
  return fault(env, 'dim-unbound', { name: text }, { at: span, fixes: [{ text: `give a formal of this forward an axis \`${text}\`` }] });
}

/** Reports a name that stands for nothing, with the nearest that stands for something. */
export function unknownName(env: Env, text: string, details: Details): Thing {
  const found = nearest(text, knownNames(env));
  const entry = found === undefined ? undefined : env.module.names.get(found);
  return fault(
    env,
    'unknown-name',
    { name: text },
    {
      ...details,
      fixes: found === undefined ? [{ text: `declare it: \`param ${text} = …\`, \`dim ${text}\`, or a formal` }] : [{ text: `did you mean \`${found}\`?` }],
      related: [...(details.related ?? []), ...(entry && entry.kind !== 'broken' ? [{ span: entry.name.span, text: `\`${found}\` is declared here` }] : [])],
    },
  );
}

/** Every name that means something here. */
function knownNames(env: Env): readonly string[] {
  return [...env.scopes.flatMap((scope) => [...scope.keys()]), ...env.module.names.keys(), 'inf', 'pi', ...functionNames()];
}

/** Names that can be called: ops, functions on constants, conversions. */
export function functionNames(): readonly string[] {
  return [...new Set([...[...ops.values()].flatMap(({ call }) => (call === null ? [] : [call])), ...constantFunctions.keys(), ...dtypes])];
}

/** Whether the language itself knows the name as a function. */
export function isFunction(name: string): boolean {
  return constantFunctions.has(name) || opsCalled(name).length > 0 || (dtypes as readonly string[]).includes(name);
}

const byCall = new Map<string, readonly Op[]>();

/** The ops that answer to a name: `max` is of two values, or along an axis. */
export function opsCalled(name: string): readonly Op[] {
  if (byCall.size === 0) {
    for (const op of ops.values()) if (op.call !== null) byCall.set(op.call, [...(byCall.get(op.call) ?? []), op]);
  }
  return byCall.get(name) ?? [];
}
