/** Diagnostics of the runtime: models, tokenizers, prompts and inputs, and compiled folders. */

import { text } from '../template.ts';

export const running = {
  'model-does-not-load': {
    severity: 'error',
    message: text`onnxruntime cannot load the model: ${'reason'}`,
    explanation: `The model file is damaged, needs a newer onnxruntime, or its data are not where it says.
wrong: \`moec run out/tiny\` where model.onnx was cut short by a full disk
right: compile it again: \`moec compile models/tiny.moe -o out/tiny\``,
  },
  'model-does-not-run': {
    severity: 'error',
    message: text`onnxruntime could not run the model: ${'reason'}`,
    explanation: `The model loaded, and one of its nodes failed on these inputs. The reason is onnxruntime's own. Most often a number is out of
range: a token that the vocabulary does not have, or a position beyond the context.
wrong: \`{"input_ids": [[70000]]}\` for a vocabulary of 50257
right: \`{"input_ids": [[11]]}\``,
  },
  'provider-missing': {
    severity: 'error',
    message: text`${'provider'} cannot be used here: ${'reason'}`,
    explanation: `onnxruntime runs models through execution providers. \`cpu\` is always there. \`webgpu\` comes with the package and needs a graphics
driver with Vulkan, Metal or Direct3D 12. \`cuda\` is a download of its own, for Linux on x64, and needs CUDA 12 and cuDNN 9.
wrong: \`moec run llama.moe --ep cuda\` with only the CPU package
right: \`ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild onnxruntime-node\`, then the same; or \`--ep cpu\``,
  },
  'partly-on-cpu': {
    severity: 'warning',
    message: text`some of the model has no kernel on the device and runs on the CPU`,
    explanation: `onnxruntime's WebGPU provider lacks a few ops and 64-bit integers. \`--target webgpu\` writes models around that; where an op of the
model still has no kernel there, its numbers travel to the CPU and back at every step, which costs more than the op.
wrong: a pick whose number is an input: \`top(x, k)\` with k given at run time
right: \`top(x, 2)\``,
  },
  'session-ended': {
    severity: 'error',
    message: text`the session ended before it was done: ${'reason'}`,
    explanation: `The thread that runs the model is gone, mostly because memory ran out. Fewer prompts at once, fewer tokens or a smaller model help.
wrong: forty prompts of 8000 tokens at once on a machine with 8 GB
right: the same prompts in several calls`,
  },
  'cannot-generate': {
    severity: 'error',
    message: text`this model does not continue text: ${'reason'}`,
    explanation: `To continue a text a model takes \`input_ids: i64[B, S]\` and gives \`logits: [B, S, V]\`; attention_mask, position_ids, token_type_ids and
past keys and values are filled in. Anything else runs with inputs from a file.
wrong: \`moec run bert.moe --prompt "Hello"\`
right: \`moec run bert.moe --inputs inputs.json\``,
  },
  'logits-not-finite': {
    severity: 'error',
    message: text`the model gave no number as a logit after ${'count'} tokens`,
    explanation: `Every logit of a position was NaN or infinite, so no token can be picked. Weights are damaged, or a value left the range of its element type.
wrong: weights of f16 that overflow in a feed-forward
right: the same checkpoint in f32`,
  },
  'prompt-too-long': {
    severity: 'error',
    message: text`the prompt has ${'tokens'} tokens; the model looks at ${'context'} at most`,
    explanation: `A model has a context: the most tokens it was made for, prompt and continuation together. At least one must be left for the continuation.
wrong: a prompt of 600 tokens for a context of 512
right: the last 400 tokens of it`,
  },
  'fewer-tokens': {
    severity: 'note',
    message: text`writing ${'tokens'} tokens at most, not ${'asked'}: the prompt has ${'prompt'} and the context is ${'context'}`,
    explanation: `Prompt and continuation share the context, so a long prompt leaves less room. With several prompts the longest decides for all.
wrong: \`--max-tokens 500\` after a prompt of 100 tokens in a context of 512
right: \`--max-tokens 412\``,
  },
  'prompt-is-empty': {
    severity: 'error',
    message: text`the prompt has no tokens, and the model has no token that begins a text`,
    explanation: `A model continues something. An empty prompt works only where the tokenizer or the configuration names a token to begin with.
wrong: \`--prompt ""\` with bytes as tokens
right: \`--prompt "Once"\``,
  },
  'token-out-of-range': {
    severity: 'error',
    message: text`token ${'token'} does not exist: the vocabulary has ${'vocabulary'}`,
    explanation: `Tokens are numbered from 0. A number beyond the vocabulary mostly means that the tokenizer belongs to another model.
wrong: the tokenizer of one model with the weights of another
right: the tokenizer.json that came with the weights`,
  },
  'option-out-of-range': {
    severity: 'error',
    message: text`${'option'} must be ${'range'}, not ${'found'}`,
    explanation: `The number is outside what sampling can use.
wrong: \`--top-p 1.5\`
right: \`--top-p 0.9\``,
  },
  'tokenizer-missing': {
    severity: 'error',
    message: text`there is no tokenizer ${'place'}`,
    explanation: `Text becomes tokens by the checkpoint's own tokenizer.json. Checkpoints with only vocab.txt, merges.txt or tokenizer.model have to be saved once
by a library that writes tokenizer.json.
wrong: a folder with config.json and model.safetensors alone
right: the same with tokenizer.json, or \`--inputs\` with the tokens' numbers`,
  },
  'tokenizer-damaged': {
    severity: 'error',
    message: text`cannot use the tokenizer ${'file'}: ${'reason'}`,
    explanation: `The file is not a tokenizer in the format of the \`tokenizers\` library, or uses a part of it that is not known here.
wrong: tokenizer.json with \`"model": {"type": "Unknown"}\`
right: the file as it was published with the checkpoint`,
  },
  'chat-template-missing': {
    severity: 'error',
    message: text`the checkpoint has no chat template`,
    explanation: `\`--chat\` writes the prompt as one turn of a conversation, in the words the model was trained on; they stand in tokenizer_config.json or
chat_template.jinja. A model that was not trained to converse has none.
wrong: \`moec run gpt2 --chat --prompt "Hello"\`
right: \`moec run gpt2 --prompt "Hello"\``,
  },
  'chat-template-fails': {
    severity: 'error',
    message: text`the chat template cannot be used: ${'reason'}`,
    explanation: `The template of the checkpoint is a program in Jinja; it stopped with an error, or uses what is not known here.
wrong: a template that refuses two turns of the same speaker, given two
right: turns of user and assistant in alternation`,
  },
  'json-unreadable': {
    severity: 'error',
    message: text`cannot read ${'file'}: ${'reason'}`,
    explanation: `The file is not there, may not be read, or is not JSON of the expected kind.
wrong: \`{"input_ids": [[1, 2, 3],]}\`: a comma too many
right: \`{"input_ids": [[1, 2, 3]]}\``,
  },
  'unknown-input': {
    severity: 'error',
    message: text`the model has no input \`${'name'}\``,
    explanation: `Every name in the file of inputs is an input of the model; \`moec explain FILE\` lists them.
wrong: \`{"inputs_id": [[1, 2]]}\`
right: \`{"input_ids": [[1, 2]]}\``,
  },
  'input-missing': {
    severity: 'error',
    message: text`the input \`${'name'}\` is missing: ${'type'}`,
    explanation: `Every input of the model needs a value. attention_mask, position_ids, token_type_ids and past keys and values are filled in where input_ids is given.
wrong: \`{}\`
right: \`{"input_ids": [[1, 2]]}\``,
  },
  'input-without-sizes': {
    severity: 'error',
    message: text`the model says nothing of the sizes of \`${'name'}\`, so no numbers can be made for it`,
    explanation: `Where no inputs are given, \`moec verify\` and \`moec bench\` make them from a seed, in the sizes that the model names. A file of ONNX may leave out even how many there are.
wrong: \`moec verify open.onnx out/open\`
right: \`moec verify open.onnx out/open --inputs inputs.json\``,
  },
  'input-filled': {
    severity: 'note',
    message: text`\`${'name'}\` was not given: ${'value'}`,
    explanation: `Some inputs have a usual value, which stands in where none is given: every token counts, positions run from 0, all of one segment, nothing in the past.
wrong: nothing; this is a note
right: \`{"input_ids": [[1, 2]], "attention_mask": [[1, 1]]}\` says it all`,
  },
  'input-is-ragged': {
    severity: 'error',
    message: text`the lists of \`${'name'}\` have different lengths: ${'found'}`,
    explanation: `A tensor is a list of lists of one length. Rows of different lengths are filled up, with zeros in attention_mask where nothing is.
wrong: \`[[1, 2, 3], [4]]\`
right: \`[[1, 2, 3], [4, 0, 0]]\` with the mask \`[[1, 1, 1], [1, 0, 0]]\``,
  },
  'input-has-wrong-value': {
    severity: 'error',
    message: text`\`${'name'}\` is ${'dtype'}; ${'found'} cannot stand in it`,
    explanation: `Integers take whole numbers (beyond 2^53 as text), bool takes true and false, floats take any number.
wrong: \`{"input_ids": [[1.5]]}\`
right: \`{"input_ids": [[1]]}\``,
  },
  'input-has-wrong-shape': {
    severity: 'error',
    message: text`\`${'name'}\` is ${'found'}; the model takes ${'expected'}`,
    explanation: `The number of axes and every size that the model fixes must agree. A batch of one is a list with one row.
wrong: \`{"input_ids": [1, 2, 3]}\` for i64[B, S]
right: \`{"input_ids": [[1, 2, 3]]}\``,
  },
  'input-sizes-disagree': {
    severity: 'error',
    message: text`${'size'} is ${'a'} in \`${'first'}\` and ${'b'} in \`${'second'}\``,
    explanation: `A size with a name is the same wherever the name stands.
wrong: two rows of input_ids and one row of attention_mask
right: two rows of both`,
  },
  'not-a-compiled-folder': {
    severity: 'error',
    message: text`${'folder'} holds no moec.json`,
    explanation: `\`moec compile\` writes a folder with moec.json, which says what is in it. A checkpoint folder has config.json instead, and runs too.
wrong: \`moec client src\`
right: \`moec compile models/tiny.moe -o out/tiny\`, then \`moec client out/tiny -o tiny.ts\``,
  },
  'manifest-damaged': {
    severity: 'error',
    message: text`${'file'} does not describe a compiled model: ${'reason'}`,
    explanation: `moec.json was changed by hand, cut short, or written by a newer moec.
wrong: \`"form": "steps"\`
right: compile the model again`,
  },
  'compiled-file-missing': {
    severity: 'error',
    message: text`${'file'} is missing`,
    explanation: `moec.json lists the files that belong together, and this one is gone.
wrong: model.onnx copied without its data
right: the whole folder copied`,
  },
  'compiled-file-changed': {
    severity: 'error',
    message: text`${'file'} is not the file that was written: ${'reason'}`,
    explanation: `Size or digest differs from what moec.json recorded, so the numbers would be wrong.
wrong: a download that broke off, or a file from another compile
right: compile the model again`,
  },
} as const;
