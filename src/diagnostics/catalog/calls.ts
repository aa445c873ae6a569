/** Diagnostics of the command line: what it is pointed at, and what it cannot read. */

import { text } from '../template.ts';

export const calls = {
  'target-missing': {
    severity: 'error',
    message: text`there is no file or folder ${'path'}`,
    explanation: `What a command works on is named by a path: a \`.moe\` file, a checkpoint folder (config.json and safetensors), or a folder that \`moec compile\` wrote.
wrong: \`moec run models/tinny.moe\`
right: \`moec run models/tiny.moe\``,
  },
  'target-unknown': {
    severity: 'error',
    message: text`${'path'} is not a model: ${'reason'}`,
    explanation: `Three things can be compiled and run: a file that ends in \`.moe\`, a checkpoint folder with config.json, and a folder that \`moec compile\` wrote, with moec.json.
wrong: \`moec run models\`, a folder of files
right: \`moec run models/tiny.moe\``,
  },
  'cannot-read': {
    severity: 'error',
    message: text`cannot read ${'path'}: ${'reason'}`,
    explanation: `The file is there, but the system does not give it out, or it is not text in UTF-8.
wrong: \`moec check secret.moe\` without the right to read it
right: \`chmod u+r secret.moe\`, then the same`,
  },
} as const;
