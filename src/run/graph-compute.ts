/** `Compute` for the graphs of a model: lowered for onnxruntime, their numbers in the checkpoint where they lie there. */

import { dirname } from 'node:path';
import { Bug } from '../diagnostics/bug.ts';
import type { Graph } from '../graph/graph.ts';
import { exportModel } from '../onnx/export.ts';
import { ort } from '../targets/ort.ts';
import { lowerModel } from '../targets/pipeline.ts';
import type { Checkpoint } from '../weights/checkpoint.ts';
import { type SessionCompute, sessionCompute } from './compute.ts';
import { placeWeights, planWeights } from './place-weights.ts';
import type { SessionOptions } from './session.ts';

/** Runs parts of a model whose weights lie in `checkpoint`, or come from a seed where there is none. */
export function graphCompute(checkpoint: Checkpoint | undefined, options: SessionOptions = {}): SessionCompute {
  const file = [...(checkpoint?.tensors.values() ?? [])][0]?.file;
  return sessionCompute({ toModel: (graph) => modelOf(graph, checkpoint), ...(file === undefined ? {} : { dataFolder: dirname(file) }), ...options });
}

/** A model of ONNX whose weights stand in it, or in the checkpoint's files. */
async function modelOf(graph: Graph, checkpoint: Checkpoint | undefined): Promise<Uint8Array> {
  const storage = checkpoint ? 'checkpoint' : 'written';
  const lowered = await lowerModel(graph, { target: ort, form: 'whole', storage });
  if (!lowered.ok) throw new Bug(`${graph.name} cannot be lowered`, lowered.diagnostics.map(({ message }) => message).join('\n'));
  const plan = planWeights([lowered.value.graph], storage, checkpoint, Number.POSITIVE_INFINITY);
  const placed = await placeWeights('', plan);
  if (!placed.ok) throw new Bug(`the weights of ${graph.name} cannot be placed`);
  return exportModel(lowered.value.graph, { opset: ort.opset, ir: ort.ir, domains: ort.domains, version: '', place: placed.value.place });
}
