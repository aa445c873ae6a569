/** Builds the graph of a step: every value keeps its meaning for the new rows, a `cache` becomes all rows so far, `positions` come in as an input. */

import { Bug } from '../diagnostics/bug.ts';
import { isDim } from '../graph/attr.ts';
import type { GraphBuilder } from '../graph/builder.ts';
import { add, type Dim, dim, same, substitute, symbol, symbolsOf } from '../graph/dim.ts';
import { TypeFault } from '../graph/fail.ts';
import { type Graph, type Node, type Output, type Value, value } from '../graph/graph.ts';
import type { Attr } from '../graph/op.ts';
import { rewriteNodes } from '../graph/rewrite.ts';
import { type TensorType, tensor } from '../graph/type.ts';
import { concat } from '../ops/join.ts';
import { rowAxis } from '../ops/rules.ts';
import { pastPrefix, presentPrefix } from './cache-names.ts';
import { isCausal, nameCaches } from './caches.ts';
import { batchAxis, type Grown } from './grown.ts';
import { type Padding, padding } from './padding.ts';
import { rebuild } from './rebuild.ts';

/** The name of the number of rows before this step. */
export const pastName = 'past_sequence_length';

/** A node that a step cannot have; the message says why. */
export class StepFault extends Error {
  readonly node: Node;

  constructor(node: Node, why: string) {
    super(why);
    this.node = node;
  }
}

/** A node that has no place for positions that differ by sequence. */
export class PositionsDoNotFit extends Error {
  readonly node: Node;

  constructor(node: Node) {
    super('positions do not fit');
    this.node = node;
  }
}

/** Positions for each sequence of the batch, i64[B, S], or one count for all, i64[S]. */
export type Positions = 'each' | 'batch';

/** What the rules of a step share. */
interface Step {
  readonly rows: Dim;
  readonly total: Dim;
  readonly inputs: Padding;
  readonly grown: Grown;
  readonly pasts: Value[];
  readonly presents: Output[];
}

/** The step graph of a graph whose causal attentions run over `rows` and read caches. */
export function buildStep(whole: Graph, rows: string, positions: Positions): Graph {
  const [s, past] = [symbol(rows), symbol(pastName)];
  const total = add(past, s);
  const names = nameCaches(whole);
  const inputs = padding(whole.inputs, { rows: s, past, total }, positions);
  const step: Step = { rows: s, total, inputs, grown: batchAxis(inputs.batch, (size) => substitute(size, new Map([[pastName, dim(0)]]))), pasts: [], presents: [] };
  let at = 0;
  const { build, of } = rewriteNodes(
    whole,
    (node, builder) => {
      const old = whole.nodes[at++];
      if (!old) throw new Bug('a node came from nowhere');
      return stepNode(old, node, names.get(old), builder, step);
    },
    { replace: inputs.replaced },
  );
  return build.finish({
    name: whole.name,
    ...(whole.doc === undefined ? {} : { doc: whole.doc }),
    inputs: [...inputs.used(), ...step.pasts],
    outputs: [...whole.outputs.map(({ name, value: held }) => ({ name, value: of(held) })), ...step.presents],
    weights: whole.weights,
  });
}

/** The results of one node in the step; undefined where it stays as it is. */
function stepNode(old: Node, node: Node, cacheName: string | undefined, build: GraphBuilder, step: Step): readonly Value[] | undefined {
  const [result] = old.outputs;
  if (old.op.name === 'positions' && result?.type && touches(result.type, step.rows)) return [grownIf(step, step.inputs.positions(build))];
  if (old.op.name === 'cache') return [stepCache(old, node, cacheName, build, step)];
  if (old.op.name === 'rope' && !node.inputs[2] && same(old.inputs[0]?.type?.dims.at(-2) ?? -1, step.rows)) {
    const isFull = touches(node.inputs[0]?.type, step.total, pastName);
    const places = isFull ? step.inputs.keyPositions(build) : step.inputs.positions(build);
    return apply(old, { ...node, inputs: [node.inputs[0], node.inputs[1], places] }, build, step);
  }
  if (isCausal(old)) return apply(old, { ...node, inputs: step.inputs.masked(node, build) }, build, step);
  return node === old && !node.inputs.some((one) => one && step.grown.has(one)) ? undefined : apply(old, node, build, step);
}

function grownIf(step: Step, one: Value): Value {
  if (one.type?.dims.length === 2) step.grown.add(one);
  return one;
}

const touches = (type: TensorType | undefined, size: Dim, name = symbolsOf(size)[0] ?? ''): boolean => type?.dims.some((one) => symbolsOf(one).includes(name)) ?? false;

/** All rows so far: those kept, then the new ones. What has no rows is what it is; positions are counted, not kept. */
function stepCache(old: Node, node: Node, name: string | undefined, build: GraphBuilder, step: Step): Value {
  const [before, now] = [old.inputs[0], node.inputs[0]];
  if (!before?.type || !now?.type) throw new Bug('a cache of nothing');
  if (name === undefined) return touches(before.type, step.rows) ? grownIf(step, step.inputs.keyPositions(build)) : now;
  const axis = rowAxis(before.type, Number(old.attrs['axis']));
  if (!same(before.type.dims[axis] ?? -1, step.rows) || touches(now.type, step.total, pastName)) return now;
  if (step.grown.has(now)) throw new PositionsDoNotFit(old);
  const kept = value(`${pastPrefix}${name}`, pastType(now.type, axis));
  const all = build.add(concat, [kept, now], { axis }, { name: `${presentPrefix}${name}`, ...(old.span ? { span: old.span } : {}) });
  const [present] = all;
  if (!present) throw new Bug('concat has no result');
  step.pasts.push(kept);
  step.presents.push({ name: `${presentPrefix}${name}`, value: present });
  return present;
}

function pastType({ dtype, dims }: TensorType, axis: number): TensorType {
  return tensor(
    dtype,
    dims.map((size, i) => (i === axis ? symbol(pastName) : size)),
  );
}

/** The node again on its new inputs, with sizes and axes that follow them; faults become those of a step. */
function apply(old: Node, node: Node, build: GraphBuilder, step: Step): readonly Value[] {
  const full = node.inputs.some((one) => touches(one?.type, step.total, pastName));
  const attrs = full && !isCausal(old) ? Object.fromEntries(Object.entries(node.attrs).map(([key, attr]) => [key, lengthen(attr, step)])) : node.attrs;
  const fitted = step.grown.fit(old, { ...node, attrs }, build);
  const grew = node.inputs.some((one) => one && step.grown.has(one));
  try {
    const results = rebuild(build, old, { inputs: fitted.inputs, attrs: fitted.attrs });
    if (grew && !step.grown.settle(old, results)) throw new PositionsDoNotFit(old);
    return results;
  } catch (fault) {
    if (!(fault instanceof TypeFault)) throw fault;
    if (grew) throw new PositionsDoNotFit(old);
    throw new StepFault(old, `new rows of ${symbolsOf(step.rows)[0]} meet all rows so far`);
  }
}

/** A setting with the number of rows as that of all rows so far. */
function lengthen(attr: Attr, { rows, total }: Step): Attr {
  const by = new Map([[symbolsOf(rows)[0] ?? '', total]]);
  if (isDim(attr)) return substitute(attr, by);
  return Array.isArray(attr) && attr.length > 0 && attr.every((one: Attr) => isDim(one)) ? (attr as readonly Dim[]).map((one) => substitute(one, by)) : attr;
}
