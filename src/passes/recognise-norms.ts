/** Finds norms written with primitives, as the standard library writes them, and makes each one op, which targets have fused kernels for. */

import type { GraphBuilder } from '../graph/builder.ts';
import { constant, same } from '../graph/dim.ts';
import type { Graph, Node, Value } from '../graph/graph.ts';
import { ndArray } from '../graph/nd-array.ts';
import { rewrite } from '../graph/rewrite.ts';
import { layer_norm, rms_norm } from '../ops/norm.ts';
import { removeDead } from './drop-dead.ts';
import type { Pass } from './pass.ts';
import { type Producers, producersOf } from './producers.ts';
import { rebuild } from './rebuild.ts';
import { removeDuplicates } from './share-duplicates.ts';

/** What a value is divided by: the root of the mean of `of` squared, plus eps. */
interface Root {
  readonly of: Value;
  readonly eps: number;
}

interface Match {
  readonly node: Node;
  readonly from: Producers;
  readonly build: GraphBuilder;
}

/** Both ways to read the inputs of an op that commutes. */
function sides(node: Node | undefined): readonly (readonly [Value, Value])[] {
  const [a, b] = node?.inputs ?? [];
  return a && b
    ? [
        [a, b],
        [b, a],
      ]
    : [];
}

/** Whether the node takes the mean along the last axis and keeps that axis. */
function isLastMean(node: Node | undefined): node is Node {
  const rank = node?.inputs[0]?.type?.dims.length;
  const { axis, keep } = node?.attrs ?? {};
  return keep === true && (axis === -1 || (rank !== undefined && axis === rank - 1));
}

/** mean(x · x) + eps, either way around. */
function meanSquare(from: Producers, one: Value | undefined): Root | undefined {
  for (const [square, number] of sides(from.of(one, 'add'))) {
    const eps = from.number(number);
    const mean = from.of(square, 'mean');
    const product = isLastMean(mean) ? from.of(mean.inputs[0], 'mul') : undefined;
    const [a, b] = product?.inputs ?? [];
    if (eps !== undefined && a && a === b) return { of: a, eps };
  }
  return undefined;
}

/** 1 / √(mean(x · x) + eps). */
function inverseRoot(from: Producers, one: Value): Root | undefined {
  return meanSquare(from, from.of(one, 'rsqrt')?.inputs[0]);
}

/** z, where x is z − mean(z). */
function centred(from: Producers, x: Value): Value | undefined {
  const difference = from.of(x, 'sub');
  const [z, middle] = difference?.inputs ?? [];
  const mean = from.of(middle, 'mean');
  return isLastMean(mean) && mean.inputs[0] === z ? z : undefined;
}

/** Whether `vector` is [n] for x [.., n]. */
function fitsLast(x: Value, vector: Value): boolean {
  const [size, ...others] = vector.type?.dims ?? [];
  const last = x.type?.dims.at(-1);
  return size !== undefined && last !== undefined && others.length === 0 && same(size, last) && vector.type?.dtype === x.type?.dtype;
}

/** The norm of `x`: a centred one where x has been centred. */
function norm({ node, from, build }: Match, x: Value, eps: number, gain?: Value): Value | undefined {
  const width = constant(x.type?.dims.at(-1) ?? 0);
  const scale = gain ?? (width ? build.constant(ndArray([width], new Float64Array(width).fill(1), x.type?.dtype ?? 'f32'), 'ones') : undefined);
  if (!scale) return undefined;
  const z = centred(from, x);
  return named({ node, build }, z ? layer_norm : rms_norm, [z ?? x, scale], eps);
}

function named({ node, build }: Pick<Match, 'node' | 'build'>, op: typeof rms_norm, inputs: readonly Value[], eps: number): Value | undefined {
  return rebuild(build, node, { op, inputs, attrs: { eps } })[0];
}

/** x · r or x · (r · gain), r an inverse root of x. */
function unit(match: Match): Value | undefined {
  for (const [x, factor] of sides(match.node)) {
    const root = inverseRoot(match.from, factor);
    if (root?.of === x) return norm(match, x, root.eps);
    for (const [inner, gain] of sides(match.from.of(factor, 'mul'))) {
      const scaled = inverseRoot(match.from, inner);
      if (scaled?.of === x && fitsLast(x, gain)) return norm(match, x, scaled.eps, gain);
    }
  }
  return undefined;
}

/** x / √(mean(x · x) + eps). */
function quotient(match: Match): Value | undefined {
  const [x, divisor] = match.node.inputs;
  const root = meanSquare(match.from, match.from.of(divisor, 'sqrt')?.inputs[0]);
  return x && root?.of === x ? norm(match, x, root.eps) : undefined;
}

/** A norm without gain times a vector: the vector is its gain. */
function withGain(match: Match): Value | undefined {
  for (const [y, gain] of sides(match.node)) {
    const found = match.from.of(y, 'rms_norm') ?? match.from.of(y, 'layer_norm');
    const [x, ones, bias] = found?.inputs ?? [];
    const plain = match.from.array(ones)?.data.every((one) => one === 1) ?? false;
    if (found && x && plain && !bias && fitsLast(x, gain)) return named(match, found.op, [x, gain], found.attrs['eps'] as number);
  }
  return undefined;
}

/** A centred norm plus a vector: the vector is its bias. */
function withBias(match: Match): Value | undefined {
  for (const [y, bias] of sides(match.node)) {
    const found = match.from.of(y, 'layer_norm');
    const [x, gain, before] = found?.inputs ?? [];
    if (found && x && gain && !before && fitsLast(x, bias)) return named(match, layer_norm, [x, gain, bias], found.attrs['eps'] as number);
  }
  return undefined;
}

const rules: Readonly<Record<string, readonly ((match: Match) => Value | undefined)[]>> = { mul: [unit, withGain], div: [quotient], add: [withBias] };

/** The graph with norms as single ops. */
function fuseNorms(graph: Graph): Graph {
  let from: Producers | undefined;
  const fused = rewrite(removeDuplicates(graph), (node, build) => {
    from ??= producersOf(build);
    for (const rule of rules[node.op.name] ?? []) {
      const found = rule({ node, from, build });
      if (found) return [found];
    }
    return undefined;
  });
  return removeDead(fused);
}

export const recogniseNorms: Pass = {
  name: 'recognise-norms',
  summary: 'Makes RMS norms and layer norms written with primitives single ops.',
  options: {},
  run: fuseNorms,
};
