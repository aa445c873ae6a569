/** `Compute` for the graphs of a model: lowered for onnxruntime, their numbers in the checkpoint where they lie there together. */

import { dirname } from 'node:path';
import { Bug } from '../diagnostics/bug.ts';
import { diagnose, type Outcome, refuse } from '../diagnostics/diagnostic.ts';
import type { Graph } from '../graph/graph.ts';
import { exportModel } from '../onnx/export.ts';
import type { Sample } from '../passes/emergent/calibrate.ts';
import { NotFinite } from '../passes/emergent/layer.ts';
import { ort } from '../targets/ort.ts';
import { lowerModel } from '../targets/pipeline.ts';
import { type SessionCompute, Stopped, sessionCompute } from './compute.ts';
import type { Found } from './find-model.ts';
import { inOneFolder, placeWeights, planWeights } from './place-weights.ts';
import type { SessionOptions } from './session.ts';

/** Runs parts of a model: their weights lie in its checkpoint, or come from a seed where there is none; functions are those of its file, where it is one of ONNX. */
export function graphCompute(found: PartOf, options: SessionOptions = {}): SessionCompute {
  const file = [...(found.checkpoint?.tensors.values() ?? [])][0]?.file;
  return sessionCompute({ toModel: (graph) => modelOf(graph, found), ...(file === undefined ? {} : { dataFolder: dirname(file) }), ...options });
}

/**
 * Hands `work` a `Compute` for parts of a model and frees it after. Where a part stops, and the whole model stops on one of the samples
 * too, then these are wrong and the outcome says so.
 */
export async function withCompute<T>(
  found: Found,
  options: SessionOptions,
  samples: readonly Sample[],
  work: (compute: SessionCompute) => Promise<Outcome<T>>,
): Promise<Outcome<T>> {
  const compute = graphCompute(found, options);
  try {
    return await work(compute);
  } catch (error) {
    if (error instanceof NotFinite) return refuse(diagnose('weights-not-finite', { path: error.path }));
    const stopped = error instanceof Stopped && (await firstStop(found.model.graph, samples, compute));
    if (stopped) return { ok: false, diagnostics: stopped.diagnostics };
    throw error;
  } finally {
    await compute.close();
  }
}

async function firstStop(graph: Graph, samples: readonly Sample[], compute: SessionCompute): Promise<Stopped | undefined> {
  try {
    for (const { feeds } of samples) await compute.run(graph, feeds);
    return undefined;
  } catch (error) {
    if (error instanceof Stopped) return error;
    throw error;
  }
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
