/** Picks the lowering of each segment: by experts, widths, picks and tokens, from what a target's runtime was measured to take. */

import { constant, type Dim } from '../../graph/dim.ts';
import type { Graph, Node } from '../../graph/graph.ts';
import { count } from '../../graph/nd-array.ts';
import { bytesOf } from '../../graph/type.ts';
import { isMade } from '../../graph/views.ts';
import { liftedWeights } from '../../passes/expert-weights.ts';
import type { LoweringName, MixtureCosts, Target } from '../target.ts';
import { givesNothing, notFused } from './fused.ts';
import { canGather } from './gathered.ts';
import { readSegment, type Segment } from './segment.ts';

/** How lowerings are asked for: one for every number of tokens, or one for few and one for many. */
export interface Wish {
  readonly few: LoweringName;
  readonly many: LoweringName;
}

/** As it is asked for: `guarded`, or `gathered,guarded`. */
export const spellWish = ({ few, many }: Wish): string => (few === many ? many : `${few},${many}`);

/** What a choice depends on beside the segment. */
export interface ChooseOptions {
  readonly target: Target;
  /** Whether the graph may be run for one token at a time too. */
  readonly steps: boolean;
  /** Whether all weights are written anew, so that other orders of rows cost nothing. */
  readonly written: boolean;
  /** What the caller asks for, in place of the cheapest. */
  readonly wish?: Wish;
}

/** What a segment is lowered to. */
export interface Choice extends Wish {
  /** The segment, by its result. */
  readonly path: string;
  readonly experts: number;
  /** Undefined where the number of picks is known only at run time. */
  readonly picks: number | undefined;
  /** Whether the weights of its experts are written anew: with all others, or because they are made. */
  readonly written: boolean;
  /** Tokens up to which `few` is used, where it differs from `many`. */
  readonly upTo: number;
  readonly reason: string;
  /** Estimated milliseconds for one token and for `manyTokens`, by lowering that could be used. */
  readonly estimates: readonly { readonly lowering: LoweringName; readonly one: number; readonly many: number }[];
  /** Why others cannot be used. */
  readonly refused: readonly { readonly lowering: LoweringName; readonly reason: string }[];
}

/** What stands for many tokens in estimates. */
export const manyTokens = 256;
/** Two lowerings, and the `If` between them, must save this much to be worth a second graph. */
const worthwhile = 1.15;
/** Nodes that take as long as an `If` between two lowerings: 62 µs in onnxruntime 1.30, of 13 layers with 16 experts of 576 × 96 on two cores. */
const branching = 25;
/** Copies of a row, as an expert reads it and as it gives it, that gathering, splitting, joining, putting back and summing rows cost: fitted to guarded layers from 576 × 96 to 2048 × 512 at 256 tokens. */
const moves = 5;
/** Bytes that gathering weights may take for `manyTokens`. */
const gatheredAtMost = 1 << 30;

/** Sizes that costs depend on. */
interface Sizes {
  readonly n: number;
  readonly k: number;
  /** Products and bytes of one expert, and operations of one row in it. */
  readonly products: number;
  readonly bytes: number;
  readonly flops: number;
  /** Bytes of a row as experts read it, and as they give it. */
  readonly read: number;
  readonly given: number;
}

/** The lowering of a segment, and why. */
export function choose(node: Node, around: Graph, options: ChooseOptions): Choice {
  const segment = readSegment(node, node);
  const { target, wish } = options;
  const written = options.written || ownMade(segment, around);
  const sizes = sizesOf(segment, around, written);
  const refusals = target.mixtures.names.map((lowering) => ({ lowering, reason: refusal(lowering, node, around, sizes, { ...options, written }) }));
  const refused = refusals.flatMap(({ lowering, reason }) => (reason === undefined ? [] : [{ lowering, reason }]));
  const possible = refusals.filter(({ reason }) => reason === undefined).map(({ lowering }) => lowering);
  const estimates = possible.map((lowering) => ({
    lowering,
    one: cost(lowering, sizes, 1, target.mixtures.costs) / 1000,
    many: cost(lowering, sizes, manyTokens, target.mixtures.costs) / 1000,
  }));
  const about = { path: segment.name, experts: segment.n, picks: constant(segment.slots), written, estimates, refused };
  const missed = wish && missing(wish, target, refusals);
  if (wish && missed === undefined) return { ...about, ...wish, upTo: turn(wish, sizes, target.mixtures.costs), reason: 'asked for' };
  const best = cheapest(estimates, options.steps, target);
  return { ...about, ...best, upTo: turn(best, sizes, target.mixtures.costs), reason: missed === undefined ? best.reason : `${missed}; ${best.reason}` };
}

