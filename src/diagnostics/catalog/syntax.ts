/** Diagnostics of the text: what the lexer and the parser find. */

import { text } from '../template.ts';

export const syntax = {
  'unexpected-token': {
    severity: 'error',
    message: text`${'found'} cannot stand here`,
    explanation: 'The text does not follow the grammar at this place. The note lists what could stand there.',
  },
} as const;
