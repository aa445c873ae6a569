/** Scores fitted to the choice itself: is this expert among those of this token that would be missed most? Weighted by what a wrong answer costs. */

import { Bug } from '../../diagnostics/bug.ts';
import { graphBuilder } from '../../graph/builder.ts';
import type { Compute, Numbers } from '../../graph/compute.ts';
import { symbol } from '../../graph/dim.ts';
import { type Graph, type Value, value } from '../../graph/graph.ts';
import { scalar } from '../../graph/nd-array.ts';
import { tensor } from '../../graph/type.ts';
import { sigmoid } from '../../ops/activations.ts';
import { add, mul, sub } from '../../ops/elementwise.ts';
import { matmul } from '../../ops/matmul.ts';
import { transpose } from '../../ops/shape.ts';
import { invertLower } from './cholesky.ts';
import { columnMeans, type Matrix, matrix, row, transposed } from './matrix.ts';
import { type Picking, picksOf, thresholdOf } from './picking.ts';
import { type Fit, penalised } from './ridge.ts';

/** How membership is fitted. */
export interface MembershipOptions {
  /** Which of the losses are to be picked. */
  readonly picking: Picking;
  readonly steps: number;
}

/** Costs above so many times their mean count no more than that. */
const mostCost = 4;

/** Features as fits to membership read them: the same for all fits to the same tokens. */
export interface MembershipBasis {
  /** Features less their means, and a column of ones for the bias: [T, P + 1]. */
  readonly features: Matrix;
  /** [P] */
  readonly means: Float64Array;
  /** L⁻¹ of L·Lᵀ, which bounds the curvature where costs stay below half of the most: [P + 1, P + 1]. */
  readonly inverse: Matrix;
  /** λ / 4, which draws every weight to 0. */
  readonly ridge: number;
}

/** The basis of features [T, P]; `penalty` is λ, as a multiple of their mean variance. One product [P + 1, T] · [T, P + 1], and P³ / 3 multiply-adds. */
export async function membershipBasis(features: Matrix, penalty: number, compute: Compute): Promise<MembershipBasis> {
  const { rows: t, columns: p } = features;
  if (t === 0) throw new Bug('a fit without tokens');
  const means = columnMeans(features);
  const centred = withOnes(features, means);
  const { data: products } = await compute.product(transposed(centred), centred);
  const bound = new Float64Array(p * p);
  for (let i = 0; i < p; i++) for (let j = 0; j < p; j++) bound[i * p + j] = ((products[i * (p + 1) + j] as number) / t) * (mostCost / 8);
  const ridge = (meanDiagonal(bound, p) * penalty * 2) / mostCost;
  const inverse = invertLower(penalised(bound, p, (penalty * 2) / mostCost), p);
  const wider = matrix(p + 1, p + 1);
  for (let i = 0; i < p; i++) wider.data.set(inverse.subarray(i * p, (i + 1) * p), i * (p + 1));
  wider.data[wider.data.length - 1] = 1 / Math.sqrt(mostCost / 8);
  return { features: centred, means, inverse: wider, ridge };
}

/**
 * Logistic regression from features [T, P] to whether a token's loss [T, E] without an expert is to be picked: is among its k largest, or above
 * the threshold. The cost of an error is how far loss² lies from the middle between the k-th and the next loss², or from the threshold, so that experts that matter little either way weigh
 * little: minimises the mean of cost · log-loss + λ / 8 · ‖W‖². Accelerated gradient steps (Nesterov 1983), preconditioned by the
 * covariance of the features, all in one run in f32. Two products [T, P + 1] · [P + 1, E] a step.
 */
export async function fitMembership({ features, means, inverse, ridge }: MembershipBasis, losses: Matrix, { picking, steps }: MembershipOptions, compute: Compute): Promise<Fit> {
  const [p, e] = [means.length, losses.columns];
  if (losses.rows !== features.rows) throw new Bug('features and losses do not fit together');
  const { picked, costs } = wantedOf(losses, picking);
  const decay = matrix(p + 1, 1, new Float32Array(p + 1).fill(ridge, 0, p));
  const given = { features, picked, costs, inverse, decay, start: matrix(p + 1, e) };
  const { weights } = await compute.run(stepsGraph(steps), Object.fromEntries(Object.entries(given).map(([name, one]) => [name, numbersOf(one)])));
  if (!weights) throw new Bug('a fit without weights');
  const found = Float32Array.from(weights.data);
  // The last row is the bias.
  const intercept = Float64Array.from(found.subarray(p * e));
  for (let i = 0; i < p; i++) for (let j = 0; j < e; j++) intercept[j] = (intercept[j] as number) - (means[i] as number) * (found[i * e + j] as number);
  return { weights: matrix(p, e, found.slice(0, p * e)), intercept: new Float32Array(intercept) };
}

