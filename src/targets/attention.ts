/** `attend` by the Attention of opset 23, which keeps scores out of memory and reads grouped keys as they are. */

import { constant, dim, same } from '../graph/dim.ts';
import type { Node, Value } from '../graph/graph.ts';
import { float } from '../graph/onnx.ts';
import { type AttendSettings, attendDims } from '../ops/attention.ts';
import { visible } from '../ops/attention-lowering.ts';
import type { Lowering, LoweringContext } from './target.ts';

/** Lowers attention over [B, heads, rows, width] without sinks and without a learned bias; leaves the rest to the standard lowering. */
export const attendByOp: Lowering = (node, context) => {
  const settings = settingsOf(node);
  const [q, k, v] = node.inputs;
  if (!settings) return undefined;
  const plain = isPlain(node);
  const mask = plain ? undefined : maskOf(node, context);
  return [context.onnx.Attention(q, k, v, mask, { is_causal: plain ? 1 : 0, scale: float(settings.scale), softcap: float(settings.softcap) })];
};

/** The settings in numbers, where the op can do what is asked. A softcap of 0 is none. */
export function settingsOf({ inputs, attrs }: Node): { readonly scale: number; readonly softcap: number } | undefined {
  const [q, k, v, , bias, sinks] = inputs;
  const settings = attrs as unknown as AttendSettings;
  if (sinks || bias || [q, k, v].some((one) => one?.type?.dims.length !== 4)) return undefined;
  const width = constant(q?.type?.dims.at(-1) ?? -1);
  if (width === undefined) return undefined;
  return { scale: settings.scale ?? 1 / Math.sqrt(width), softcap: settings.softcap === Number.POSITIVE_INFINITY ? 0 : settings.softcap };
}

const isLimit = (value: number): boolean => value !== Number.POSITIVE_INFINITY;

/** Whether the op's own causal mask says all: rows and columns are the same. */
function isPlain({ inputs: [q, k, , keep], attrs }: Node): boolean {
  const { causal, window, chunk } = attrs as unknown as AttendSettings;
  return causal && !keep && !isLimit(window) && !isLimit(chunk) && same(q?.type?.dims.at(-2) ?? -1, k?.type?.dims.at(-2) ?? -2);
}

/** What may be seen, bool, with both axes of the scores; undefined where it is all. */
export function maskOf({ inputs, attrs }: Node, { onnx }: LoweringContext): Value | undefined {
  const [q, k, v, keep] = inputs;
  const settings = attrs as unknown as AttendSettings;
  if (!q?.type || !k?.type || !v?.type) return undefined;
  const dims = attendDims(q.type, k.type, v.type);
  const mask = visible(onnx, keep, settings, dims);
  const near = settings.causal || isLimit(settings.window) || isLimit(settings.chunk);
  return mask && !near ? onnx.Expand(mask, onnx.shape([dim(1), dim(1), dims.rows, dims.columns])) : mask;
}
