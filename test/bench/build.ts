/** Building, lowering and serialising a graph of 32 layers and 7B parameters, without weights: each round in a process of its own. */

import { fileURLToPath } from 'node:url';
import { measure, table } from './rounds.ts';

const limit = 2;
const child = fileURLToPath(new URL('build-child.ts', import.meta.url));
const [figures] = measure([{ name: 'build', command: ['npx', 'tsx', child] }], 5).values();
table([
  ['7B, 32 layers', 'check and build s', 'lower s', 'serialise s', 'in all s', 'nodes', 'limit s'],
  ['', figures?.['build'] ?? 0, figures?.['lower'] ?? 0, figures?.['serialise'] ?? 0, figures?.['all'] ?? 0, figures?.['nodes'] ?? 0, limit],
]);
process.exitCode = (figures?.['all'] ?? limit) < limit ? 0 : 1;
