/** `attend` over heads that lie beside each other in rows, as products leave them: no head is moved, and the cache grows inside the op. */

import { constant } from '../graph/dim.ts';
import type { Node, Value } from '../graph/graph.ts';
import { type ForeignAttrs, float } from '../graph/onnx.ts';
import { isPast } from '../passes/cache-names.ts';
import { maskOf, settingsOf } from './attention.ts';
import { turnRows } from './rotation.ts';
import type { Lowering, LoweringContext } from './target.ts';

/** Heads as [B, rows, heads · width]. */
interface Rows {
  readonly rows: Value;
  readonly heads: number;
}

/** Lowers attention whose queries, keys and values are split from rows, turned or not, with keys and values kept in a cache or not; leaves other attention alone. */
export const attendByRows: Lowering = (node, context, old) => {
  const settings = settingsOf(node);
  const [q, k, v, keep] = old.inputs;
  const [result] = old.outputs;
  if (!settings || !result || masksByHead(keep)) return undefined;
  const [queries, keys, values] = [rowsOf(q, context), keptRows(k, context), keptRows(v, context)];
  if (!queries || !keys || !values || (keys.past === undefined) !== (values.past === undefined)) return undefined;
  const { onnx } = context;
  const attrs: ForeignAttrs = { q_num_heads: queries.heads, kv_num_heads: keys.heads, is_causal: 0, scale: float(settings.scale), softcap: float(settings.softcap) };
  const mask = maskOf(node, context);
  const [y, key, value] = onnx.all('Attention', [queries.rows, keys.rows, values.rows, mask, keys.past, values.past], attrs, keys.past ? 3 : 1);
  if (!y) return undefined;
  if (key && value && keys.whole && values.whole) {
    context.becomes(keys.whole, key);
    context.becomes(values.whole, value);
  }
  const width = constant(result.type?.dims.at(-1) ?? -1) ?? -1;
  const apart = context.typed(onnx.Transpose(onnx.Reshape(y, onnx.ints([0, 0, queries.heads, width])), { perm: [0, 2, 1, 3] }), result.type);
  merged.set(apart, y);
  return [apart];
};

/** Whether heads differ in what they may see: a loop that keeps a cache in two parts reckons with one mask for all. */
const masksByHead = (keep: Value | undefined): boolean => {
  const dims = keep?.type?.dims ?? [];
  return dims.length >= 4 && constant(dims.at(-3) ?? -1) !== 1;
};

/** From the result of an attention, heads apart, to the same as rows. */
const merged = new WeakMap<Value, Value>();

/** Lowers `merge_heads` of an attention over rows: they lie as they should. */
export const mergeRows: Lowering = (node) => {
  const rows = node.inputs[0] && merged.get(node.inputs[0]);
  return rows && [rows];
};

/** Keys or values: new rows, and where they are kept, those before and the name of all. */
function keptRows(one: Value | undefined, context: LoweringContext): (Rows & { readonly past?: Value; readonly whole?: Value }) | undefined {
  const maker = context.madeBy(one);
  if (maker?.op.name !== 'concat') return rowsOf(one, context);
  const [past, added, ...more] = maker.inputs;
  const axis = Number(maker.attrs['axis']);
  if (!one || !past || !added || more.length > 0 || (axis !== -2 && axis !== 2) || context.madeBy(past) || !isPast(past)) return undefined;
  const rows = rowsOf(added, context);
  return rows && { ...rows, past: context.lowered(past), whole: one };
}

/** Heads split from rows, and turned where they were. */
function rowsOf(one: Value | undefined, context: LoweringContext): Rows | undefined {
  const maker = context.madeBy(one);
  if (maker?.op.name === 'rope') return turned(maker, context);
  const from = maker?.op.name === 'split_heads' ? maker.inputs[0] : undefined;
  const heads = constant(one?.type?.dims.at(-3) ?? -1);
  return from && from.type?.dims.length === 3 && heads !== undefined && heads > 0 ? { rows: context.lowered(from), heads } : undefined;
}

function turned(node: Node, context: LoweringContext): Rows | undefined {
  const split = rowsOf(node.inputs[0], context);
  const rows = split && turnRows(node, split.rows, split.heads, context);
  return rows && { rows, heads: split.heads };
}
