/** Puts a mixture in the place of each feed-forward that was converted. The mixture is the language's own: every lowering, `--active` and `--stats` work on it as on one the author wrote. */

import { Bug } from '../../diagnostics/bug.ts';
import { type GraphBuilder, graphBuilder } from '../../graph/builder.ts';
import { dim } from '../../graph/dim.ts';
import { type Graph, type Value, value, type Weight } from '../../graph/graph.ts';
import { type NdArray, ndArray } from '../../graph/nd-array.ts';
import { rewrite } from '../../graph/rewrite.ts';
import type { Source } from '../../graph/source.ts';
import { add, mul } from '../../ops/elementwise.ts';
import { concat } from '../../ops/join.ts';
import { matmul } from '../../ops/matmul.ts';
import { mixture } from '../../ops/routing.ts';
import { removeDead } from '../drop-dead.ts';
import type { FeedForward } from '../feed-forwards.ts';
import type { Conversion } from './conversion.ts';
import { type Declare, hiddenOf, inType, literal, type NeuronValues, present } from './hidden.ts';
import { routerBody } from './routers.ts';
import { computedIn, expertsOf, type NeuronViews, neuronsOf } from './views.ts';

/** A feed-forward and what it becomes. */
export interface Replacement {
  readonly feedForward: FeedForward;
  readonly conversion: Conversion;
}

/** The graph with mixtures for the feed-forwards given; what served these alone is gone. */
export function replaceFeedForwards(graph: Graph, replacements: readonly Replacement[]): Graph {
  const byResult = new Map(replacements.map((one) => [one.feedForward.y, one]));
  const weights: Weight[] = [];
  const replaced = rewrite(graph, (node, build, of) => {
    const wanted = node.outputs.map((output) => byResult.get(output));
    if (!wanted.some(Boolean)) return undefined;
    return node.outputs.map((output, i) => {
      const one = wanted[i];
      // What it reads may be what another one gave, and is a mixture's by now.
      return one ? mixtureFor(build, one, of(one.feedForward.x), weights) : output;
    });
  });
  return removeDead({ ...replaced, weights: [...replaced.weights, ...weights] });
}

function mixtureFor(build: GraphBuilder, { feedForward, conversion }: Replacement, input: Value, weights: Weight[]): Value {
  const { path, y } = feedForward;
  const declare: Declare = (name, source) => {
    const held = value(`${path}.${name}`, { dtype: source.dtype, dims: source.dims.map((size) => dim(size)) });
    weights.push({ value: held, path: held.name, source, storage: 'constant' });
    return held;
  };
  if (!y.type) throw new Bug(`${path} has no type`);
  const x = inType(build, input, computedIn);
  const { experts, order, shared, repair, threshold } = conversion;
  const outside: Outside = { build, x, path };
  const stand = repair && standIn(outside, repair, declare);
  const args = stand?.reads ? [x, stand.reads] : [x];
  const own = declared(expertsOf(feedForward, order, experts), 'experts', (name, source) =>
    declare(name, stand?.reads && name === 'experts.down' ? withMaps(source, stand.maps) : source),
  );
  const lifted = stand && !stand.reads ? withMeans(own, stand.maps, declare) : own;
  const names = stand?.reads ? ['x', 'z'] : ['x'];
  const body = expertBody(feedForward, args, lifted);
  const router = routerBody(feedForward, conversion, args, declare);
  const nothing = threshold && declare('nothing', literal(ndArray([1, feedForward.width], new Float64Array(feedForward.width))));
  const [mixed] = build.add(
    mixture,
    [...args, ...lifted.list, ...(nothing ? [nothing] : [])],
    { n: dim(nothing ? experts + 1 : experts), result: y.type.dims, dtype: computedIn, names, router: router.name, counts: nothing ? [experts, 1] : [experts] },
    { name: `${path}.mixed`, bodies: { router: router.graph, expert: body, ...(nothing ? { expert1: nothingBody(args, nothing) } : {}) } },
  );
  const parts = [mixed, stand?.whole, shared.length > 0 ? sharedOf(outside, feedForward, declared(neuronsOf(feedForward, shared), 'shared', declare)) : undefined];
  const summed = parts.flatMap((part) => part ?? []).reduce((total, part) => build.one(add, [total, part], {}, `${path}.sum`));
  const result = inType(build, summed, y.type.dtype);
  return feedForward.outBias ? build.one(add, [result, declare('out_bias', feedForward.outBias)], {}, y.name) : result;
}

/** The weights of an expert, and the vector that is added to what it gives. */
type ExpertValues = NeuronValues & { readonly means?: Value };

interface Outside {
  readonly build: GraphBuilder;
  readonly x: Value;
  readonly path: string;
}

/** The views as weights, in the order in which an expert takes them. */
interface Declared {
  readonly by: ExpertValues;
  readonly list: readonly Value[];
}

const viewNames = ['gate', 'gateBias', 'up', 'upBias', 'down'] as const;

function declared(views: NeuronViews, group: string, declare: Declare): Declared {
  const made = viewNames.flatMap((name) => {
    const view = views[name];
    return view ? [[name, declare(`${group}.${name.replace('Bias', '_bias')}`, view)] as const] : [];
  });
  return { by: Object.fromEntries(made), list: made.map(([, held]) => held) };
}

