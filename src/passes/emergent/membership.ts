/** Scores fitted to the choice itself: is this expert among those of this token that would be missed most? Weighted by what a wrong answer costs. */

import { Bug } from '../../diagnostics/bug.ts';
import { graphBuilder } from '../../graph/builder.ts';
import type { Compute } from '../../graph/compute.ts';
import { type Graph, type Value, value, type Weight } from '../../graph/graph.ts';
import { type NdArray, ndArray } from '../../graph/nd-array.ts';
import { tensor } from '../../graph/type.ts';
import { sigmoid } from '../../ops/activations.ts';
import { mul, sub } from '../../ops/elementwise.ts';
import { matmul } from '../../ops/matmul.ts';
import { transpose } from '../../ops/shape.ts';
import { solveFactorised } from './cholesky.ts';
import { literal } from './hidden.ts';
import { type Matrix, matrix, row } from './matrix.ts';
import { type Picking, picksOf, thresholdOf } from './picking.ts';
import { addMoments, centred, type Fit, penalised } from './ridge.ts';

/** How membership is fitted. */
export interface MembershipOptions {
  /** Which of the losses are to be picked. */
  readonly picking: Picking;
  /** λ, as a multiple of the mean variance of the features. */
  readonly penalty: number;
  readonly steps: number;
}

/** Costs above so many times their mean count no more than that. */
const mostCost = 4;

/** What each token wants of each expert, [T, E]. */
interface Wanted {
  /** 1 for the experts to pick. */
  readonly picked: NdArray;
  /** What it costs to be wrong, 1 on average where none is cut off. */
  readonly costs: NdArray;
}

/**
 * Logistic regression from features [T, P] to whether a token's loss [T, E] without an expert is to be picked: is among its k largest, or above
 * the threshold. The cost of an error is how far loss² lies from the middle between the k-th and the next loss², or from the threshold, so that experts that matter little either way weigh
 * little: minimises the mean of cost · log-loss + λ / 8 · ‖W‖². Accelerated gradient steps (Nesterov 1983), preconditioned by the
 * covariance of the features, which bounds the curvature where costs stay below half of the most. Two products [T, P] a step.
 */
export async function fitMembership(features: Matrix, losses: Matrix, { picking, penalty, steps }: MembershipOptions, compute: Compute): Promise<Fit> {
  const [t, p, e] = [features.rows, features.columns, losses.columns];
  if (losses.rows !== t || t === 0) throw new Bug('features and losses do not fit together');
  const { featureMeans, gram } = centred(await addMoments(undefined, features, losses, compute));
  const ridge = (penalty * meanDiagonal(gram, p)) / 4;
  const l = penalised(
    gram.map((one) => (one * mostCost) / 8),
    p,
    (penalty * 2) / mostCost,
  );
  const pull = pullGraph(withOnes(features, featureMeans), wantedOf(losses, picking));
  // The last row is the bias.
  let weights = new Float64Array((p + 1) * e);
  let ahead = weights;
  for (let step = 0; step < steps; step++) {
    const { gradient } = await compute.run(pull, { weights: ndArray([p + 1, e], ahead) });
    if (!gradient) throw new Bug('a step without a gradient');
    const move = new Float64Array(gradient.data).map((one, i) => one / t - (i < p * e ? ridge * (ahead[i] as number) : 0));
    solveFactorised(l, p, move.subarray(0, p * e), e);
    for (let i = p * e; i < move.length; i++) move[i] = (move[i] as number) / (mostCost / 8);
    const next = ahead.map((one, i) => one + (move[i] as number));
    const [last, momentum] = [weights, step / (step + 3)];
    ahead = next.map((one, i) => one + momentum * (one - (last[i] as number)));
    weights = next;
  }
  await compute.release(pull);
  const intercept = weights.slice(p * e);
  for (let i = 0; i < p; i++) for (let j = 0; j < e; j++) intercept[j] = (intercept[j] as number) - (featureMeans[i] as number) * (weights[i * e + j] as number);
  return { weights: matrix(p, e, Float32Array.from(weights.subarray(0, p * e))), intercept: new Float32Array(intercept) };
}

/** Features less their means, and a column of ones: [T, P + 1]. */
function withOnes(features: Matrix, means: Float64Array): NdArray {
  const { rows: t, columns: p } = features;
  const all = new Float64Array(t * (p + 1)).fill(1);
  for (let i = 0; i < t; i++) for (let j = 0; j < p; j++) all[i * (p + 1) + j] = (features.data[i * p + j] as number) - (means[j] as number);
  return ndArray([t, p + 1], all);
}

/** weights [P + 1, E] → φᵀ·(costs ⊙ (picked − σ(φ·weights))), which pulls them to less loss: [P + 1, E]. The features lie in the graph, so that no step copies them. */
function pullGraph(phi: NdArray, { picked, costs }: Wanted): Graph {
  const build = graphBuilder();
  const declared: Weight[] = [];
  const declare = (name: string, array: NdArray): Value => {
    const held = value(name, tensor('f32', array.dims));
    declared.push({ value: held, path: name, source: literal(array), storage: 'constant' });
    return held;
  };
  const features = declare('features', phi);
  const weights = value('weights', tensor('f32', [phi.dims[1] ?? 0, picked.dims[1] ?? 0]));
  const guess = build.one(sigmoid, [build.one(matmul, [features, weights], {}, 'scores')], {}, 'guess');
  const wrong = build.one(mul, [declare('costs', costs), build.one(sub, [declare('picked', picked), guess], {}, 'wrong')], {}, 'pull');
  const gradient = build.one(matmul, [build.one(transpose, [features], {}, 'turned'), wrong], {}, 'gradient');
  return build.finish({ name: 'membership', inputs: [weights], outputs: [{ name: 'gradient', value: gradient }], weights: declared });
}

function wantedOf(losses: Matrix, picking: Picking): Wanted {
  const dims = [losses.rows, losses.columns];
  const costs = new Float64Array(losses.data.length);
  const middles = middlesOf(losses, picking);
  for (let t = 0; t < losses.rows; t++) {
    const middle = middles(t);
    row(losses, t).forEach((loss, j) => {
      costs[t * losses.columns + j] = Math.abs(loss ** 2 - middle ** 2);
    });
  }
  const mean = costs.reduce((sum, one) => sum + one, 0) / costs.length;
  // Where every expert is missed alike there is nothing to choose, and all costs are 0.
  return {
    picked: ndArray(dims, Float64Array.from(picksOf(losses, picking).data)),
    costs: ndArray(
      dims,
      costs.map((one) => (mean > 0 ? Math.min(mostCost, one / mean) : 0)),
    ),
  };
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
