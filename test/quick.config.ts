/** The tests of `npm run ready`: all but those that start processes, run many models, try thousands of programs or measure time. `npm test` runs everything. */

import { fileURLToPath } from 'node:url';
import { defineConfig, mergeConfig } from 'vitest/config';
import all from '../vitest.config.ts';

const slow = [
  'bad-input',
  'bench',
  'check-fuzz',
  'check-limits',
  'cli-mixtures',
  'emerge-bargain',
  'emerge-files',
  'emergent/identity',
  'emergent/replace',
  'emergent/varying',
  'end-to-end',
  'evaluate',
  'lowerings',
  'mixtures',
  'router-functions',
  'routers',
  'routing-stats',
  'run-forms',
  'rxn-albert',
  'set-picks',
  'stories260k',
  'verify',
  'webgpu',
  'zoo',
];

export default mergeConfig(all, defineConfig({ root: fileURLToPath(new URL('..', import.meta.url)), test: { exclude: slow.map((name) => `test/${name}.test.ts`) } }));
