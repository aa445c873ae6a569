/** Diagnostics of the passes, targets and the ONNX format. */

import { text } from '../template.ts';

export const graphs = {
  'cannot-step': {
    severity: 'error',
    message: text`\`${'name'}\` cannot be computed a step at a time: ${'why'}`,
    explanation: `Text is generated a token at a time, each step seeing only the new rows of ${'`S`'}; what earlier rows gave is kept by the causal attentions.
Anything else between the tokens and the logits must treat each row on its own.
wrong: \`x - mean(x, axis: 1, keep: true)\` with x: [B, S, D]: every row would change with each new one
right: \`x - mean(x, axis: -1, keep: true)\`
Rows are counted by \`positions(S)\`, which continues where the last step ended; \`range(S)\` starts at 0 again. \`cache(x)\` is all rows of x so far.`,
  },
  'several-stepped-dims': {
    severity: 'error',
    message: text`causal attentions run over different dims, ${'dims'}`,
    explanation: `A step adds rows to one dim, that of the causal attentions, so all of them must run over the same one, and it must be a \`dim\`.
wrong: a model with causal attention over both S and T
right: one causal dim; attention over the other without \`causal: true\``,
  },
  'step-without-padding': {
    severity: 'note',
    message: text`positions are counted for the whole batch, so prompts of unequal length cannot run together: ${'why'}`,
    explanation: `With padding in front, each row of a batch counts its own positions, i64[B, S] instead of i64[S]. What is computed from the positions
here has no place for the batch axis. One prompt at a time, or prompts of equal length, give the same as ever.`,
  },
  'expert-not-per-token': {
    severity: 'error',
    message: text`the experts of ${'name'} cannot run for picked tokens alone: ${'why'}`,
    explanation: `Only the experts that were picked for a token run, on that token. What an expert does with its own weights must therefore treat each token on its own. What mixes tokens may stand between, over what all experts share.
wrong: \`h - mean(h, axis: 1, keep: true)\` in an expert, with h: [B, S, H] by weights of its own
right: \`h - mean(h, axis: -1, keep: true)\`, or the mean taken before the mixture`,
  },
} as const;
