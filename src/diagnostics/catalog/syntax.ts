/** Diagnostics of the text: what the lexer and the parser find. */

import { text } from '../template.ts';

export const syntax = {
  'unexpected-character': {
    severity: 'error',
    message: text`${'found'} is no character of the language`,
    explanation: `A .moe file is made of names, numbers, strings in double quotes, brackets and the operators of LANGUAGE.md. Anything else is allowed only inside strings and comments.

wrong  param D = 576;
right  param D = 576`,
  },
  'unterminated-string': {
    severity: 'error',
    message: text`this string has no end`,
    explanation: `A string ends with a double quote on the line it begins on.

wrong  param act = "gelu
right  param act = "gelu"`,
  },
  'unexpected-token': {
    severity: 'error',
    message: text`${'found'} cannot stand here`,
    explanation: `The text does not follow the grammar at this place. The note lists what could stand there.

wrong  layer Mlp(D int) { … }
right  layer Mlp(D: int) { … }`,
  },
  'missing-token': {
    severity: 'error',
    message: text`${'expected'} is missing before ${'found'}`,
    explanation: `Something the grammar asks for was left out.

wrong  forward(x: [B, D]) [B, D] { return x }
right  forward(x: [B, D]) -> [B, D] { return x }`,
  },
  'unclosed-bracket': {
    severity: 'error',
    message: text`a bracket is left open: ${'expected'} is missing before ${'found'}`,
    explanation: `Every bracket is closed by its like, in the reverse order. The second mark shows the bracket that was left open.

wrong  forward(x: [B, D]) -> [B, D] { return silu(x @ gate }
right  forward(x: [B, D]) -> [B, D] { return silu(x @ gate) }`,
  },
  'nesting-too-deep': {
    severity: 'error',
    message: text`brackets are nested too deep`,
    explanation: `Expressions may be nested a few hundred brackets deep. Give the inner ones names.

wrong  return ((((…((x))…))))
right  h = silu(x @ gate)  return h @ down`,
  },
  'file-too-long': {
    severity: 'error',
    message: text`the file is too long`,
    explanation: `A .moe file describes a model in a page. A text of millions of characters is not one: perhaps a checkpoint was named instead.

wrong  moec check model.safetensors
right  moec check model.moe`,
  },
} as const;
