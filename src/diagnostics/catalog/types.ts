/** Diagnostics of types: what the rule of an op says of arguments that do not fit. */

import { text } from '../template.ts';

export const types = {
  'inner-sizes-differ': {
    severity: 'error',
    message: text`cannot multiply ${'left'} by ${'right'}`,
    explanation: `\`a @ b\` sums over the last axis of a and the last but one of b, so both must have the same size.
wrong: x: [B, S, D], down: [H, D], \`x @ down\`: D is not H
right: declare \`weight down: [D, H]\`, or write \`x @ down.T\``,
  },
  'sizes-differ': {
    severity: 'error',
    message: text`${'op'}: ${'left'} and ${'right'} do not line up, ${'a'} is not ${'b'}`,
    explanation: `Axes are compared from the last one on. Two sizes go together when they are the same or one of them is 1; two names are
two sizes, even if they happen to be equal in one run.
wrong: x: [B, S, D], w: [B, S], \`x * w\`: S meets D
right: \`x * w[.., new]\`: D meets 1, S meets S`,
  },
  'dtypes-differ': {
    severity: 'error',
    message: text`${'op'}: ${'left'} and ${'right'} are different element types`,
    explanation: `Nothing is converted silently, so both arguments need the same element type.
wrong: ids: i64[S], \`ids * scale\` with scale: f32[S]
right: \`f32(ids) * scale\``,
  },
  'wrong-dtype': {
    severity: 'error',
    message: text`${'op'} takes ${'needed'}, not ${'found'}`,
    explanation: `Most ops compute with floats; indices are i64; conditions are bool. Nothing is converted silently.
wrong: \`softmax(ids)\` with ids: i64[B, S]
right: \`softmax(f32(ids))\``,
  },
  'too-few-axes': {
    severity: 'error',
    message: text`${'op'} needs at least ${'needed'} axes, ${'type'} has ${'found'}`,
    explanation: `The op works on the last axes of its argument, and this one has fewer than it needs.
wrong: \`bias.T\` with bias: [D]
right: \`bias[new, 0..].T\`, or leave a vector as it is`,
  },
  'no-such-axis': {
    severity: 'error',
    message: text`${'type'} has no axis ${'axis'}`,
    explanation: `Axes count from 0, or from -1 at the end: [B, S, D] has 0, 1, 2 and -3, -2, -1.
wrong: \`sum(x, axis: 3)\` with x: [B, S, D]
right: \`sum(x, axis: 2)\` or \`sum(x, axis: -1)\``,
  },
  'does-not-divide': {
    severity: 'error',
    message: text`${'size'} does not divide into ${'parts'}`,
    explanation: `An axis can be cut into equal parts only when its size is a multiple of their number. Parts that differ are given as a list.
wrong: \`split_heads(x, 7)\` with x: [B, S, 64]
right: \`split_heads(x, 8)\`; \`split(x, [48, 16])\``,
  },
  'split-sizes-wrong': {
    severity: 'error',
    message: text`the parts ${'sizes'} add up to ${'sum'}, the axis has ${'size'}`,
    explanation: `The sizes given to \`split\` must add up to the axis that is split.
wrong: \`split(x, [512, 128])\` with x: [B, S, 576]
right: \`split(x, [512, 64])\``,
  },
  'split-needs-parts': {
    severity: 'error',
    message: text`\`split\` takes a number of parts or a list of sizes`,
    explanation: `A number cuts an axis into that many equal parts, a list into parts of these sizes. Exactly one of them is given.
wrong: \`split(x, 0)\`
right: \`split(x, 3)\` or \`split(x, [W, R])\``,
  },
  'element-count-differs': {
    severity: 'error',
    message: text`cannot reshape ${'from'} to ${'to'}: ${'a'} elements are not ${'b'}`,
    explanation: `Reshaping keeps every element, in order, so the products of both shapes must be the same.
wrong: \`reshape(x, [B, S, N, W])\` where D is not N * W
right: \`reshape(x, [B, S, N, D / N])\``,
  },
  'not-a-permutation': {
    severity: 'error',
    message: text`[${'order'}] does not order the ${'rank'} axes of ${'type'}`,
    explanation: `\`permute\` takes every axis exactly once, counted from 0.
wrong: \`permute(x, [0, 2])\` with x: [B, S, D]
right: \`permute(x, [0, 2, 1])\``,
  },
  'axis-is-not-one': {
    severity: 'error',
    message: text`axis ${'axis'} of ${'type'} has size ${'size'}, only an axis of size 1 can be dropped`,
    explanation: `An axis goes away only when a single element is left on it. An index picks that element.
wrong: dropping axis 1 of [B, S, D]
right: \`h[0.., 0]\`, the first position`,
  },
  'slice-out-of-range': {
    severity: 'error',
    message: text`${'from'}..${'to'} is not a range of an axis of size ${'size'}`,
    explanation: `Ranges are half-open: from 0 up to the size of the axis, and the start is not behind the end.
wrong: \`x[.., 0..65]\` with x: [S, 64]
right: \`x[.., 0..64]\``,
  },
  'cannot-broadcast': {
    severity: 'error',
    message: text`${'from'} cannot be repeated to ${'to'}`,
    explanation: `Broadcasting adds axes in front and repeats axes of size 1; every other axis keeps its size.
wrong: \`broadcast(x, [E, D])\` with x: [S, D]
right: \`broadcast(x[new], [E, S, D])\``,
  },
  'ranks-differ': {
    severity: 'error',
    message: text`${'op'}: ${'left'} and ${'right'} have different numbers of axes`,
    explanation: `The arguments must have the same number of axes.
wrong: \`concat([x, y], axis: -1)\` with x: [B, S, D], y: [D]
right: \`concat([x, broadcast(y, [B, S, D])], axis: -1)\``,
  },
  'nothing-to-join': {
    severity: 'error',
    message: text`\`concat\` needs at least one part`,
    explanation: `The type of a concatenation is that of its parts, so an empty list has none.
wrong: \`concat([], axis: 0)\`
right: \`concat([a, b], axis: 0)\``,
  },
  'picks-too-many': {
    severity: 'error',
    message: text`cannot pick ${'k'} of ${'size'}`,
    explanation: `\`top(x, k)\` picks k elements of the last axis, which must have at least as many.
wrong: \`top(s, 16)\` with s: [.., 8]
right: \`top(s, 2)\``,
  },
  'leading-axes-differ': {
    severity: 'error',
    message: text`${'op'}: ${'indices'} does not begin with the leading axes of ${'type'}`,
    explanation: `Indices pick within each leading position, so they repeat the axes in front.
wrong: \`take(s, e)\` with s: [B, S, E], e: i64[S, k]
right: e: i64[B, S, k]`,
  },
  'scatter-shapes-differ': {
    severity: 'error',
    message: text`each of ${'targets'} needs a row of ${'rows'}`,
    explanation: `\`scatter_add(t, y, n)\` adds the row y[i, 0..] to row t[i] of the result, so y is shaped as t with one axis more.
wrong: t: i64[B, E, c], y: [B, c, D]
right: t: i64[B, E, c], y: [B, E, c, D]`,
  },
  'gain-does-not-fit': {
    severity: 'error',
    message: text`${'op'}: ${'port'} is ${'found'}, the last axis has ${'size'}`,
    explanation: `A norm scales the last axis, so its gain and bias are vectors of that size.
wrong: x: [B, S, 64], gain: [32]
right: gain: [64]`,
  },
  'heads-do-not-group': {
    severity: 'error',
    message: text`${'heads'} query heads cannot share ${'groups'} heads of keys and values`,
    explanation: `With grouped queries each head of keys and values serves the same number of query heads.
wrong: q: [B, 9, S, W], k: [B, 2, T, W]
right: q: [B, 9, S, W], k: [B, 3, T, W]`,
  },
  'attention-shapes-differ': {
    severity: 'error',
    message: text`queries ${'q'}, keys ${'k'} and values ${'v'} do not fit: ${'why'}`,
    explanation: `\`attend\` takes q: [.., N, S, W], k: [.., G, T, W] and v: [.., G, T, U]: queries and keys have one width, keys and values one
length and one number of heads, and the axes in front are the same.
wrong: \`attend(q, k, x @ v)\`: v is not split into heads
right: \`attend(q, k, split_heads(x @ v, N))\``,
  },
  'mask-does-not-fit': {
    severity: 'error',
    message: text`${'port'} is ${'found'}, attention here is over ${'scores'}`,
    explanation: `\`keep\` is [B, T], one word for each key, or ends in [S, T]. \`bias\` ends in [S, T], heads in front. \`sinks\` is [N].
wrong: \`attend(q, k, v, keep: mask)\` with mask: bool[T, B]
right: mask: bool[B, T]`,
  },
  'rotation-too-wide': {
    severity: 'error',
    message: text`${'count'} frequencies turn ${'width'} numbers, ${'type'} ends in ${'size'}`,
    explanation: `Each frequency turns two numbers of a head, so there are at most half as many frequencies as the head is wide.
wrong: \`rope(split_heads(x, N), rotation())\` with heads of 64 and 64 frequencies
right: 32 frequencies: \`Rotation(64, theta)\` returns [32]`,
  },
  'positions-do-not-fit': {
    severity: 'error',
    message: text`${'found'} does not give a position for each row of ${'type'}`,
    explanation: `Positions are i64[S] for all, or i64[B, S] where each sequence of a batch has its own.
wrong: \`rope(q, f, positions: p)\` with q: [B, N, S, W], p: i64[B]
right: p: i64[S] or i64[B, S]`,
  },
  'unknown-choice': {
    severity: 'error',
    message: text`${'setting'} is ${'choices'}, not ${'found'}`,
    explanation: `The setting takes one of a few words.
wrong: \`rope(q, f, pairs: "interleaved")\`
right: \`rope(q, f, pairs: "adjacent")\``,
  },
  'setting-out-of-range': {
    severity: 'error',
    message: text`${'setting'} must be ${'range'}, not ${'found'}`,
    explanation: `The number is outside what the op, or the pass, can do.
wrong: \`attend(q, k, v, causal: true, window: 0)\`: a row could see nothing
right: \`window: 1\` sees itself, \`window: inf\` everything before`,
  },
  'size-must-be-known': {
    severity: 'error',
    message: text`${'op'} needs ${'what'} as a number, ${'found'} is known only at run time`,
    explanation: `Some shapes must be numbers before anything runs: a \`param\` is one, a \`dim\` is not.
wrong: \`sinusoid(positions(S), S)\` with \`dim S\`
right: \`sinusoid(positions(S), D)\` with \`param D = 512\``,
  },
} as const;
