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
  const best = build.one(top, [scores], { k: dim(conversion.picks) }, 'experts');
  const experts = conversion.threshold ? aboveOnly(build, scores, best, conversion, conversion.threshold.score) : best;
  const name = names[conversion.router.kind];
  return { name, graph: build.finish({ name: `${feedForward.path}.router`, inputs, outputs: [{ name: 'experts', value: experts }], weights: [] }) };
}

/** The picks whose scores are above the threshold; the others pick nothing, which stands behind the experts. */
function aboveOnly(build: GraphBuilder, scores: Value, best: Value, { experts }: Conversion, threshold: number): Value {
  const above = build.one(gt, [build.one(take, [scores, best], {}, 'best'), build.constant(scalar(threshold), 'threshold')], {}, 'above');
  return build.one(where, [above, best, build.constant(scalar(experts, 'i64'), 'nothing')], {}, 'experts');
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
  const product = (from: Value, name: string, array: Parameters<typeof literal>[0]): Value => build.one(matmul, [from, declare(name, literal(array))], {}, name);
  const plus = (from: Value, bias: Parameters<typeof literal>[0] | undefined): Value => (bias ? build.one(add, [from, declare('bias', literal(bias))], {}, 'scores') : from);
  switch (router.kind) {
    case 'linear':
      return plus(product(x, 'weight', router.weight), router.bias);
    case 'features': {
      const features = build.one(silu, [product(x, 'directions', router.directions)], {}, 'features');
      return plus(product(build.one(concat, [x, features], { axis: -1 }, 'features'), 'weight', router.weight), router.bias);
    }
    case 'representative':
      return build.one(
        abs,
        [hiddenOf(build, feedForward, x, { gate: declare('gate', literal(router.gate)), ...(router.up ? { up: declare('up', literal(router.up)) } : {}) })],
        {},
        'scores',
      );
    case 'oracle':
      return product(build.one(abs, [hidden(build, feedForward, order, x, declare)], {}, 'masses'), 'norms', blocks(router.norms, experts));
    case 'random': {
      const wild = build.one(mul, [product(x, 'directions', router.directions), build.constant(scalar(wildness), 'wildness')], {}, 'wild');
      return build.one(sin, [wild], {}, 'scores');
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
