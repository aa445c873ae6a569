/** Which sizes a run can compute: those made of names that some input has as a size. Imports also have sizes that only their own nodes know. */

import { type Dim, same, symbol, symbolsOf } from '../graph/dim.ts';
import type { Graph } from '../graph/graph.ts';

/** A test of sizes for one graph. */
export function computableSizes({ inputs }: Pick<Graph, 'inputs'>): (size: Dim) => boolean {
  const given = new Set(inputs.flatMap(({ type }) => type?.dims ?? []).flatMap((size) => symbolsOf(size).filter((name) => same(size, symbol(name)))));
  return (size) => symbolsOf(size).every((name) => given.has(name));
}
