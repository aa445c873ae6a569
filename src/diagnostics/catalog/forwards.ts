/** Diagnostics of `forward`: arguments, results, shapes, values of the graph. */

import { text } from '../template.ts';

export const forwards = {
  'argument-wrong-type': {
    severity: 'error',
    message: text`\`${'name'}\` of \`${'callee'}\` is ${'expected'}, not ${'found'}`,
    explanation: `The shape of an argument is that of the formal: names of run-time sizes take what they first meet, constant sizes must be equal, \`..\` stands for any axes in front.

wrong  norm = RmsNorm(D, eps)   …   norm(x @ up)     (up: [D, H])
right  norm = RmsNorm(H, eps)   …   norm(x @ up)`,
  },
  'result-wrong-type': {
    severity: 'error',
    message: text`this is ${'found'}, and \`forward\` declares ${'declared'}`,
    explanation: `What is returned has the type that the \`forward\` declares.

wrong  forward(x: [.., D]) -> [.., D] { return x @ up }        (up: [D, H])
right  forward(x: [.., D]) -> [.., H] { return x @ up }`,
  },
  'result-needs-shape': {
    severity: 'error',
    message: text`a result needs its sizes`,
    explanation: `A result is a tensor; f32[] is one number.

wrong  forward(x: [B, D]) -> f32 { … }
right  forward(x: [B, D]) -> f32[] { … }`,
  },
  'forward-takes-tensors': {
    severity: 'error',
    message: text`\`${'name'}\` is a formal of \`forward\` and must be a tensor`,
    explanation: `Layers are formals of layers: \`layer Block(attn: layer)\`. A \`forward\` takes values.

wrong  layer Block() { forward(x: [B, D], attn: layer) -> [B, D] { … } }
right  layer Block(attn: layer) { forward(x: [B, D]) -> [B, D] { … } }`,
  },
  'tensor-needs-dtype': {
    severity: 'error',
    message: text`\`${'name'}\` is a type of constants, not of tensors`,
    explanation: `int, float and string are types of constants. Tensors are f32 (which needs no word), i64, bool and others, each with its sizes.

wrong  forward(ids: int[B, S]) -> [B, S, D] { … }
right  forward(ids: i64[B, S]) -> [B, S, D] { … }`,
  },
  'returns-differ': {
    severity: 'error',
    message: text`\`forward\` declares ${'declared'} and returns ${'returned'}`,
    explanation: `There is one returned expression for each declared result.

wrong  forward(x: [B, D]) -> (y: [B, D], z: [B, D]) { return x }
right  forward(x: [B, D]) -> (y: [B, D], z: [B, D]) { return x, x }`,
  },
  'targets-differ': {
    severity: 'error',
    message: text`${'names'} for ${'results'}`,
    explanation: `A call with several results gives each a name, in order.

wrong  q, k = split(x @ qkv, 3)
right  q, k, v = split(x @ qkv, 3)`,
  },
  'several-results': {
    severity: 'error',
    message: text`${'count'} results stand where one value is needed`,
    explanation: `A call with several results may stand only where its results are given names.

wrong  return split(x, 2) @ w
right  a, b = split(x, 2)   return a @ w`,
  },
  'dim-unbound': {
    severity: 'error',
    message: text`\`${'name'}\` is in no formal of this \`forward\``,
    explanation: `The name of a run-time size takes its value from the arguments of the \`forward\` it stands in.

wrong  forward(x: [B, D]) -> [B, S, D] { return broadcast(x[0.., new], [B, S, D]) }
right  forward(x: [B, D], y: [B, S]) -> [B, S, D] { … }`,
  },
  'rest-in-model': {
    severity: 'error',
    message: text`\`${'name'}\` of a model has all its axes written`,
    explanation: `.. stands for whatever axes a caller brings. A model has no caller in the language: its inputs are those of the ONNX file.

wrong  model M { forward(x: [.., D]) -> [.., D] { … } }
right  model M { forward(x: [B, S, D]) -> [B, S, D] { … } }`,
  },
  'rest-unbound': {
    severity: 'error',
    message: text`\`..\` stands for nothing here`,
    explanation: `In a shape inside \`forward\`, .. is what it stands for in the formals.

wrong  forward(x: [B, S, D]) -> [B, S, N, W] { return reshape(x, [.., N, W]) }
right  forward(x: [.., D]) -> [.., N, W] { return reshape(x, [.., N, W]) }`,
  },
  'rest-twice': {
    severity: 'error',
    message: text`\`..\` stands twice`,
    explanation: `.. is all that is left, so there is room for one. A single whole axis is \`0..\`.

wrong  x[.., 0, ..]
right  x[.., 0, 0..]`,
  },
  'rests-differ': {
    severity: 'error',
    message: text`\`..\` of \`${'callee'}\` is ${'left'} for one argument and ${'right'} for another`,
    explanation: `.. stands for the same axes in all formals of a \`forward\`.

wrong  forward(x: [.., D], scale: [..])   called with x: [B, S, D], scale: [B]
right  forward(x: [.., D], scale: [..])   called with x: [B, S, D], scale: [B, S]`,
  },
  'too-many-indices': {
    severity: 'error',
    message: text`${'count'} indices for ${'type'}`,
    explanation: `Each index takes one axis; \`new\` makes one, \`..\` takes all that are left.

wrong  x[0, 0, 0]        (x: [B, D])
right  x[0, 0]`,
  },
  'not-a-tensor': {
    severity: 'error',
    message: text`${'what'} is no tensor`,
    explanation: `An op reads tensors and numbers; its settings are constants.

wrong  y = silu("x")
right  y = silu(x)`,
  },
  'number-does-not-fit': {
    severity: 'error',
    message: text`${'number'} does not fit ${'type'}`,
    explanation: `A number takes the element type of the tensor it meets, but a fraction is never a whole number: types are not converted silently.

wrong  ids + 0.5                 (ids: i64[B, S])
right  f32(ids) + 0.5`,
  },
  'setting-wrong-kind': {
    severity: 'error',
    message: text`\`${'name'}\` of \`${'callee'}\` is ${'expected'}, not ${'found'}`,
    explanation: `Settings of an op are constants of the kind that \`moec ops\` shows.

wrong  softmax(x, axis: "last")
right  softmax(x, axis: -1)`,
  },
  'needs-forward': {
    severity: 'error',
    message: text`values are computed in \`forward\``,
    explanation: `Outside of \`forward\` there are constants and layers, and nothing to compute on.

wrong  layer L(D: int) { weight w: [D, D]   t = w.T   forward … }
right  layer L(D: int) { weight w: [D, D]   forward(x: [.., D]) -> [.., D] { return x @ w.T } }`,
  },
  'graph-too-large': {
    severity: 'error',
    message: text`the model needs more than ${'limit'} operations`,
    explanation: `Stacks are unrolled into a graph. A graph of this size is no model but a slip in a count.

wrong  repeat 10_000 of [repeat 10 of Block()]
right  repeat 48 of Block()`,
  },
} as const;
