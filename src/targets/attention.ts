/** `attend` by the Attention of opset 23, which keeps scores out of memory and reads grouped keys as they are. */

import { constant, dim, same } from '../graph/dim.ts';
import { float } from '../graph/onnx.ts';
import { type AttendSettings, attendDims } from '../ops/attention.ts';
import { visible } from '../ops/attention-lowering.ts';
import type { Lowering } from './target.ts';

/** Lowers attention over [B, heads, rows, width] without sinks and without a learned bias; leaves the rest to the standard lowering. */
export const attendByOp: Lowering = (node, { onnx }) => {
  const [q, k, v, keep, bias, sinks] = node.inputs;
  const settings = node.attrs as unknown as AttendSettings;
  if (!q?.type || !k?.type || !v?.type || sinks || bias) return undefined;
  if (q.type.dims.length !== 4 || k.type.dims.length !== 4 || v.type.dims.length !== 4) return undefined;
  const dims = attendDims(q.type, k.type, v.type);
  const near = settings.causal || settings.window !== Number.POSITIVE_INFINITY || settings.chunk !== Number.POSITIVE_INFINITY;
  const plain = settings.causal && !keep && settings.window === Number.POSITIVE_INFINITY && settings.chunk === Number.POSITIVE_INFINITY && same(dims.rows, dims.columns);
  const mask = plain ? undefined : visible(onnx, keep, settings, dims);
  const width = constant(dims.width);
  if (width === undefined) return undefined;
  const attention = onnx.Attention(q, k, v, mask && (near ? mask : onnx.Expand(mask, onnx.shape([dim(1), dim(1), dims.rows, dims.columns]))), {
    is_causal: plain ? 1 : 0,
    scale: float(settings.scale ?? 1 / Math.sqrt(width)),
    softcap: float(settings.softcap === Number.POSITIVE_INFINITY ? 0 : settings.softcap),
  });
  return [attention];
};
