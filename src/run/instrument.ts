/** Makes values inside a model results of it, by their names, so that two models can be compared layer by layer. */

import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { GraphProto } from '../onnx/messages.ts';
import { decodeModel, encodeModel } from '../onnx/wire.ts';
import type { ModelPlace } from './executable.ts';

/** The names of what the nodes of the main graph compute, in order. */
export function valuesIn(place: ModelPlace): readonly string[] {
  return computed(decodeModel(bytesOf(place)).graph);
}

/** The same model with these values as results beside its own. Its data stay where they are. */
export function withResults(place: ModelPlace, names: readonly string[]): ModelPlace {
  const model = decodeModel(bytesOf(place));
  const { graph = {} } = model;
  const own = new Set((graph.output ?? []).map(({ name }) => name));
  // onnxruntime works out the types of results that state none.
  const more = names.filter((name) => !own.has(name)).map((name) => ({ name }));
  const bytes = encodeModel({ ...model, graph: { ...graph, output: [...(graph.output ?? []), ...more] } });
  return { kind: 'bytes', bytes, dataFolder: place.kind === 'bytes' ? place.dataFolder : dirname(place.path) };
}

function computed(graph: GraphProto | undefined): readonly string[] {
  return (graph?.node ?? []).flatMap(({ output = [] }) => output.filter((name) => name !== ''));
}

function bytesOf(place: ModelPlace): Uint8Array {
  return place.kind === 'bytes' ? place.bytes : readFileSync(place.path);
}
