/** Names for the feed-forwards of a graph: where the author put them, or, for an import, a number and the names of the weights. */

import { reservedWords } from '../../../grammar/tokens.ts';
import { unusedName } from '../../graph/names.ts';
import type { FeedForward } from '../feed-forwards.ts';

/** What a feed-forward is called. */
export interface Place {
  readonly path: string;
  readonly label: string;
}

/** Names in the order given, each path once. */
export function placesOf(found: readonly Pick<FeedForward, 'nodes' | 'weights'>[]): readonly Place[] {
  const taken = new Set<string>();
  const next = new Map<string, number>();
  return found.map(({ nodes, weights }, i) => {
    const given = authored(nodes.flatMap(({ outputs }) => outputs.map(({ name }) => name)));
    const path = unusedName(given ?? `ffn.${i}`, taken, next);
    taken.add(path);
    const names = weights.map((weight) => weight.path).filter((one) => one !== '');
    return { path, label: given === undefined && names.length > 0 ? labelOf(names) : path };
  });
}

const reserved: ReadonlySet<unknown> = new Set(reservedWords.map(({ PATTERN }) => PATTERN));

/** The layer that names of the language (`blocks.3.ffn.gate.matmul`) have in common; undefined for names of other makers, and where a path cannot begin so. */
function authored(names: readonly string[]): string | undefined {
  const layers = names.map((name) => name.split('.').slice(0, -1));
  const [first = []] = layers;
  if (names.some((name) => !/^[A-Za-z_]\w*(\.([A-Za-z_]\w*|\d+))+$/.test(name))) return undefined;
  let shared = 0;
  while (shared < first.length && layers.every((layer) => layer[shared] === first[shared])) shared++;
  return shared > 0 && !reserved.has(first[0]) ? first.slice(0, shared).join('.') : undefined;
}

/** `encoder.layer.0.{intermediate.dense.weight, output.dense.weight}`: the start that names share is written once. */
function labelOf(names: readonly string[]): string {
  const [first = '', ...others] = names;
  if (others.length === 0) return first;
  let shared = 0;
  while (shared < first.length && others.every((name) => name[shared] === first[shared])) shared++;
  const start = first.slice(0, Math.max(first.lastIndexOf('.', shared - 1), first.lastIndexOf('/', shared - 1)) + 1);
  return start === '' ? names.join(', ') : `${start}{${names.map((name) => name.slice(start.length)).join(', ')}}`;
}
