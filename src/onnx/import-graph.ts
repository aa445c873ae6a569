/** GraphProto and the nodes of functions to graphs: the part of reading that models and functions share. */

import { constantArray } from '../graph/attr.ts';
import { type GraphBuilder, graphBuilder } from '../graph/builder.ts';
import { foreign } from '../graph/foreign.ts';
import { type Graph, type Value, value, type Weight } from '../graph/graph.ts';
import { count, type NdArray } from '../graph/nd-array.ts';
import type { ForeignAttr } from '../graph/onnx.ts';
import { bytesOf, type DType, tensor } from '../graph/type.ts';
import { attrOf, rawAttribute, typedAttribute } from './attributes.ts';
import { dtypeOf } from './dtype.ts';
import { type AttributeProto, attributeTypes, type GraphProto, type NodeProto, type TensorProto, type ValueInfoProto } from './messages.ts';
import { arrayOf, sizesOf } from './tensor.ts';
import { typeOf, typeProto } from './type-proto.ts';
import { encode } from './wire.ts';

/** Where the bytes of an initializer lie. */
export interface ImportedTensor {
  /** As sources name it. */
  readonly name: string;
  readonly dtype: DType;
  readonly dims: readonly number[];
  /** The file, relative to the model's folder; absent where the bytes stand in the model itself. */
  readonly location?: string;
  readonly offset: number;
  readonly length: number;
}

/** Why a graph cannot be read; caught where the import began. */
export class Refusal extends Error {}

/** What reading collects beside the graph. */
export interface Gathered {
  readonly graphs: Map<Graph, Partial<GraphProto>>;
  readonly nodes: Map<Value, Partial<NodeProto>>;
  readonly values: Map<Value, Partial<ValueInfoProto>>;
  readonly tensors: Map<Value, Partial<TensorProto>>;
  readonly stored: Map<string, ImportedTensor>;
  /** Of weights so far. */
  readonly paths: Set<string>;
  /** Inputs that came with a default. */
  readonly defaults: string[];
  /** Where the model's bytes begin in their buffer. */
  readonly base: number;
  /** Inside a function, which has no weights: what graphs in it hold is constant. */
  readonly within?: 'function';
}

/** Names as they are visible at some place: those of the graph, then those around it. */
export interface Scope {
  readonly own: Map<string, Value>;
  readonly outer?: Scope;
}

/** Initializers of so few numbers become constants, which passes fold. */
const constantUpTo = 64;

/** A graph, its values known by their names. */
export function readGraph(message: GraphProto, gathered: Gathered, outer: Scope | undefined): Graph {
  const scope: Scope = { own: new Map(), ...(outer ? { outer } : {}) };
  const initializers = message.initializer ?? [];
  const held = new Set(initializers.map(({ name }) => name ?? ''));
  const given = (message.input ?? []).filter(({ name }) => !held.has(name ?? ''));
  gathered.defaults.push(...(message.input ?? []).flatMap(({ name }) => (name !== undefined && held.has(name) ? [name] : [])));
  const inputs = given.map((info) => define(info.name ?? '', scope, info, gathered));
  const build = graphBuilder();
  const weights = initializers.flatMap((one) => readInitializer(one, scope, build, gathered));
  for (const one of message.sparseInitializer ?? [])
    readConstant(one.values?.name ?? '', { name: 'sparse_value', type: attributeTypes.sparseTensor, sparseTensor: one }, scope, build);
  const types = new Map([...(message.valueInfo ?? []), ...(message.output ?? [])].map((info) => [info.name ?? '', info]));
  readNodes(message.node ?? [], types, scope, build, gathered, gathered.within ? undefined : weights);
  const twice = (message.output ?? []).find(({ name }, i, all) => all.findIndex((other) => other.name === name) !== i);
  if (twice) throw new Refusal(`two results are called \`${twice.name}\``);
  const outputs = (message.output ?? []).map(({ name = '' }) => ({ name, value: lookUp(name, scope, 'a result') }));
  const graph = build.finish({ name: message.name ?? '', ...(message.docString ? { doc: message.docString } : {}), inputs, outputs, weights });
  const { quantizationAnnotation, metadataProps, unknown } = message;
  const extra = present({ quantizationAnnotation, metadataProps, unknown });
  if (extra) gathered.graphs.set(graph, extra);
  return graph;
}

/** The fields that are there; undefined where none is. */
export function present<T extends object>(fields: T): { readonly [K in keyof T]?: Exclude<T[K], undefined> } | undefined {
  const there = Object.entries(fields).filter(([, content]) => content !== undefined);
  return there.length === 0 ? undefined : (Object.fromEntries(there) as { readonly [K in keyof T]?: Exclude<T[K], undefined> });
}

