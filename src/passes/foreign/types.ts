/** Types of the results of nodes that stay nodes of ONNX: enough of the standard for what follows them to be raised. */

import { type Dim, dim, divide, same as isSame, constant as sizeOf, subtract, add as sum } from '../../graph/dim.ts';
import type { DType, TensorType } from '../../graph/type.ts';
import { tryBroadcast } from '../../ops/rules.ts';
import { type Call, stay } from './call.ts';
import { tried } from './raise.ts';
import { counted, product, rangesOf, reshapedDims } from './shapes.ts';

/** A size that nobody knows. */
export type Fresh = () => Dim;

type TypeRule = (call: Call, fresh: Fresh) => readonly (TensorType | undefined)[];

const i64 = (dims: readonly Dim[]): TensorType => ({ dtype: 'i64', dims });

/** As input 0, in all or under another element type. */
const same =
  (dtype?: DType): TypeRule =>
  (call) => [dtype === undefined ? call.type(0) : { dtype, dims: call.type(0).dims }];

/** As far as it is known what sizes broadcast to. */
function met(all: readonly (readonly Dim[])[], fresh: Fresh): readonly Dim[] {
  const rank = Math.max(...all.map((dims) => dims.length));
  return Array.from({ length: rank }, (_, i) => {
    const sizes = all.flatMap((dims) => dims[i - rank + dims.length] ?? []);
    const large = sizes.filter((size) => sizeOf(size) !== 1);
    const [first = dim(1), ...others] = large;
    const known = large.find((size) => sizeOf(size) !== undefined);
    return known ?? (others.every((size) => isSame(size, first)) ? first : fresh());
  });
}

/** Broadcast; of the element type of the last input, or another. */
const broadcasted =
  (dtype?: DType): TypeRule =>
  (call, fresh) => {
    const types = call.values().map((_, i) => call.type(i));
    return [
      {
        dtype: dtype ?? types.at(-1)?.dtype ?? stay(),
        dims: met(
          types.map(({ dims }) => dims),
          fresh,
        ),
      },
    ];
  };

const multiplied: TypeRule = (call, fresh) => {
  const [a, b] = [call.type(0), call.type(1)];
  if (a.dims.length < 2 || b.dims.length < 2) return stay();
  return [{ dtype: a.dtype, dims: [...met([a.dims.slice(0, -2), b.dims.slice(0, -2)], fresh), a.dims.at(-2) ?? stay(), b.dims.at(-1) ?? stay()] }];
};

const joined: TypeRule = (call, fresh) => {
  const types = call.values().map((_, i) => call.type(i));
  const [first = stay()] = types;
  const axis = counted(call.int('axis', 0), first.dims.length);
  const dims = first.dims.map((_, i) =>
    i === axis
      ? types.reduce((total, one) => sum(total, one.dims[i] ?? 0), dim(0))
      : (met(
          types.map((one) => [one.dims[i] ?? dim(1)]),
          fresh,
        )[0] ?? fresh()),
  );
  return [{ dtype: first.dtype, dims }];
};

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
    return known === undefined ? fresh() : dim(round(known / stride) + 1);
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

const gathered: TypeRule = (call) => {
  const [data, at] = [call.type(0), call.type(1)];
  const axis = counted(call.int('axis', 0), data.dims.length);
  return [{ dtype: data.dtype, dims: [...data.dims.slice(0, axis), ...at.dims, ...data.dims.slice(axis + 1)] }];
};

const gatheredByRows: TypeRule = (call) => {
  const [data, at] = [call.type(0), call.type(1)];
  const depth = sizeOf(at.dims.at(-1) ?? stay()) ?? stay();
  const lead = call.int('batch_dims', 0);
  return [{ dtype: data.dtype, dims: [...at.dims.slice(0, -1), ...data.dims.slice(lead + depth)] }];
};

/** Sizes that are not known are fresh; how many there are must be. */
const reshaped: TypeRule = (call, fresh) => {
  const { dtype, dims } = call.type(0);
  const wanted = call.from.any(call.value(1)) && call.has(1) ? maybeNumbers(call) : undefined;
  if (wanted) {
    const exact = reshapedDims(dims, wanted, call.int('allowzero', 0) !== 0);
    return [{ dtype, dims: exact ?? wanted.map((size, i) => (sizeOf(size) === -1 ? fresh() : sizeOf(size) === 0 ? (dims[i] ?? fresh()) : size)) }];
  }
  const rank = sizeOf(call.type(1).dims[0] ?? stay()) ?? stay();
  return [{ dtype, dims: Array.from({ length: rank }, fresh) }];
};

const maybeNumbers = (call: Call): readonly Dim[] | undefined => tried(() => call.numbers(1).values);

const expanded: TypeRule = (call, fresh) => {
  const { dtype, dims } = call.type(0);
  const wanted = maybeNumbers(call);
  const exact = wanted && tryBroadcast(dims, wanted);
  if (exact) return [{ dtype, dims: exact }];
  const rank = Math.max(dims.length, wanted?.length ?? sizeOf(call.type(1).dims[0] ?? stay()) ?? stay());
  return [{ dtype, dims: Array.from({ length: rank }, fresh) }];
};

const sliced: TypeRule = (call, fresh) => {
  const { dtype, dims } = call.type(0);
  const ranges = tried(() => rangesOf(call));
  if (!ranges) {
    const axes = call.has(3) ? call.integers(3).map((axis) => counted(axis, dims.length)) : dims.map((_, i) => i);
    return [{ dtype, dims: dims.map((size, i) => (axes.includes(i) ? fresh() : size)) }];
  }
  const taken = new Map(ranges.map((range) => [range.axis, range]));
  return [
    {
      dtype,
      dims: dims.map((size, i) => {
        const range = taken.get(i);
        if (!range) return size;
        const length = sizeOf(subtract(range.to, range.from));
        return range.step === 1 ? subtract(range.to, range.from) : length === undefined ? fresh() : dim(Math.max(0, Math.ceil(length / range.step)));
      }),
    },
  ];
};