interface StandIn {
  /** [x · projection, 1], [.., r + 1]; absent where means stand in, which read nothing. */
  readonly reads?: Value;
  /** What all experts together would contribute. */
  readonly whole: Value;
  /** [E, r + 1, D], to be taken back where an expert runs. */
  readonly maps: NdArray;
}

/** What stands in for all experts; those that run take their own part back. */
function standIn({ build, x, path }: Outside, { projection, maps }: NonNullable<Conversion['repair']>, declare: Declare): StandIn {
  const [width = 0, rank = 0] = projection.dims;
  const total = summed(maps);
  if (rank === 0) return { maps, whole: declare('repair.whole', literal(ndArray([total.dims[1] ?? 0], total.data))) };
  const wide = new Float64Array(width * (rank + 1));
  for (let i = 0; i < width; i++) for (let j = 0; j < rank; j++) wide[i * (rank + 1) + j] = projection.data[i * rank + j] ?? 0;
  const one = Array.from({ length: rank + 1 }, (_, j) => (j === rank ? 1 : 0));
  const projected = build.one(matmul, [x, declare('repair.projection', literal(ndArray([width, rank + 1], wide)))], {}, `${path}.projected`);
  const reads = build.one(add, [projected, build.constant(ndArray([rank + 1], one), `${path}.one`)], {}, `${path}.read`);
  return { reads, maps, whole: build.one(matmul, [reads, declare('repair.whole', literal(total))], {}, `${path}.stand_in`) };
}

/** [E, r + 1, D] → [r + 1, D]. */
function summed({ dims, data }: NdArray): NdArray {
  const [experts = 0, rows = 0, out = 0] = dims;
  const total = new Float64Array(rows * out);
  for (let e = 0; e < experts; e++) for (let i = 0; i < total.length; i++) total[i] = (total[i] ?? 0) + (data[e * rows * out + i] ?? 0);
  return ndArray([rows, out], total);
}

/** Each expert with its own mean, [E, 1, D], to be taken back. */
function withMeans({ by, list }: Declared, { dims, data }: NdArray, declare: Declare): Declared {
  const [experts = 0, , out = 0] = dims;
  const means = declare(
    'experts.means',
    literal(
      ndArray(
        [experts, out],
        data.map((one) => -one),
      ),
    ),
  );
  return { by: { ...by, means }, list: [...list, means] };
}

/** [E, m, D] → [E, m + r + 1, D]: an expert's own product takes its stand-in back. */
function withMaps(down: Source, maps: NdArray): Source {
  const negated = literal({ ...maps, data: maps.data.map((one) => -one) });
  const [experts = 0, size = 0, width = 0] = down.dims;
  return { kind: 'concat', of: [down, negated], axis: 1, dims: [experts, size + (maps.dims[1] ?? 0), width], dtype: down.dtype };
}

/** One expert: the feed-forward over its own neurons, and its stand-in taken back. */
function expertBody(feedForward: FeedForward, args: readonly Value[], lifted: Declared): Graph {
  const build = graphBuilder();
  const inputs = args.map((one, i) => value(i === 0 ? 'x' : 'z', one.type));
  const [x, z] = inputs;
  const own = lifted.list.map((one) => value(one.name, one.type && { dtype: one.type.dtype, dims: one.type.dims.slice(1) }));
  const by: ExpertValues = Object.fromEntries(Object.entries(lifted.by).map(([name, one]) => [name, own[lifted.list.indexOf(one)]]));
  const hidden = hiddenOf(build, feedForward, present(x), by);
  const joined = z ? build.one(concat, [hidden, z], { axis: -1 }, `${feedForward.path}.joined`) : hidden;
  const product = build.one(matmul, [joined, present(by.down)], {}, `${feedForward.path}.expert`);
  const result = by.means ? build.one(add, [product, by.means], {}, `${feedForward.path}.expert`) : product;
  return build.finish({ name: `${feedForward.path}.expert`, inputs: [...inputs, ...own], outputs: [{ name: 'y', value: result }], weights: [] });
}

/** What slots below the threshold pick: zeros, by a weight of one row, so that no product is computed for them in any lowering. */
function nothingBody(args: readonly Value[], zeros: Value): Graph {
  const build = graphBuilder();
  const inputs = args.map((one, i) => value(i === 0 ? 'x' : 'z', one.type));
  const own = value(zeros.name, zeros.type && { dtype: zeros.type.dtype, dims: zeros.type.dims.slice(1) });
  const result = build.one(mul, [present(inputs[0]), own], {}, `${zeros.name}.result`);
  return build.finish({ name: zeros.name, inputs: [...inputs, own], outputs: [{ name: 'y', value: result }], weights: [] });
}

/** The neurons that always run, as a feed-forward of their own. */
function sharedOf({ build, x, path }: Outside, feedForward: FeedForward, { by }: Declared): Value {
  return build.one(matmul, [hiddenOf(build, feedForward, x, by), present(by.down)], {}, `${path}.shared`);
}
