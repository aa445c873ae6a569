/** Diagnostics of files and names: what is imported, declared, looked up. */

import { text } from '../template.ts';

export const names = {
  'file-not-found': {
    severity: 'error',
    message: text`there is no file \`${'path'}\``,
    explanation: `The file that was named cannot be found. Paths are relative to the folder of the call.

wrong  moec check model.moe       (it is models/model.moe)
right  moec check models/model.moe`,
  },
  'import-not-found': {
    severity: 'error',
    message: text`nothing to import from \`${'from'}\``,
    explanation: `"./name" is the file name.moe beside this one, "std/name" a file of the library, "zoo/name" a model that comes with moec. There is no other place to import from.

wrong  import { Block } from "block"
right  import { Block } from "./block"`,
  },
  'import-missing-name': {
    severity: 'error',
    message: text`\`${'from'}\` declares no \`${'name'}\``,
    explanation: `Every layer, model, param and dim at the top of a file can be imported by its name; the file has none of this name.

wrong  import { RMSNorm } from "std/layers"
right  import { RmsNorm } from "std/layers"`,
  },
  'import-cycle': {
    severity: 'error',
    message: text`\`${'from'}\` imports this file in turn`,
    explanation: `Files cannot import one another in a circle: neither could be read first. The note shows the way around. Move what both need into a third file.

wrong  a.moe: import { B } from "./b"     b.moe: import { A } from "./a"
right  a.moe: import { C } from "./c"     b.moe: import { C } from "./c"`,
  },
  'imports-too-deep': {
    severity: 'error',
    message: text`imports go more than ${'limit'} files deep`,
    explanation: `A chain of imports this long is most likely made by a program that does not end.

wrong  f0.moe imports f1.moe imports f2.moe … and so on
right  a model and the library files it uses`,
  },
  'name-taken': {
    severity: 'error',
    message: text`\`${'name'}\` is already ${'what'} here`,
    explanation: `A name stands for one thing in a file, and for one thing in a layer: params, dims, layers and models share the names of a file; formals, weights, parts and the values of \`forward\` share those of a layer. Paths such as \`blocks.3.ffn.gate\` and the places of weights depend on it.

wrong  weight q: [D, D]   …   q = x @ q
right  weight q: [D, D]   …   qs = x @ q`,
  },
  'name-is-built-in': {
    severity: 'error',
    message: text`\`${'name'}\` is a name of the language`,
    explanation: `inf, pi and new mean the same in every file and cannot be declared.

wrong  param pi = 3
right  param P = 3`,
  },
  'unknown-name': {
    severity: 'error',
    message: text`nothing here is called \`${'name'}\``,
    explanation: `A name is a param, a dim or a layer of the file, a formal, weight or part of the layer, or a value named earlier in the \`forward\`. A typo is an error, never a new dimension.

wrong  param D = 576   …   weight gate: [D, HH]
right  param D = 576   param H = 1_536   …   weight gate: [D, H]`,
  },
  'unknown-function': {
    severity: 'error',
    message: text`there is no layer or function \`${'name'}\``,
    explanation: `What is called is a part, a layer's name, or one of the functions that \`moec ops\` lists.

wrong  y = sofmax(x)
right  y = softmax(x)`,
  },
  'unknown-layer': {
    severity: 'error',
    message: text`there is no layer \`${'name'}\``,
    explanation: `A layer is declared in this file or imported from another; those of the library stand in std/layers and std/routers.

wrong  norm = RmsNorm(D, eps)
right  import { RmsNorm } from "std/layers"   …   norm = RmsNorm(D, eps)`,
  },
  'unknown-type': {
    severity: 'error',
    message: text`there is no type \`${'name'}\``,
    explanation: `Tensors are f32 (which needs no word), f16, bf16, f64, i64, i32, i16, i8, u8, u16, u32, u64 or bool; constants are int, float, bool, string or lists of these.

wrong  forward(ids: int64[B, S])
right  forward(ids: i64[B, S])`,
  },
  'no-such-member': {
    severity: 'error',
    message: text`${'object'} has no \`${'name'}\``,
    explanation: `After the dot of a layer stands one of its parts or weights; after that of a tensor only T.

wrong  y @ embed.tabel.T
right  y @ embed.table.T`,
  },
  'function-not-called': {
    severity: 'error',
    message: text`\`${'name'}\` is a function, not a value`,
    explanation: `Functions are no values of the language: they stand in front of their arguments.

wrong  act = gelu
right  y = gelu(x)`,
  },
  'layer-not-called': {
    severity: 'error',
    message: text`\`${'name'}\` is ${'what'}, and nothing has made one yet`,
    explanation: `A call makes a new layer; a name is the layer that is there already. The name of a declaration alone is neither.

wrong  norm = RmsNorm
right  norm = RmsNorm(D, eps)`,
  },
  'not-a-value': {
    severity: 'error',
    message: text`\`${'name'}\` is ${'what'} and no value`,
    explanation: `This name stands for a declaration that no expression can contain.

wrong  weight w: [FineTune]
right  weight w: [D]`,
  },
  'value-unused': {
    severity: 'warning',
    message: text`\`${'name'}\` is computed and never used`,
    explanation: `A value that neither another value nor a result needs changes nothing. It may be a leftover, or the name of another value was written by mistake.

wrong  h = norm(x)   return ffn(x)
right  h = norm(x)   return ffn(h)`,
  },
  'weight-unused': {
    severity: 'warning',
    message: text`the weight \`${'name'}\` is never used`,
    explanation: `A weight that no \`forward\` reads makes the model larger and changes nothing.

wrong  weight q, k, v: [D, D]   …   attend(x @ q, x @ k, x @ k)
right  weight q, k, v: [D, D]   …   attend(x @ q, x @ k, x @ v)`,
  },
  'part-unused': {
    severity: 'warning',
    message: text`the part \`${'name'}\` is never used`,
    explanation: `A part that no \`forward\` calls and no other part contains changes nothing; its weights are still read and stored.

wrong  norm = RmsNorm(D, eps)   forward(x: [.., D]) -> [.., D] { return x }
right  norm = RmsNorm(D, eps)   forward(x: [.., D]) -> [.., D] { return norm(x) }`,
  },
} as const;
