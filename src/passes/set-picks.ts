/** Lets every token pick another number of experts than the author wrote: a number, or one that is given when the model runs. */

import { type Diagnostic, diagnose } from '../diagnostics/diagnostic.ts';
import { constant, type Dim, dim, same, symbol } from '../graph/dim.ts';
import { TypeFault } from '../graph/fail.ts';
import { type Graph, type Node, type Value, value } from '../graph/graph.ts';
import { rewrite } from '../graph/rewrite.ts';
import { tensor } from '../graph/type.ts';
import type { Pass, PassContext } from './pass.ts';

/** The input that gives the number of picks, and the size it is. */
export const activeName = 'active';

/** How many experts the mixtures of a graph pick for a token, and of how many. */
export interface Picks {
  /** What the author wrote; of several mixtures the most. */
  readonly usual: number;
  /** Beyond this, one of the mixtures has too few experts. */
  readonly most: number;
}

/** The picks that can be set; undefined where no mixture has any. */
export function picksOf(graph: Graph): Picks | undefined {
  const found = graph.nodes.flatMap((node) => {
    const picked = node.op.name === 'mixture' ? withPicks(node, symbol(activeName)) : undefined;
    return picked ? [{ usual: constant(picked.usual) ?? 1, most: constant(node.attrs['n'] as Dim) ?? 1 }] : [];
  });
  if (found.length === 0) return undefined;
  return { usual: Math.max(...found.map(({ usual }) => usual)), most: Math.min(...found.map(({ most }) => most)) };
}

/**
 * The graph with `count` picks in every mixture whose router ends in `top(…, k)`; `'input'` makes it the input `active`, i64[]. The router computes with that
 * many slots, as if the author had written the number: what it normalises over the picked is over these.
 */
export function setPicks(graph: Graph, count: number | 'input', report: PassContext['report']): Graph {
  const picks = picksOf(graph);
  if (!picks) {
    const fixed = graph.nodes.filter((node) => node.op.name === 'mixture' && fixedPicks(node) !== count);
    for (const diagnostic of whyFixed(fixed)) report(diagnostic);
    if (!graph.nodes.some((node) => node.op.name === 'mixture')) report(diagnose('no-picks-to-set', {}));
    return graph;
  }
  const k = count === 'input' ? symbol(activeName) : dim(count);
  let refused = false;
  // A stack has many mixtures where the author wrote one.
  const said = new Set<string>();
  const set = rewrite(graph, (node, build) => {
    if (node.op.name !== 'mixture') return undefined;
    const at = node.span ? { at: node.span } : {};
    const first = !node.span || said.size < said.add(JSON.stringify(node.span)).size;
    const name = node.outputs[0]?.name ?? 'mixture';
    const experts = constant(node.attrs['n'] as Dim) ?? 1;
    if (count !== 'input' && (count < 1 || count > experts)) {
      refused = true;
      if (first) report(diagnose('picks-out-of-range', { picked: count, experts }, { ...at, notes: [`in ${name}`] }));
      return undefined;
    }
    const picked = withPicks(node, k);
    if (!picked && first && fixedPicks(node) !== count) report(diagnose('picks-are-fixed', { name }, at));
    if (picked) build.push(picked.node);
    return picked?.node.outputs;
  });
  if (refused) return graph;
  return count !== 'input' ? set : { ...set, inputs: [...set.inputs, value(activeName, tensor('i64', []))] };
}

/** How many experts a router that picks always as many picks; undefined where the number is open. */
function fixedPicks(node: Node): number | undefined {
  const last = expertsOf(node)?.type?.dims.at(-1);
  return last === undefined ? undefined : constant(last);
}

/** An error for each place where a mixture was written whose picks cannot be set. */
function whyFixed(mixtures: readonly Node[]): readonly Diagnostic[] {
  // A stack has many mixtures where the author wrote one: the first speaks for all.
  const places = new Map(mixtures.toReversed().map((node) => [JSON.stringify(node.span), node]));
  return [...places.values()].map((node) => {
    const made = node.bodies?.['router']?.nodes.find((one) => one.outputs[0] === expertsOf(node));
    return diagnose(
      'picks-cannot-be-set',
      { name: node.outputs[0]?.name ?? 'mixture', picked: fixedPicks(node) ?? 'as many' },
      {
        ...(node.span ? { at: node.span } : {}),
        related: made?.span ? [{ span: made.span, text: 'the picks, as the router makes them' }] : [],
        fixes: [{ text: 'leave `--active` out' }],
      },
    );
  });
}

const expertsOf = (node: Node): Value | undefined => node.bodies?.['router']?.outputs.find(({ name }) => name === 'experts')?.value;

/** The mixture with `k` picks, and what it had; undefined where its router picks by anything but one last `top`, or computes with the number otherwise. */
function withPicks(node: Node, k: Dim): { readonly node: Node; readonly usual: Dim } | undefined {
  const router = node.bodies?.['router'];
  const experts = expertsOf(node);
  const last = experts && router?.nodes.find((one) => one.op.name === 'top' && one.outputs[0] === experts);
  if (!router || !last) return undefined;
  try {
    const set = rewrite(
      router,
      (one, build) =>
        one.outputs[0] === experts ? build.add(one.op, one.inputs, { ...one.attrs, k }, { name: experts.name, ...(one.span ? { span: one.span } : {}) }) : undefined,
      { retype: true },
    );
    const lead = experts.type?.dims.length ?? 1;
    const fits = set.outputs.every(({ value: result }) => same(result.type?.dims[lead - 1] ?? -1, k));
    return fits ? { node: { ...node, bodies: { ...node.bodies, router: set } }, usual: last.attrs['k'] as Dim } : undefined;
  } catch (fault) {
    if (fault instanceof TypeFault) return undefined;
    throw fault;
  }
}

export const setPicksPass: Pass = {
  name: 'set-picks',
  summary: 'Lets every token pick another number of experts, or one that is given when the model runs.',
  options: { count: { kind: 'int', default: 1, doc: 'How many.' }, input: { kind: 'bool', default: false, doc: 'Make it the input `active` instead.' } },
  run: (graph, { count, input }, { report }) => setPicks(graph, input === true ? 'input' : Number(count), report),
};