/** A new value under a name of the file, with what the file says about it. */
export function define(name: string, scope: Scope, info: ValueInfoProto | undefined, gathered: Gathered): Value {
  const type = info?.type && typeOf(info.type, name);
  const made = value(name, type);
  own(name, made, scope);
  if (!info) return made;
  const lost = info.type && !(type && sameBytes(encode('TypeProto', typeProto(type)), encode('TypeProto', info.type)));
  const extra = present({ type: lost ? info.type : undefined, docString: info.docString, metadataProps: info.metadataProps, unknown: info.unknown });
  if (extra) gathered.values.set(made, extra);
  return made;
}

/** Gives a value its name in a scope; without a name nothing reads it. */
function own(name: string, made: Value, scope: Scope): void {
  if (name === '') return;
  if (scope.own.has(name)) throw new Refusal(`\`${name}\` is made twice`);
  scope.own.set(name, made);
}

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && a.every((byte, i) => byte === b[i]);

function lookUp(name: string, scope: Scope, reader: string): Value {
  for (let at: Scope | undefined = scope; at; at = at.outer) {
    const found = at.own.get(name);
    if (found) return found;
  }
  throw new Refusal(`${reader} reads \`${name}\`, which nothing before it makes`);
}

/** The nodes in order, each result under its name. Large arrays of `Constant` nodes become weights where there is a list of them. */
export function readNodes(
  nodes: readonly NodeProto[],
  types: ReadonlyMap<string, ValueInfoProto>,
  scope: Scope,
  build: GraphBuilder,
  gathered: Gathered,
  weights?: Weight[],
): void {
  for (const node of nodes) {
    const [first] = node.output ?? [];
    const large = weights && first ? largeConstant(node, first) : undefined;
    const array = large ? undefined : constantOf(node);
    if (large) weights?.push(...readInitializer(large, scope, build, gathered));
    else if (array && first) own(first, build.constant(array, first), scope);
    else readNode(node, types, scope, build, gathered);
  }
}

/** The tensor of a `Constant` node, where it is too large to be folded or lies elsewhere; what is said of the node is said of the tensor. */
function largeConstant({ docString, metadataProps, ...node }: NodeProto, name: string): TensorProto | undefined {
  const tensor = tensorIn(node);
  const dims = tensor && sizesOf(tensor.dims ?? []);
  return dims && (count(dims) > constantUpTo || tensor.dataLocation === 1) && dtypeOf(tensor.dataType ?? 0)
    ? { ...tensor, name, ...present({ docString, metadataProps }) }
    : undefined;
}

/** The tensor of a `Constant` node that says nothing else. The name a tensor has there means nothing. */
function tensorIn(node: NodeProto): TensorProto | undefined {
  const [attribute, ...others] = node.attribute ?? [];
  if (!plainConstant(node) || others.length > 0 || !attribute?.t || attribute.refAttrName || attribute.docString || attribute.unknown) return undefined;
  const { docString, metadataProps, unknown } = attribute.t;
  return docString || metadataProps || unknown ? undefined : attribute.t;
}

const plainConstant = (node: NodeProto): boolean =>
  node.opType === 'Constant' && (!node.domain || node.domain === 'ai.onnx') && !node.docString && !node.metadataProps && !node.unknown;

