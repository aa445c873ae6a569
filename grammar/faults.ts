/** What can be wrong with the text alone, as plain data. The diagnostics word it. */

import type { Span } from './span.ts';

/** A fault of the lexer or the parser. `code` names an entry of the diagnostics catalogue. */
export interface Fault {
  readonly code: 'unexpected-character' | 'unterminated-string' | 'unexpected-token' | 'missing-token' | 'unclosed-bracket' | 'nesting-too-deep' | 'file-too-long';
  readonly span: Span;
  /** What stands there, as the author wrote it; empty at the end of the file. */
  readonly found: string;
  /** What could have stood there, in the author's words, most likely first. */
  readonly expected: readonly string[];
  /** Something earlier that explains the fault, such as the bracket left open. */
  readonly cause?: { readonly span: Span; readonly text: string };
}
