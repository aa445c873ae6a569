/** Where each field of onnx.proto (IR 14) stands on the wire: number, name, type. `wire.ts` reads and writes by this table alone. */

import type { Messages } from './messages.ts';

/** Types of fields that are not messages. */
export type Scalar = 'int32' | 'int64' | 'uint64' | 'float' | 'double' | 'string' | 'bytes';

/** One field. A repeated scalar marked `packed` is written as one run; both forms are read. */
export interface Field {
  readonly number: number;
  readonly name: string;
  readonly type: Scalar | keyof Messages;
  readonly repeated: boolean;
  readonly packed: boolean;
}

type Line = readonly [number: number, name: string, type: Scalar | keyof Messages, mode?: 'repeated' | 'packed'];

const metadata = (number: number): Line => [number, 'metadataProps', 'StringStringEntryProto', 'repeated'];

// biome-ignore format: a table
const lines: { readonly [M in keyof Messages]: readonly Line[] } = {
  ModelProto: [
    [1, 'irVersion', 'int64'], [2, 'producerName', 'string'], [3, 'producerVersion', 'string'], [4, 'domain', 'string'], [5, 'modelVersion', 'int64'], [6, 'docString', 'string'],
    [7, 'graph', 'GraphProto'], [8, 'opsetImport', 'OperatorSetIdProto', 'repeated'], metadata(14), [20, 'trainingInfo', 'TrainingInfoProto', 'repeated'],
    [25, 'functions', 'FunctionProto', 'repeated'], [26, 'configuration', 'DeviceConfigurationProto', 'repeated'],
  ],
  OperatorSetIdProto: [[1, 'domain', 'string'], [2, 'version', 'int64']],
  StringStringEntryProto: [[1, 'key', 'string'], [2, 'value', 'string']],
  GraphProto: [
    [1, 'node', 'NodeProto', 'repeated'], [2, 'name', 'string'], [5, 'initializer', 'TensorProto', 'repeated'], [10, 'docString', 'string'], [11, 'input', 'ValueInfoProto', 'repeated'],
    [12, 'output', 'ValueInfoProto', 'repeated'], [13, 'valueInfo', 'ValueInfoProto', 'repeated'], [14, 'quantizationAnnotation', 'TensorAnnotation', 'repeated'],
    [15, 'sparseInitializer', 'SparseTensorProto', 'repeated'], metadata(16),
  ],
  NodeProto: [
    [1, 'input', 'string', 'repeated'], [2, 'output', 'string', 'repeated'], [3, 'name', 'string'], [4, 'opType', 'string'], [5, 'attribute', 'AttributeProto', 'repeated'],
    [6, 'docString', 'string'], [7, 'domain', 'string'], [8, 'overload', 'string'], metadata(9), [10, 'deviceConfigurations', 'NodeDeviceConfigurationProto', 'repeated'],
  ],
  AttributeProto: [
    [1, 'name', 'string'], [2, 'f', 'float'], [3, 'i', 'int64'], [4, 's', 'bytes'], [5, 't', 'TensorProto'], [6, 'g', 'GraphProto'], [7, 'floats', 'float', 'repeated'],
    [8, 'ints', 'int64', 'repeated'], [9, 'strings', 'bytes', 'repeated'], [10, 'tensors', 'TensorProto', 'repeated'], [11, 'graphs', 'GraphProto', 'repeated'], [13, 'docString', 'string'],
    [14, 'tp', 'TypeProto'], [15, 'typeProtos', 'TypeProto', 'repeated'], [20, 'type', 'int32'], [21, 'refAttrName', 'string'], [22, 'sparseTensor', 'SparseTensorProto'],
    [23, 'sparseTensors', 'SparseTensorProto', 'repeated'],
  ],
  ValueInfoProto: [[1, 'name', 'string'], [2, 'type', 'TypeProto'], [3, 'docString', 'string'], metadata(4)],
  TensorProto: [
    [1, 'dims', 'int64', 'repeated'], [2, 'dataType', 'int32'], [3, 'segment', 'Segment'], [4, 'floatData', 'float', 'packed'], [5, 'int32Data', 'int32', 'packed'],
    [6, 'stringData', 'bytes', 'repeated'], [7, 'int64Data', 'int64', 'packed'], [8, 'name', 'string'], [9, 'rawData', 'bytes'], [10, 'doubleData', 'double', 'packed'],
    [11, 'uint64Data', 'uint64', 'packed'], [12, 'docString', 'string'], [13, 'externalData', 'StringStringEntryProto', 'repeated'], [14, 'dataLocation', 'int32'], metadata(16),
  ],
  Segment: [[1, 'begin', 'int64'], [2, 'end', 'int64']],
  SparseTensorProto: [[1, 'values', 'TensorProto'], [2, 'indices', 'TensorProto'], [3, 'dims', 'int64', 'repeated']],
  TensorShapeProto: [[1, 'dim', 'Dimension', 'repeated']],
  Dimension: [[1, 'dimValue', 'int64'], [2, 'dimParam', 'string'], [3, 'denotation', 'string']],
  TypeProto: [
    [1, 'tensorType', 'TensorTypeProto'], [4, 'sequenceType', 'ElementTypeProto'], [5, 'mapType', 'MapTypeProto'], [6, 'denotation', 'string'], [7, 'opaqueType', 'OpaqueTypeProto'],
    [8, 'sparseTensorType', 'TensorTypeProto'], [9, 'optionalType', 'ElementTypeProto'],
  ],
  TensorTypeProto: [[1, 'elemType', 'int32'], [2, 'shape', 'TensorShapeProto']],
  ElementTypeProto: [[1, 'elemType', 'TypeProto']],
  MapTypeProto: [[1, 'keyType', 'int32'], [2, 'valueType', 'TypeProto']],
  OpaqueTypeProto: [[1, 'domain', 'string'], [2, 'name', 'string']],
  FunctionProto: [
    [1, 'name', 'string'], [4, 'input', 'string', 'repeated'], [5, 'output', 'string', 'repeated'], [6, 'attribute', 'string', 'repeated'], [7, 'node', 'NodeProto', 'repeated'],
    [8, 'docString', 'string'], [9, 'opsetImport', 'OperatorSetIdProto', 'repeated'], [10, 'domain', 'string'], [11, 'attributeProto', 'AttributeProto', 'repeated'],
    [12, 'valueInfo', 'ValueInfoProto', 'repeated'], [13, 'overload', 'string'], metadata(14),
  ],
  TensorAnnotation: [[1, 'tensorName', 'string'], [2, 'quantParameterTensorNames', 'StringStringEntryProto', 'repeated']],
  TrainingInfoProto: [
    [1, 'initialization', 'GraphProto'], [2, 'algorithm', 'GraphProto'], [3, 'initializationBinding', 'StringStringEntryProto', 'repeated'], [4, 'updateBinding', 'StringStringEntryProto', 'repeated'],
  ],
  DeviceConfigurationProto: [[1, 'name', 'string'], [2, 'numDevices', 'int32'], [3, 'device', 'string', 'repeated']],
  NodeDeviceConfigurationProto: [[1, 'configurationId', 'string'], [2, 'shardingSpec', 'ShardingSpecProto', 'repeated'], [3, 'pipelineStage', 'int32']],
  ShardingSpecProto: [
    [1, 'tensorName', 'string'], [2, 'device', 'int64', 'repeated'], [3, 'indexToDeviceGroupMap', 'IntIntListEntryProto', 'repeated'], [4, 'shardedDim', 'ShardedDimProto', 'repeated'],
  ],
  IntIntListEntryProto: [[1, 'key', 'int64'], [2, 'value', 'int64', 'repeated']],
  ShardedDimProto: [[1, 'axis', 'int64'], [2, 'simpleSharding', 'SimpleShardedDimProto', 'repeated']],
  SimpleShardedDimProto: [[1, 'dimValue', 'int64'], [2, 'dimParam', 'string'], [3, 'numShards', 'int64']],
};

/** The fields of a message in the order of their numbers, and by number. */
export interface Shape {
  readonly fields: readonly Field[];
  readonly byNumber: ReadonlyMap<number, Field>;
}

const shapes = new Map<string, Shape>(
  Object.entries(lines).map(([message, rows]) => {
    const fields = rows.map(([number, name, type, mode]): Field => ({ number, name, type, repeated: mode !== undefined, packed: mode === 'packed' }));
    return [message, { fields, byNumber: new Map(fields.map((field) => [field.number, field])) }];
  }),
);

/** The shape of a message, or undefined for a scalar. */
export function shapeOf(type: Field['type']): Shape | undefined {
  return shapes.get(type);
}
