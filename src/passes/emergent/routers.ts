/** The routers of converted feed-forwards as graphs: scores from x, then the k largest. */

import { Bug } from '../../diagnostics/bug.ts';
import { type GraphBuilder, graphBuilder } from '../../graph/builder.ts';
import { dim } from '../../graph/dim.ts';
import { type Graph, type Value, value } from '../../graph/graph.ts';
import { ndArray, scalar } from '../../graph/nd-array.ts';
import { abs, silu, sin } from '../../ops/activations.ts';
import { add, gt, mul, where } from '../../ops/elementwise.ts';
import { take, top } from '../../ops/gather.ts';
import { concat } from '../../ops/join.ts';
import { matmul } from '../../ops/matmul.ts';
import type { FeedForward } from '../feed-forwards.ts';
import type { Conversion, Router } from './conversion.ts';
import { type Declare, hiddenOf, literal } from './hidden.ts';
import { neuronsOf } from './views.ts';

/** What viewers call each kind of router. */
const names: Readonly<Record<Router['kind'], string>> = {
  linear: 'TopScores',
  features: 'TopScoresOfFeatures',
  representative: 'TopRepresentatives',
  oracle: 'TopMass',
  random: 'RandomExperts',
};

/** The router of a conversion over the mixture's arguments; its weights are those of the graph around. */
export function routerBody(feedForward: FeedForward, conversion: Conversion, args: readonly Value[], declare: Declare): { readonly name: string; readonly graph: Graph } {
  const build = graphBuilder();
  const inputs = args.map((one, i) => value(i === 0 ? 'x' : 'z', one.type));
  const [x] = inputs;
  if (!x) throw new Bug('a router without tokens');
  const scores = addScores(build, { feedForward, conversion, x, declare: (name, source) => declare(`router.${name}`, source) });
  const path = routerPath(feedForward);
  const best = build.one(top, [scores], { k: dim(conversion.picks) }, `${path}.experts`);
  const experts = conversion.threshold ? aboveOnly(build, { scores, best, path, conversion, threshold: conversion.threshold.score }) : best;
  const name = names[conversion.router.kind];
  return { name, graph: build.finish({ name: path, inputs, outputs: [{ name: 'experts', value: experts }], weights: [] }) };
}

/** What the values of a router are named under, as those of an author's router are. */
const routerPath = ({ path }: FeedForward): string => `${path}.router`;

interface Picked {
  readonly scores: Value;
  readonly best: Value;
  readonly path: string;
  readonly conversion: Conversion;
  readonly threshold: number;
}

/** The picks whose scores are above the threshold; the others pick nothing, which stands behind the experts. */
function aboveOnly(build: GraphBuilder, { scores, best, path, conversion: { experts }, threshold }: Picked): Value {
  const above = build.one(gt, [build.one(take, [scores, best], {}, `${path}.best`), build.constant(scalar(threshold), 'threshold')], {}, `${path}.above`);
  return build.one(where, [above, best, build.constant(scalar(experts, 'i64'), 'nothing')], {}, `${path}.experts`);
}

interface Scoring {
  readonly feedForward: FeedForward;
  readonly conversion: Conversion;
  readonly x: Value;
  readonly declare: Declare;
}

/** [.., E]. */
function addScores(build: GraphBuilder, { feedForward, conversion, x, declare }: Scoring): Value {
  const { router, order, experts } = conversion;
  const path = routerPath(feedForward);
  const named = (name: string): string => `${path}.${name}`;
  const product = (from: Value, weight: string, array: Parameters<typeof literal>[0], name = 'scores'): Value =>
    build.one(matmul, [from, declare(weight, literal(array))], {}, named(name));
  const plus = (from: Value, bias: Parameters<typeof literal>[0] | undefined): Value => (bias ? build.one(add, [from, declare('bias', literal(bias))], {}, named('scores')) : from);
  switch (router.kind) {
    case 'linear':
      return plus(product(x, 'weight', router.weight), router.bias);
    case 'features': {
      const features = build.one(silu, [product(x, 'directions', router.directions, 'features')], {}, named('features'));
      return plus(product(build.one(concat, [x, features], { axis: -1 }, named('features')), 'weight', router.weight), router.bias);
    }
    case 'representative':
      return build.one(
        abs,
        [hiddenOf(build, feedForward, x, { gate: declare('gate', literal(router.gate)), ...(router.up ? { up: declare('up', literal(router.up)) } : {}) })],
        {},
        named('scores'),
      );
    case 'oracle':
      return product(build.one(abs, [hidden(build, feedForward, order, x, declare)], {}, named('masses')), 'norms', blocks(router.norms, experts));
    case 'random': {
      const wild = build.one(mul, [product(x, 'directions', router.directions, 'wild'), build.constant(scalar(wildness), 'wildness')], {}, named('wild'));
      return build.one(sin, [wild], {}, named('scores'));
    }
  }
}

/** So large that neighbouring tokens have nothing in common in the sine of it. */
const wildness = 1e3;

/** The hidden values of some neurons. */
function hidden(build: GraphBuilder, feedForward: FeedForward, neurons: readonly number[], x: Value, declare: Declare): Value {
  const { down: _, ...views } = neuronsOf(feedForward, neurons);
  const by = Object.fromEntries(Object.entries(views).map(([name, view]) => [name, declare(name.replace('Bias', '_bias'), view)]));
  return hiddenOf(build, feedForward, x, by);
}

/** [E · m] → [E · m, E]: the sum over the neurons of each expert, as a product. */
function blocks(norms: { readonly data: Float64Array }, experts: number): ReturnType<typeof ndArray> {
  const size = norms.data.length / experts;
  const data = new Float64Array(norms.data.length * experts);
  norms.data.forEach((norm, i) => {
    data[i * experts + Math.floor(i / size)] = norm;
  });
  return ndArray([norms.data.length, experts], data);
}
