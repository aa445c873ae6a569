/** Figures in words, alike in messages, in the tables of the command line and on the page of a report. */

/** A share in per cent: `87.5 %`. */
export function percent(share: number, digits = 1): string {
  return `${(100 * share).toFixed(digits)} %`;
}

/** A quotient: `1.25 ×`. */
export function times(quotient: number, digits = 2): string {
  return `${quotient.toFixed(digits)} ×`;
}

/** So many a second, to three digits or to a whole one: `8.25`, `1031`. */
export function rate(value: number): string {
  return value < 100 ? value.toPrecision(3) : value.toFixed(0);
}

/** What was measured of a model: an accuracy in per cent, a perplexity as it is. */
export function metricFigure(value: number, kind: 'perplexity' | 'accuracy' | undefined): string {
  return kind === 'accuracy' ? percent(value, 2) : value.toFixed(value < 100 ? 3 : 1);
}

/** Picks in the mean, to a tenth where they are no whole number. */
export function picksFigure(mean: number): string {
  return String(Number(mean.toFixed(1)));
}

/** `one token`, `256 tokens`. */
export function tokenWords(tokens: number): string {
  return tokens === 1 ? 'one token' : `${tokens} tokens`;
}

/** `1 thread`, `2 threads`. */
export function threadWords(threads: number): string {
  return threads === 1 ? '1 thread' : `${threads} threads`;
}

/** What figures of so many rounds are: `medians of 5 rounds`, or those of one. */
export function roundWords(rounds: number): string {
  return rounds === 1 ? 'one round' : `medians of ${rounds} rounds`;
}
