/** Steps where an op went, or came to mean something else: other nodes with the old meaning stand for it. */

import { foreign } from '../../graph/foreign.ts';
import { changed, ints, type Rule, without } from './rule.ts';

/** Softmax, LogSoftmax and Hardmax 13: before, everything from the axis on was one axis. */
export const flattened: Rule = (node, up) => {
  const { axis = 1 } = node.attrs;
  const [x] = node.inputs;
  const rank = up.rank(x);
  const last = axis === -1 || (rank !== undefined && axis === rank - 1);
  if (last) return changed(node, { attrs: { axis: -1 } });
  const rows = up.push('Flatten', [x], { axis: axis as number });
  const made = up.push(node.op.foreign?.type ?? '', [rows], { axis: -1 });
  return changed(node, { op: foreign('Reshape'), inputs: [made, up.push('Shape', [x])], attrs: {} });
};

/** Dropout 10 and 12: nothing is dropped when a model runs. What the mask holds then was never said. */
export const dropoutPassed: Rule = (node, up) => {
  const [y, mask] = node.outputs;
  if (mask && up.read(mask)) return 'its mask is read, and what it holds outside training is said from version 12 on';
  return changed(node, { op: foreign('Identity'), attrs: {}, inputs: node.inputs.slice(0, 1), outputs: y ? [y] : [] });
};

/** BatchNormalization 9. */
export const spatialAlone: Rule = (node) => {
  const { spatial = 1 } = node.attrs;
  return spatial === 1 ? changed(node, { attrs: without(node.attrs, 'spatial') }) : 'statistics of each place, `spatial = 0`, have no successor';
};

/** BatchNormalization 14. */
export const inferenceAlone: Rule = (node, up) => {
  const [y, ...statistics] = node.outputs;
  if (statistics.some((one) => up.read(one))) return 'it gives statistics of the batch, as training does';
  return changed(node, { outputs: y ? [y] : [] });
};

/** Scatter 11. */
export const scatterElements: Rule = (node) => changed(node, { op: foreign('ScatterElements') });

/** RoiAlign 16: corners were not moved by half a pixel. */
export const cornersUnmoved: Rule = (node) => changed(node, { attrs: { ...node.attrs, coordinate_transformation_mode: 'output_half_pixel' } });

const newModes: ReadonlyMap<unknown, string> = new Map([
  ['bilinear', 'linear'],
  ['bicubic', 'cubic'],
]);

/** GridSample 20: modes go by other names. */
export const modeRenamed: Rule = (node) => {
  const { mode = 'bilinear' } = node.attrs;
  return changed(node, { attrs: { ...node.attrs, mode: newModes.get(mode) ?? mode } });
};

/** GroupNormalization 21: scale and bias, one number a group, are one a channel. */
export const eachChannel: Rule = (node, up) => {
  const [x, scale, bias] = node.inputs;
  const { num_groups: groups } = node.attrs;
  if (typeof groups !== 'number') return 'the number of groups comes from around a function';
  const channels = up.push('Shape', [x], { start: 1, end: 2 });
  const shape = up.push('Concat', [ints([groups], up), up.push('Div', [channels, ints([groups], up)])], { axis: 0 });
  const spread = (one: typeof x) => up.push('Reshape', [up.push('Expand', [up.push('Unsqueeze', [one, ints([1], up)]), shape]), ints([-1], up)]);
  return changed(node, { inputs: [x, spread(scale), spread(bias)] });
};
