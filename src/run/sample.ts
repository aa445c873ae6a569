/** Picks a token of logits on the host. The sampler in the generate loop's graph has the same meaning, in f32. */

/** How a token is picked. The values of `greedySettings` switch each of them off. */
export interface SampleSettings {
  /** Logits are divided by it; 0 picks the largest. */
  readonly temperature: number;
  /** Only this many of the largest; 0 for all. */
  readonly topK: number;
  /** Only the most probable that together reach this probability; 1 for all. */
  readonly topP: number;
  /** Only those at least this many times as probable as the most probable; 0 for all. */
  readonly minP: number;
  /** Positive logits of tokens seen before are divided by it, negative ones multiplied; 1 leaves them (Keskar et al. 2019). */
  readonly repeatPenalty: number;
}

/** The largest logit, nothing else. */
export const greedySettings: SampleSettings = { temperature: 0, topK: 0, topP: 1, minP: 0, repeatPenalty: 1 };

/** One token of `logits` [V], by repetition penalty, temperature, top-k, top-p, min-p, and the inverse of the cumulative distribution at `uniform`; -1 where no logit is a number. `seen` holds the tokens of prompt and continuation. */
export function sample(logits: Float32Array, seen: ReadonlySet<number>, settings: SampleSettings, uniform: number): number {
  const scores = penalised(logits, seen, settings.repeatPenalty);
  const best = largest(scores);
  if (best < 0 || settings.temperature === 0) return best;
  const top = scores[best] ?? 0;
  const reachable = top - settings.temperature * (Math.log(scores.length) + tail);
  const order = descending(scores, reachable).subarray(0, settings.topK > 0 ? settings.topK : scores.length);
  return draw(
    order,
    Float64Array.from(order, (token) => Math.exp(((scores[token] ?? 0) - top) / settings.temperature)),
    settings,
    uniform,
  );
}

/** A copy with the penalty applied; the same array where there is none. */
function penalised(logits: Float32Array, seen: ReadonlySet<number>, penalty: number): Float32Array {
  if (penalty === 1) return logits;
  const scores = logits.slice();
  for (const token of seen) {
    const score = scores[token];
    if (score !== undefined) scores[token] = score > 0 ? score / penalty : score * penalty;
  }
  return scores;
}

/** The index of the largest number, the first where several are; -1 where there is none. */
function largest(scores: Float32Array): number {
  let best = -1;
  let top = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < scores.length; i++) {
    const score = scores[i] ?? Number.NaN;
    if (score > top) {
      top = score;
      best = i;
    }
  }
  return Number.isFinite(top) ? best : -1;
}

/** Nats below the sum of all weights at which even V tokens together weigh less than the 2^-24 that numbers to draw with are apart: no draw can reach them, so they need no sorting. */
const tail = 25 * Math.LN2;

/** Indices of scores from `least` on, by falling score, ties by rising index. Score and index share one f64 key (32 bits that order as the f32 does, then 21 bits of index), which sorts natively. */
function descending(scores: Float32Array, least: number): Int32Array {
  const bits = new Int32Array(scores.buffer, scores.byteOffset, scores.length);
  const keys = new Float64Array(scores.length);
  let count = 0;
  for (let i = 0; i < scores.length; i++) {
    if (!((scores[i] ?? Number.NaN) >= least)) continue;
    const word = bits[i] ?? 0;
    const rising = word < 0 ? ~word : word ^ -2147483648;
    keys[count++] = (~rising >>> 0) * 2 ** 21 + i;
  }
  const sorted = keys.subarray(0, count).sort();
  const order = new Int32Array(count);
  for (let i = 0; i < count; i++) order[i] = (sorted[i] ?? 0) % 2 ** 21;
  return order;
}

/** Draws from `weights` (falling, not normalised) after cutting by top-p and then min-p. Mass in front of a token decides whether top-p keeps it, so the first always stays. */
function draw(order: Int32Array, weights: Float64Array, { topP, minP }: SampleSettings, uniform: number): number {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let before = 0;
  let kept = 0;
  for (; kept < weights.length; kept++) {
    const weight = weights[kept] ?? 0;
    if (kept > 0 && ((topP < 1 && before >= topP * total) || weight < minP * (weights[0] ?? 0))) break;
    before += weight;
  }
  let reached = 0;
  for (let i = 0; i < kept; i++) {
    reached += weights[i] ?? 0;
    if (reached > uniform * before) return order[i] ?? -1;
  }
  return order[kept - 1] ?? -1;
}
