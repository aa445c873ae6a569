/** Types behind nodes of ONNX that move windows over spatial axes, or make these larger and smaller. */

import { type Dim, dim, divide, multiply, constant as sizeOf, add as sum } from '../../graph/dim.ts';
import { type Call, stay } from './call.ts';
import { counted } from './shapes.ts';
import { type Fresh, i64, rows, type TypeRule } from './type-rule.ts';

/** The spatial axes of windows: kernel, stride, padding and dilation of each. */
interface Window {
  readonly kernel: readonly number[];
  readonly spatial: readonly Dim[];
  readonly call: Call;
  readonly fresh: Fresh;
}

/** What windows that move over the spatial axes leave of them. */
function windowed({ kernel, spatial, call, fresh }: Window): readonly Dim[] {
  const strides = call.ints('strides') ?? spatial.map(() => 1);
  const dilations = call.ints('dilations') ?? spatial.map(() => 1);
  const pads = call.ints('pads') ?? spatial.flatMap(() => [0, 0]);
  const auto = call.text('auto_pad', 'NOTSET');
  return spatial.map((size, i) => {
    const stride = strides[i] ?? 1;
    const length = sizeOf(size);
    if (auto === 'SAME_UPPER' || auto === 'SAME_LOWER') return stride === 1 ? size : length === undefined ? fresh() : dim(Math.ceil(length / stride));
    const padding = auto === 'VALID' ? 0 : (pads[i] ?? 0) + (pads[i + spatial.length] ?? 0);
    const room = sum(size, padding - ((kernel[i] ?? 1) - 1) * (dilations[i] ?? 1) - 1);
    if (stride === 1) return sum(room, 1);
    const known = sizeOf(room);
    const round = call.int('ceil_mode', 0) === 0 ? Math.floor : Math.ceil;
    if (known === undefined || length === undefined) return fresh();
    const windows = round(known / stride) + 1;
    // The last window has to begin before the padding at the end.
    return dim(call.int('ceil_mode', 0) !== 0 && (windows - 1) * stride >= length + (auto === 'VALID' ? 0 : (pads[i] ?? 0)) ? windows - 1 : windows);
  });
}

const convolved: TypeRule = (call, fresh) => {
  const [x, w] = [call.type(0), call.type(1)];
  const [out = stay()] = w.dims;
  const kernel = w.dims.slice(2).map((size) => sizeOf(size) ?? stay());
  return [{ dtype: x.dtype, dims: [x.dims[0] ?? stay(), out, ...windowed({ kernel, spatial: x.dims.slice(2), call, fresh })] }];
};

const pooled: TypeRule = (call, fresh) => {
  const { dtype, dims } = call.type(0);
  const result = { dtype, dims: [...dims.slice(0, 2), ...windowed({ kernel: call.ints('kernel_shape') ?? stay(), spatial: dims.slice(2), call, fresh })] };
  return [result, i64(result.dims)];
};

/** Spatial sizes are left open: they depend on padding that may be computed. */
const unfolded: TypeRule = (call, fresh) => {
  const [x, w] = [call.type(0), call.type(1)];
  const channels = multiply(w.dims[1] ?? stay(), call.int('group', 1));
  return [{ dtype: x.dtype, dims: [x.dims[0] ?? stay(), channels, ...x.dims.slice(2).map(fresh)] }];
};

const pooledWhole: TypeRule = (call) => {
  const { dtype, dims } = call.type(0);
  return [{ dtype, dims: dims.map((size, i) => (i < 2 ? size : dim(1))) }];
};

/** Axes that are not named stay, as do those whose scale is 1; the others are left open. */
const resized: TypeRule = (call, fresh) => {
  const { dtype, dims } = call.type(0);
  const axes = call.ints('axes')?.map((axis) => counted(axis, dims.length)) ?? dims.map((_, i) => i);
  const scales = call.has(2) ? call.from.array(call.value(2))?.data : undefined;
  return [{ dtype, dims: dims.map((size, i) => (!axes.includes(i) || scales?.[axes.indexOf(i)] === 1 ? size : fresh())) }];
};

/** Channels in blocks, as onnxruntime lays them out for itself: only their number of axes is told. */
const inBlocks: TypeRule = (call, fresh) => {
  const { dtype, dims } = call.type(0);
  return [{ dtype, dims: [dims[0] ?? stay(), ...dims.slice(1).map(fresh)] }];
};

const outOfBlocks: TypeRule = (call, fresh) => {
  const { dtype, dims } = call.type(0);
  const [channels, spatial] = [dim(call.int('channels', 0)), dims.slice(2).map(fresh)];
  return [{ dtype, dims: [dims[0] ?? stay(), ...(call.int('channels_last', 0) === 0 ? [channels, ...spatial] : [...spatial, channels])] }];
};

/** Blocks of space as channels, or the reverse. */
const blocks =
  (deeper: boolean): TypeRule =>
  (call) => {
    const { dtype, dims } = call.type(0);
    const [batch = stay(), channels = stay(), ...spatial] = dims;
    const size = call.int('blocksize', 1);
    const less = (one: Dim, by: number): Dim => divide(one, by) ?? stay();
    const depth = deeper ? multiply(channels, size ** 2) : less(channels, size ** 2);
    return [{ dtype, dims: [batch, depth, ...spatial.map((one) => (deeper ? less(one, size) : multiply(one, size)))] }];
  };

/** By the name of the op. */
export const windowTypes: Readonly<Record<string, TypeRule>> = {
  ...rows('AveragePool LpPool MaxPool', pooled),
  ...rows('GlobalAveragePool GlobalLpPool GlobalMaxPool', pooledWhole),
  Conv: convolved,
  ConvTranspose: unfolded,
  DepthToSpace: blocks(false),
  Resize: resized,
  SpaceToDepth: blocks(true),
  'com.microsoft.FusedConv': convolved,
  ...rows('AveragePool Conv GlobalAveragePool GlobalMaxPool MaxPool ReorderInput Upsample', inBlocks, 'com.microsoft.nchwc.'),
  'com.microsoft.nchwc.ReorderOutput': outOfBlocks,
};
