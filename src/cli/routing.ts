/** How `moec run --stats` shows what mixtures did: a line for each. */

import type { MixtureStats } from '../run/routing-stats.ts';
import { table } from './print.ts';

/** Experts whose counts still fit in a line. */
const listed = 16;

/** A table with a line for each mixture: picks, who got most and least, how even that is, the mean weight, the entropy of the weights. */
export async function routingTable(mixtures: readonly MixtureStats[]): Promise<string> {
  const { balanceOf } = await import('../run/routing-stats.ts');
  const counts = mixtures.every(({ tokens }) => tokens.length <= listed);
  const head = ['mixture', 'picks', 'busiest', 'idlest', 'balance', 'weight', 'entropy', ...(counts ? ['tokens of each expert'] : [])];
  const rows = mixtures.map((one): readonly string[] => {
    const { path, tokens, entropy } = one;
    const all = tokens.reduce((sum, count) => sum + count, 0);
    return [
      path,
      String(all),
      expertAt(tokens, Math.max(...tokens)),
      expertAt(tokens, Math.min(...tokens)),
      balanceOf(one).toFixed(3),
      meanWeight(one).toFixed(4),
      `${entropy.toFixed(3)} nats`,
      ...(counts ? [tokens.join(' ')] : []),
    ];
  });
  return table([head, ...rows]);
}

/** `#3: 17`. */
const expertAt = (tokens: readonly number[], count: number): string => `#${tokens.indexOf(count)}: ${count}`;

/** The mean weight of a pick. */
function meanWeight({ tokens, weights }: MixtureStats): number {
  const all = tokens.reduce((sum, count) => sum + count, 0);
  return weights.reduce((sum, weight, e) => sum + weight * (tokens[e] ?? 0), 0) / Math.max(all, 1);
}
