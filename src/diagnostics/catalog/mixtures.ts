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
  'picks-are-fixed': {
    severity: 'warning',
    message: text`\`${'name'}\` keeps its number of picks: its router does not end in one \`top(…, k)\``,
    explanation: `A run-time number of picks takes the place of k in the \`top\` whose result is the router's \`experts\`. A router that picks in several steps, by a table, or that
computes with the number otherwise, keeps its own.

wrong  e = concat(top(s, 1), top(t, 1))   return e, …
right  e = top(s, k)   return e, …`,
  },
  'picks-not-asked': {
    severity: 'error',
    message: text`this was compiled for the author's number of picks`,
    explanation: `A compiled model takes the number of experts that a token picks only where it was compiled with \`--active\`. Sources and checkpoints are compiled for each run.

wrong  moec compile olmoe.moe -o out/olmoe   moec run out/olmoe --active 2
right  moec compile olmoe.moe -o out/olmoe --active   moec run out/olmoe --active 2`,
  },
  'no-statistics': {
    severity: 'error',
    message: text`nothing in the model says how mixtures route`,
    explanation: `\`--stats\` is for models with mixtures; a compiled one says how they route where it was compiled with \`--stats\`.

wrong  moec compile olmoe.moe -o out/olmoe   moec run out/olmoe --stats
right  moec compile olmoe.moe -o out/olmoe --stats   moec run out/olmoe --stats`,
  },
  'no-picks-to-set': {
    severity: 'error',
    message: text`no mixture of the model picks a number of experts that could be set`,
    explanation: `\`--active\` is for models with mixtures whose routers end in \`top(…, k)\`: it takes the place of k.

wrong  moec run models/tiny.moe --active 2
right  moec run models/olmoe.moe --active 2`,
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
    explanation: `A mixture says how experts are scored, which are picked and how their outputs are weighed.

wrong  { pick = top(2)  weigh = softmax(picked) }
right  { score = linear  pick = top(2)  weigh = softmax(picked) }`,
  },
  'setting-twice': {
    severity: 'error',
    message: text`\`${'name'}\` is set twice`,
    explanation: `Each setting is given once.

wrong  { pick = top(2)  pick = top(4) … }
right  { pick = top(4) … }`,
  },
  'setting-invalid': {
    severity: 'error',
    message: text`\`${'name'}\` is ${'expected'}, not \`${'found'}\``,
    explanation: `The words of a setting are fixed; anything else is a router that the author writes, named with \`by\`.

wrong  weigh = softmax
right  weigh = softmax(picked)`,
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

wrong  moec compile derived.moe --model SmolEmergent
right  moec compile derived.moe --model SmolLM2`,
  },
} as const;
