/** Decodes a growing text token by token: no half characters, and the spaces that a decoder drops at the beginning of a text stay inside one. */

/** A text as it comes. */
export interface TextStream {
  /** The text that one more token makes certain; empty where a character is not complete. */
  push(token: number): string;
  /** What is left: an incomplete character as U+FFFD. */
  end(): string;
}

/** The mark of bytes that are no character, or not yet one. */
const broken = '\uFFFD';

/** A character has at most four bytes; a longer run of broken ones will not mend. */
const longestRun = 16;

/** Streams with any decoder. New text is what `decode` says of an anchor and the new tokens, less what it says of the anchor alone, so each token is decoded in a context of bounded length. */
export function streamText(decode: (tokens: readonly number[]) => string, before: readonly number[]): TextStream {
  let anchor = lastWords(decode, before);
  let pending: number[] = [];

  const take = (): string => {
    const known = decode(anchor);
    const all = decode([...anchor, ...pending]);
    return all.startsWith(known) ? all.slice(known.length) : decode(pending);
  };
  return {
    push(token) {
      pending.push(token);
      if (anchor.length === 0 && pending.length === 1) anchor = standIn(decode, token);
      const text = take();
      if (text.endsWith(broken) && pending.length < longestRun) return '';
      if (text !== '') anchor = pending;
      pending = [];
      return text;
    },
    end() {
      const text = take();
      pending = [];
      return text;
    },
  };
}

/** The shortest end of the prompt that decodes to something; nothing where it is all marks. */
function lastWords(decode: (tokens: readonly number[]) => string, before: readonly number[]): readonly number[] {
  for (let length = 1; length <= Math.min(before.length, longestRun); length++) {
    const words = before.slice(-length);
    const text = decode(words);
    if (text !== '' && !text.startsWith(broken)) return words;
  }
  return [];
}

/** With nothing before it, a token stands in for its own past: the text then keeps the space it begins with. A part of a character cannot. */
function standIn(decode: (tokens: readonly number[]) => string, token: number): readonly number[] {
  const text = decode([token]);
  return text === '' || text.includes(broken) ? [] : [token];
}
