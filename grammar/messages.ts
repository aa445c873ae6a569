/** What Chevrotain says when it fails, as data: its exceptions carry only a text, so the text is the data written out. */

import type { IParserErrorMessageProvider, TokenType } from 'chevrotain';

/** The data of one failure: the rule it happened in and the tokens that could have stood there. */
export interface Failure {
  readonly rule: string;
  /** Whether one certain token was missing, rather than one of several ways on. */
  readonly single: boolean;
  /** Names of token types, most likely first. */
  readonly expected: readonly string[];
}

/** Writes failures instead of sentences. */
export const errorMessages: IParserErrorMessageProvider = {
  buildMismatchTokenMessage: ({ expected, ruleName }) => encode({ rule: ruleName, single: true, expected: [expected.name] }),
  buildNotAllInputParsedMessage: ({ ruleName }) => encode({ rule: ruleName, single: false, expected: [] }),
  buildNoViableAltMessage: ({ expectedPathsPerAlt, ruleName }) => encode({ rule: ruleName, single: false, expected: firsts(expectedPathsPerAlt.flat()) }),
  buildEarlyExitMessage: ({ expectedIterationPaths, ruleName }) => encode({ rule: ruleName, single: false, expected: firsts(expectedIterationPaths) }),
};

/** The failure that an exception's message holds. */
export function decode(message: string): Failure {
  return JSON.parse(message) as Failure;
}

function encode(failure: Failure): string {
  return JSON.stringify(failure);
}

function firsts(paths: readonly (readonly TokenType[])[]): string[] {
  return [...new Set(paths.flatMap((path) => path[0]?.name ?? []))];
}

/** Thrown where a text fails so often that reading on is not worth the time. */
export class GaveUp extends Error {}

/** Messages that give up after so many failures; `restart` begins to count again. Every recovery costs stack, and a search of what is left of the text. */
export function messagesUpTo(limit: number): { readonly provider: IParserErrorMessageProvider; restart(): void } {
  let count = 0;
  const counted =
    <O>(build: (options: O) => string) =>
    (options: O): string => {
      if (++count > limit) throw new GaveUp();
      return build(options);
    };
  const provider: IParserErrorMessageProvider = {
    buildMismatchTokenMessage: counted(errorMessages.buildMismatchTokenMessage),
    buildNotAllInputParsedMessage: counted(errorMessages.buildNotAllInputParsedMessage),
    buildNoViableAltMessage: counted(errorMessages.buildNoViableAltMessage),
    buildEarlyExitMessage: counted(errorMessages.buildEarlyExitMessage),
  };
  return {
    provider,
    restart() {
      count = 0;
    },
  };
}
