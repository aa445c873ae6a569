/** Whether a conversion fits the feed-forward that it is said to be of. One that was decided here does; one that was read from a file may not. */

import type { NdArray } from '../../graph/nd-array.ts';
import type { FeedForward } from '../feed-forwards.ts';
import type { Conversion } from './conversion.ts';

/** The first thing that is wrong with a conversion of this feed-forward, in words; undefined where nothing is. */
export function conversionFault(feedForward: FeedForward, conversion: Conversion): string | undefined {
  return countFault(conversion) ?? neuronFault(feedForward, conversion) ?? arrayFault(feedForward, conversion);
}

function countFault({ path, experts, size, picks, threshold, order }: Conversion): string | undefined {
  for (const [name, found] of Object.entries({ experts, size, picks })) if (!Number.isSafeInteger(found) || found < 1) return `\`${path}\` has ${found} as its \`${name}\``;
  if (picks > experts) return `\`${path}\` picks ${picks} of ${experts} experts`;
  if (threshold && !(Number.isFinite(threshold.score) && Number.isFinite(threshold.mean))) return `the threshold of \`${path}\` is not a number`;
  return order.length === experts * size ? undefined : `the order of \`${path}\` has ${order.length} entries for ${experts} experts of ${size}`;
}

/** Each neuron stands once, in an expert or among the shared ones; only experts are filled up. */
function neuronFault({ neurons }: FeedForward, { path, order, shared }: Conversion): string | undefined {
  const seen = new Set<number>();
  for (const neuron of [...order.filter((one) => one !== -1), ...shared]) {
    if (!Number.isInteger(neuron) || neuron < 0 || neuron >= neurons) return `\`${path}\` has ${neurons} neurons, and neuron ${neuron} is in its experts`;
    if (seen.has(neuron)) return `neuron ${neuron} of \`${path}\` is in its experts twice`;
    seen.add(neuron);
  }
  const missing = Array.from({ length: neurons }, (_, i) => i).find((neuron) => !seen.has(neuron));
  return missing === undefined ? undefined : `neuron ${missing} of \`${path}\` is in no expert`;
}

function arrayFault(feedForward: FeedForward, conversion: Conversion): string | undefined {
  for (const { name, array, dims } of arraysOf(feedForward, conversion)) {
    const called = `\`${conversion.path}.${name}\``;
    if (!array) return `${called} is missing`;
    if (array.dims.join() !== dims.join()) return `${called} is [${array.dims.join(', ')}], not [${dims.join(', ')}]`;
    if (!array.data.every(Number.isFinite)) return `${called} has numbers that are not finite`;
  }
  return undefined;
}

interface Expected {
  readonly name: string;
  readonly array: NdArray | undefined;
  readonly dims: readonly number[];
}

/** The arrays of a conversion, as `Router` and `Repair` have them. */
function arraysOf(feedForward: FeedForward, { experts, size, router, repair }: Conversion): readonly Expected[] {
  const { width } = feedForward;
  const expected = (name: string, array: NdArray | undefined, ...dims: readonly number[]): Expected => ({ name, array, dims });
  const rank = repair?.projection.dims[1] ?? 0;
  const repairs = repair ? [expected('repair.projection', repair.projection, width, rank), expected('repair.maps', repair.maps, experts, rank + 1, width)] : [];
  return [...routerArrays(), ...repairs];

  function routerArrays(): readonly Expected[] {
    switch (router.kind) {
      case 'linear':
        return [expected('router.weight', router.weight, width, experts), ...(router.bias ? [expected('router.bias', router.bias, experts)] : [])];
      case 'features': {
        const features = router.directions.dims[1] ?? 0;
        return [
          expected('router.directions', router.directions, width, features),
          expected('router.weight', router.weight, width + features, experts),
          expected('router.bias', router.bias, experts),
        ];
      }
      case 'representative':
        return [expected('router.gate', router.gate, width, experts), ...(feedForward.kind === 'gated' ? [expected('router.up', router.up, width, experts)] : [])];
      case 'oracle':
        return [expected('router.norms', router.norms, experts * size)];
      case 'random':
        return [expected('router.directions', router.directions, width, experts)];
    }
  }
}