function readNode(node: NodeProto, types: ReadonlyMap<string, ValueInfoProto>, scope: Scope, build: GraphBuilder, gathered: Gathered): void {
  const reader = `${node.opType ?? 'a node'} ${node.name ? `\`${node.name}\`` : ''}`.trim();
  const inputs = (node.input ?? []).map((name) => (name === '' ? undefined : lookUp(name, scope, reader)));
  const attrs: (readonly [string, ForeignAttr])[] = [];
  const bodies: (readonly [string, Graph])[] = [];
  for (const attribute of (node.attribute ?? []).map(typedAttribute)) {
    const { name = '', type, g } = attribute;
    if (type === attributeTypes.graph && g && !attribute.refAttrName) bodies.push([name, readGraph(g, gathered, scope)]);
    else if (type === attributeTypes.graphs) throw new Refusal(`${reader} has a list of graphs`);
    else if (attribute.t?.dataLocation === 1) throw new Refusal(`the tensor of ${reader} lies in another file`);
    else attrs.push([name, attrOf(attribute)]);
  }
  const { domain = '', opType = '', overload } = node;
  const op = foreign(overload ? `${opType}:${overload}` : opType, domain === 'ai.onnx' ? '' : domain);
  const outputs = (node.output ?? []).map((name) => define(name, scope, types.get(name), gathered));
  build.push({ op, inputs, outputs, attrs: Object.fromEntries(attrs), ...(bodies.length > 0 ? { bodies: Object.fromEntries(bodies) } : {}) });
  const [first] = outputs;
  const { name, docString, metadataProps, deviceConfigurations, unknown } = node;
  const extra = present({ name: name === first?.name ? undefined : name, docString, metadataProps, deviceConfigurations, unknown });
  if (first && extra) gathered.nodes.set(first, extra);
}

/** The array of a `Constant` node that says nothing else. */
function constantOf(node: NodeProto): NdArray | undefined {
  const [attribute, ...others] = node.attribute ?? [];
  if (!plainConstant(node) || others.length > 0 || !attribute) return undefined;
  const tensor = tensorIn(node);
  return tensor ? arrayOf(tensor) : constantArray(attrOf(typedAttribute(attribute)));
}

/** A small array as a constant, a larger one as a weight; what the language has no element type for as a `Constant` node. */
function readInitializer(message: TensorProto, scope: Scope, build: GraphBuilder, gathered: Gathered): readonly Weight[] {
  const { name = '', docString, metadataProps, unknown } = message;
  const extra = present({ docString, metadataProps, unknown });
  const dims = sizesOf(message.dims ?? []);
  const small = dims && (gathered.within || (count(dims) <= constantUpTo && !extra)) ? arrayOf(message) : undefined;
  if (small) {
    own(name, build.constant(small, name), scope);
    return [];
  }
  const dtype = gathered.within ? undefined : dtypeOf(message.dataType ?? 0);
  const path = unusedPath(name, gathered);
  // Small whole numbers beyond 2^53 are ends of slices, which passes read: data is never so small.
  const ends = dtype === 'i64' && dims && count(dims) <= constantUpTo && !extra && message.dataLocation !== 1;
  const stored = dtype && dims && dtype !== 'string' && !message.segment && !ends ? placeOf(message, dtype, dims, path, gathered.base) : undefined;
  const array = stored || !dtype || !dims ? undefined : arrayOf(message);
  if (!dtype || !dims || !(stored || array)) {
    if (message.dataLocation === 1) throw new Refusal(`\`${name}\`, of element type ${message.dataType ?? 0}, lies in another file`);
    const { name: _, ...content } = message;
    readConstant(name, { name: 'value', type: attributeTypes.tensor, t: content }, scope, build);
    return [];
  }
  const held = value(name, tensor(dtype, dims));
  own(name, held, scope);
  if (extra) gathered.tensors.set(held, extra);
  if (stored) gathered.stored.set(path, stored);
  gathered.paths.add(path);
  return [{ value: held, path, storage: 'constant', source: array ? { kind: 'literal', dtype, dims, array } : { kind: 'tensor', dtype, dims, name: path } }];
}

/** Graphs inside may use a name again; weights need one of their own. */
function unusedPath(name: string, { paths }: Gathered): string {
  let unused = name;
  for (let n = 2; paths.has(unused); n++) unused = `${name}.${n}`;
  return unused;
}

function placeOf(message: TensorProto, dtype: DType, dims: readonly number[], name: string, base: number): ImportedTensor | undefined {
  const length = count(dims) * bytesOf[dtype];
  if (message.dataLocation !== 1) {
    const { rawData } = message;
    if (rawData && rawData.length !== length) throw new Refusal(`\`${name}\` has ${rawData.length} bytes and needs ${length}`);
    return rawData && { name, dtype, dims, offset: rawData.byteOffset - base, length };
  }
  const fields = new Map((message.externalData ?? []).map(({ key, value: text }) => [key, text]));
  const location = fields.get('location') ?? '';
  const offset = Number(fields.get('offset') ?? 0);
  const inside = insideFolder(location);
  if (inside === undefined) throw new Refusal(`\`${name}\` lies at \`${location}\`, outside the model's folder`);
  if (!Number.isSafeInteger(offset) || offset < 0) throw new Refusal(`\`${name}\` begins at ${fields.get('offset')}`);
  const given = fields.get('length');
  // Readers take a length of 0 for one that is not given.
  if (given !== undefined && Number(given) !== 0 && Number(given) !== length) throw new Refusal(`\`${name}\` has ${given} bytes and needs ${length}`);
  return { name, dtype, dims, location: inside, offset, length };
}

/** A path without steps back, where it leads to a file below the folder that it starts from. */
function insideFolder(location: string): string | undefined {
  if (location.startsWith('/') || /[\\:\0]/.test(location)) return undefined;
  const steps: string[] = [];
  for (const step of location.split('/')) {
    if (step === '..' && steps.pop() === undefined) return undefined;
    if (step !== '..' && step !== '.' && step !== '') steps.push(step);
  }
  return steps.length === 0 ? undefined : steps.join('/');
}

function readConstant(name: string, attribute: AttributeProto, scope: Scope, build: GraphBuilder): void {
  const made = value(name);
  own(name, made, scope);
  build.push({ op: foreign('Constant'), inputs: [], outputs: [made], attrs: { [attribute.name ?? 'value']: rawAttribute(attribute) } });
}
