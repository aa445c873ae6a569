/** The finder's report in words: what was found, what was not, and why. */

import type { FeedForward, FoundFeedForwards } from './feed-forwards.ts';

/** Lines of text: one for each feed-forward, in runs where they are alike, and one for each candidate that was not taken. */
export function describeFeedForwards({ found, missed }: FoundFeedForwards): readonly string[] {
  const total = `${found.length} feed-forward${found.length === 1 ? '' : 's'} found${missed.length > 0 ? `, ${missed.length} candidate${missed.length === 1 ? '' : 's'} not taken` : ''}`;
  const width = Math.max(0, ...found.map(({ path }) => path.length));
  return [
    total,
    ...found.map((one) => `  ${one.path.padEnd(width)}  ${shapeOf(one)}${sharing(one, found)}${one.label === one.path ? '' : `  ${one.label}`}`),
    ...missed.map(({ name, why }) => `  not taken: ${name}: ${why}`),
  ];
}

/** `gated 576 → 1536 → 576, silu · mul, biases`. */
function shapeOf({ kind, width, neurons, inner, gateBias, upBias, outBias }: FeedForward): string {
  const middle = [...new Set(inner.nodes.map(({ op }) => op.name))].join(', ');
  return `${kind} ${width} → ${neurons} → ${width}, ${middle}${gateBias || upBias || outBias ? ', with biases' : ''}`;
}

/** Whose weights it reads, where it is not the first to read them. */
function sharing({ block, path }: FeedForward, found: readonly FeedForward[]): string {
  const first = found.find((other) => other.block === block);
  return !first || first.path === path ? '' : `, the weights of ${first.path}`;
}
