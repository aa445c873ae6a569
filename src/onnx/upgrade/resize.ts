/** Steps of Upsample and Resize: which place of the input a place of the result is taken from. */

import { foreign } from '../../graph/foreign.ts';
import { changed, type Rule } from './rule.ts';

/** Upsample 10: from there on it is Resize, which is the same at that version. */
export const upsampleGone: Rule = (node) => changed(node, { op: foreign('Resize') });

/** Resize 11: before, places were counted from the corner. The nearest one was the next lower for what grows, and the next higher for what shrinks, as onnxruntime has it. */
export const cornerCounted: Rule = (node, up) => {
  const [x, scales] = node.inputs;
  const { mode = 'nearest' } = node.attrs;
  const asymmetric = { ...node.attrs, coordinate_transformation_mode: 'asymmetric' };
  if (mode !== 'nearest') return changed(node, { inputs: [x, undefined, scales], attrs: asymmetric });
  const known = up.known(scales)?.data;
  const [grows, shrinks] = [known?.some((one) => one > 1) ?? true, known?.some((one) => one < 1) ?? false];
  if (grows && shrinks) return 'it makes one axis larger and another smaller, each by the nearest place';
  if (!known) up.assume('takes the nearest lower place, as it does where it makes its input larger');
  return changed(node, { inputs: [x, undefined, scales], attrs: { ...asymmetric, nearest_mode: shrinks ? 'ceil' : 'floor' } });
};

/** Resize 13: what is empty is left out. */
export const emptyLeftOut: Rule = (node, up) => {
  if (node.attrs['coordinate_transformation_mode'] === 'tf_half_pixel_for_nn') return '`tf_half_pixel_for_nn` has no successor';
  const [x, ...others] = node.inputs;
  const inputs = [x, ...others.map((one) => (up.known(one)?.data.length === 0 ? undefined : one))];
  while (inputs.at(-1) === undefined) inputs.pop();
  return changed(node, { inputs });
};
