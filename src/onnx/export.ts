/** Writes a graph of foreign nodes as a model of ONNX: the last step of compiling, but for where the weights lie. */

import { Bug } from '../diagnostics/bug.ts';
import type { Graph, Value, Weight } from '../graph/graph.ts';
import { onnxTypes } from '../ops/onnx-types.ts';
import { emitGraph, type Scope } from './emit.ts';
import { type Extras, noExtras } from './extras.ts';
import { emitFunction, type FunctionGraph } from './functions.ts';
import type { ModelProto, OperatorSetIdProto, TensorProto } from './messages.ts';
import { nameGraph } from './names.ts';
import { tensorOfBytes } from './tensor.ts';
import { encodeModel } from './wire.ts';

/** Where the bytes of a weight go: into the model, or into a file beside it. */
export type Placement =
  | { readonly kind: 'inline'; readonly bytes: Uint8Array }
  /** `location` is relative to the model's folder, with `/` between folders; `offset` and `length` count bytes. */
  | { readonly kind: 'external'; readonly location: string; readonly offset: number; readonly length: number };

/** How a graph is written as a model. */
export interface ExportOptions {
  /** Version of ai.onnx. */
  readonly opset: number;
  /** Version of onnx.proto. */
  readonly ir: number;
  /** Versions of other domains; 1 where not given. */
  readonly domains?: Readonly<Record<string, number>>;
  /** Version of moec. */
  readonly version?: string;
  readonly doc?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly functions?: readonly FunctionGraph[];
  /** Where each weight lies; asked once per weight. */
  place(weight: Weight): Placement;
  /** Writes the types of inner values too, of all or of these; runtimes infer them for themselves. */
  readonly types?: boolean | ReadonlySet<Value>;
  /** What the file said that this graph was imported from. */
  readonly extras?: Extras;
}

/** The bytes of the model. The same graph and options give the same bytes. */
export function exportModel(graph: Graph, options: ExportOptions): Uint8Array {
  const bytes = encodeModel(modelOf(graph, options));
  if (bytes.length >= 2 ** 31) throw new Bug(`${graph.name} is ${bytes.length} bytes without its external data; a file of ONNX ends at 2 GiB`);
  return bytes;
}

/** The model as a message, for those who want to look at it. */
export function modelOf(graph: Graph, options: ExportOptions): ModelProto {
  const extras = options.extras ?? noExtras;
  const domains = new Set<string>(Object.keys(options.domains ?? {}));
  const scope: Scope = {
    names: nameGraph(graph),
    initializer: (weight, name) => initializer(weight, name, options.place(weight), extras),
    extras,
    domains,
    initializers: true,
    types: options.types ?? false,
  };
  const untyped = graph.inputs.find((input) => !input.type && !extras.values.has(input));
  if (untyped) throw new Bug(`the input ${untyped.name} has no type`);
  const main = emitGraph(graph, scope, true);
  const opsets = (used: ReadonlySet<string>): readonly OperatorSetIdProto[] => opsetsOf(used, options);
  const functions = (options.functions ?? []).map((fn) => emitFunction(fn, opsets, extras, domains));
  const metadataProps = Object.entries(options.metadata ?? {}).map(([key, value]) => ({ key, value }));
  return {
    producerName: 'moec',
    ...(options.version === undefined ? {} : { producerVersion: options.version }),
    ...extras.model,
    irVersion: options.ir,
    opsetImport: opsets(domains),
    ...(options.doc === undefined ? {} : { docString: options.doc }),
    graph: main,
    ...(metadataProps.length > 0 ? { metadataProps } : {}),
    ...(functions.length > 0 ? { functions } : {}),
  };
}

/** ai.onnx first, then the others by name. */
function opsetsOf(used: ReadonlySet<string>, { opset, domains = {} }: ExportOptions): readonly OperatorSetIdProto[] {
  const others = [...used].filter((domain) => domain !== '').sort();
  return [{ domain: '', version: opset }, ...others.map((domain) => ({ domain, version: domains[domain] ?? 1 }))];
}

function initializer({ source, value, path }: Weight, name: string, placement: Placement, extras: Extras): TensorProto {
  const extra = extras.tensors.get(value) ?? {};
  if (placement.kind === 'inline') return { ...tensorOfBytes(source, placement.bytes, name), ...extra };
  const { location, offset, length } = placement;
  if (location.startsWith('/') || location.includes('\\') || location.split('/').includes('..')) throw new Bug(`${path} would lie at ${location}, outside the model's folder`);
  return {
    dims: source.dims,
    dataType: onnxTypes[source.dtype],
    name,
    externalData: [
      { key: 'location', value: location },
      { key: 'offset', value: String(offset) },
      { key: 'length', value: String(length) },
    ],
    dataLocation: 1,
    ...extra,
  };
}
