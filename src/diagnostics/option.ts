/** Options of the command line, as messages name them. */

/** What an option is called on the command line: `--max-tokens` for `maxTokens`. */
export const optionOf = (name: string): string => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
