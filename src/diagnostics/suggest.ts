/** Did you mean: the known name nearest to what was written, where one is near enough to be a slip. */

/** Edits that turn `a` into `b`: insertions, deletions, replacements and swaps of neighbours (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let [before, previous]: [number[], number[]] = [[], Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let best = Math.min((row[j - 1] ?? 0) + 1, (previous[j] ?? 0) + 1, (previous[j - 1] ?? 0) + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) best = Math.min(best, (before[j - 2] ?? 0) + 1);
      row.push(best);
    }
    [before, previous] = [previous, row];
  }
  return previous[b.length] ?? 0;
}

/** The candidate that `written` is probably a slip for, or undefined. Longer words may be further away; case alone costs little. */
export function nearest(written: string, candidates: Iterable<string>): string | undefined {
  const allowed = written.length <= 2 ? 1 : written.length <= 5 ? 2 : Math.min(4, Math.floor(written.length / 3));
  let best: string | undefined;
  let least = allowed + 1;
  for (const candidate of candidates) {
    if (candidate === written || Math.abs(candidate.length - written.length) > allowed) continue;
    const distance = candidate.toLowerCase() === written.toLowerCase() ? 0.5 : editDistance(written, candidate);
    if (distance < least && distance < Math.max(candidate.length, written.length)) [best, least] = [candidate, distance];
  }
  return best;
}

/** The fix `did you mean …`, or none. */
export function didYouMean(written: string, candidates: Iterable<string>): readonly { readonly text: string }[] {
  const found = nearest(written, candidates);
  return found === undefined ? [] : [{ text: `did you mean \`${found}\`?` }];
}
