/** Inside a generation a cache is in two parts: rows from before the loop, read where they lie, and rows made in it. A step then copies the few rows of the second part, where a cache in one piece is copied whole. */

import { Bug } from '../diagnostics/bug.ts';
import type { GraphBuilder } from '../graph/builder.ts';
import { constant } from '../graph/dim.ts';
import type { Graph, Node, Value } from '../graph/graph.ts';
import { type Emitter, emitter, typeOf } from './emit-onnx.ts';

/** The pasts of a lowered step that can lie in two parts: those that one `Attention` over rows reads, and nothing else but for their sizes. */
export function splitPasts(step: Graph): ReadonlySet<Value> {
  const readers = new Map<Value, Node[]>();
  const read = (nodes: readonly Node[], within?: Node): void => {
    for (const node of nodes) {
      for (const one of node.inputs) if (one) readers.set(one, [...(readers.get(one) ?? []), within ?? node]);
      for (const body of Object.values(node.bodies ?? {})) read(body.nodes, within ?? node);
    }
  };
  read(step.nodes);
  const alone = (past: Value): boolean => readers.get(past)?.filter((node) => !measures(node)).length === 1;
  return new Set(
    step.nodes.flatMap((node) => {
      const [, , , , keys, values] = node.inputs;
      const [, key, value] = node.outputs;
      const f32 = keys?.type?.dtype === 'f32' && values?.type?.dtype === 'f32';
      const unread = [key, value].every((one) => one && !readers.has(one));
      return node.op.name === 'onnx.Attention' && f32 && keys && values && unread && alone(keys) && alone(values) ? [keys, values] : [];
    }),
  );
}

/** Whether a node reads no more than the sizes of a value. */
const measures = ({ op, attrs }: Node): boolean => op.name === 'onnx.Shape' && attrs['start'] === undefined && attrs['end'] === undefined;

/** What attention in parts is given of the loop around it. */
export interface Parts {
  /** By the rows made in the loop, as the node reads them: those from before it, [B, groups, P, width]. */
  readonly before: ReadonlyMap<Value, Value>;
  /** bool[1]: whether this step has one row. */
  readonly single: Value;
  /** i64[2]: rows before the loop, and rows made in it once this step has its row. */
  readonly sizes: Value;
}

/** The results of a node that reads a past in two parts; undefined for other nodes. */
export function inParts(node: Node, build: GraphBuilder, parts: Parts): readonly Value[] | undefined {
  const [one] = node.inputs;
  const first = one && parts.before.get(one);
  if (!first || !measures(node)) return attendInParts(node, build, parts);
  const emit = emitter(build, 'loop/parts');
  return [emit('Add', [emit('Shape', [first]), emit('Mul', [emit('Shape', [one]), emit.ints(0, 0, 1, 0)])])];
}

function attendInParts(node: Node, build: GraphBuilder, parts: Parts): readonly Value[] | undefined {
  const [q, k, v, mask, keys, values] = node.inputs;
  const { before } = parts;
  const [firstKeys, firstValues] = [keys && before.get(keys), values && before.get(values)];
  const depth = constant(firstValues?.type?.dims.at(-1) ?? -1);
  if (node.op.name !== 'onnx.Attention' || !q || !k || !v || !keys || !values || !firstKeys || !firstValues || depth === undefined) return undefined;
  const emit = emitter(build, node.outputs[0]?.name.replace(/\/[^/]*$/, '') ?? 'attend');
  const settings = settingsOf(node);
  const grown = [grow(emit, keys, k, settings), grow(emit, values, v, settings)] as const;
  const y = emit.choose(
    parts.single,
    (inside) => oneRow(inside, q, mask, parts.sizes, [firstKeys, firstValues], grown, settings),
    (inside) => manyRows(inside, node, [firstKeys, firstValues]),
    typeOf('f32', ['batch_size', 'step_length', settings.heads * depth]),
  );
  return [y, ...grown];
}

interface Settings {
  readonly heads: number;
  readonly groups: number;
  readonly scale: number;
  /** 0 where there is none. */
  readonly softcap: number;
}

function settingsOf({ attrs }: Node): Settings {
  const number = (name: string): number => (attrs[name] as { readonly value: number }).value;
  return { heads: Number(attrs['q_num_heads']), groups: Number(attrs['kv_num_heads']), scale: number('scale'), softcap: number('softcap') };
}

/** Rows of the loop so far and the new ones of [B, S, groups · width], heads apart. */
function grow(emit: Emitter, made: Value, rows: Value, { groups }: Settings): Value {
  const apart = emit('Transpose', [emit('Reshape', [rows, emit.ints(0, 0, groups, -1)])], { perm: [0, 2, 1, 3] });
  return emit('Concat', [made, apart], { axis: 2 });
}

type Both = readonly [keys: Value, values: Value];

/** One row for each sequence: heads of a group lie under each other, so that keys and values of both parts are read as they are. */
function oneRow(
  emit: Emitter,
  q: Value,
  mask: Value | undefined,
  sizes: Value,
  [keys, values]: Both,
  [newKeys, newValues]: Both,
  { heads, groups, scale, softcap }: Settings,
): Value {
  const grouped = emit('Mul', [emit('Reshape', [q, emit.ints(0, groups, heads / groups, -1)]), emit.float(scale)]);
  const against = (one: Value): Value => emit('MatMul', [grouped, emit('Transpose', [one], { perm: [0, 1, 3, 2] })]);
  const raw = emit('Concat', [against(keys), against(newKeys)], { axis: -1 });
  const capped = softcap === 0 ? raw : emit('Mul', [emit('Tanh', [emit('Div', [raw, emit.float(softcap)])]), emit.float(softcap)]);
  // The largest number that f32 holds, negated: what is masked has no share, and the row itself is never masked.
  const seen = mask ? emit('Where', [mask, capped, emit.float(-3.402_823_466_385_288_6e38)]) : capped;
  const shares = emit.several('Split', [emit('Softmax', [seen], { axis: -1 }), sizes], { axis: -1 }, [undefined, undefined]);
  const sum = emit('Add', [emit('MatMul', [shares[0], values]), emit('MatMul', [shares[1], newValues])]);
  return emit('Reshape', [sum, emit.ints(0, 1, -1)]);
}

/** Many rows, as a prompt has: the operator, which keeps less in memory, over the past in one piece. */
function manyRows(emit: Emitter, { inputs, attrs }: Node, [firstKeys, firstValues]: Both): Value {
  const [q, k, v, mask, keys, values] = inputs;
  const whole = (first: Value, made: Value | undefined): Value => emit('Concat', [first, made], { axis: 2 });
  const [y] = emit.several('Attention', [q, k, v, mask, whole(firstKeys, keys), whole(firstValues, values)], attrs as Readonly<Record<string, never>>, [
    undefined,
    undefined,
    undefined,
  ]);
  if (!y) throw new Bug('an attention without a result');
  return y;
}
