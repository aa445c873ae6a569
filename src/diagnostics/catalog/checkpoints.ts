/** Diagnostics of the weights: checkpoints and models of ONNX that cannot be read, and data that cannot be written. */

import { text } from '../template.ts';

export const checkpoints = {
  'checkpoint-not-found': {
    severity: 'error',
    message: text`${'path'} holds no weights that moec reads`,
    explanation: `A checkpoint is a folder with \`model.safetensors\`, or with \`model.safetensors.index.json\` and the files it lists, or one file whose
name ends in \`.safetensors\`. Weights in Python's pickle format (\`pytorch_model.bin\`, \`.pt\`) are not read: they can run code.
wrong: a folder with \`config.json\` and \`pytorch_model.bin\`
right: the same model saved again with \`model.save_pretrained(folder, safe_serialization=True)\``,
  },
  'file-not-readable': {
    severity: 'error',
    message: text`cannot read ${'file'}: ${'reason'}`,
    explanation: `The operating system refused, or the file became shorter while it was read. Permissions, a broken link, an unplugged disk and a download
that is still running are the usual causes.
wrong: \`moec run ./model\` while \`model.safetensors\` is still being downloaded
right: the same after the download is done`,
  },
  'safetensors-cut-short': {
    severity: 'error',
    message: text`${'file'} is cut short: it has ${'bytes'} bytes and says it needs ${'needed'}`,
    explanation: `A safetensors file begins with the length of its header in 8 bytes, then the header, then the numbers. This one ends before what its
own beginning announces, as an interrupted download does; or it is no safetensors file at all.
wrong: a file of 1 GB where the host shows 4 GB
right: the whole file; compare its size or digest with the one that the host shows`,
  },
  'safetensors-header-too-long': {
    severity: 'error',
    message: text`${'file'} says that its header has ${'length'} bytes; ${'limit'} is the most`,
    explanation: `The first 8 bytes of a safetensors file are the length of its header. The format allows 100 MB; a larger number means that the file is
something else (a zip, a pickle, a pointer of git-lfs) or made to exhaust memory.
wrong: \`pytorch_model.bin\` renamed to \`model.safetensors\`
right: the weights saved by the safetensors library`,
  },
  'safetensors-header-unreadable': {
    severity: 'error',
    message: text`the header of ${'file'} is not what safetensors has: ${'reason'}`,
    explanation: `The header is one JSON object in UTF-8: names of tensors, each with \`dtype\`, \`shape\` and \`data_offsets\`, and perhaps \`__metadata__\` with
texts. Every name stands there once.
wrong: \`["a", "b"]\`
right: \`{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}\``,
  },
  'tensor-entry-malformed': {
    severity: 'error',
    message: text`${'tensor'} in ${'file'}: ${'reason'}`,
    explanation: `Each tensor of a safetensors header has a \`dtype\`, a \`shape\` of whole numbers from 0, and \`data_offsets\`: where its bytes begin and end,
counted from the end of the header.
wrong: \`{"dtype": "F32", "shape": [2, -1], "data_offsets": [0, 8]}\`
right: \`{"dtype": "F32", "shape": [2, 1], "data_offsets": [0, 8]}\``,
  },
  'tensor-dtype-unknown': {
    severity: 'error',
    message: text`${'tensor'} in ${'file'} has the element type ${'dtype'}, which moec does not read`,
    explanation: `moec reads F64, F32, F16, BF16, I64, I32, I16, I8, U64, U32, U16, U8 and BOOL. Checkpoints in 8-bit floats or in a quantised format have to be
converted first.
wrong: a checkpoint in F8_E4M3
right: the same model saved in BF16`,
  },
  'tensor-bytes-differ': {
    severity: 'error',
    message: text`${'tensor'} in ${'file'} has ${'given'} bytes, but ${'shape'} of ${'dtype'} needs ${'needed'}`,
    explanation: `The range a tensor occupies must be exactly as long as its sizes multiplied by the width of its elements. A header that says otherwise was
damaged or written by a faulty tool; reading on would take one tensor's numbers for another's.
wrong: \`{"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}\`
right: \`{"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}\``,
  },
  'tensor-out-of-file': {
    severity: 'error',
    message: text`${'tensor'} lies outside ${'file'}: bytes ${'from'} to ${'to'} of ${'bytes'}`,
    explanation: `\`data_offsets\` count from the end of the header and cannot pass the end of the file. Either the file is cut short or its header lies.
wrong: \`"data_offsets": [0, 4096]\` in a file with 1024 bytes of numbers
right: the whole file, downloaded again`,
  },
  'tensors-overlap': {
    severity: 'error',
    message: text`${'tensor'} and ${'other'} occupy the same bytes of ${'file'}`,
    explanation: `The format has each tensor follow the one before. Tensors that share bytes are a sign of damage, or of an attempt to make one file look
different to different readers. Shared weights are stored once under one name.
wrong: two entries with \`"data_offsets": [0, 8]\`
right: one entry, and a model that reads it twice`,
  },
  'bytes-unaccounted': {
    severity: 'error',
    message: text`${'bytes'} bytes of ${'file'} belong to no tensor, from byte ${'from'} of its data on`,
    explanation: `The format leaves no gaps between tensors and nothing after the last. Bytes that belong to nothing mean that the header and the data are not
of one piece: a file overwritten by a longer one, or something hidden in it.
wrong: a header for 8 bytes in front of 4096
right: the file as the safetensors library wrote it`,
  },
  'index-unreadable': {
    severity: 'error',
    message: text`${'file'} is no index of shards: ${'reason'}`,
    explanation: `The index of a checkpoint in several files is a JSON object whose \`weight_map\` says in which file each tensor lies. The files stand in the
same folder, so their names have no path in them.
wrong: \`{"weight_map": {"a": "../secret.safetensors"}}\`
right: \`{"weight_map": {"a": "model-00001-of-00002.safetensors"}}\``,
  },
  'shard-missing': {
    severity: 'error',
    message: text`${'index'} names ${'file'}, which is not there`,
    explanation: `A checkpoint in several files is complete only with all of them. One was not downloaded, or was renamed.
wrong: \`model-00001-of-00002.safetensors\` alone
right: both files beside the index`,
  },
  'tensor-not-in-shard': {
    severity: 'error',
    message: text`${'index'} says that ${'tensor'} is in ${'file'}; it is not`,
    explanation: `The index and the files it lists are not of one checkpoint: one of them was replaced by another version.
wrong: an index of one revision beside the files of another
right: all files of the same revision`,
  },
  'onnx-unreadable': {
    severity: 'error',
    message: text`${'file'} is no model of ONNX: ${'reason'}`,
    explanation: `A model of ONNX is one message in the wire form of protobuf. These bytes end too early or are something else.
wrong: a pointer of git-lfs in place of \`model.onnx\`
right: the file itself, \`git lfs pull\``,
  },
  'onnx-not-understood': {
    severity: 'error',
    message: text`${'file'} cannot be read as a graph: ${'reason'}`,
    explanation: `The file is a model of ONNX, but its graph does not hold together, or uses a part of the format that moec has no place for.
wrong: a node that reads a value that only a later node makes
right: the same nodes in the order they are computed in; \`onnx.checker.check_model\` tells where it is not`,
  },
  'onnx-opset-unknown': {
    severity: 'error',
    message: text`${'file'} has version ${'opset'} of ai.onnx; moec reads ${'oldest'} to ${'newest'}`,
    explanation: `A model of ONNX says for which version of the operators it was written, and each version may change what an operator means. Before 7, operators
broadcast in ways of their own; what is newer than moec may mean anything.
wrong: a model of 2017, or one that a later exporter wrote for its newest version
right: the model converted by \`onnx.version_converter\`, or exported again with \`opset_version=24\``,
  },
  'onnx-op-not-lifted': {
    severity: 'error',
    message: text`${'op'} \`${'name'}\` of ${'file'} cannot be lifted to version ${'version'} of ai.onnx: ${'reason'}`,
    explanation: `An old model is lifted to the operators of today, so that it means the same. Here an operator was given up or changed at that version, and this
use of it has no successor.
wrong: \`Dropout\` of version 7 whose mask is read, \`BatchNormalization\` with \`spatial = 0\`
right: the model exported again with a newer \`opset_version\``,
  },
  'onnx-op-assumed': {
    severity: 'warning',
    message: text`${'op'} \`${'name'}\` of ${'file'}: ${'what'}`,
    explanation: `An old version of an operator leaves open what it does in a case that cannot be told from the file. moec takes the usual one and says so.
wrong: \`Resize\` of version 10 with scales computed when the model runs, which once make their input smaller
right: the same with scales of 1 or more, or the model exported again with a newer \`opset_version\``,
  },
  'input-default-fixed': {
    severity: 'warning',
    message: text`${'input'} of ${'file'} is an input with a default; moec takes the default as a constant`,
    explanation: `ONNX allows an input that may be left out and then has the value of a weight. Such inputs were how weights were written before IR 4, and few
runtimes let them be given. moec reads them as weights.
wrong: feeding a weight by the name of such an input
right: a model exported with \`keep_initializers_as_inputs=False\``,
  },
  'cannot-write': {
    severity: 'error',
    message: text`cannot write ${'file'}: ${'reason'}`,
    explanation: `The operating system refused to write. Nothing half written is left: outputs get their name only when they are complete.
wrong: an output folder on a full or read-only disk
right: \`-o\` with a folder on a disk with room for the model`,
  },
  'writing-stopped': {
    severity: 'error',
    message: text`stopped before ${'file'} was complete; nothing of it is left`,
    explanation: `Writing was interrupted, by Ctrl-C or by the program that called moec. The file gets its name only when it is complete.
wrong: relying on a folder whose compile was interrupted
right: the same command again`,
  },
} as const;
