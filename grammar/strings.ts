/** String literals: between what is written in quotes and what is meant. */

const meanings: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', '"': '"', '\\': '\\' };
const spellings: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '"': '\\"', '\\': '\\\\' };

/** What may follow a backslash, in the author's words. */
export const escapes: readonly string[] = ['`\\n`', '`\\r`', '`\\t`', '`\\"`', '`\\\\`', '`\\u{1F600}`'];

/** An escape that means nothing: where it starts in the literal, and what was written. */
export interface BadEscape {
  readonly at: number;
  readonly text: string;
}

/** The text that a literal stands for; an escape that means nothing stands for itself. */
export function unquote(literal: string): { readonly value: string; readonly bad: readonly BadEscape[] } {
  const closed = literal.length > 1 && literal.endsWith('"');
  const bad: BadEscape[] = [];
  const value = literal
    .slice(1, closed ? -1 : undefined)
    .replace(/\\(?:u\{([0-9a-fA-F]{1,6})\}|(.?))/gsu, (text: string, hex: string | undefined, sign: string | undefined, at: number) => {
      const meaning = hex === undefined ? meanings[sign ?? ''] : character(Number.parseInt(hex, 16));
      if (meaning === undefined) bad.push({ at: at + 1, text });
      return meaning ?? text;
    });
  return { value, bad };
}

/** The literal that stands for a text. */
export function quote(value: string): string {
  return `"${value.replace(/["\\\u0000-\u001f\u007f\u2028\u2029]|\p{Surrogate}/gu, (sign) => spellings[sign] ?? `\\u{${(sign.codePointAt(0) ?? 0).toString(16)}}`)}"`;
}

function character(code: number): string | undefined {
  return code <= 0x10ffff ? String.fromCodePoint(code) : undefined;
}
