/** Diagnostics of constants: params, the config, arithmetic before anything runs. */

import { text } from '../template.ts';

export const constants = {
  'not-a-constant': {
    severity: 'error',
    message: text`${'what'} must be a constant`,
    explanation: `Params are known before anything is checked: numbers, strings, bools and lists of these, and what can be computed from them.

wrong  param norm = RmsNorm(64, 1e-5)
right  param eps = 1e-5`,
  },
  'param-type-mismatch': {
    severity: 'error',
    message: text`\`${'name'}\` is declared ${'expected'}, and its default is ${'found'}`,
    explanation: `The type of a param is that of its default; where both are written they agree. A whole number may stand for a float, not the other way around.

wrong  param D: int = 576.0
right  param D: int = 576`,
  },
  'param-depends-on-itself': {
    severity: 'error',
    message: text`the default of \`${'name'}\` depends on itself`,
    explanation: `The default of a param may use other params, in any order, but not in a circle.

wrong  param D = H / 4   param H = 4 * D
right  param D = 576     param H = 4 * D`,
  },
  'config-wrong-type': {
    severity: 'error',
    message: text`the config's \`${'key'}\` is ${'found'}, and the param is ${'expected'}`,
    explanation: `A value from the config has the type of the param's default. Numbers 0 and 1 stand for bools, whole numbers for floats, and an object where a count is asked for is counted; nothing else is converted.

wrong  param D = 576 from config "hidden_act"
right  param D = 576 from config "hidden_size"`,
  },
  'config-key-unread': {
    severity: 'note',
    message: text`no param reads ${'keys'} of the config`,
    explanation: `A key of the config that no param asks for has no effect. Most are harmless, and the well-known harmless ones are not listed; but an activation, a bias or a rotation scaling that the file does not know of is how a wrong model runs without complaint.

wrong  layer Mlp() { … gelu(x @ up) … }                             (the config says "hidden_act": "relu")
right  param act = "gelu" from config "hidden_act"   …   require act == "gelu"`,
  },
  'set-unknown-param': {
    severity: 'error',
    message: text`there is no param \`${'name'}\` to set`,
    explanation: `\`--set NAME=VALUE\` gives a param of the file another value.

wrong  moec check model.moe --set d=64
right  moec check model.moe --set D=64`,
  },
  'set-wrong-type': {
    severity: 'error',
    message: text`\`${'name'}\` is ${'expected'}, and \`${'given'}\` is not`,
    explanation: `The value given with --set has the type of the param's default: a whole number, a number, true or false, text, or elements with commas between them.

wrong  moec check model.moe --set D=wide
right  moec check model.moe --set D=64`,
  },
  'division-inexact': {
    severity: 'error',
    message: text`${'left'} does not divide by ${'right'}`,
    explanation: `Sizes are whole: / on constants is exact or an error, because a head width that is silently rounded down is a wrong model. Say with \`require D % N == 0\` what must hold.

wrong  param D = 100   param N = 12   …   weight q: [D, D / N]
right  param D = 96    param N = 12   …   weight q: [D, D / N]`,
  },
  'division-by-zero': {
    severity: 'error',
    message: text`the right side of \`${'operator'}\` is 0`,
    explanation: `Nothing can be divided by zero.

wrong  param N = 0     …   D / N
right  param N = 12    …   D / N`,
  },
  'number-too-large': {
    severity: 'error',
    message: text`this number is beyond 2^53`,
    explanation: `Whole numbers are exact up to 2^53, which is more than any size of a model. A digit too many, or a product of sizes that no machine could hold.

wrong  param V = 50_257_000_000_000_000
right  param V = 50_257`,
  },
  'operands-unfit': {
    severity: 'error',
    message: text`\`${'operator'}\` does not work on ${'operands'}`,
    explanation: `Arithmetic is for numbers and tensors, == and != for two of a kind, @ for tensors.

wrong  require act + 1
right  require act == "gelu"`,
  },
  'function-takes': {
    severity: 'error',
    message: text`\`${'name'}\` takes ${'expected'}`,
    explanation: `The functions on constants are sqrt, rsqrt, log, exp, sin, cos, tanh, floor, ceil, abs, min, max, int, float, len(list), contains(list, value) and cycle(list, count).

wrong  param kinds = cycle("full", 12)
right  param kinds = cycle(["full"], 12)`,
  },
  'wrong-kind': {
    severity: 'error',
    message: text`expected ${'expected'}, found ${'found'}`,
    explanation: `This place takes a value of another kind.

wrong  weight gate: [D, "H"]
right  weight gate: [D, H]`,
  },
  'size-not-known': {
    severity: 'error',
    message: text`\`${'name'}\` is known only when the model runs`,
    explanation: `A dim, such as the number of tokens, has no value while the model is built: shapes of \`forward\` may use it, shapes of weights, counts and settings may not.

wrong  dim S      …   weight place: [S, D]
right  param P = 1_024   …   weight place: [P, D]`,
  },
  'size-is-negative': {
    severity: 'error',
    message: text`a size cannot be ${'size'}`,
    explanation: `Sizes are 0 or more.

wrong  param L = 2   …   weight w: [L - 3]
right  param L = 4   …   weight w: [L - 3]`,
  },
  'index-out-of-range': {
    severity: 'error',
    message: text`\`[${'index'}]\` is out of range: there are ${'count'}, counted from 0`,
    explanation: `Indices count from 0, negative ones from the end; ranges are half-open, so that the last index of \`a..b\` is b - 1.

wrong  blocks = repeat 12 of Block()   …   blocks[12]
right  blocks = repeat 12 of Block()   …   blocks[11]`,
  },
  'cannot-index': {
    severity: 'error',
    message: text`${'what'} has no index`,
    explanation: `Indices pick from tensors, stacks and lists.

wrong  norm[0]
right  blocks[0]`,
  },
  'list-mixes': {
    severity: 'error',
    message: text`this list mixes layers with other things`,
    explanation: `A list of layers is a stack, and a stack holds nothing but layers.

wrong  blocks = [Block(), 3]
right  blocks = [Block(), repeat 3 of Block()]`,
  },
  'require-failed': {
    severity: 'error',
    message: text`\`${'condition'}\` does not hold`,
    explanation: `A \`require\` says what must hold of the params. It does not hold for the values at hand, which the notes list: another file describes this checkpoint, or a value was set wrongly.

wrong  param D = 100   param N = 12   …   require D % N == 0
right  param D = 96    param N = 12   …   require D % N == 0`,
  },
  'require-is-no-condition': {
    severity: 'error',
    message: text`a \`require\` states a condition, and this is ${'found'}`,
    explanation: `What is required is true or false: a comparison, or a bool param.

wrong  require D
right  require D % N == 0`,
  },
} as const;
