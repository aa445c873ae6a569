/** Who is picked, seen from the scores: a fixed number of every token's experts, or those above one threshold for all tokens. */

import { type Matrix, matrix, row } from './matrix.ts';
import type { EmergentSettings } from './settings.ts';

/** How many of a token's experts are picked. */
export type Picking =
  | { readonly kind: 'top'; readonly k: number }
  /** Those above a threshold that makes `mean` of them the mean over the tokens; no more than `most` of one token. */
  | { readonly kind: 'above'; readonly mean: number; readonly most: number };

/** The picking of one layer. */
export function pickingOf({ experts, shared, picks, varying }: EmergentSettings): Picking {
  return varying?.kind === 'threshold' ? { kind: 'above', mean: varying.share * experts - shared, most: varying.most } : { kind: 'top', k: picks };
}

/** 1 for the scores that are picked, 0 for the others; of equals those with the lower index, as TopK does. [T, E] */
export function picksOf(scores: Matrix, picking: Picking): Matrix {
  const [k, above] = picking.kind === 'top' ? [picking.k, Number.NEGATIVE_INFINITY] : [picking.most, thresholdOf(scores, picking)];
  const picked = matrix(scores.rows, scores.columns);
  const e = scores.columns;
  for (let t = 0; t < scores.rows; t++) {
    const line = row(scores, t);
    const least = line.slice().sort()[Math.max(0, e - k)] as number;
    // Those above the k-th are picked, and of those equal to it as many as are left.
    let left = k;
    for (let j = 0; j < e; j++) if ((line[j] as number) > least) left--;
    for (let j = 0; j < e; j++) {
      const score = line[j] as number;
      if (score > above && (score > least || (score === least && left-- > 0))) picked.data[t * e + j] = 1;
    }
  }
  return picked;
}

/** The score to be above: with it, `mean` scores of a token are picked in the mean, up to ties, where each token has at most `most`. Half way between two scores. */
export function thresholdOf(scores: Matrix, { mean, most }: { readonly mean: number; readonly most: number }): number {
  const slots = new Float32Array(scores.rows * most);
  for (let t = 0; t < scores.rows; t++)
    slots.set(
      row(scores, t)
        .slice()
        .sort()
        .subarray(scores.columns - most),
      t * most,
    );
  slots.sort().reverse();
  const count = Math.round(mean * scores.rows);
  if (count >= slots.length) return Number.NEGATIVE_INFINITY;
  return ((slots[count - 1] ?? Number.POSITIVE_INFINITY) + (slots[count] as number)) / 2;
}
