/** What made a value: passes that match several nodes at once look backwards through this. */

import { isArray } from '../graph/attr.ts';
import type { GraphBuilder } from '../graph/builder.ts';
import { constant } from '../graph/constant.ts';
import type { Graph, Node, Value } from '../graph/graph.ts';
import type { NdArray } from '../graph/nd-array.ts';

/** Looks up the node that makes a value, among those built so far. */
export interface Producers {
  /** The node, where it is one of the op named. */
  of(one: Value | undefined, op: string): Node | undefined;
  /** The node, whatever it is; undefined for inputs and weights. */
  any(one: Value | undefined): Node | undefined;
  /** The numbers of a constant. */
  array(one: Value | undefined): NdArray | undefined;
  /** The number of a constant of one element. */
  number(one: Value | undefined): number | undefined;
}

/** Producers among the nodes of a builder, which may still grow, or of a graph. */
export function producersOf(held: Pick<GraphBuilder | Graph, 'nodes'>): Producers {
  const byValue = new Map<Value, Node>();
  let read = 0;
  const any = (one: Value | undefined): Node | undefined => {
    for (; read < held.nodes.length; read++) for (const output of held.nodes[read]?.outputs ?? []) byValue.set(output, held.nodes[read] as Node);
    return one && byValue.get(one);
  };
  const array = (one: Value | undefined): NdArray | undefined => {
    const node = any(one);
    return node?.op === constant && isArray(node.attrs['array']) ? node.attrs['array'] : undefined;
  };
  return {
    any,
    array,
    of: (one, op) => {
      const node = any(one);
      return node?.op.name === op ? node : undefined;
    },
    number: (one) => {
      const found = array(one);
      return found?.data.length === 1 ? found.data[0] : undefined;
    },
  };
}
