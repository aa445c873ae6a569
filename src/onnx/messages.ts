/** The messages of onnx.proto as plain readonly data, under camel-case names. The order on the wire stands in `schema.ts`. */

/** A whole number of 64 bits: a `number` where it is exact (to 2^53), else the two halves. */
export type Int = number | Halves;

/** The bits of a 64-bit number beyond 2^53; each half is an unsigned or signed 32-bit number. */
export interface Halves {
  readonly low: number;
  readonly high: number;
}

/** What every message may carry: fields that no version of onnx.proto known here has, as they stood (tag and content). */
export interface Message {
  readonly unknown?: readonly Uint8Array[];
}

export interface StringStringEntryProto extends Message {
  readonly key?: string;
  readonly value?: string;
}

export interface ModelProto extends Message {
  readonly irVersion?: Int;
  readonly opsetImport?: readonly OperatorSetIdProto[];
  readonly producerName?: string;
  readonly producerVersion?: string;
  readonly domain?: string;
  readonly modelVersion?: Int;
  readonly docString?: string;
  readonly graph?: GraphProto;
  readonly metadataProps?: readonly StringStringEntryProto[];
  readonly trainingInfo?: readonly TrainingInfoProto[];
  readonly functions?: readonly FunctionProto[];
  readonly configuration?: readonly DeviceConfigurationProto[];
}

export interface OperatorSetIdProto extends Message {
  readonly domain?: string;
  readonly version?: Int;
}

export interface GraphProto extends Message {
  readonly node?: readonly NodeProto[];
  readonly name?: string;
  readonly initializer?: readonly TensorProto[];
  readonly sparseInitializer?: readonly SparseTensorProto[];
  readonly docString?: string;
  readonly input?: readonly ValueInfoProto[];
  readonly output?: readonly ValueInfoProto[];
  readonly valueInfo?: readonly ValueInfoProto[];
  readonly quantizationAnnotation?: readonly TensorAnnotation[];
  readonly metadataProps?: readonly StringStringEntryProto[];
}

export interface NodeProto extends Message {
  readonly input?: readonly string[];
  readonly output?: readonly string[];
  readonly name?: string;
  readonly opType?: string;
  readonly domain?: string;
  readonly overload?: string;
  readonly attribute?: readonly AttributeProto[];
  readonly docString?: string;
  readonly metadataProps?: readonly StringStringEntryProto[];
  readonly deviceConfigurations?: readonly NodeDeviceConfigurationProto[];
}

export interface AttributeProto extends Message {
  readonly name?: string;
  readonly refAttrName?: string;
  readonly docString?: string;
  /** One of `attributeTypes`. */
  readonly type?: number;
  readonly f?: number;
  readonly i?: Int;
  readonly s?: Uint8Array;
  readonly t?: TensorProto;
  readonly g?: GraphProto;
  readonly sparseTensor?: SparseTensorProto;
  readonly tp?: TypeProto;
  readonly floats?: readonly number[];
  readonly ints?: readonly Int[];
  readonly strings?: readonly Uint8Array[];
  readonly tensors?: readonly TensorProto[];
  readonly graphs?: readonly GraphProto[];
  readonly sparseTensors?: readonly SparseTensorProto[];
  readonly typeProtos?: readonly TypeProto[];
}

export interface ValueInfoProto extends Message {
  readonly name?: string;
  readonly type?: TypeProto;
  readonly docString?: string;
  readonly metadataProps?: readonly StringStringEntryProto[];
}

export interface TensorProto extends Message {
  readonly dims?: readonly Int[];
  /** One of `onnxTypes`, or a number of a later onnx.proto. */
  readonly dataType?: number;
  readonly segment?: Segment;
  readonly floatData?: readonly number[];
  readonly int32Data?: readonly number[];
  readonly stringData?: readonly Uint8Array[];
  readonly int64Data?: readonly Int[];
  readonly name?: string;
  readonly docString?: string;
  readonly rawData?: Uint8Array;
  readonly externalData?: readonly StringStringEntryProto[];
  /** 1 where the numbers lie in another file. */
  readonly dataLocation?: number;
  readonly doubleData?: readonly number[];
  readonly uint64Data?: readonly Int[];
  readonly metadataProps?: readonly StringStringEntryProto[];
}

export interface Segment extends Message {
  readonly begin?: Int;
  readonly end?: Int;
}

export interface SparseTensorProto extends Message {
  readonly values?: TensorProto;
  readonly indices?: TensorProto;
  readonly dims?: readonly Int[];
}

export interface TensorShapeProto extends Message {
  readonly dim?: readonly Dimension[];
}

export interface Dimension extends Message {
  readonly dimValue?: Int;
  readonly dimParam?: string;
  readonly denotation?: string;
}

