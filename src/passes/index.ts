/** Every pass by name, in the order they usually run: what `moec passes` lists and `--dump-after` knows. */

import { generateLoop } from './add-generate-loop.ts';
import { addKvCache } from './add-kv-cache.ts';
import { addStatsPass } from './add-stats.ts';
import { batchSegmentsPass } from './batch-segments.ts';
import { cutMixturesPass } from './cut-mixtures.ts';
import { dropDead } from './drop-dead.ts';
import { mergeExpertsPass } from './emergent/merge.ts';
import { foldConstants } from './fold-constants.ts';
import type { Pass } from './pass.ts';
import { recogniseActivations } from './recognise-activations.ts';
import { recogniseAttention } from './recognise-attention.ts';
import { recogniseNorms } from './recognise-norms.ts';
import { recogniseOpsPass } from './recognise-ops.ts';
import { setPicksPass } from './set-picks.ts';
import { shareDuplicates } from './share-duplicates.ts';
import { simplify } from './simplify.ts';
import { sinkReshapes } from './sink-reshapes.ts';

const all: readonly Pass[] = [
  recogniseOpsPass,
  mergeExpertsPass,
  setPicksPass,
  cutMixturesPass,
  foldConstants,
  recogniseActivations,
  recogniseNorms,
  recogniseAttention,
  simplify,
  sinkReshapes,
  shareDuplicates,
  dropDead,
  addKvCache,
  addStatsPass,
  batchSegmentsPass,
  generateLoop,
];

/** The passes by name. */
export const passes: ReadonlyMap<string, Pass> = new Map(all.map((pass) => [pass.name, pass]));
