/** Mixtures of a forward that was built: cut as the pass will cut them, so that what it refuses is said before anything is compiled. */

import type { Span } from '../../grammar/span.ts';
import type { Node } from '../graph/graph.ts';
import { cutMixtures } from '../passes/cut-mixtures.ts';
import type { Skeleton } from './build.ts';
import type { Context } from './context.ts';

/** Reports experts that cannot run for picked tokens alone, each place once, however many layers apply it. */
export function checkMixtures(context: Context, { inputs, outputs, build }: Skeleton): void {
  const distinct = new Map<string, Node>();
  for (const node of build.nodes) {
    const place = node.op.name === 'mixture' ? writtenAt(node) : undefined;
    if (place !== undefined && !distinct.has(place)) distinct.set(place, node);
  }
  if (distinct.size === 0) return;
  cutMixtures({ name: '', inputs, outputs, nodes: [...distinct.values()], weights: [] }, (one) => {
    const place = `${one.code}|${spell(one.at?.span)}`;
    if (context.seen.has(place)) return;
    context.seen.add(place);
    context.diagnostics.push(one);
  });
}

/** Where a mixture is applied and what its experts and router are made of, by places in the text: the same in every layer of a stack. */
function writtenAt({ span, bodies = {} }: Node): string {
  return [span, ...Object.values(bodies).flatMap(({ nodes }) => nodes.map((node) => node.span))].map(spell).join();
}

const spell = (span: Span | undefined): string => (span ? `${span.file}:${span.start}:${span.end}` : '');
