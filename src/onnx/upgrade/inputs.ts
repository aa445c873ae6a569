/** Steps where attributes became inputs: axes, sizes, bounds, counts. */

import type { Node } from '../../graph/graph.ts';
import { ndArray } from '../../graph/nd-array.ts';
import { changed, floatInput, floatOf, intInput, ints, intsInput, type Rule, without } from './rule.ts';

/** Squeeze and Unsqueeze 13, ReduceSum 13, the other reductions 18: all axes where none are named. */
export const axesAsInput: Rule = (node, up) => changed(node, { inputs: withInput(node, intsInput(node.attrs['axes'], up)), attrs: without(node.attrs, 'axes') });

/** Slice 10. */
export const bounds: Rule = (node, up) => {
  const { starts, ends, axes } = node.attrs;
  if (starts === undefined || ends === undefined) return 'it has no starts or no ends';
  const none = (): ReturnType<typeof ints> => ints([], up);
  return changed(node, {
    inputs: withInput(node, intsInput(starts, up) ?? none(), intsInput(ends, up) ?? none(), intsInput(axes, up)),
    attrs: without(node.attrs, 'starts', 'ends', 'axes'),
  });
};

/** Clip 11: a bound that is not given is the largest number either way. */
export const clipBounds: Rule = (node, up) => {
  const [x] = node.inputs;
  const { min, max } = node.attrs;
  return changed(node, { inputs: withInput(node, floatInput(min, x, up), floatInput(max, x, up)), attrs: without(node.attrs, 'min', 'max') });
};

/** Pad 11. */
export const padding: Rule = (node, up) => {
  const [x] = node.inputs;
  const { pads, value } = node.attrs;
  const filled = floatOf(value) === 0 ? undefined : floatInput(value, x, up);
  return changed(node, { inputs: withInput(node, intsInput(pads, up) ?? ints([], up), filled), attrs: without(node.attrs, 'pads', 'value') });
};

/** TopK 10. */
export const topCount: Rule = (node, up) => {
  const { k } = node.attrs;
  const count = typeof k === 'number' ? ints([k], up) : up.push('Reshape', [intInput(k, up), ints([1], up)]);
  return changed(node, { inputs: withInput(node, count), attrs: without(node.attrs, 'k') });
};

/** Split 13. */
export const splitSizes: Rule = (node, up) => changed(node, { inputs: withInput(node, intsInput(node.attrs['split'], up)), attrs: without(node.attrs, 'split') });

/** Split 18: equal parts are counted. */
export const partsCounted: Rule = (node) => (node.inputs[1] ? node : changed(node, { attrs: { ...node.attrs, num_outputs: node.outputs.length } }));

/** Upsample 9. */
export const scalesAsInput: Rule = (node, up) => {
  const { scales } = node.attrs;
  const given = typeof scales === 'object' && 'kind' in scales && scales.kind === 'floats' ? scales.values : undefined;
  const input = given ? up.array(ndArray([given.length], given)) : up.push('Constant', [], { value_floats: scales as never });
  return changed(node, { inputs: withInput(node, input), attrs: without(node.attrs, 'scales') });
};

/** DFT 20. */
export const axisOfDft: Rule = (node, up) => {
  const [x, length] = node.inputs;
  return changed(node, { inputs: [x, length, intInput(node.attrs['axis'] ?? 1, up)], attrs: without(node.attrs, 'axis') });
};

/** The first input, then these. */
function withInput(node: Node, ...more: readonly ReturnType<typeof floatInput>[]): Node['inputs'] {
  const inputs = [node.inputs[0], ...more];
  while (inputs.length > 0 && inputs.at(-1) === undefined) inputs.pop();
  return inputs;
}
