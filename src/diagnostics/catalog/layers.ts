/** Diagnostics of layers as values: making them, filling their formals, stacking them. */

import { text } from '../template.ts';

export const layers = {
  'argument-missing': {
    severity: 'error',
    message: text`\`${'callee'}\` needs \`${'name'}\``,
    explanation: `Every formal without a default is given exactly one argument, by position or by name.

wrong  norm = RmsNorm(D)
right  norm = RmsNorm(D, eps: 1e-5)`,
  },
  'argument-unknown': {
    severity: 'error',
    message: text`\`${'callee'}\` takes no \`${'name'}\``,
    explanation: `An argument is named after a formal. Through stacks and mixtures, arguments travel by name: each layer inside takes what it declares, and some layer must.

wrong  norm = RmsNorm(D, epsilon: 1e-5)
right  norm = RmsNorm(D, eps: 1e-5)`,
  },
  'argument-twice': {
    severity: 'error',
    message: text`\`${'callee'}\` is given \`${'name'}\` twice`,
    explanation: `A formal takes one argument, either by position or by name.

wrong  norm = RmsNorm(D, 1e-5, eps: 1e-6)
right  norm = RmsNorm(D, eps: 1e-6)`,
  },
  'argument-needs-name': {
    severity: 'error',
    message: text`beyond the first, the arguments of ${'what'} are named`,
    explanation: `The first argument is the one that is carried from layer to layer; every other goes by name to the layers that declare it.

wrong  y = blocks(x, mask)
right  y = blocks(x, mask: mask)`,
  },
  'too-many-arguments': {
    severity: 'error',
    message: text`\`${'callee'}\` takes ${'takes'}; ${'given'} are given`,
    explanation: `There are more arguments than formals.

wrong  y = silu(x, 2)
right  y = silu(x) * 2`,
  },
  'argument-wrong-kind': {
    severity: 'error',
    message: text`\`${'name'}\` of \`${'callee'}\` is ${'expected'}, not ${'found'}`,
    explanation: `The formal of a layer is an int, a float, a bool, a string, a list of these, or a layer. A whole number may stand for a float.

wrong  norm = RmsNorm("wide", eps: 1e-5)
right  norm = RmsNorm(576, eps: 1e-5)`,
  },
  'formal-of-layer-is-tensor': {
    severity: 'error',
    message: text`a formal of a layer is a constant or a layer, not \`${'type'}\``,
    explanation: `The formals of a layer are filled when the layer is made; tensors meet it later, as formals of its \`forward\`.

wrong  layer Scale(x: f32) { … }
right  layer Scale(D: int) { forward(x: [.., D]) -> [.., D] { … } }`,
  },
  'part-is-no-layer': {
    severity: 'error',
    message: text`the part \`${'name'}\` is ${'found'}, not a layer`,
    explanation: `What stands before \`forward\` are the weights and parts of a layer. Constants are params of the file or formals of the layer; values are computed in \`forward\`.

wrong  layer Block() { width = D / N … }
right  param W = D / N   layer Block() { … }`,
  },
  'not-a-layer': {
    severity: 'error',
    message: text`expected a layer, found ${'found'}`,
    explanation: `repeat and mixture make stacks and mixtures of layers.

wrong  blocks = repeat L of 3
right  blocks = repeat L of Block()`,
  },
  'cannot-call': {
    severity: 'error',
    message: text`${'what'} cannot be called`,
    explanation: `Layers and functions are called; a value is not.

wrong  y = gate(x)          (gate is a weight)
right  y = x @ gate`,
  },
  'layer-contains-itself': {
    severity: 'error',
    message: text`\`${'name'}\` contains itself`,
    explanation: `A layer cannot have a part that is made of the same declaration: there would be no end to it. A stack says how often.

wrong  layer Block() { inner = Block() … }
right  layer Block() { … }   blocks = repeat L of Block()`,
  },
  'layers-too-deep': {
    severity: 'error',
    message: text`layers stand inside layers more than ${'limit'} deep`,
    explanation: `No model needs layers nested this deep: what comes one after the other is a stack.

wrong  Wrap(Wrap(Wrap(… Block() …)))
right  repeat L of Block()`,
  },
  'too-many-layers': {
    severity: 'error',
    message: text`the model has more than ${'limit'} layers`,
    explanation: `Every part of every layer counts. Repeats inside repeats multiply.

wrong  repeat 1_000 of [repeat 1_000 of Block()]
right  repeat 48 of Block()`,
  },
  'repeat-too-often': {
    severity: 'error',
    message: text`${'count'} copies are too many: the limit is ${'limit'}`,
    explanation: `A stack or a mixture holds at most this many layers. Perhaps a width was given where a count is meant.

wrong  blocks = repeat V of Block()
right  blocks = repeat L of Block()`,
  },
  'repeat-needs-count': {
    severity: 'error',
    message: text`a layer cannot be repeated ${'found'} times`,
    explanation: `The count of a repeat is a whole number that is not negative, or a list whose elements are counted or bound.

wrong  blocks = repeat 2.5 of Block()
right  blocks = repeat 2 of Block()`,
  },
  'table-needs-list': {
    severity: 'error',
    message: text`a table says which layer stands for each element of a list, and this is a count`,
    explanation: `Under \`repeat\`, a table is looked up for each element of a list, most often one that comes from the config.

wrong  blocks = repeat L of { "full": Block() }
right  blocks = repeat kinds of { "full": Block() }`,
  },
  'table-key-missing': {
    severity: 'error',
    message: text`the table has no entry for ${'key'}`,
    explanation: `A table has an entry for every value that occurs in the list: a checkpoint may say which layers stand in a stack, not what they are made of.

wrong  repeat ["full", "sliding"] of { "full": Block() }
right  repeat ["full", "sliding"] of { "full": Block(inf)  "sliding": Block(4_096.0) }`,
  },
  'table-key-twice': {
    severity: 'error',
    message: text`the table has two entries for ${'key'}`,
    explanation: `Each value stands for one layer. Keys are compared by value: 1 and true are the same.

wrong  { "full": Block()  "full": Other() }
right  { "full": Block()  "sliding": Other() }`,
  },
  'stack-is-flat': {
    severity: 'error',
    message: text`a stack has one index`,
    explanation: `Stacks of stacks are flattened: one index counts over all layers, whatever the nesting.

wrong  blocks[2, 0]
right  blocks[12]`,
  },
  'stacked-several-results': {
    severity: 'error',
    message: text`a layer of a stack returns one value`,
    explanation: `What a layer of a stack returns is what the next one takes.

wrong  layer Block() { forward(x: [B, D]) -> (y: [B, D], z: [B, D]) { … } }   blocks = repeat L of Block()
right  layer Block() { forward(x: [B, D]) -> [B, D] { … } }   blocks = repeat L of Block()`,
  },
  'weights-made-in-forward': {
    severity: 'error',
    message: text`\`${'name'}\` has weights, and weights have no place in \`forward\``,
    explanation: `A layer without weights may be made where it is used. One with weights is a part: its weights need a path under which they are stored.

wrong  forward(x: [.., D]) -> [.., D] { return RmsNorm(D, 1e-5)(x) }
right  norm = RmsNorm(D, 1e-5)   forward(x: [.., D]) -> [.., D] { return norm(x) }`,
  },
  'weight-needs-shape': {
    severity: 'error',
    message: text`the weight \`${'name'}\` needs its sizes`,
    explanation: `A weight has a shape of constant sizes, all of them written.

wrong  weight gate: f32
right  weight gate: [D, H]`,
  },
  'derived-as-part': {
    severity: 'error',
    message: text`\`${'name'}\` is derived from another model and cannot be a part yet`,
    explanation: `A model with a body is a layer with nothing left open and may be a part. What was done to a model is applied to the whole.

wrong  body = SmolEmergent()
right  body = SmolLM2()`,
  },
  'no-model': {
    severity: 'error',
    message: text`\`${'file'}\` declares no model`,
    explanation: `A file of layers can be imported and checked; to be built it needs a model, a layer with nothing left open.

wrong  layer Block() { … }
right  layer Block() { … }   model Tiny { blocks = repeat 2 of Block() … }`,
  },
  'model-unknown': {
    severity: 'error',
    message: text`\`${'file'}\` has no model \`${'name'}\``,
    explanation: `The name given with --model is that of a model declared in the file.

wrong  moec compile model.moe --model tiny
right  moec compile model.moe --model Tiny`,
  },
  'model-not-for-type': {
    severity: 'error',
    message: text`no model of \`${'file'}\` is for the model type "${'type'}"`,
    explanation: `The config of a checkpoint names its model type, and a model names after \`for\` those it describes. Take the file of the checkpoint's family, or name the model with --model to build it with these weights all the same.

wrong  moec compile models/gpt2.moe --weights ./smollm2        (a "llama")
right  moec compile models/llama.moe --weights ./smollm2`,
  },
  'model-ambiguous': {
    severity: 'error',
    message: text`\`${'file'}\` declares several models: say which`,
    explanation: `A file may declare a model and what was made of it. Name one with --model.

wrong  moec compile derived.moe
right  moec compile derived.moe --model Classifier`,
  },
} as const;
