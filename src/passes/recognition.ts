/** How an imported graph of ONNX becomes one of ops: the passes in order. */

import { dropDead } from './drop-dead.ts';
import { foldConstants } from './fold-constants.ts';
import { recogniseActivations } from './recognise-activations.ts';
import { recogniseAttention } from './recognise-attention.ts';
import { recogniseNorms } from './recognise-norms.ts';
import { recogniseOpsPass } from './recognise-ops.ts';
import type { PassRun } from './run.ts';
import { shareDuplicates } from './share-duplicates.ts';
import { simplify } from './simplify.ts';
import { sinkReshapes } from './sink-reshapes.ts';

/** Raises what is known to ops and folds what is spelled out; the rest passes through. Afterwards `findFeedForwards` sees what there is. */
export const recognition: readonly PassRun[] = [
  recogniseOpsPass,
  foldConstants,
  simplify,
  sinkReshapes,
  simplify,
  shareDuplicates,
  recogniseActivations,
  recogniseNorms,
  recogniseAttention,
  sinkReshapes,
  simplify,
  shareDuplicates,
  dropDead,
].map((pass) => ({ pass }));
