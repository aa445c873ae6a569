/** Scores fitted to the choice itself: is this expert among the k of this token that would be missed most? Weighted by what a wrong answer costs. */

import { Bug } from '../../diagnostics/bug.ts';
import type { Compute } from '../../graph/compute.ts';
import { solveFactorised } from './cholesky.ts';
import { type Matrix, matrix, row, transposed } from './matrix.ts';
import { addMoments, centred, type Fit, penalised } from './ridge.ts';

/** How membership is fitted. */
export interface MembershipOptions {
  /** Experts that a token picks. */
  readonly picks: number;
  /** λ, as a multiple of the mean variance of the features. */
  readonly penalty: number;
  readonly steps: number;
}

/** Costs above so many times their mean count no more than that. */
const mostCost = 4;

/** What each token wants of each expert: [T · E]. */
interface Wanted {
  /** 1 for the experts to pick. */
  readonly picked: Float32Array;
  /** What it costs to be wrong, 1 on average where none is cut off. */
  readonly costs: Float32Array;
}

/**
 * Logistic regression from features [T, P] to whether a token's loss [T, E] without an expert is among its k largest. The cost of
 * an error is how far loss² lies from the middle between the k-th and the next loss², so that experts that matter little either way weigh
 * little: minimises the mean of cost · log-loss + λ / 8 · ‖W‖². Accelerated gradient steps (Nesterov 1983), preconditioned by the
 * covariance of the features, which bounds the curvature where costs stay below half of the most. Two products a step.
 */
export async function fitMembership(features: Matrix, losses: Matrix, { picks, penalty, steps }: MembershipOptions, compute: Compute): Promise<Fit> {
  const [t, p, e] = [features.rows, features.columns, losses.columns];
  if (losses.rows !== t || t === 0) throw new Bug('features and losses do not fit together');
  const { featureMeans, gram } = centred(await addMoments(undefined, features, losses, compute));
  const phi = matrix(t, p, features.data.slice());
  for (let i = 0; i < t; i++) for (let j = 0; j < p; j++) phi.data[i * p + j] = (phi.data[i * p + j] as number) - (featureMeans[j] as number);
  const turned = transposed(phi);
  const ridge = (penalty * meanDiagonal(gram, p)) / 4;
  const l = penalised(
    gram.map((one) => (one * mostCost) / 8),
    p,
    (penalty * 2) / mostCost,
  );
  const wanted = wantedOf(losses, picks);

  let [weights, bias] = [new Float64Array(p * e), new Float64Array(e)];
  let [ahead, aheadBias] = [weights, bias];
  for (let step = 0; step < steps; step++) {
    const scores = await compute.product(phi, matrix(p, e, Float32Array.from(ahead)));
    const { pull, sums } = pullOf(scores, aheadBias, wanted);
    const gradient = Float64Array.from((await compute.product(turned, pull)).data);
    for (let i = 0; i < gradient.length; i++) gradient[i] = (gradient[i] as number) / t - ridge * (ahead[i] as number);
    solveFactorised(l, p, gradient, e);
    const next = ahead.map((one, i) => one + (gradient[i] as number));
    const nextBias = aheadBias.map((one, j) => one + (sums[j] as number) / t / (mostCost / 8));
    const momentum = step / (step + 3);
    ahead = next.map((one, i) => one + momentum * (one - (weights[i] as number)));
    aheadBias = nextBias.map((one, j) => one + momentum * (one - (bias[j] as number)));
    [weights, bias] = [next, nextBias];
  }
  for (let i = 0; i < p; i++) for (let j = 0; j < e; j++) bias[j] = (bias[j] as number) - (featureMeans[i] as number) * (weights[i * e + j] as number);
  return { weights: matrix(p, e, Float32Array.from(weights)), intercept: Float32Array.from(bias) };
}

/** What pulls scores up, cost · (wanted − σ(score)), [T, E], and its sums over tokens. */
function pullOf(scores: Matrix, bias: Float64Array, { picked, costs }: Wanted): { readonly pull: Matrix; readonly sums: Float64Array } {
  const e = scores.columns;
  const sums = new Float64Array(e);
  const pull = matrix(scores.rows, e);
  for (let i = 0; i < pull.data.length; i++) {
    const sigmoid = 1 / (1 + Math.exp(-((scores.data[i] as number) + (bias[i % e] as number))));
    const one = (costs[i] as number) * ((picked[i] as number) - sigmoid);
    pull.data[i] = one;
    sums[i % e] = (sums[i % e] as number) + one;
  }
  return { pull, sums };
}

function wantedOf(losses: Matrix, picks: number): Wanted {
  const picked = picksOf(losses, picks).data;
  const costs = new Float64Array(losses.data.length);
  for (let t = 0; t < losses.rows; t++) {
    const line = row(losses, t);
    const order = Float64Array.from(line).sort().reverse();
    const middle = ((order[picks - 1] as number) + (order[Math.min(picks, order.length - 1)] as number)) / 2;
    for (let j = 0; j < line.length; j++) costs[t * line.length + j] = Math.abs((line[j] as number) ** 2 - middle ** 2);
  }
  const mean = costs.reduce((sum, one) => sum + one, 0) / costs.length;
  // Where every expert is missed alike there is nothing to choose, and all costs are 0.
  return { picked, costs: Float32Array.from(costs, (one) => (mean > 0 ? Math.min(mostCost, one / mean) : 0)) };
}

/** 1 for the k largest scores of every token, 0 for the others; of equals those with the lower index, as TopK does. [T, E] */
export function picksOf(scores: Matrix, k: number): Matrix {
  const picked = matrix(scores.rows, scores.columns);
  for (let t = 0; t < scores.rows; t++) {
    const line = row(scores, t);
    const order = Array.from(line.keys()).sort((a, b) => (line[b] as number) - (line[a] as number) || a - b);
    for (const expert of order.slice(0, k)) picked.data[t * scores.columns + expert] = 1;
  }
  return picked;
}

function meanDiagonal(square: Float64Array, n: number): number {
  let sum = 0;
  for (let i = 0; i < n; i++) sum += square[i * n + i] as number;
  return sum / n;
}
