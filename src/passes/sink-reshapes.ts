/** Moves reshapes that keep the last axis behind the work on each row. Exporters flatten rows before every product and give them their shape back after it; moved together, the two cancel in `simplify`. */

import type { GraphBuilder } from '../graph/builder.ts';
import { type Dim, same } from '../graph/dim.ts';
import type { Graph, Node, Value } from '../graph/graph.ts';
import { rewrite } from '../graph/rewrite.ts';
import { sameDims } from '../graph/type.ts';
import { reshape } from '../ops/shape.ts';
import type { Pass } from './pass.ts';
import { type Producers, producersOf } from './producers.ts';
import { rebuild } from './rebuild.ts';

const unary = ['neg', 'cast', 'clamp', 'exp', 'log', 'sqrt', 'rsqrt', 'abs', 'tanh', 'sigmoid', 'silu', 'relu', 'erf', 'softplus', 'gelu', 'gelu_tanh'];

/** Ops on each number by itself, by how many inputs they have. */
const elementwise: ReadonlySet<string> = new Set([...unary, 'add', 'sub', 'mul', 'div', 'maximum', 'minimum']);

/** The first value of a run of reshapes that keep the last axis, and the dims that the last of them gives. */
function rowsOf(one: Value | undefined, from: Producers): Rows | undefined {
  const dims = one?.type?.dims;
  let whole = one;
  for (let node = from.of(whole, 'reshape'); node; node = from.of(whole, 'reshape')) {
    const [before] = node.inputs;
    const [last, kept] = [dims?.at(-1), before?.type?.dims.at(-1)];
    if (!before || !last || !kept || !same(last, kept)) break;
    whole = before;
  }
  return whole && dims && whole !== one ? { whole, dims } : undefined;
}

/** A number, or one for each place of the last axis. */
const isVector = ({ type }: Value): boolean => (type?.dims.length ?? 2) < 2;

interface Rows {
  readonly whole: Value;
  readonly dims: readonly Dim[];
}

function sunk(node: Node, from: Producers, build: GraphBuilder): Value | undefined {
  const inputs = node.inputs.flatMap((one) => one ?? []);
  const rows = inputs.map((one) => rowsOf(one, from));
  const first = rows.find((one) => one !== undefined);
  const [result] = node.outputs;
  if (!first || !result?.type || inputs.length !== node.inputs.length) return undefined;
  const moves = node.op.name === 'matmul' ? rows[0] !== undefined && inputs[1]?.type?.dims.length === 2 : elementwise.has(node.op.name) && meets(inputs, rows, first, result);
  if (!moves) return undefined;
  const wide = node.op.name === 'matmul' ? [first.whole, inputs[1]] : inputs.map((one, i) => rows[i]?.whole ?? one);
  const [made] = rebuild(build, { ...node, outputs: node.outputs.map((one) => ({ ...one, name: `${one.name}/rows` })) }, { inputs: wide });
  return made && rebuild(build, node, { op: reshape, inputs: [made], attrs: { dims: result.type.dims } })[0];
}

/** Whether every input is reshaped in the same way, or the same for all rows. */
function meets(inputs: readonly Value[], rows: readonly (Rows | undefined)[], first: Rows, result: Value): boolean {
  if (!sameDims(first.dims, result.type?.dims ?? [])) return false;
  return inputs.every((one, i) => {
    const own = rows[i];
    return own ? sameDims(own.dims, first.dims) && sameDims(own.whole.type?.dims ?? [], first.whole.type?.dims ?? []) : isVector(one);
  });
}

export const sinkReshapes: Pass = {
  name: 'sink-reshapes',
  summary: 'Moves reshapes that keep the last axis behind products with matrices and elementwise work, where they cancel.',
  options: {},
  run: (graph: Graph) => {
    let from: Producers | undefined;
    return rewrite(graph, (node, build) => {
      from ??= producersOf(build);
      const moved = sunk(node, from, build);
      return moved && [moved];
    });
  },
};
