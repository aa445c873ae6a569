/** Colours for a terminal, or none: what every printed line takes its colours from. */

/** Colours by what they mean. Each wraps a text. */
export interface Paint {
  error(text: string): string;
  warning(text: string): string;
  note(text: string): string;
  /** What is secondary: gutters, hints. */
  dim(text: string): string;
  /** What is said. */
  strong(text: string): string;
}

const sequence = (from: number, to: number) => (text: string) => (text === '' ? '' : `\u001b[${from}m${text}\u001b[${to}m`);
const plain = (text: string): string => text;

/** Paint in colour, or paint that leaves text as it is. */
export function paint(color: boolean): Paint {
  return color
    ? { error: sequence(31, 39), warning: sequence(33, 39), note: sequence(36, 39), dim: sequence(2, 22), strong: sequence(1, 22) }
    : { error: plain, warning: plain, note: plain, dim: plain, strong: plain };
}
