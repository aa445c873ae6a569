/** JSON from a file that is not trusted: bounded in depth and names, and no name twice in one object. */

const deepest = 16;
const mostNames = 4_000_000;

/** The value, or why there is none. */
export function parseStrictly(json: string): { readonly value: unknown } | { readonly reason: string } {
  const reason = faultOf(json);
  if (reason !== undefined) return { reason };
  try {
    return { value: JSON.parse(json) };
  } catch {
    return { reason: 'it is not JSON' };
  }
}

/** What is wrong beyond the grammar of JSON: what `JSON.parse` would pass over, or run out of memory on. */
function faultOf(json: string): string | undefined {
  const open: Set<string>[] = [];
  let names = 0;
  for (let i = 0; i < json.length; i++) {
    const one = json[i];
    if (one === '{' || one === '[') {
      if (open.push(new Set()) > deepest) return `it nests deeper than ${deepest}`;
    } else if (one === '}' || one === ']') {
      open.pop();
    } else if (one === '"') {
      const end = endOfText(json, i);
      const literal = json.slice(i, end);
      i = end - 1;
      if (!isName(json, end)) continue;
      const name = literal.includes('\\') ? nameIn(literal) : literal.slice(1, -1);
      const seen = open.at(-1);
      if (name === undefined || !seen) return 'it is not JSON';
      if (seen.has(name)) return `${quote(name)} stands in it twice`;
      if (++names > mostNames) return `it has more than ${mostNames} names`;
      seen.add(name);
    }
  }
  return undefined;
}

/** The offset after the closing quote of the text that begins at `start`. */
function endOfText(json: string, start: number): number {
  let i = start + 1;
  while (i < json.length && json[i] !== '"') i += json[i] === '\\' ? 2 : 1;
  return i + 1;
}

function isName(json: string, after: number): boolean {
  let i = after;
  while (json[i] === ' ' || json[i] === '\n' || json[i] === '\r' || json[i] === '\t') i++;
  return json[i] === ':';
}

function nameIn(literal: string): string | undefined {
  try {
    return String(JSON.parse(literal));
  } catch {
    return undefined;
  }
}

/** Text from a file that is not trusted, fit to be shown: short, and without characters that move a terminal's cursor. */
export function quote(name: string): string {
  const short = name.length > 100 ? `${name.slice(0, 100)}…` : name;
  return `\`${short.replace(/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu, (one) => `\\u{${(one.codePointAt(0) ?? 0).toString(16)}}`)}\``;
}
