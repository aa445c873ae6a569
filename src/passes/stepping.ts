/** What may stand in a step: which ops treat each row on its own, and which mix the rows of the dim that grows. */

import { isDim } from '../graph/attr.ts';
import { constant, type Dim, dim, product, same, subtract, symbol, symbolsOf } from '../graph/dim.ts';
import type { Node, Value } from '../graph/graph.ts';
import type { Attr } from '../graph/op.ts';

/** Ops that compute each element from the elements that stand where it stands, after broadcasting. */
export const elementwise: ReadonlySet<string> = new Set([
  'add',
  'sub',
  'mul',
  'div',
  'mod',
  'maximum',
  'minimum',
  'eq',
  'ne',
  'lt',
  'le',
  'gt',
  'ge',
  'and',
  'or',
  'not',
  'neg',
  'where',
  'clamp',
  'cast',
  'exp',
  'log',
  'sqrt',
  'rsqrt',
  'abs',
  'floor',
  'ceil',
  'sin',
  'cos',
  'tanh',
  'sigmoid',
  'silu',
  'relu',
  'erf',
  'softplus',
  'gelu',
  'gelu_tanh',
]);

/** Why a node cannot be computed for some rows alone; undefined where it can. */
type Check = (node: Node, rows: Rows) => string | undefined;

/** The dim that grows, in a graph of whole sequences. */
export interface Rows {
  readonly name: string;
  /** Whether a size depends on the number of rows. */
  touches(size: Dim | undefined): boolean;
}

/** Rows counted by the dim `name`. */
export function rowsOf(name: string): Rows {
  return { name, touches: (size) => size !== undefined && symbolsOf(size).includes(name) };
}

const dims = (one: Value | undefined): readonly Dim[] => one?.type?.dims ?? [];
const number = (attr: Attr, fallback = 0): number => (typeof attr === 'number' ? attr : fallback);
const size = (attr: Attr): Dim => (isDim(attr) ? attr : dim(0));
const isRow = (one: Dim | undefined, rows: Rows): boolean => one !== undefined && rows.touches(one);

const free: Check = () => undefined;

const along =
  (doing: string, fallback = -1): Check =>
  ({ inputs, attrs }, rows) =>
    isRow(dims(inputs[0]).at(number(attrs['axis'], fallback)), rows) ? `it ${doing} the rows of ${rows.name}` : undefined;

const lastAxis =
  (doing: string): Check =>
  ({ inputs }, rows) =>
    isRow(dims(inputs[0]).at(-1), rows) ? `it ${doing} the rows of ${rows.name}` : undefined;

const matmul: Check = ({ inputs }, rows) => (isRow(dims(inputs[0]).at(-1), rows) ? `it adds up over the rows of ${rows.name}` : undefined);

const attend: Check = ({ inputs, attrs }, rows) =>
  attrs['causal'] !== true && isRow(dims(inputs[1]).at(-2), rows) ? `attention without \`causal: true\` sees rows of ${rows.name} that are still to come` : undefined;

const counted: Check = ({ attrs }, rows) => (rows.touches(size(attrs['n'])) ? `it starts at 0 in every step` : undefined);

const sizeOnly: Check = ({ attrs }, rows) => (rows.touches(size(attrs['n'])) ? `it depends on the number of rows of ${rows.name}` : undefined);

const positions: Check = ({ attrs }, rows) =>
  rows.touches(size(attrs['n'])) && !isName(size(attrs['n']), rows.name) ? `positions are counted along ${rows.name} alone` : undefined;

const isName = (one: Dim, name: string): boolean => same(one, symbol(name));

/** The last row alone may be picked: it is the last row of a step as well. */
const slice: Check = ({ inputs, attrs }, rows) => {
  const [from, to] = [size(attrs['from']), size(attrs['to'])];
  const axis = dims(inputs[0]).at(number(attrs['axis']));
  if (!isRow(axis, rows)) return rows.touches(from) || rows.touches(to) ? `its range depends on the number of rows of ${rows.name}` : undefined;
  return axis && same(to, axis) && constant(subtract(to, from)) === 1 ? undefined : `it picks some of the rows of ${rows.name}`;
};

/** Reshaping must keep the axis of rows and what stands in front of it. */
const reshape: Check = ({ inputs, attrs }, rows) => {
  const [before, after] = [dims(inputs[0]), attrs['dims'] as readonly Dim[]];
  const [i, j] = [before.findIndex((one) => rows.touches(one)), after.findIndex((one) => rows.touches(one))];
  const front = (all: readonly Dim[], end: number): Dim => product(all.slice(0, end));
  const [old, now] = [before[i], after[j]];
  const kept = i < 0 || (old && now && same(old, now) && isName(old, rows.name) && same(front(before, i), front(after, j)));
  return kept ? undefined : `it joins the rows of ${rows.name} with another axis`;
};

const rowTable =
  (port: number, axis: number): Check =>
  ({ inputs }, rows) =>
    isRow(dims(inputs[port]).at(axis), rows) ? `it looks up rows of ${rows.name}` : undefined;

/** Rows may be added back where other axes are counted, as the rows of each text apart. */
const scatter: Check = ({ inputs, outputs, attrs }, rows) => {
  if (rows.touches(size(attrs['n']))) return `it adds to any row of ${rows.name}`;
  const added = dims(inputs[1]).slice(dims(outputs[0]).length - 2, -1);
  return added.some((one) => isRow(one, rows)) ? `it adds up the rows of ${rows.name}` : undefined;
};

/** Every op that may stand in a step. An op that is not here may not: a new one is refused until somebody has thought about it. */
const checks: Readonly<Record<string, Check>> = {
  ...Object.fromEntries([...elementwise].map((name) => [name, free])),
  constant: free,
  segment: free,
  broadcast: free,
  transpose: free,
  permute: free,
  unsqueeze: free,
  squeeze: free,
  split_heads: lastAxis('cuts'),
  merge_heads: free,
  one_hot: sizeOnly,
  sinusoid: free,
  cache: free,
  rope: free,
  softmax: along('normalises over'),
  log_softmax: along('normalises over'),
  cumsum: along('adds up'),
  sum: along('adds up'),
  mean: along('averages'),
  max: along('compares'),
  min: along('compares'),
  argmax: along('compares'),
  concat: along('adds to'),
  split: along('cuts'),
  repeat_axis: along('repeats'),
  rms_norm: lastAxis('normalises over'),
  layer_norm: lastAxis('normalises over'),
  top: lastAxis('picks among'),
  cv2: lastAxis('compares'),
  take: lastAxis('picks among'),
  gather: rowTable(0, 0),
  rows: rowTable(0, -2),
  scatter_add: scatter,
  matmul,
  attend,
  range: counted,
  size: sizeOnly,
  positions,
  slice,
  reshape,
};

/** Why the node cannot be computed for the new rows alone; undefined where it can. */
export function whyNotStepped(node: Node, rows: Rows): string | undefined {
  const inputs = node.inputs.filter((one) => one !== undefined);
  const touched = [...inputs, ...node.outputs].some((one) => dims(one).some((size) => rows.touches(size)));
  const check = checks[node.op.name];
  if (check) return check(node, rows);
  return touched ? `nobody knows whether \`${node.op.call ?? node.op.name}\` mixes the rows of ${rows.name}` : undefined;
}
