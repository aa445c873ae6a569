/** The one op that graphs cannot do without: an array written into them. */

import { dim } from './dim.ts';
import { scalar } from './nd-array.ts';
import { defineOp } from './op.ts';

/** An array that is part of the graph. */
export const constant = defineOp({
  name: 'constant',
  call: null,
  doc: 'An array that is part of the graph.',
  inputs: [],
  attrs: { array: { kind: 'array' } },
  type: (_, { array }) => ({ dtype: array.dtype, dims: array.dims.map((size) => dim(size)) }),
  eval: (_, { array }) => array,
  grad: 'none',
  lower: (_, onnx, { array }) => onnx.array(array),
  samples: [{ inputs: {}, attrs: { array: scalar(2.5) } }],
});
