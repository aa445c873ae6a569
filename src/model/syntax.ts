/** Words the faults of the parser as diagnostics. */

import type { Fault } from '../../grammar/faults.ts';
import { type Details, type Diagnostic, diagnose } from '../diagnostics/diagnostic.ts';
import { didYouMean } from '../diagnostics/suggest.ts';

/** The diagnostic of one fault of the text. */
export function diagnoseFault(fault: Fault): Diagnostic {
  const found = fault.found === '' ? 'the end of the file' : `\`${shorten(fault.found)}\``;
  const expected = fault.expected.slice(0, 6).join(', ') || 'something else';
  const details: Details = {
    at: fault.span,
    related: fault.cause ? [{ span: fault.cause.span, text: fault.cause.text }] : [],
    ...(fault.code === 'unexpected-token' && fault.expected.length > 0
      ? {
          notes: [`expected ${listed(fault.expected)}`],
          fixes: didYouMean(
            fault.found,
            fault.expected.flatMap((word) => /^`?(\w+)`?$/.exec(word)?.[1] ?? []),
          ),
        }
      : {}),
  };
  switch (fault.code) {
    case 'unexpected-token':
    case 'unexpected-character':
      return diagnose(fault.code, { found }, details);
    case 'missing-token':
      return diagnose(fault.code, { expected, found }, details);
    case 'unclosed-bracket':
      return diagnose(fault.code, { found, expected }, details);
    case 'unterminated-string':
    case 'nesting-too-deep':
    case 'file-too-long':
      return diagnose(fault.code, {}, details);
  }
}

const shorten = (word: string): string => (word.length <= 40 ? word : `${word.slice(0, 38)} …`);

function listed(words: readonly string[]): string {
  const shown = words.slice(0, 8);
  const more = words.length - shown.length;
  return more > 0 ? `${shown.join(', ')} or ${more} others` : shown.length === 1 ? (shown[0] ?? '') : `${shown.slice(0, -1).join(', ')} or ${shown.at(-1) ?? ''}`;
}
