/** Diagnostics of `weights`: paths, sources, and the tensors of a checkpoint. */

import { text } from '../template.ts';

export const bindings = {
  'path-unknown': {
    severity: 'error',
    message: text`\`${'owner'}\` has no \`${'path'}\``,
    explanation: `The left side of a binding is the path of a weight or a part, from the layer whose \`weights\` these are. It must exist for at least one value of its free indices. The path of a derivation is one from the model it derives; \`moec emerge MODEL --dry-run\` lists its feed-forwards.

wrong  weights { blocks[i].atn <- "attn" }
right  weights { blocks[i].attn <- "attn" }`,
  },
  'path-needs-index': {
    severity: 'error',
    message: text`\`${'path'}\` is ${'what'}: say which of its layers`,
    explanation: `A stack or a mixture has no names of its own; each of its layers has. A free index stands for all of them and is free in the string.

wrong  blocks <- "model.layers"
right  blocks[i] <- "model.layers.{i}"`,
  },
  'prefix-is-no-string': {
    severity: 'error',
    message: text`\`${'path'}\` is a layer: its source is a string`,
    explanation: `To the left of a layer's prefix stands the layer; the prefix is put in front of the names in that layer's own \`weights\`, with a dot between; "" is none.

wrong  norm <- "norm.weight".T
right  norm <- "norm"`,
  },
  'bound-twice': {
    severity: 'error',
    message: text`\`${'path'}\` is bound twice`,
    explanation: `Each weight has one source. A binding in an outer layer wins over the layer's own, but within one \`weights\` there is one for each.

wrong  weights { q <- "q.weight"  q <- "query.weight" }
right  weights { q <- "q.weight" }`,
  },
  'weight-unbound': {
    severity: 'error',
    message: text`no source for ${'path'}`,
    explanation: `With a checkpoint, every weight of the model is bound to something in it, by the layer's own \`weights\` under a prefix or by a binding further out.

wrong  weights { embed <- "embed" }                          (norm has no prefix)
right  weights { embed <- "embed"  norm <- "norm" }`,
  },
  'tied-prefixes-differ': {
    severity: 'error',
    message: text`the layer \`${'path'}\` is used several times and bound under two names: "${'left'}" and "${'right'}"`,
    explanation: `A layer that stands in several places has one set of weights, and these one place in the checkpoint.

wrong  block = Block()   blocks = repeat L of block   weights { blocks[i] <- "layers.{i}" }
right  block = Block()   blocks = repeat L of block   weights { block <- "layers.0" }`,
  },
  'tensor-missing': {
    severity: 'error',
    message: text`the checkpoint has no tensor \`${'name'}\``,
    explanation: `The name to the right of a binding, under the prefixes of the layers around it, is that of a tensor in the checkpoint.

wrong  embed <- "model.embed_token"
right  embed <- "model.embed_tokens"`,
  },
  'tensors-missing': {
    severity: 'error',
    message: text`the checkpoint lacks ${'count'} tensors that weights are bound to`,
    explanation: `None of the names that this binding gives is in the checkpoint, or many are not: a prefix is wrong, or there are more layers than the checkpoint has.

wrong  blocks[i] <- "layers.{i}"
right  blocks[i] <- "model.layers.{i}"`,
  },
  'weight-is-transposed': {
    severity: 'error',
    message: text`\`${'path'}\` is ${'wanted'}; the file has ${'found'}`,
    explanation: `Most checkpoints keep the matrix of a linear layer as [out, in]; here it is [in, out], as \`x @ w\` needs it.

wrong  q <- "q_proj.weight"
right  q <- "q_proj.weight".T`,
  },
  'tensor-wrong-shape': {
    severity: 'error',
    message: text`\`${'path'}\` is ${'wanted'}; its source is ${'found'}`,
    explanation: `The source of a weight has the shape of the weight. Perhaps a size is not read from the config, or the tensor is packed with others.

wrong  q, k, v <- split("c_attn.weight", 2)
right  q, k, v <- split("c_attn.weight", 3)`,
  },
  'tensor-wrong-dtype': {
    severity: 'error',
    message: text`\`${'path'}\` is ${'wanted'}; the file has ${'found'}`,
    explanation: `Floats are read as floats of another width; whole numbers and bools must be stored as such.

wrong  weight table: i64[V, k]          (stored as f32)
right  weight table: [V, k]`,
  },
  'source-unreadable': {
    severity: 'error',
    message: text`${'what'} cannot be computed while a checkpoint is read`,
    explanation: `A source is a string, the name of a tensor, seen through what can be done while reading: .T, an index or a range, split, unzip, concat, reshape, and arithmetic with one constant.

wrong  gain <- softmax("weight")
right  gain <- "weight" + 1.0`,
  },
  'source-does-not-fit': {
    severity: 'error',
    message: text`${'operation'} does not fit ${'shape'}`,
    explanation: `The stored tensor has a shape on which this step is not possible.

wrong  q, k <- split("w", 2)            (w: [3, 5])
right  q, k <- split("w", [2, 3])`,
  },
  'sources-differ': {
    severity: 'error',
    message: text`${'targets'} weights for ${'sources'} sources`,
    explanation: `As in a statement, the source gives one value for each weight on the left.

wrong  q, k <- split("c_attn.weight", 3)
right  q, k, v <- split("c_attn.weight", 3)`,
  },
  'hole-unbound': {
    severity: 'error',
    message: text`\`{${'name'}}\` is bound nowhere on the left`,
    explanation: `What stands in braces in a source is an index that is free on the left.

wrong  blocks[i] <- "layers.{j}"
right  blocks[i] <- "layers.{i}"`,
  },
  'index-unused': {
    severity: 'error',
    message: text`\`${'name'}\` is free on the left and not used on the right`,
    explanation: `All of the layers that the index ranges over would read the same tensors.

wrong  blocks[i] <- "layers.0"
right  blocks[i] <- "layers.{i}"`,
  },
  'tensors-unread': {
    severity: 'note',
    message: text`no weight reads ${'count'} of the checkpoint`,
    explanation: `A tensor that no weight is bound to has no effect: a pooler or a head the model does not have, a buffer, a copy of a tied matrix; or something that the model should have.

wrong  weight q: [D, D]                                  (the checkpoint also has q_proj.bias)
right  weight q: [D, D]   weight q_bias: [D]`,
  },
} as const;
