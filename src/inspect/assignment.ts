/** Which of one list goes with which of another so that they are most alike in all, and how far that is from the order they had. */

/**
 * For each row the column given to it, each column once, with the largest sum of `gain`, row-major [n, n].
 * Shortest augmenting paths with potentials (Jonker and Volgenant 1987): O(n³).
 */
export function assign(gain: Float64Array, n: number): Int32Array {
  const rowPotential = new Float64Array(n + 1);
  const columnPotential = new Float64Array(n + 1);
  /** The row that each column has; column 0 holds the row being placed, and rows and columns count from 1. */
  const rowOf = new Int32Array(n + 1);
  const before = new Int32Array(n + 1);
  for (let row = 1; row <= n; row++) {
    rowOf[0] = row;
    const least = new Float64Array(n + 1).fill(Number.POSITIVE_INFINITY);
    const done = new Uint8Array(n + 1);
    let column = 0;
    do {
      done[column] = 1;
      const from = at(rowOf, column);
      let [delta, next] = [Number.POSITIVE_INFINITY, 0];
      for (let j = 1; j <= n; j++) {
        if (done[j]) continue;
        const reduced = -at(gain, (from - 1) * n + j - 1) - at(rowPotential, from) - at(columnPotential, j);
        if (reduced < at(least, j)) {
          least[j] = reduced;
          before[j] = column;
        }
        if (at(least, j) < delta) [delta, next] = [at(least, j), j];
      }
      for (let j = 0; j <= n; j++) {
        if (done[j]) {
          rowPotential[at(rowOf, j)] = at(rowPotential, at(rowOf, j)) + delta;
          columnPotential[j] = at(columnPotential, j) - delta;
        } else least[j] = at(least, j) - delta;
      }
      column = next;
    } while (rowOf[column] !== 0);
    for (; column !== 0; column = at(before, column)) rowOf[column] = at(rowOf, at(before, column));
  }
  const columnOf = new Int32Array(n);
  for (let j = 1; j <= n; j++) columnOf[at(rowOf, j) - 1] = j - 1;
  return columnOf;
}

/** Kendall's τ between a permutation and the order 0, 1, …: 1 where it changes nothing, −1 where it turns all round. 1 for fewer than two. O(n log n). */
export function kendallTau(permutation: Int32Array): number {
  const n = permutation.length;
  return n < 2 ? 1 : 1 - (4 * inversions(Int32Array.from(permutation), new Int32Array(n), 0, n)) / (n * (n - 1));
}

/** Pairs out of order in [from, to), which is sorted on the way. */
function inversions(list: Int32Array, spare: Int32Array, from: number, to: number): number {
  if (to - from < 2) return 0;
  const middle = (from + to) >> 1;
  let found = inversions(list, spare, from, middle) + inversions(list, spare, middle, to);
  let [left, right] = [from, middle];
  for (let i = from; i < to; i++) {
    const takesLeft = left < middle && (right >= to || at(list, left) <= at(list, right));
    if (!takesLeft) found += middle - left;
    spare[i] = takesLeft ? at(list, left++) : at(list, right++);
  }
  list.set(spare.subarray(from, to), from);
  return found;
}

const at = (list: Float64Array | Int32Array, i: number): number => list[i] ?? 0;
