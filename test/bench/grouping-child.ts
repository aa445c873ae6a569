/** Groups random neurons around planted centres: `grouping-child.ts NEURONS WIDTH EXPERTS`. Prints one JSON object of figures. */

import { assignBalanced } from '../../src/passes/emergent/assignment.ts';
import { balancedKmeans } from '../../src/passes/emergent/balanced-kmeans.ts';
import { matrix, pickRows, rowsNormalised, squaredNorms, transposed } from '../../src/passes/emergent/matrix.ts';
import { randomNumbers } from '../../src/weights/random.ts';
import { portableCompute } from '../running.ts';

const [neurons = 0, width = 0, experts = 0] = process.argv.slice(2).map(Number);
const compute = portableCompute(0);
const noise = Float32Array.from(randomNumbers('noise', 1, 1, 0, neurons * width));
const centres = randomNumbers('centres', 1, 0.3, 0, experts * width);
const points = rowsNormalised(
  matrix(
    neurons,
    width,
    noise.map((x, at) => x + (centres[((Math.floor(at / width) * 7919) % experts) * width + (at % width)] ?? 0)),
  ),
);
const sizes = new Array<number>(experts).fill(neurons / experts);

const timed = async <T>(work: () => T | Promise<T>): Promise<readonly [seconds: number, result: T]> => {
  const began = performance.now();
  const result = await work();
  return [(performance.now() - began) / 1000, result];
};

await compute.product(matrix(1, 1), matrix(1, 1));
const near = await compute.product(
  points,
  transposed(
    pickRows(
      points,
      sizes.map((_, i) => i),
    ),
  ),
);
const norms = squaredNorms(points);
const costs = matrix(
  neurons,
  experts,
  near.data.map((x, at) => (norms[Math.floor(at / experts)] ?? 0) - 2 * x),
);
const [assignment] = await timed(() => assignBalanced(costs, sizes));
const [kmeans, clusters] = await timed(() => balancedKmeans(points, { sizes, seed: 1, restarts: 1, iterations: 100 }, compute));
await compute.close();
console.log(JSON.stringify({ assignment, kmeans, inertia: clusters.inertia / neurons }));
