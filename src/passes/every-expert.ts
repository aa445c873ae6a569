/** A mixture whose experts attend to keys or values of their own, which are needed for every token: every expert runs for all tokens, and zeros leave out those that were not picked. The author is warned of it. */

import { Bug } from '../diagnostics/bug.ts';
import type { GraphBuilder } from '../graph/builder.ts';
import type { Value } from '../graph/graph.ts';
import { add, mul } from '../ops/elementwise.ts';
import { replay, sharesOf, wide } from './batch-segments.ts';
import type { Routing } from './emit-segments.ts';
import type { ExpertWeights } from './expert-weights.ts';
import type { Expert } from './segments.ts';

/** Whether an attention of the expert reads keys or values that depend on its own weights. What a router hands to single picks has no value for other tokens. */
export function readsAllTokens({ nodes, weights, slotted }: Expert): boolean {
  const own = new Set([...weights.keys(), ...nodes.flatMap(({ outputs }) => outputs)]);
  return slotted.size === 0 && nodes.some(({ op, inputs }) => op.name === 'attend' && inputs.slice(1, 3).some((one) => one && own.has(one)));
}

/** Σ over all experts of share · output. Where the number of experts is not known yet, one stands for all. */
export function everyExpert(build: GraphBuilder, experts: readonly Expert[], routing: Routing, weights: ExpertWeights, name: string): Value {
  const shares = sharesOf(build, routing.experts, routing.weights, Math.max(1, routing.n), false, name);
  const each = experts.flatMap((expert) => Array.from({ length: Math.max(1, expert.count) }, (_, e) => runOne(build, expert, e, weights, `${name}.${e}`)));
  return each
    .map((y, e) => {
      const share = shares[e];
      if (!share) throw new Bug(`no share for expert ${e}`);
      return build.one(mul, [y, wide(build, share, y)], {}, name);
    })
    .reduce((total, part) => build.one(add, [total, part], {}, name));
}

/** The output of expert `e` of a kind, for all tokens. */
function runOne(build: GraphBuilder, { nodes, result, weights: lifted, outside }: Expert, e: number, weights: ExpertWeights, name: string): Value {
  const became = new Map(outside);
  const read = new Set(nodes.flatMap(({ inputs }) => inputs));
  for (const [one, all] of lifted) if (read.has(one)) became.set(one, weights.of(all, e, build));
  replay(nodes, became, build, name);
  return became.get(result) ?? result;
}
