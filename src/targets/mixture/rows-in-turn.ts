/** Matrices of experts as onnxruntime's `MoE` wants them: rows of outputs, those of gate and up in turn. */

import { Bug } from '../../diagnostics/bug.ts';
import type { Source } from '../../graph/source.ts';
import { joinedView, reshapedView, transposedView } from '../../graph/views.ts';

/** Matrices [E, in, out] as one, [E, n · out, in]: row 0 of each, then row 1 of each, … */
export function matricesInTurn(sources: readonly Source[]): Source {
  const all = inTurn(sources.map(transposedView));
  // Under a name of its own, so that the rows of one expert are looked up in these bytes, not in what they are a view of.
  return { kind: 'reshape', of: all, dims: all.dims, dtype: all.dtype };
}

/** Vectors [E, out] as one, [E, n · out], in the order of the rows of their matrices. */
export function inTurn([first, ...others]: readonly Source[]): Source {
  if (!first) throw new Bug('no rows to take in turn');
  if (others.length === 0) return first;
  const [experts = 0, rows = 0, ...rest] = first.dims;
  const apart = (of: Source): Source => reshapedView(of, [experts, rows, 1, ...rest]);
  return reshapedView(joinedView([apart(first), ...others.map(apart)], 2), [experts, rows * (others.length + 1), ...rest]);
}
