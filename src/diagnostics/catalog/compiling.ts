/** Diagnostics of finding a model for a checkpoint and of compiling it. */

import { text } from '../template.ts';

export const compiling = {
  'target-has-no-loop': {
    severity: 'error',
    message: text`the target ${'target'} has no control flow, so a generation cannot be one graph`,
    explanation: `A whole generation in one run is a \`Loop\` of ONNX, which many runtimes do not read. \`portable\` decodes step by step instead.
wrong: \`moec compile llama.moe --target portable --generate\`
right: \`moec compile llama.moe --target ort --generate\``,
  },
  'loop-needs-source': {
    severity: 'error',
    message: text`--generate puts a model of the language in a loop; one of ONNX keeps the steps that its file has`,
    explanation: `The loop is made of a step whose caches and positions moec has added itself. A decoder of ONNX brings its own, and \`moec run\` goes through them one by one.
wrong: \`moec compile model.onnx -o out/model --generate\`
right: \`moec compile model.onnx -o out/model\``,
  },
  'target-needs-ops': {
    severity: 'error',
    message: text`the target ${'target'} takes ops that moec knows; ${'op'} is one it only carries`,
    explanation: `What moec does not know in a model of ONNX it passes on as it is. On a device without 64-bit integers every op has to be written in a way of its own, so nothing can be passed on.
wrong: \`moec compile detector.onnx --target webgpu\`
right: \`moec compile detector.onnx --target ort\`, or \`portable\``,
  },
  'opset-kept': {
    severity: 'note',
    message: text`${'file'} has version ${'opset'} of ai.onnx, which is newer than that of ${'target'}; it keeps it`,
    explanation: `Models are lifted to newer versions of the operators, never put back to older ones: an older one may not say the same. What is added is valid at the newer version too.
wrong: \`moec compile new.onnx --target portable\` for a runtime that reads version 21 alone
right: the model exported again with \`opset_version=21\``,
  },
  'loop-needs-tokens-alone': {
    severity: 'error',
    message: text`a generation in one graph needs a model of tokens alone; this one takes ${'inputs'}`,
    explanation: `Each step of the loop makes the inputs of the next: the token it picked, its mask and its position. What else a model takes, nobody gives it there.
wrong: \`moec compile --generate\` of a decoder with \`token_type_ids\`
right: \`moec compile\` of it without \`--generate\`, stepped by whoever knows the further inputs`,
  },
  'lowering-not-used': {
    severity: 'warning',
    message: text`${'name'} is not ${'asked'} but ${'used'}: ${'reason'}`,
    explanation: `\`--lowering\` asks for one way to compute mixtures. Where a target has no such way, or the experts are none that it can compute, the one that costs least is used.
wrong: \`moec run jetmoe.moe --lowering fused\`: onnxruntime's operator knows feed-forwards alone
right: \`moec run jetmoe.moe --lowering looped\`, or none asked for`,
  },
  'named-file-missing': {
    severity: 'error',
    message: text`there is no file \`${'path'}\``,
    explanation: `What a model is made from, and the experts and the texts that its derivations name, are looked for beside the \`.moe\` file that names them.
wrong: \`model M from onnx "distilbert.onnx" { … }\` in one folder, \`distilbert.onnx\` in another
right: \`model M from onnx "../exported/distilbert.onnx" { … }\``,
  },
  'onnx-brings-weights': {
    severity: 'error',
    message: text`\`${'file'}\` brings its own weights`,
    explanation: `A file of ONNX holds or names its weights. Those of a checkpoint cannot take their place yet: export the model anew with the other weights.
wrong: \`model M from onnx "x.onnx" { weights from "tuned.safetensors" }\`
right: \`model M from onnx "tuned.onnx" { … }\``,
  },
  'weights-missing': {
    severity: 'error',
    message: text`there is nothing at ${'path'} to read weights from`,
    explanation: `\`--weights\`, or \`weights from\` in the file, names a checkpoint: a folder with model.safetensors or model.safetensors.index.json, or one .safetensors file.
wrong: \`moec run llama.moe --weights smollm\` where there is no such folder
right: \`moec run llama.moe --weights ./SmolLM2-135M\``,
  },
  'config-unreadable': {
    severity: 'error',
    message: text`${'file'} cannot be read as JSON: ${'reason'}`,
    explanation: `A checkpoint's config.json says which family it is of and its sizes. It must be one JSON object.
wrong: a config.json cut short by a broken download
right: the file as its authors published it`,
  },
  'family-unknown': {
    severity: 'error',
    message: text`no family file describes model_type ${'type'} of ${'path'}`,
    explanation: `A checkpoint folder is run by the family file whose model names its model_type after \`for\`. None does.
wrong: \`moec run ./falcon-7b\`, a family that no file describes
right: write the model (\`model Falcon for "falcon" { … }\`) and run \`moec run falcon.moe --weights ./falcon-7b\``,
  },
  'family-refuses': {
    severity: 'error',
    message: text`${'path'} is of a known family, but no model of ${'files'} describes it`,
    explanation: `Models say with \`require\` what they describe. The notes show which requirement of which model this checkpoint does not meet.
wrong: a Llama checkpoint with \`"hidden_act": "gelu"\`, which llama.moe does not describe
right: a model of your own that imports what is the same and changes what differs`,
  },
  'family-ambiguous': {
    severity: 'error',
    message: text`${'path'} is described by ${'models'}`,
    explanation: `Two models name this model_type, and every \`require\` of both holds. moec does not guess.
wrong: a tied and an untied variant without \`require tied\` and \`require tied == false\`
right: opposite requirements, or the model named: \`--model LlamaTied\``,
  },
  'data-copied': {
    severity: 'note',
    message: text`the file system cannot share bytes between files, so ${'bytes'} of weights are written again`,
    explanation: `A compiled folder stands alone. Where the file system can clone a file, the checkpoint's bytes are shared and cost nothing; elsewhere they are written again.
\`--in-place\` writes the model beside the checkpoint's own files instead; \`--link\` hard-links them, which the Python package onnx refuses to read.`,
  },
  'data-linked': {
    severity: 'warning',
    message: text`${'files'} are hard links to the checkpoint: the Python package onnx refuses them, and changing one changes the other`,
    explanation: `A hard link is a second name of the same bytes. onnxruntime reads it; onnx.checker and onnx.load refuse linked data since it could point outside the folder.
Leave \`--link\` out for a folder to give away.`,
  },
  'would-replace': {
    severity: 'error',
    message: text`${'folder'} is not moec's to replace: it holds ${'what'}, which moec did not write there`,
    explanation: `A compile replaces what an earlier compile wrote and nothing else. moec.json lists what that was. A report replaces a page of HTML alone.
wrong: \`moec compile models/tiny.moe -o .\` in a folder with other files
right: \`moec compile models/tiny.moe -o out/tiny\`, or another folder that is new or empty`,
  },
  'would-lose-source': {
    severity: 'error',
    message: text`${'folder'} holds ${'file'}, which the model is made of: write to another folder`,
    explanation: `What is written replaces the whole folder, and what is read for it would be gone.
wrong: \`moec emerge out/first/llama.moe -o out/first\`
right: \`moec emerge out/first/llama.moe -o out/second\``,
  },
  'in-place-needs-checkpoint': {
    severity: 'error',
    message: text`${'option'} needs a checkpoint folder whose bytes can stay where they are`,
    explanation: `\`--in-place\` writes the model beside the shards of a checkpoint, \`--link\` links to them. A model with random weights has none.
wrong: \`moec compile models/tiny.moe --in-place\`
right: \`moec compile ./SmolLM2-135M --in-place\``,
  },
  'picks-are-fixed': {
    severity: 'warning',
    message: text`\`${'name'}\` keeps its number of picks: its router does not end in one \`top(…, k)\``,
    explanation: `A run-time number of picks takes the place of k in the \`top\` whose result is the router's \`experts\`. A router that picks in several steps, by a table, or that
computes with the number otherwise, keeps its own.

wrong  e = concat(top(s, 1), top(t, 1))   return e, …
right  e = top(s, k)   return e, …`,
  },
  'picks-cannot-be-set': {
    severity: 'error',
    message: text`\`${'name'}\` always picks ${'picked'} experts: its router does not end in one \`top(…, k)\`, so there is no k to set`,
    explanation: `\`--active\` takes the place of k in the \`top\` whose result is the router's \`experts\`, and no mixture of this model has one. SparseMixer, the router of
Phi-3.5-MoE, is defined for two picks alone: the second is the best of what the first left, and each weighs its share among scores near it. Only the number that it picks
anyway is taken.

wrong  moec run models/phimoe.moe --active 1
right  moec run models/phimoe.moe
right  moec run models/olmoe.moe --active 1`,
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
  'pass-not-run': {
    severity: 'note',
    message: text`the pass ${'name'} is not run here, so there is no graph after it`,
    explanation: `A compile runs the passes that the model and the target ask for: cut-mixtures where there is a mixture, add-kv-cache where a text is written step by step. \`lower\` is always there, and the last.

wrong  moec compile models/tiny.moe --dump-after cut-mixtures
right  moec compile models/tiny.moe --dump-after lower`,
  },
  'no-experts': {
    severity: 'error',
    message: text`\`${'name'}\` has no mixture of equal experts, so there is nothing to compare`,
    explanation: `\`moec inspect\` compares the experts of a mixture: how alike their matrices are, and whether the router looks for what they look for.

wrong  moec inspect ./SmolLM2-135M
right  moec inspect ./OLMoE-1B-7B`,
  },
  'no-picks-to-set': {
    severity: 'error',
    message: text`the model has no mixture of experts, so there is no number of picks to set`,
    explanation: `\`--active\` is for models with mixtures whose routers end in \`top(…, k)\`: it takes the place of k.

wrong  moec run models/tiny.moe --active 2
right  moec run models/olmoe.moe --active 2`,
  },
} as const;