/** What keeps a wish from being met; undefined where nothing does. */
function missing({ few, many }: Wish, target: Target, refusals: readonly { readonly lowering: LoweringName; readonly reason: string | undefined }[]): string | undefined {
  for (const name of new Set([few, many])) {
    const known = refusals.find(({ lowering }) => lowering === name);
    if (!known) return `the target ${target.name} has no lowering ${name}`;
    if (known.reason !== undefined) return known.reason;
  }
  if (few === many) return undefined;
  if (!target.controlFlow) return `the target ${target.name} takes one lowering, whatever the number of tokens`;
  const pair = [few, many];
  if (pair.includes('batched')) return 'batched experts are ops of their own, and no other lowering stands beside them';
  if (pair.includes('fused') && !pair.includes('guarded')) return `${few} and ${many} would each hold the weights of all experts, in an order of their own`;
  return undefined;
}

/** Whether the weights of all experts are made for the file. */
function ownMade({ kinds }: Segment, around: Graph): boolean {
  const held = liftedWeights(around);
  return kinds.every(({ lifted }) =>
    lifted.every((one) => {
      const weight = held.get(one);
      return weight !== undefined && isMade(weight.source);
    }),
  );
}

type Estimates = Choice['estimates'];

/** The cheapest lowering, or the cheapest two where one alone would cost much. */
function cheapest(estimates: Estimates, steps: boolean, { controlFlow, mixtures }: Target): Wish & { readonly reason: string } {
  const by = (pick: 'one' | 'many'): Estimates[number] => estimates.reduce((best, one) => (one[pick] < best[pick] ? one : best));
  const [one, many] = [by('one'), by('many')];
  if (!steps) return { few: many.lowering, many: many.lowering, reason: `least for ${manyTokens} tokens` };
  if (one.lowering === many.lowering) return { few: one.lowering, many: one.lowering, reason: `least for one token and for ${manyTokens}` };
  const loss = (given: Pick<Estimates[number], 'one' | 'many'>): number => Math.max(given.one / one.one, given.many / many.many);
  const single = estimates.reduce((best, given) => (loss(given) < loss(best) ? given : best));
  const branch = costOfBranching(mixtures.costs);
  const both = loss({ one: one.one + branch, many: many.many + branch });
  if (!controlFlow || loss(single) <= worthwhile * both || [one.lowering, many.lowering].includes('batched')) {
    const tried = controlFlow && loss(single) > worthwhile ? `; two would cost ${both.toFixed(2)} ×` : '';
    return { few: single.lowering, many: single.lowering, reason: `within ${loss(single).toFixed(2)} × of the least, for one token and for ${manyTokens}${tried}` };
  }
  return { few: one.lowering, many: many.lowering, reason: `each the least for its number of tokens; one alone costs ${loss(single).toFixed(2)} ×, both ${both.toFixed(2)} ×` };
}

/** The number of tokens up to which `few` costs less, by halving. */
function turn({ few, many }: Wish, sizes: Sizes, costs: MixtureCosts): number {
  let [low, high] = [1, manyTokens];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (cost(few, sizes, middle, costs) <= cost(many, sizes, middle, costs)) low = middle;
    else high = middle;
  }
  return low;
}

function refusal(lowering: LoweringName, node: Node, around: Graph, { k, bytes }: Sizes, { written, target, wish }: ChooseOptions): string | undefined {
  const asked = wish?.few === lowering || wish?.many === lowering;
  if (lowering === 'fused') {
    const fault = notFused(node, around);
    if (fault !== undefined || asked) return fault;
    return written ? undefined : 'its weights would have to be written in another order';
  }
  if (lowering === 'gathered') {
    if (!canGather(node)) return 'its experts cannot be computed in one batch with weights of their own';
    const most = manyTokens * k * bytes;
    if (!asked && !target.controlFlow && most > gatheredAtMost) return `the weights of ${manyTokens} tokens would take ${Math.round(most / 2 ** 20)} MiB`;
  }
  return undefined;
}

