/** Ends a growing text where one of several texts begins, however it is cut into pieces. */

/** Lets text through up to a stop text. What may be the beginning of one is held back. */
export interface StopFilter {
  /** The text that is certain now; `stopped` where a stop text was reached, and nothing follows. */
  push(text: string): { readonly text: string; readonly stopped: boolean };
  /** What was held back. */
  end(): string;
}

/** A filter for these stop texts; empty ones mean nothing. */
export function stopFilter(stops: readonly string[]): StopFilter {
  const words = stops.filter((stop) => stop !== '');
  let held = '';
  return {
    push(text) {
      const all = held + text;
      const at = Math.min(...words.map((word) => all.indexOf(word)).filter((index) => index >= 0));
      if (Number.isFinite(at)) {
        held = '';
        return { text: all.slice(0, at), stopped: true };
      }
      const keep = Math.max(0, ...words.map((word) => overlap(all, word)));
      held = all.slice(all.length - keep);
      return { text: all.slice(0, all.length - keep), stopped: false };
    },
    end() {
      const rest = held;
      held = '';
      return rest;
    },
  };
}

/** How many characters at the end of `text` are a beginning of `word`. */
function overlap(text: string, word: string): number {
  for (let length = Math.min(text.length, word.length - 1); length > 0; length--) if (text.endsWith(word.slice(0, length))) return length;
  return 0;
}