const padded: TypeRule = (call) => {
  const { dtype, dims } = call.type(0);
  const pads = call.integers(1);
  const axes = call.has(3) ? call.integers(3).map((axis) => counted(axis, dims.length)) : dims.map((_, i) => i);
  const by = new Map(axes.map((axis, i) => [axis, (pads[i] ?? 0) + (pads[i + axes.length] ?? 0)]));
  return [{ dtype, dims: dims.map((size, i) => sum(size, by.get(i) ?? 0)) }];
};

const parted: TypeRule = (call, fresh) => {
  const { dtype, dims } = call.type(0);
  const axis = counted(call.int('axis', 0), dims.length);
  const whole = dims[axis] ?? stay();
  const part = divide(whole, call.node.outputs.length);
  return call.node.outputs.map(() => ({ dtype, dims: dims.map((size, i) => (i === axis ? (call.has(1) ? fresh() : (part ?? fresh())) : size)) }));
};

const best: TypeRule = (call, fresh) => {
  const { dtype, dims } = call.type(0);
  const axis = counted(call.int('axis', -1), dims.length);
  const cut = dims.map((size, i) => (i === axis ? fresh() : size));
  return [{ dtype, dims: cut }, i64(cut)];
};

const filled: TypeRule = (call, fresh) => {
  const { value } = call.node.attrs;
  const dtype: DType = typeof value === 'object' && 'data' in value ? value.dtype : 'f32';
  const rank = sizeOf(call.type(0).dims[0] ?? stay()) ?? stay();
  return [{ dtype, dims: Array.from({ length: rank }, fresh) }];
};

/** What heads of queries see, as wide as values are. Keys and values that go on as a cache have types of their own. */
const attended: TypeRule = (call, fresh) => {
  const [{ dtype, dims }, value] = [call.type(0), call.type(2)];
  const [last = stay()] = value.dims.slice(-1);
  if (dims.length === 4) return [{ dtype, dims: [...dims.slice(0, 3), last] }];
  const [width, heads, groups] = [sizeOf(last), call.int('q_num_heads', 0), call.int('kv_num_heads', 0)];
  return [{ dtype, dims: [...dims.slice(0, 2), width === undefined || groups === 0 ? fresh() : dim((width / groups) * heads)] }];
};

/** By the name of the op. */
const rules: Readonly<Record<string, TypeRule>> = {
  Add: broadcasted(),
  And: broadcasted('bool'),
  Attention: attended,
  AveragePool: pooled,
  BatchNormalization: same(),
  Concat: joined,
  ConstantOfShape: filled,
  Conv: convolved,
  DequantizeLinear: (call) => [{ dtype: call.type(1).dtype, dims: call.type(0).dims }],
  Div: broadcasted(),
  DynamicQuantizeLinear: (call) => [
    { dtype: 'u8', dims: call.type(0).dims },
    { dtype: 'f32', dims: [] },
    { dtype: 'u8', dims: [] },
  ],
  Equal: broadcasted('bool'),
  Expand: expanded,
  Flatten: (call) => {
    const { dtype, dims } = call.type(0);
    const axis = counted(call.int('axis', 1), dims.length);
    return [{ dtype, dims: [product(dims.slice(0, axis)), product(dims.slice(axis))] }];
  },
  Gather: gathered,
  GatherElements: (call) => [{ dtype: call.type(0).dtype, dims: call.type(1).dims }],
  GatherND: gatheredByRows,
  GlobalAveragePool: (call) => [{ dtype: call.type(0).dtype, dims: call.type(0).dims.map((size, i) => (i < 2 ? size : dim(1))) }],
  GroupNormalization: same(),
  InstanceNormalization: same(),
  IsInf: same('bool'),
  IsNaN: same('bool'),
  LayerNormalization: same(),
  MatMul: multiplied,
  MaxPool: pooled,
  Mul: broadcasted(),
  NonZero: (call, fresh) => [i64([dim(call.type(0).dims.length), fresh()])],
  Pad: padded,
  Or: broadcasted('bool'),
  Pow: (call, fresh) => [{ dtype: call.type(0).dtype, dims: met([call.type(0).dims, call.type(1).dims], fresh) }],
  RMSNormalization: same(),
  Range: (call, fresh) => [{ dtype: call.type(0).dtype, dims: [fresh()] }],
  Reshape: reshaped,
  RotaryEmbedding: same(),
  Round: same(),
  ScatterElements: same(),
  ScatterND: same(),
  Shape: (call) => {
    const rank = call.type(0).dims.length;
    const place = (at: number): number => Math.max(0, Math.min(rank, counted(at, rank)));
    return [i64([dim(Math.max(0, place(call.int('end', rank)) - place(call.int('start', 0))))])];
  },
  Sign: same(),
  Size: () => [i64([])],
  Slice: sliced,
  Split: parted,
  Sub: broadcasted(),
  TopK: best,
  Trilu: same(),
  Where: broadcasted(),
};

/** The types of the results, as far as they are known. */
export function inferredTypes(call: Call, fresh: Fresh): readonly (TensorType | undefined)[] {
  const { foreign } = call.node.op;
  return (foreign?.domain === '' ? rules[foreign.type]?.(call, fresh) : undefined) ?? [];
}