/** Matrices that read the same rows are one product where they can lie side by side. */
function sizesOf({ n, slots, rows, kinds, lead, out }: Segment, around: Graph, joined: boolean): Sizes {
  const each = kinds.map(({ body, lifted, count }) => {
    const own = new Set(body.inputs.slice(rows.length));
    const products = body.nodes.filter(({ op, inputs }) => op.name === 'matmul' && inputs.some((one) => one && own.has(one)));
    const weights = lifted.map((one) => ({ elements: elementsOf((one.type?.dims ?? []).slice(1)), width: bytesOf[one.type?.dtype ?? 'f32'] }));
    return {
      count,
      products: joined ? new Set(products.map(({ inputs }) => inputs[0])).size : products.length,
      bytes: weights.reduce((sum, { elements, width }) => sum + elements * width, 0),
      flops: 2 * weights.reduce((sum, { elements }) => sum + elements, 0),
    };
  });
  const mean = (of: (one: (typeof each)[number]) => number): number => each.reduce((sum, one) => sum + of(one) * one.count, 0) / Math.max(1, n);
  // Where picks may be of nothing, half of them are taken to be.
  const open = kinds.some((kind) => givesNothing(kind, around)) ? 2 : 1;
  const k = Math.max(1, Math.round((constant(slots) ?? n / 4) / open));
  const width = (dims: readonly Dim[]): number => bytesOf.f32 * elementsOf(dims);
  const read = rows.reduce((sum, { value, slotted }) => sum + width(value.type?.dims.slice(lead.length + (slotted ? 1 : 0)) ?? []), 0);
  return { n, k, products: mean((one) => one.products), bytes: mean((one) => one.bytes), flops: mean((one) => one.flops), read, given: width(out) };
}

/** Sizes that are open count once. */
const elementsOf = (dims: readonly Dim[]): number => count(dims.map((size) => constant(size) ?? 1));

/** Milliseconds that products with constant matrices take for `tokens` tokens, by the same measure: what a layer without experts costs. */
export function costOfProducts(layer: Pick<Sizes, 'products' | 'bytes' | 'flops'>, tokens: number, costs: MixtureCosts): number {
  return cost('batched', { ...layer, n: 1, k: 1, read: 0, given: 0 }, tokens, costs) / 1000;
}

/** Milliseconds that the choice between two lowerings takes while a model runs. */
export const costOfBranching = ({ node }: MixtureCosts): number => (branching * node) / 1000;

/** Microseconds for `tokens` tokens. */
function cost(lowering: LoweringName, { n, k, products, bytes, flops, read, given }: Sizes, tokens: number, costs: MixtureCosts): number {
  const { node, copy, multiply } = costs;
  const rows = tokens * k;
  // A token's picks are different experts.
  const active = n * (1 - (1 - k / n) ** tokens);
  const moved = (moves * rows * (read + given)) / copy;
  switch (lowering) {
    case 'batched':
      // The results of all experts are written, weighted and summed.
      return node * n * (products + 3) + Math.max((n * bytes) / costs.read, (n * tokens * flops) / multiply) + (3 * n * tokens * given) / copy;
    case 'guarded':
      return node * (35 + n * products) + Math.max((active * bytes) / costs.read, (rows * flops) / multiply) + moved;
    case 'gathered':
      return node * 20 + rows * bytes * (1 / copy + 1 / costs.read);
    case 'looped':
      // Each turn appends its rows to those before.
      return node * 40 + active * (node * (15 + 3 * products) + bytes * (1 / copy + 1 / costs.read) + (rows * given) / 2 / copy) + (rows * flops) / multiply + moved;
    case 'fused':
      // An expert of several rows has its matrices laid out for the product anew in every run.
      return node * 12 + Math.max(((tokens > 1 ? 1.6 : 1) * active * bytes) / costs.readFused, (rows * flops) / costs.multiplyFused);
  }
}
