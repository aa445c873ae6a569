/** Makes a found model ready to run: lowered in memory, its numbers left where they lie, random ones in a temporary folder. */

import { tmpdir } from 'node:os';
import { dirname } from 'node:path';
import type { Outcome } from '../diagnostics/diagnostic.ts';
import { constant } from '../graph/dim.ts';
import type { Graph, Node } from '../graph/graph.ts';
import { count } from '../graph/nd-array.ts';
import { bytesOf } from '../graph/type.ts';
import { isRearranged } from '../graph/views.ts';
import { exportModel } from '../onnx/export.ts';
import type { FunctionGraph } from '../onnx/functions.ts';
import { isPresent } from '../passes/cache-names.ts';
import { picksOf } from '../passes/set-picks.ts';
import type { Wish } from '../targets/mixture/choose.ts';
import { type Form, formFor, hasCache, lowerModel } from '../targets/pipeline.ts';
import type { Target } from '../targets/target.ts';
import type { Checkpoint } from '../weights/checkpoint.ts';
import { checkpointInfo } from './checkpoint-info.ts';
import type { Executable } from './executable.ts';
import { exportSettings } from './export-settings.ts';
import type { Found } from './find-model.ts';
import { inOneFolder, type PlaceOptions, placeWeights, planWeights } from './place-weights.ts';
import { temporaryFolder } from './temporary.ts';

/** How a model is made ready to run. */
export interface PrepareOptions extends PlaceOptions {
  readonly target: Target;
  /** How it is driven; what suits the model and the target where left out. `whole` runs it as written, without a cache. */
  readonly form?: Form;
  readonly version: string;
  /** Whether it also says how its mixtures route; it is then run in steps, not in a loop. */
  readonly stats?: boolean;
  /** How many experts a token picks, in place of what the author wrote; given when it runs where it is `'input'`. */
  readonly active?: number | 'input';
  /** How mixtures are lowered, in place of what costs least. */
  readonly lowering?: Wish;
  readonly dumpAfter?: (pass: string, graph: Graph) => void;
}

/** A vocabulary of this size without a tokenizer is bytes. */
const bytesInAll = 256;
/** Weights that do not lie in the checkpoint stand in the model up to this many bytes in all. */
const inlineAtMost = 1 << 26;

/** The model as something to open a session on. Its `dispose` removes what was made for it. */
export async function prepare(found: Found, options: PrepareOptions): Promise<Outcome<Executable>> {
  const { target, dumpAfter, active, lowering } = options;
  const facts = factsOf(found);
  if (!facts.ok) return facts;
  const usual = formFor(found.model.graph, target);
  const form = found.imported ? 'whole' : (options.form ?? (options.stats && usual === 'chunk' ? 'step' : usual));
  const isStep = found.imported && options.form !== 'whole' && hasCache(found.model.graph);
  const storage = found.checkpoint && liesTogether(found.checkpoint, found) ? 'checkpoint' : 'written';
  const lowered = await lowerModel(found.model.graph, {
    target,
    form,
    storage,
    ...(target.device && options.form === undefined ? { lastLogits: true } : {}),
    stats: options.stats ?? false,
    ...(found.imported ? { ports: 'kept' as const } : {}),
    ...(active === undefined ? {} : { active }),
    ...(lowering ? { lowering } : {}),
    ...(dumpAfter ? { dumpAfter } : {}),
  });
  if (!lowered.ok) return lowered;
  const { graph } = lowered.value;
  const plan = planWeights([graph], storage, found.checkpoint, storage === 'checkpoint' ? inlineAtMost : undefined);
  const temporary = plan.written.length > 0 ? temporaryFolder() : undefined;
  const dispose = (): void => temporary?.remove();
  const placed = await placeWeights(temporary?.path ?? '', plan, options);
  if (!placed.ok) {
    dispose();
    return placed;
  }
  const bytes = exportModel(graph, {
    ...exportSettings(found, target, graph),
    version: options.version,
    functions: found.imported?.functions ?? [],
    place: placed.value.place,
  });
  const picks = active === 'input' ? picksOf(found.model.graph) : undefined;
  const dataFolder = temporary?.path ?? dataFolderOf(plan.files, found.folder);
  return {
    ok: true,
    value: {
      ...facts.value,
      model: { kind: 'bytes', bytes, dataFolder },
      form: isStep ? 'step' : form === 'chunk' ? 'loop' : form,
      ...(picks ? { active: picks } : {}),
      ...(target.device ? { device: { kept: keptBy(graph) } } : {}),
      ...(hasFused(graph, found.imported?.functions) ? { fused: true as const } : {}),
      dispose,
    },
    diagnostics: lowered.diagnostics,
  };
}

/** Whether the numbers of a model lie in one folder of its checkpoint, or in itself where they are few. Rows in another order lie nowhere. */
function liesTogether(checkpoint: Checkpoint, { imported, model }: Found): boolean {
  if (model.graph.weights.some(({ source }) => isRearranged(source))) return false;
  if (!imported) return true;
  return inOneFolder(checkpoint) && model.graph.weights.every(({ source }) => source.kind === 'tensor' || count(source.dims) * bytesOf[source.dtype] < inlineAtMost);
}

/** The results that are fed back at the next step. */
function keptBy({ outputs }: Graph): readonly string[] {
  return outputs.filter(isPresent).map(({ name }) => name);
}

/** Whether mixtures are onnxruntime's operator, in the graphs inside and in functions too. */
export function hasFused({ nodes }: Graph, functions: readonly FunctionGraph[] = []): boolean {
  const isFused = ({ op, bodies = {} }: Node): boolean => /^onnx\.com\.microsoft\.Q?MoE$/.test(op.name) || Object.values(bodies).some((body) => hasFused(body));
  return nodes.some(isFused) || functions.some(({ graph }) => hasFused(graph));
}

/** What is known of a model beside its graph: where texts end, how long they may be, how they become tokens. */
export function factsOf({ model, folder, imported }: Found): Outcome<Omit<Executable, 'model' | 'form'>> {
  const { dims = [] } = model.graph.outputs.find(({ name }) => name === 'logits')?.value.type ?? {};
  // With two axes they are of classes, not of tokens.
  const width = dims.length === 3 ? dims[2] : undefined;
  const vocabulary = width && constant(width);
  const open = imported ? [...model.graph.inputs.filter(({ type }) => !type), ...model.graph.outputs.filter(({ value }) => !value.type)].map(({ name }) => name) : [];
  const known = { ...(vocabulary === undefined ? {} : { vocabulary }), ...(open.length > 0 ? { open } : {}) };
  if (folder === undefined) return { ok: true, value: { ...known, stop: [], tokenizer: vocabulary === bytesInAll ? { kind: 'bytes' } : undefined }, diagnostics: [] };
  const info = checkpointInfo(folder);
  if (!info.ok) return info;
  const { config: _, ...facts } = info.value;
  return { ok: true, value: { ...facts, ...known }, diagnostics: [] };
}

/** The folder that external data are found in. A checkpoint of symbolic links (a hub's cache) is read where they lead. */
function dataFolderOf(files: readonly string[], folder: string | undefined): string {
  const [first] = files;
  return first === undefined ? (folder ?? tmpdir()) : dirname(first);
}
