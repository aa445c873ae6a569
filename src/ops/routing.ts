/** Mixtures of experts as one op with bodies: kept whole, so that passes see a model, until a target cuts it into segments. */

import { Bug } from '../diagnostics/bug.ts';
import { constant } from '../graph/dim.ts';
import { fail } from '../graph/fail.ts';
import { defineOp, type Op } from '../graph/op.ts';
import { spell } from '../graph/type.ts';

const unlowered = (): never => {
  throw new Bug('a mixture is lowered by its target, segment by segment, before ops are');
};

/**
 * The sum over picked experts. Inputs: what the mixture is called with (`names`; the first is x), then every weight that the experts own, with an
 * expert axis in front. Bodies: `router` takes the arguments and gives `experts` i64[.., k], optionally `weights` [.., k], then whatever else the
 * experts take; `expert` (and `expert1`, … where layers mix) takes the arguments, what the router gives for one slot, and its own weights.
 */
export const mixture: Op = defineOp({
  name: 'mixture',
  call: null,
  doc: 'The sum over the picked experts of weight · expert(x), for each token. The bodies `router` and `expert` say who is picked and what an expert computes.',
  inputs: ['x', 'args*'],
  attrs: {
    n: { kind: 'dim' },
    result: { kind: 'dims' },
    dtype: { kind: 'dtype', default: 'f32' },
    names: { kind: 'strings', default: [] },
  },
  type: (_, { n, result, dtype }) => {
    if ((constant(n) ?? 1) < 1) fail('setting-out-of-range', { setting: 'the number of experts', range: 'at least 1', found: spell(n) }, 'x');
    return { dtype, dims: result };
  },
  eval: unlowered,
  grad: 'none',
  lower: unlowered,
  samples: [],
});
