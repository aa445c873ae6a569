/** `Compute` for the graphs of a model: lowered for onnxruntime, their numbers in the checkpoint where they lie there together. */

import { dirname } from 'node:path';
import { Bug } from '../diagnostics/bug.ts';
import type { Graph } from '../graph/graph.ts';
import { exportModel } from '../onnx/export.ts';
import { ort } from '../targets/ort.ts';
import { lowerModel } from '../targets/pipeline.ts';
import { type SessionCompute, sessionCompute } from './compute.ts';
import type { Found } from './find-model.ts';
import { inOneFolder, placeWeights, planWeights } from './place-weights.ts';
import type { SessionOptions } from './session.ts';

/** Runs parts of a model: their weights lie in its checkpoint, or come from a seed where there is none; functions are those of its file, where it is one of ONNX. */
export function graphCompute(found: PartOf, options: SessionOptions = {}): SessionCompute {
  const file = [...(found.checkpoint?.tensors.values() ?? [])][0]?.file;
  return sessionCompute({ toModel: (graph) => modelOf(graph, found), ...(file === undefined ? {} : { dataFolder: dirname(file) }), ...options });
}

/** What parts of a model have from the whole. */
export type PartOf = Pick<Found, 'checkpoint' | 'imported'>;

/** A model of ONNX whose weights stand in it, or in the checkpoint's files. */
async function modelOf(graph: Graph, { checkpoint, imported }: PartOf): Promise<Uint8Array> {
  const storage = checkpoint && inOneFolder(checkpoint) ? 'checkpoint' : 'written';
  const lowered = await lowerModel(graph, { target: ort, form: 'whole', storage });
  if (!lowered.ok) throw new Bug(`${graph.name} cannot be lowered`, lowered.diagnostics.map(({ message }) => message).join('\n'));
  const plan = planWeights([lowered.value.graph], storage, checkpoint, Number.POSITIVE_INFINITY);
  const placed = await placeWeights('', plan);
  if (!placed.ok) throw new Bug(`the weights of ${graph.name} cannot be placed`);
  const versions = { opset: Math.max(ort.opset, imported?.opset ?? 0), ir: Math.max(ort.ir, imported?.ir ?? 0), domains: { ...ort.domains, ...imported?.domains } };
  return exportModel(lowered.value.graph, { ...versions, version: '', functions: imported?.functions ?? [], place: placed.value.place });
}
