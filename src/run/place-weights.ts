/** Where the numbers of a compiled model lie: in the checkpoint's own files, in one file written for it, or in the model itself. */

import { basename, dirname } from 'node:path';
import { Bug } from '../diagnostics/bug.ts';
import type { Outcome } from '../diagnostics/diagnostic.ts';
import type { Graph, Weight } from '../graph/graph.ts';
import { count } from '../graph/nd-array.ts';
import { bytesOf } from '../graph/type.ts';
import type { Placement } from '../onnx/export.ts';
import { type Layout, layOut, writeData } from '../onnx/external-data.ts';
import { expertSource } from '../passes/expert-weights.ts';
import { keyOf, liesInFile, type Storage } from '../targets/store.ts';
import type { Checkpoint } from '../weights/checkpoint.ts';
import { located, sourceBytes } from '../weights/source.ts';

/** The name of the data file a compile writes. */
export const dataFile = 'model.onnx.data';

/** Every tensor of the data file begins at a multiple of this many bytes, a page of most systems. */
const alignment = 4096;

/** What lies where: some of it in the checkpoint, some to be written, small ones in the model. */
export interface WeightPlan {
  readonly storage: Storage;
  readonly checkpoint: Checkpoint | undefined;
  /** Weights of the data file, each once. */
  readonly written: readonly Weight[];
  /** Where those lie in the data file, and its length. */
  readonly layout: Layout;
  /** Files of the checkpoint that are pointed into. */
  readonly files: readonly string[];
}

/** Whether all tensors of a checkpoint lie in one folder: a session looks for external data in one, by the names of files alone. */
export function inOneFolder({ tensors }: Checkpoint): boolean {
  return new Set([...tensors.values()].map(({ file }) => dirname(file))).size <= 1;
}

/** Sorts the weights of some graphs. Those of fewer than `inlineBelow` bytes that do not lie in the checkpoint stand in the model. */
export function planWeights(graphs: readonly Graph[], storage: Storage, checkpoint: Checkpoint | undefined, inlineBelow = 1024): WeightPlan {
  const written = new Map<string, Weight>();
  const files = new Set<string>();
  for (const weight of graphs.flatMap(allWeights)) {
    const place = inCheckpoint(weight, storage, checkpoint);
    if (place) files.add(place.file);
    else if (bytesOfWeight(weight) >= inlineBelow) written.set(identity(weight), weight);
  }
  const inside = rowsInside(written);
  const list = [...written.values()].filter((weight) => !inside.has(identity(weight)));
  const items = list.map((weight) => ({ key: identity(weight), length: bytesOfWeight(weight) }));
  const { placements, bytes } = layOut(items, dataFile, alignment);
  const rows = [...inside].flatMap(([key, { stack, offset, length }]) => {
    const whole = placements.get(stack);
    return whole ? [[key, { ...whole, offset: whole.offset + offset, length }] as const] : [];
  });
  return { storage, checkpoint, written: list, layout: { placements: new Map([...placements, ...rows]), bytes }, files: [...files] };
}

/** Where the matrix of one expert is a row of a stack that is written too: its bytes are those of the row. */
function rowsInside(written: ReadonlyMap<string, Weight>): ReadonlyMap<string, { readonly stack: string; readonly offset: number; readonly length: number }> {
  const inside = new Map<string, { readonly stack: string; readonly offset: number; readonly length: number }>();
  for (const [stack, weight] of written) {
    const [count = 0, ...rest] = weight.source.dims;
    if (rest.length < 2 || inside.has(stack)) continue;
    const length = bytesOfWeight(weight) / count;
    for (let e = 0; e < count; e++) {
      const key = keyOf(expertSource(weight.source, e));
      if (key !== stack && written.has(key)) inside.set(key, { stack, offset: e * length, length });
    }
  }
  return inside;
}

/** How a wait is ended, and who is told of its progress. */
export interface PlaceOptions {
  readonly signal?: AbortSignal;
  readonly progress?: (done: number, total: number) => void;
}

/** Where each weight lies, once the data file is written. */
export interface Placed {
  place(weight: Weight): Placement;
  /** The data file, where there is one. */
  readonly data?: { readonly name: string; readonly bytes: number; readonly sha256: string };
}

/** Writes the data file where the plan has one, and answers where each weight lies. */
export async function placeWeights(folder: string, plan: WeightPlan, options: PlaceOptions = {}): Promise<Outcome<Placed>> {
  const items = plan.written.map((weight) => ({ key: identity(weight), bytes: sourceBytes(weight.source, plan.checkpoint), length: bytesOfWeight(weight) }));
  const data = items.length === 0 ? undefined : await writeData(folder, dataFile, items, { align: alignment, ...options });
  if (data && !data.ok) return data;
  return { ok: true, value: { place: placementOf(plan), ...(data ? { data: { name: dataFile, bytes: data.value.bytes, sha256: data.value.sha256 } } : {}) }, diagnostics: [] };
}

/** Answers where each weight of a plan lies, before or after its data file is written. */
export function placementOf({ storage, checkpoint, layout }: WeightPlan): (weight: Weight) => Placement {
  return (weight) => {
    const known = layout.placements.get(identity(weight));
    if (known) return known;
    const lies = inCheckpoint(weight, storage, checkpoint);
    if (lies) return { kind: 'external', location: basename(lies.file), offset: lies.offset, length: lies.length };
    return { kind: 'inline', bytes: gather(sourceBytes(weight.source, checkpoint), bytesOfWeight(weight)) };
  };
}

/** The weights of a graph and of the graphs inside it. */
function allWeights(graph: Graph): readonly Weight[] {
  return [...graph.weights, ...graph.nodes.flatMap(({ bodies = {} }) => Object.values(bodies).flatMap(allWeights))];
}

function inCheckpoint({ source }: Weight, storage: Storage, checkpoint: Checkpoint | undefined): ReturnType<typeof located> {
  return storage === 'checkpoint' && checkpoint && liesInFile(source) ? located(source, checkpoint) : undefined;
}

function bytesOfWeight({ source }: Weight): number {
  return count(source.dims) * bytesOf[source.dtype];
}

const identity = (weight: Weight): string => keyOf(weight.source);

function gather(pieces: Iterable<Uint8Array>, size: number): Uint8Array {
  const whole = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  if (at !== size) throw new Bug(`${at} bytes where ${size} were planned`);
  return whole;
}
