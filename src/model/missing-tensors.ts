/** Names that bindings ask for and the checkpoint lacks: where they come from, and which names were probably meant. */

import type { Binding } from '../../grammar/ast.ts';
import type { Label } from '../diagnostics/diagnostic.ts';
import { nearest } from '../diagnostics/suggest.ts';
import { type Env, fault } from './context.ts';

/** Names that one binding asks for in vain. `prefix` is the binding that put its layer where it is. */
export interface Missing {
  readonly binding: Binding;
  readonly prefix: Binding | undefined;
  readonly env: Env;
  readonly names: Set<string>;
}

/** Reports names that are not among `tensors`. Those that nothing reads are offered instead. */
export function reportMissing(all: readonly Missing[], tensors: Iterable<string>, read: ReadonlySet<string>): void {
  const unread = [...tensors].filter((name) => !read.has(name));
  const [first] = all;
  const names = all.flatMap((one) => [...one.names]);
  const renamed = names.length > 1 ? renamingOf(names, unread) : undefined;
  if (first && renamed) return report(first, names, [`the checkpoint's names begin with ${renamed.added} where these begin with ${renamed.removed}`]);
  for (const one of all) report(one, [...one.names], suggest([...one.names][0] ?? '', unread));
}

function report({ binding, prefix, env }: Missing, names: readonly string[], fixes: readonly string[]): void {
  const [first = ''] = names;
  // The prefix is what a user wrote; the names under it may be the library's.
  const outer = prefix && prefix.span.file !== binding.span.file ? prefix : undefined;
  const related: readonly Label[] = outer ? [{ span: binding.source.span, text: 'the name under it' }] : [];
  const details = { at: (outer ?? binding).source.span, ...(outer ? { label: 'the prefix' } : {}), related, fixes: fixes.map((text) => ({ text })) };
  if (names.length === 1) fault(env, 'tensor-missing', { name: first }, details);
  else fault(env, 'tensors-missing', { count: names.length }, { ...details, notes: [...names.slice(0, 4), ...(names.length > 4 ? [`and ${names.length - 4} more`] : [])] });
}

/** One change at the front that makes every name one of the checkpoint's. */
function renamingOf(names: readonly string[], known: readonly string[]): { readonly removed: string; readonly added: string } | undefined {
  const words = (front: string): string => (front === '' ? 'nothing' : `\`${front}\``);
  const changes = new Set(
    names.map((name) => {
      const end = name
        .split('.')
        .map((_, i, parts) => parts.slice(i).join('.'))
        .find((one) => one.includes('.') && known.some((other) => other === one || other.endsWith(`.${one}`)));
      const found = end === undefined ? undefined : known.find((other) => other === end || other.endsWith(`.${end}`));
      return end === undefined || found === undefined ? undefined : `${words(name.slice(0, -end.length))}|${words(found.slice(0, -end.length))}`;
    }),
  );
  const [only, ...others] = changes;
  if (only === undefined || others.length > 0) return undefined;
  const [removed = '', added = ''] = only.split('|');
  return { removed, added };
}

/** The name that was probably meant: one that differs in one step, else in a few letters, else one of the same end. */
function suggest(name: string, known: readonly string[]): readonly string[] {
  const found = differingInOneStep(name, known) ?? nearest(name, known);
  if (found !== undefined) return [`did you mean \`${found}\`?`];
  const parts = name.split('.');
  const end = parts.slice(-2).join('.');
  const similar = parts.length > 1 ? known.find((one) => one === end || one.endsWith(`.${end}`)) : undefined;
  return similar === undefined ? [] : [`the checkpoint has \`${similar}\``];
}

function differingInOneStep(name: string, known: readonly string[]): string | undefined {
  const parts = name.split('.');
  return known.find((other) => {
    const steps = other.split('.');
    const differing = steps.length === parts.length ? parts.flatMap((part, i) => (part === steps[i] ? [] : [[part, steps[i] ?? ''] as const])) : [];
    const [only, ...more] = differing;
    if (!only || more.length > 0) return false;
    const [a, b] = only;
    return !/^\d+$/.test(a) && (a.startsWith(b) || b.startsWith(a) || nearest(a, [b]) !== undefined);
  });
}
