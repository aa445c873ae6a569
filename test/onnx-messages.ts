/** Models of ONNX written down as messages, for the tests of reading and writing them. */

import * as ort from 'onnxruntime-node';
import type { Weight } from '../src/graph/graph.ts';
import { exportModel, type Placement } from '../src/onnx/export.ts';
import { type Imported, importModel, optionsOf } from '../src/onnx/import.ts';
import type { GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto } from '../src/onnx/messages.ts';
import { decodeModel, encodeModel } from '../src/onnx/wire.ts';
import { toBytes } from '../src/weights/elements.ts';

/** An f32 value with these sizes. */
export const info = (name: string, ...dims: readonly (number | string)[]): ValueInfoProto => ({
  name,
  type: { tensorType: { elemType: 1, shape: { dim: dims.map((size) => (typeof size === 'number' ? { dimValue: size } : { dimParam: size })) } } },
});
/** A node of ai.onnx unless `rest` says otherwise. */
export const node = (opType: string, input: readonly string[], output: readonly string[], rest: NodeProto = {}): NodeProto => ({ opType, input, output, ...rest });
/** An f32 initializer with its bytes in the model. */
export const tensor = (name: string, dims: readonly number[], data: readonly number[]): TensorProto => ({
  name,
  dims,
  dataType: 1,
  rawData: toBytes('f32', Float64Array.from(data)),
});
/** A model of IR 10 and operator set 21. */
export const modelOf = (graph: GraphProto, rest: ModelProto = {}): ModelProto => ({
  irVersion: 10,
  opsetImport: [
    { domain: '', version: 21 },
    { domain: 'moec', version: 1 },
  ],
  graph: { name: 'g', ...graph },
  ...rest,
});

/** The model as the importer reads it, with the bytes it read. */
export function imported(model: ModelProto): Imported & { readonly bytes: Uint8Array } {
  const bytes = encodeModel(model);
  const read = importModel(bytes, 'model.onnx');
  if (!read.ok) throw new Error(read.diagnostics[0]?.message);
  return { ...read.value, bytes };
}

/** Weights back where they were: in the model, or where the file pointed. */
export const placing =
  ({ tensors, bytes }: Imported & { readonly bytes: Uint8Array }) =>
  ({ source }: Weight): Placement => {
    if (source.kind === 'literal') return { kind: 'inline', bytes: toBytes(source.dtype, source.array.data) };
    const found = tensors.find(({ name }) => source.kind === 'tensor' && name === source.name);
    if (!found) throw new Error('a weight from nowhere');
    const { location, offset, length } = found;
    return location === undefined ? { kind: 'inline', bytes: bytes.subarray(offset, offset + length) } : { kind: 'external', location, offset, length };
  };

/** Read and written again. */
export const again = (model: ModelProto): ModelProto => {
  const read = imported(model);
  return decodeModel(exportModel(read.graph, { ...optionsOf(read), place: placing(read) }));
};

/** Results of onnxruntime, by name. */
export async function run(model: ModelProto, feeds: Record<string, ort.Tensor>): Promise<Record<string, number[]>> {
  const session = await ort.InferenceSession.create(encodeModel(model));
  const results = await session.run(feeds);
  await session.release();
  return Object.fromEntries(Object.entries(results).map(([name, { data }]) => [name, Array.from(data as Float32Array, Number)]));
}
/** A tensor to feed. */
export const f32 = (dims: readonly number[], data: readonly number[]) => new ort.Tensor('float32', Float32Array.from(data), dims);