export interface TypeProto extends Message {
  readonly tensorType?: TensorTypeProto;
  readonly sequenceType?: ElementTypeProto;
  readonly mapType?: MapTypeProto;
  readonly optionalType?: ElementTypeProto;
  readonly sparseTensorType?: TensorTypeProto;
  readonly opaqueType?: OpaqueTypeProto;
  readonly denotation?: string;
}

/** TypeProto.Tensor and TypeProto.SparseTensor. */
export interface TensorTypeProto extends Message {
  readonly elemType?: number;
  readonly shape?: TensorShapeProto;
}

/** TypeProto.Sequence and TypeProto.Optional. */
export interface ElementTypeProto extends Message {
  readonly elemType?: TypeProto;
}

export interface MapTypeProto extends Message {
  readonly keyType?: number;
  readonly valueType?: TypeProto;
}

export interface OpaqueTypeProto extends Message {
  readonly domain?: string;
  readonly name?: string;
}

export interface FunctionProto extends Message {
  readonly name?: string;
  readonly input?: readonly string[];
  readonly output?: readonly string[];
  /** Attributes without defaults, by name. */
  readonly attribute?: readonly string[];
  /** Attributes with defaults. */
  readonly attributeProto?: readonly AttributeProto[];
  readonly node?: readonly NodeProto[];
  readonly docString?: string;
  readonly opsetImport?: readonly OperatorSetIdProto[];
  readonly domain?: string;
  readonly overload?: string;
  readonly valueInfo?: readonly ValueInfoProto[];
  readonly metadataProps?: readonly StringStringEntryProto[];
}

export interface TensorAnnotation extends Message {
  readonly tensorName?: string;
  readonly quantParameterTensorNames?: readonly StringStringEntryProto[];
}

export interface TrainingInfoProto extends Message {
  readonly initialization?: GraphProto;
  readonly algorithm?: GraphProto;
  readonly initializationBinding?: readonly StringStringEntryProto[];
  readonly updateBinding?: readonly StringStringEntryProto[];
}

export interface DeviceConfigurationProto extends Message {
  readonly name?: string;
  readonly numDevices?: number;
  readonly device?: readonly string[];
}

export interface NodeDeviceConfigurationProto extends Message {
  readonly configurationId?: string;
  readonly shardingSpec?: readonly ShardingSpecProto[];
  readonly pipelineStage?: number;
}

export interface ShardingSpecProto extends Message {
  readonly tensorName?: string;
  readonly device?: readonly Int[];
  readonly indexToDeviceGroupMap?: readonly IntIntListEntryProto[];
  readonly shardedDim?: readonly ShardedDimProto[];
}

export interface IntIntListEntryProto extends Message {
  readonly key?: Int;
  readonly value?: readonly Int[];
}

export interface ShardedDimProto extends Message {
  readonly axis?: Int;
  readonly simpleSharding?: readonly SimpleShardedDimProto[];
}

export interface SimpleShardedDimProto extends Message {
  readonly dimValue?: Int;
  readonly dimParam?: string;
  readonly numShards?: Int;
}

/** Every message by the name onnx.proto gives it. */
export interface Messages {
  readonly ModelProto: ModelProto;
  readonly OperatorSetIdProto: OperatorSetIdProto;
  readonly StringStringEntryProto: StringStringEntryProto;
  readonly GraphProto: GraphProto;
  readonly NodeProto: NodeProto;
  readonly AttributeProto: AttributeProto;
  readonly ValueInfoProto: ValueInfoProto;
  readonly TensorProto: TensorProto;
  readonly Segment: Segment;
  readonly SparseTensorProto: SparseTensorProto;
  readonly TensorShapeProto: TensorShapeProto;
  readonly Dimension: Dimension;
  readonly TypeProto: TypeProto;
  readonly TensorTypeProto: TensorTypeProto;
  readonly ElementTypeProto: ElementTypeProto;
  readonly MapTypeProto: MapTypeProto;
  readonly OpaqueTypeProto: OpaqueTypeProto;
  readonly FunctionProto: FunctionProto;
  readonly TensorAnnotation: TensorAnnotation;
  readonly TrainingInfoProto: TrainingInfoProto;
  readonly DeviceConfigurationProto: DeviceConfigurationProto;
  readonly NodeDeviceConfigurationProto: NodeDeviceConfigurationProto;
  readonly ShardingSpecProto: ShardingSpecProto;
  readonly IntIntListEntryProto: IntIntListEntryProto;
  readonly ShardedDimProto: ShardedDimProto;
  readonly SimpleShardedDimProto: SimpleShardedDimProto;
}

/** The kinds of attributes, by their numbers in AttributeProto. */
export const attributeTypes = {
  float: 1,
  int: 2,
  string: 3,
  tensor: 4,
  graph: 5,
  floats: 6,
  ints: 7,
  strings: 8,
  tensors: 9,
  graphs: 10,
  sparseTensor: 11,
  sparseTensors: 12,
  typeProto: 13,
  typeProtos: 14,
} as const;
