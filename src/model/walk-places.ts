/** Paths such as `ffn[3..6]` → names of feed-forwards that were found in a graph, `ffn.3` and the like. */

import type { Path } from '../../grammar/ast.ts';
import { choose, freeNames } from './choose-index.ts';
import type { Env } from './context.ts';
import { limits } from './limits.ts';

/** One place that a path names. */
interface Place {
  readonly path: string;
  /** The values of the free indices. */
  readonly indices: ReadonlyMap<string, number>;
}

/**
 * The places that a path names; undefined after a fault. While the file has not been read, `places` is absent and anything may be
 * there: an index that ranges over all there is then yields the first alone.
 */
export function walkPlaces(path: Path, places: readonly string[] | undefined, env: Env): readonly Place[] | undefined {
  const free = freeNames(path, env);
  let at: readonly Place[] = [{ path: path.head.text, indices: new Map() }];
  for (const suffix of path.suffixes) {
    if (suffix.kind === 'dot') {
      at = at.map((place) => ({ ...place, path: `${place.path}.${suffix.name.text}` }));
      continue;
    }
    const [index] = suffix.indices;
    if (!index || suffix.indices.length > 1) return [];
    const next: Place[] = [];
    for (const place of at) {
      const count = places ? countAt(place.path, places) : limits.copies;
      if (count === 0) continue;
      const chosen = choose(index, { count, free, bound: place.indices, bounded: places !== undefined }, env);
      if (!chosen) return undefined;
      const open = !places && (index.kind === 'range' ? !index.to : chosen.length === limits.copies);
      for (const { at: number, name } of open ? chosen.slice(0, 1) : chosen)
        next.push({ path: `${place.path}.${number}`, indices: name === undefined ? place.indices : new Map([...place.indices, [name, number]]) });
    }
    at = next;
  }
  return places ? at.filter((place) => places.includes(place.path)) : at;
}

/** One more than the highest number that stands behind a path. */
function countAt(path: string, places: readonly string[]): number {
  const numbers = places.flatMap((place) => (place.startsWith(`${path}.`) ? [Number(place.slice(path.length + 1).split('.')[0])] : []));
  return Math.max(0, ...numbers.filter(Number.isInteger).map((number) => number + 1));
}
