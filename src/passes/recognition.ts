/** How an imported graph of ONNX becomes one of ops: the passes in order. */

import { Bug } from '../diagnostics/bug.ts';
import type { Graph } from '../graph/graph.ts';
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

/** The passes: what is known is raised to ops, what is spelled out is folded, the rest passes through. */
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

/** The graph after these passes, in which `findFeedForwards` sees what there is. */
export function recognised(graph: Graph): Graph {
  return recognition.reduce((now, { pass }) => {
    const next = pass.run(now, {}, { report: () => {} });
    if (next instanceof Promise) throw new Bug(`${pass.name} computes`);
    return next;
  }, graph);
}
