/** Diagnostics of mixtures, derivations and trainings. */

import { text } from '../template.ts';

export const mixtures = {
  'mixture-needs-experts': {
    severity: 'error',
    message: text`a mixture of ${'count'} experts`,
    explanation: `The count of a mixture is a whole number of at least 1.

wrong  ffn = mixture 0 of SwiGLU(D, H) { … }
right  ffn = mixture 8 of SwiGLU(D, H) { … }`,
  },
  'experts-differ': {
    severity: 'error',
    message: text`one expert returns ${'left'}, another ${'right'}`,
    explanation: `The outputs of the picked experts are added up, so all have one type.

wrong  mixture 1 of [SwiGLU(D, H), Linear(D, H)] by …
right  mixture 1 of [SwiGLU(D, H), Identity(D)] by …`,
  },
  'expert-has-wrong-forward': {
    severity: 'error',
    message: text`the expert \`${'name'}\` takes ${'takes'} values and returns ${'returns'}`,
    explanation: `An expert takes the tokens first, perhaps more by name, and returns one value.

wrong  layer E() { forward(x: [.., D]) -> (y: [.., D], z: [.., D]) { … } }
right  layer E() { forward(x: [.., D]) -> [.., D] { … } }`,
  },
  'expert-formal-unfilled': {
    severity: 'error',
    message: text`nothing gives the experts their \`${'name'}\``,
    explanation: `A formal of an expert beyond the first is filled by the caller of the mixture, by name, or by a result of the router of the same name, slot by slot.

wrong  layer E() { forward(x: [.., D], scale: [..]) … }   mixture 8 of E() by TopSoftmax(D, 8, 2)
right  layer E() { forward(x: [.., D], scale: [..]) … }   mixture 8 of E() by Sigmoid1(D, 8)`,
  },
  'expert-reads-all-tokens': {
    severity: 'warning',
    message: text`\`${'name'}\` is a weight of each of the ${'count'} experts, but attention needs it for every token`,
    explanation: `A query is needed only for the tokens an expert is picked for; keys and values are needed for all. With a weight of their own for these, all experts run for all tokens, and nothing is saved.

wrong  weight q, k, v: [D, W]
right  weight q: [D, W]   shared weight k, v: [D, W]`,
  },
  'mixture-in-mixture': {
    severity: 'error',
    message: text`${'what'} of a mixture holds a mixture itself`,
    explanation: `The picks of a mixture inside would be made for rows that only some tokens have, by routers that only some experts have: nothing that runs on stock runtimes computes
that for less than all experts cost. Two levels are one mixture of all of them, picked by groups.

wrong  mixture 4 of Block()   where Block holds   mixture 2 of SwiGLU(D, H) { … }
right  mixture 8 of SwiGLU(D, H) by GroupLimited(D, 8, 2, groups: 4, kept: 1, scale: 1.0)`,
  },
  'expert-gives-no-tokens': {
    severity: 'error',
    message: text`an expert gives ${'found'}, not something for each token: ${'wanted'}`,
    explanation: `The outputs of the picked experts are added up for each token, so what an expert returns begins with the axes of the tokens, as what it reads does.

wrong  layer E() { forward(x: [B, S, D]) -> [B, D] { return mean(x @ w, axis: 1) } }
right  layer E() { forward(x: [B, S, D]) -> [B, S, D] { return x @ w } }`,
  },
  'router-scores-others': {
    severity: 'error',
    message: text`the router picks among ${'scores'}, the mixture has ${'experts'} experts`,
    explanation: `The indices that \`top\` gives are below the number of scores, and each is an expert: there are as many of one as of the other.

wrong  mixture 8 of SwiGLU(D, H) by TopSoftmax(D, 16, 2)
right  mixture 8 of SwiGLU(D, H) by TopSoftmax(D, 8, 2)`,
  },
  'router-returns-no-experts': {
    severity: 'error',
    message: text`\`${'name'}\` returns no \`experts\`, so it is no router`,
    explanation: `A router takes the tokens and returns \`experts\`, the indices of the picked ones, and perhaps \`weights\`; what else it returns goes to the experts' formals by name.

wrong  forward(x: [.., D]) -> (picked: i64[.., k]) { … }
right  forward(x: [.., D]) -> (experts: i64[.., k], weights: [.., k]) { … }`,
  },
  'router-experts-are-indices': {
    severity: 'error',
    message: text`\`experts\` of \`${'name'}\` must be i64`,
    explanation: `The experts a router picks are indices below the number of experts, one for each slot.

wrong  forward(x: [.., D]) -> (experts: [.., k]) { … }
right  forward(x: [.., D]) -> (experts: i64[.., k]) { … }`,
  },
  'router-result-wrong': {
    severity: 'error',
    message: text`the router's \`${'name'}\` is ${'found'}; it must be like ${'expected'}`,
    explanation: `A router returns one index, and one weight, for each token and slot: the axes of the tokens, then the slots.

wrong  -> (experts: i64[k])
right  -> (experts: i64[.., k], weights: [.., k])`,
  },
  'router-result-unused': {
    severity: 'warning',
    message: text`no expert takes the router's \`${'name'}\``,
    explanation: `What a router returns beyond experts and weights is handed to the formal of the experts that has its name. There is none.

wrong  -> (experts: i64[.., 1], scale: [.., 1])   experts: forward(x: [.., D])
right  -> (experts: i64[.., 1], scale: [.., 1])   experts: forward(x: [.., D], scale: [..])`,
  },
  'router-width-unknown': {
    severity: 'error',
    message: text`what the router reads has no known width`,
    explanation: `The three verbs make a linear router from the width of what the experts read: the last axis of their first formal.

wrong  layer E() { forward(x: [..]) -> [..] { … } }   mixture 8 of E() { score = linear … }
right  layer E() { forward(x: [.., D]) -> [.., D] { … } }   mixture 8 of E() { score = linear … }`,
  },
  'picks-out-of-range': {
    severity: 'error',
    message: text`${'picked'} of ${'experts'} experts cannot be picked`,
    explanation: `For each token at least one expert runs, and at most all.

wrong  mixture 8 of … { pick = top(16) … }
right  mixture 8 of … { pick = top(2) … }`,
  },
  'setting-unknown': {
    severity: 'error',
    message: text`there is no setting \`${'name'}\``,
    explanation: `A mixture is described by score, pick and weigh. A derivation has the settings of its pass.

wrong  { scores = linear … }
right  { score = linear … }`,
  },
  'setting-missing': {
    severity: 'error',
    message: text`\`${'name'}\` is missing`,
    explanation: `A mixture says how experts are scored, which are picked and how their outputs are weighed; \`emergent\` how many experts there are to be, and how many of them a token picks.

wrong  { pick = top(2)  weigh = softmax(picked) }
right  { score = linear  pick = top(2)  weigh = softmax(picked) }`,
  },
  'setting-twice': {
    severity: 'error',
    message: text`\`${'name'}\` is set twice`,
    explanation: `Each setting is given once, by itself or in the brackets of a word.

wrong  { pick = top(2)  pick = top(4) … }
right  { pick = top(4) … }`,
  },
  'setting-of-file': {
    severity: 'error',
    message: text`\`${'name'}\` is as the file of \`group\` has it, and cannot be set`,
    explanation: `Experts that come from a file bring their router, what stands in for those that are not picked, and the neurons that always run. Only the number of picks can be another.

wrong  { group = from "sparse.experts.safetensors"  repair = none }
right  { group = from "sparse.experts.safetensors"  pick = top(4) }`,
  },
  'setting-invalid': {
    severity: 'error',
    message: text`\`${'name'}\` is ${'expected'}, not \`${'found'}\``,
    explanation: `A setting takes values of one kind. The words for how a mixture routes are fixed; anything else is a router that the author writes, named with \`by\`.

wrong  weigh = softmax
right  weigh = softmax(picked)`,
  },
  'setting-word-unknown': {
    severity: 'error',
    message: text`\`${'name'}\` knows no \`${'word'}\``,
    explanation: `The words of a setting are fixed: they name what a pass can do.

wrong  group = kmeans(of: keys)
right  group = balanced_kmeans(of: keys)`,
  },
  'setting-word-hidden': {
    severity: 'error',
    message: text`\`${'word'}\` is a word of this setting, and a name of the file`,
    explanation: `In settings, words such as picked, all, one and linear have a meaning of their own. A param of the same name would be read as the word, which is never what is meant.

wrong  param picked = 2   …   weigh = softmax(picked)
right  param k = 2        …   weigh = softmax(picked)`,
  },
  'pass-unknown': {
    severity: 'error',
    message: text`there is no derivation \`${'name'}\``,
    explanation: `What can be done to a model are the passes made for it: emergent, merge, grow, patch.

wrong  model X from Y { emergant blocks[3].ffn { … } }
right  model X from Y { emergent blocks[3].ffn { … } }`,
  },
  'derived-from-no-model': {
    severity: 'error',
    message: text`\`${'name'}\` is ${'what'}, not a model`,
    explanation: `A model is derived from a model of the file, an imported one, or an ONNX file: from onnx "…". A training is of a model.

wrong  model X from Block { … }
right  model X from SmolLM2 { … }`,
  },
  'derivation-circle': {
    severity: 'error',
    message: text`\`${'name'}\` is derived from itself`,
    explanation: `Derivations begin at a model with a body.

wrong  model A from B { … }   model B from A { … }
right  model A { … }   model B from A { … }`,
  },
  'derivation-not-built': {
    severity: 'error',
    message: text`\`${'name'}\` is derived by \`${'pass'}\`, which cannot be built yet`,
    explanation: `The derivation was read and its paths were checked. Building it is not yet part of moec; the model it is derived from can be built.

wrong  moec compile derived.moe --model Grown
right  moec compile derived.moe --model SmolLM2`,
  },
  'no-feed-forward': {
    severity: 'error',
    message: text`\`${'path'}\` is ${'what'}, not one feed-forward`,
    explanation: `\`emergent\` makes experts of the neurons of one dense feed-forward at a time: its path ends at the layer that is one.

wrong  emergent blocks { … }
right  emergent blocks[..].ffn { … }`,
  },
  'derived-twice': {
    severity: 'error',
    message: text`\`${'path'}\` is converted twice`,
    explanation: `A second derivation of the same part would have to take what the first left: \`merge\` does, \`emergent\` takes a dense feed-forward. For other settings, write another model.

wrong  emergent blocks[..].ffn { … }   emergent blocks[3].ffn { … }
right  emergent blocks[..3].ffn { … }   emergent blocks[3].ffn { … }`,
  },
  'nothing-to-merge': {
    severity: 'error',
    message: text`\`${'path'}\` was not converted, so there is nothing to merge`,
    explanation: `\`merge\` takes back an \`emergent\` before it, in the same model or in one that it is derived from.

wrong  model X from Dense { merge blocks[3].ffn { } }
right  model X from Sparse { merge blocks[3].ffn { } }   (Sparse has emergent blocks[..].ffn)`,
  },
  'derived-binds-weights': {
    severity: 'error',
    message: text`a derived model binds no weights`,
    explanation: `Where weights lie is said by the model that has them. A derived model may name another checkpoint for all of them.

wrong  model X from Y { weights { head <- "head" } }
right  model X from Y { weights from "tuned.safetensors" }`,
  },
  'onnx-not-read': {
    severity: 'error',
    message: text`\`${'name'}\` is derived from \`${'file'}\`, which has not been read`,
    explanation: `A model that is derived from an ONNX file is built from what stands in it: the file is read first.

wrong  buildModel(program)
right  buildModel(program, { imported: { graph, places } })   or   moec compile derived.moe`,
  },
} as const;
