/** Points to clusters of given sizes at the least total cost: the step of every balanced grouping that is not linear algebra. */

import { Bug } from '../../diagnostics/bug.ts';
import type { Matrix } from './matrix.ts';

/** Which cluster every point went to, and what a place in each cluster is worth. */
export interface Assignment {
  /** [n], in 0 … k − 1. */
  readonly labels: Int32Array;
  /** [k]: no point has another cluster with a smaller `cost − price` than its own. A good start for nearly equal costs. */
  readonly prices: Float64Array;
}

/** An assignment on the way, with the cheapest move between any two clusters. */
interface State {
  readonly costs: Matrix;
  readonly labels: Int32Array;
  readonly prices: Float64Array;
  /** Points of every cluster in no order, and where in its list each point stands. */
  readonly members: readonly number[][];
  readonly places: Int32Array;
  /** [k, k]: the point of the row's cluster that moves most cheaply to the column's, and for how much. */
  readonly movers: Int32Array;
  readonly moves: Float64Array;
}

/**
 * The assignment with the least sum of costs [n, k], where cluster c gets exactly `sizes[c]` points (Σ sizes = n): exact up to
 * rounding of f64. Every point starts where `cost − price` is least, which is optimal but for the sizes; then points move from
 * clusters with too many to clusters with too few along shortest paths over the clusters, with prices as potentials
 * (successive shortest paths, Ahuja, Magnanti and Orlin 1993, §9.7). O(n·k) and O(k²) for every point that is too many at the start.
 */
export function assignBalanced(costs: Matrix, sizes: ArrayLike<number>, start?: Float64Array): Assignment {
  const k = costs.columns;
  if (sizes.length !== k || Array.from(sizes).reduce((sum, size) => sum + size, 0) !== costs.rows) throw new Bug(`sizes do not hold ${costs.rows} points in ${k} clusters`);
  const state = begin(costs, start ? new Float64Array(start) : new Float64Array(k));
  for (const [cluster, points] of state.members.entries()) {
    while (points.length > (sizes[cluster] as number)) shift(state, shortestPath(state, cluster, sizes));
  }
  return { labels: state.labels, prices: state.prices };
}

function begin(costs: Matrix, prices: Float64Array): State {
  const { rows: n, columns: k } = costs;
  const state: State = {
    costs,
    labels: new Int32Array(n),
    prices,
    members: Array.from({ length: k }, () => []),
    places: new Int32Array(n),
    movers: new Int32Array(k * k).fill(-1),
    moves: new Float64Array(k * k).fill(Number.POSITIVE_INFINITY),
  };
  for (let point = 0; point < n; point++) {
    let [best, least] = [0, Number.POSITIVE_INFINITY];
    for (let c = 0; c < k; c++) {
      const cost = (costs.data[point * k + c] as number) - (prices[c] as number);
      if (cost < least) [best, least] = [c, cost];
    }
    enter(state, point, best);
  }
  return state;
}

/** Puts a point into a cluster, where it may be the cheapest to move on. */
function enter({ costs: { data, columns: k }, labels, members, places, movers, moves }: State, point: number, cluster: number): void {
  const list = members[cluster] as number[];
  labels[point] = cluster;
  places[point] = list.length;
  list.push(point);
  const own = data[point * k + cluster] as number;
  for (let to = 0; to < k; to++) {
    const move = (data[point * k + to] as number) - own;
    if (move < (moves[cluster * k + to] as number)) {
      moves[cluster * k + to] = move;
      movers[cluster * k + to] = point;
    }
  }
}

/** Takes a point out of its cluster, and finds again the moves that were its own. */
function leave({ costs: { data, columns: k }, labels, members, places, movers, moves }: State, point: number): void {
  const cluster = labels[point] as number;
  const list = members[cluster] as number[];
  const last = list.pop() as number;
  if (last !== point) {
    list[places[point] as number] = last;
    places[last] = places[point] as number;
  }
  for (let to = 0; to < k; to++) {
    if (movers[cluster * k + to] !== point) continue;
    let [mover, least] = [-1, Number.POSITIVE_INFINITY];
    for (const one of list) {
      const move = (data[one * k + to] as number) - (data[one * k + cluster] as number);
      if (move < least) [mover, least] = [one, move];
    }
    movers[cluster * k + to] = mover;
    moves[cluster * k + to] = least;
  }
}

/** The cheapest chain of moves from a cluster to one with room, as clusters from the last to the first (Dijkstra on reduced costs); prices follow. */
function shortestPath({ prices, members, moves }: State, from: number, sizes: ArrayLike<number>): readonly number[] {
  const k = prices.length;
  const distances = new Float64Array(k).fill(Number.POSITIVE_INFINITY);
  const before = new Int32Array(k).fill(-1);
  const done = new Uint8Array(k);
  distances[from] = 0;
  for (;;) {
    let [nearest, distance] = [-1, Number.POSITIVE_INFINITY];
    for (let c = 0; c < k; c++) if (!done[c] && (distances[c] as number) < distance) [nearest, distance] = [c, distances[c] as number];
    if (nearest < 0) throw new Bug('points have no way to a cluster with room: a cost is not a number');
    if ((members[nearest] as number[]).length < (sizes[nearest] as number)) {
      for (let c = 0; c < k; c++) if (done[c]) prices[c] = (prices[c] as number) + (distances[c] as number) - distance;
      const path = [nearest];
      for (let c = nearest; c !== from; path.push(c)) c = before[c] as number;
      return path;
    }
    done[nearest] = 1;
    const start = distance + (prices[nearest] as number);
    for (let to = 0; to < k; to++) {
      // Rounding may leave a move a little below its price.
      const reached = Math.max(distance, start + (moves[nearest * k + to] as number) - (prices[to] as number));
      if (!done[to] && reached < (distances[to] as number)) {
        distances[to] = reached;
        before[to] = nearest;
      }
    }
  }
}

/** Moves one point along every step of a path. */
function shift(state: State, path: readonly number[]): void {
  const k = state.costs.columns;
  const steps = path.slice(1).map((from, i) => ({ mover: state.movers[from * k + (path[i] as number)] as number, to: path[i] as number }));
  for (const { mover, to } of steps) {
    leave(state, mover);
    enter(state, mover, to);
  }
}