const numbersOf = ({ rows, columns, data }: Matrix): Numbers => ({ dtype: 'f32', dims: [rows, columns], data });

/** [features − means | 1] */
function withOnes({ rows, columns, data }: Matrix, means: Float64Array): Matrix {
  const all = matrix(rows, columns + 1);
  for (let i = 0, at = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) all.data[at++] = (data[i * columns + j] as number) - (means[j] as number);
    all.data[at++] = 1;
  }
  return all;
}

/** Graphs of so many steps, made once, so that all fits share a session. */
const graphs = new Map<number, Graph>();

/** From the weights at the start to those after some steps, [P + 1, E]. A step adds L⁻ᵀL⁻¹ · (featuresᵀ · (costs ⊙ (picked − σ(features · weights))) − decay ⊙ weights). */
function stepsGraph(steps: number): Graph {
  const known = graphs.get(steps);
  if (known) return known;
  const build = graphBuilder();
  const input = (name: string, ...sizes: readonly (string | number)[]): Value =>
    value(
      name,
      tensor(
        'f32',
        sizes.map((size) => (typeof size === 'string' ? symbol(size) : size)),
      ),
    );
  const [features, picked, costs] = [input('features', 'T', 'P'), input('picked', 'T', 'E'), input('costs', 'T', 'E')];
  const [inverse, decay, start] = [input('inverse', 'P', 'P'), input('decay', 'P', 1), input('start', 'P', 'E')];
  const turned = build.one(transpose, [features], {}, 'turned');
  const back = build.one(transpose, [inverse], {}, 'back');
  let [weights, ahead] = [start, start];
  for (let step = 0; step < steps; step++) {
    const guess = build.one(sigmoid, [build.one(matmul, [features, ahead])]);
    const pull = build.one(matmul, [turned, build.one(mul, [costs, build.one(sub, [picked, guess])])]);
    const bent = build.one(matmul, [inverse, build.one(sub, [pull, build.one(mul, [decay, ahead])])]);
    const next = build.one(add, [ahead, build.one(matmul, [back, bent])]);
    const momentum = build.constant(scalar(step / (step + 3)));
    ahead = build.one(add, [next, build.one(mul, [momentum, build.one(sub, [next, weights])])]);
    weights = next;
  }
  const graph = build.finish({
    name: 'membership',
    inputs: [features, picked, costs, inverse, decay, start],
    outputs: [{ name: 'weights', value: weights }],
    weights: [],
  });
  graphs.set(steps, graph);
  return graph;
}

/** What each token wants of each expert: 1 for the experts to pick, and the share of its cost in a mean over the tokens. [T, E] */
function wantedOf(losses: Matrix, picking: Picking): { readonly picked: Matrix; readonly costs: Matrix } {
  const costs = matrix(losses.rows, losses.columns);
  const middles = middlesOf(losses, picking);
  let sum = 0;
  for (let t = 0, at = 0; t < losses.rows; t++) {
    const middle = middles(t);
    for (let j = 0; j < losses.columns; j++, at++) {
      const cost = Math.abs((losses.data[at] as number) ** 2 - middle ** 2);
      costs.data[at] = cost;
      sum += cost;
    }
  }
  const mean = sum / costs.data.length;
  // Where every expert is missed alike there is nothing to choose, and all costs are 0.
  for (let at = 0; at < costs.data.length; at++) costs.data[at] = mean > 0 ? Math.min(mostCost, (costs.data[at] as number) / mean) / losses.rows : 0;
  return { picked: picksOf(losses, picking), costs };
}

/** The loss between those of a token that are to be picked and the others. */
function middlesOf(losses: Matrix, picking: Picking): (token: number) => number {
  if (picking.kind === 'above') {
    const threshold = Math.max(0, thresholdOf(losses, picking));
    return () => threshold;
  }
  const { k } = picking;
  return (t) => {
    const order = row(losses, t).slice().sort().reverse();
    return ((order[k - 1] as number) + (order[Math.min(k, order.length - 1)] as number)) / 2;
  };
}

function meanDiagonal(square: Float64Array, n: number): number {
  let sum = 0;
  for (let i = 0; i < n; i++) sum += square[i * n + i] as number;
  return sum / n;
}
