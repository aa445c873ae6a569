/** Diagnostics of measuring: texts and rows to evaluate on, models to compare, models to time. */

import { text } from '../template.ts';

export const measuring = {
  'cannot-evaluate': {
    severity: 'error',
    message: text`this model cannot be evaluated on text: ${'reason'}`,
    explanation: `A model of text takes \`input_ids: i64[B, S]\` and gives \`logits\`: [B, S, V] for the tokens, or [B, labels] for a class of each text.
attention_mask, position_ids, token_type_ids and past keys and values are filled in.
wrong: \`moec eval encoder.moe --text FILE\` for an encoder without a head
right: \`moec eval llama.moe --weights ./checkpoint --text FILE\``,
  },
  'text-too-short': {
    severity: 'error',
    message: text`the text of ${'file'} has too few tokens: ${'tokens'}, where at least ${'least'} are needed`,
    explanation: `The first token of a text is not scored, since nothing comes before it: two tokens are the least that say anything, and a token that
begins every text counts as the first.
wrong: \`moec eval ./SmolLM2-135M --text empty.txt\`
right: a file with some thousand words`,
  },
  'rows-unreadable': {
    severity: 'error',
    message: text`${'file'} has no rows to evaluate on: ${'reason'}`,
    explanation: `A row is an object of JSON with \`text\` or \`ids\` (in a list, or one a line), or a line with tabs between its columns: a text and, for
classifiers, the number of its class. A first line may name the columns. \`mask\` lists the positions whose tokens are to be guessed.
wrong: \`{"ids": "12 16 13"}\`
right: \`{"ids": [12, 16, 13], "mask": [1]}\``,
  },
  'mask-token-missing': {
    severity: 'error',
    message: text`no file of ${'place'} says which token is the mask`,
    explanation: `A masked-language model guesses what stands under a mask, whose token tokenizer_config.json, tokenizer.json or vocab.txt name.
wrong: a folder with config.json and model.safetensors alone
right: the same with \`--mask-token 14\``,
  },
  'no-reference': {
    severity: 'error',
    message: text`${'name'} cannot be evaluated by the reference: ${'reason'}`,
    explanation: `Without a second model, \`moec verify\` holds a model to the definitions of its ops, computed in f64 one number at a time. That takes a
model in the language, and one that is not large.
wrong: \`moec verify out/tiny\`, a compiled folder by itself
right: \`moec verify out/tiny models/tiny.moe\``,
  },
  'nothing-in-common': {
    severity: 'error',
    message: text`the two models have no result in common: ${'first'} and ${'second'}`,
    explanation: `Models are compared by the names of their results.
wrong: a model that gives \`logits\` and one that gives \`last_hidden_state\`
right: two that give \`logits\``,
  },
  'results-have-other-sizes': {
    severity: 'error',
    message: text`\`${'name'}\` is ${'first'} in the first model and ${'second'} in the second`,
    explanation: `Numbers are compared one by one, so that both models must have the same sizes, a vocabulary of the same length among them.
wrong: \`moec verify ./SmolLM2-135M ./gpt2\`
right: \`moec verify ./SmolLM2-135M out/smollm2\``,
  },
  'no-bound': {
    severity: 'note',
    message: text`the bound is left out: ${'reason'}`,
    explanation: `The bound of a model is its weights through bare products. In a file of ONNX some of them may stand in branches, in loops and in
operators of their own, such as the experts of a mixture, and it does not say which of them run for a token.
wrong: nothing; this is a note
right: \`moec bench mine.moe\`, the model that was compiled`,
  },
  'forms-differ': {
    severity: 'note',
    message: text`${'stepped'} is stepped token by token, ${'looped'} writes in a loop of its graph: the difference of the two ways is in the figures`,
    explanation: `A model that is compiled here writes in a loop of its graph, where nothing is read back between tokens. A compiled folder is stepped from
outside, its cache handed over with every token, which takes longer. Compared with each other, models of the same speed differ.
wrong: \`moec bench out/emergent ./SmolLM2-135M\`
right: \`moec bench out/emergent out/dense\`, both compiled`,
  },
} as const;
