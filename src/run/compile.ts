/** Compiles a model into a folder that stands alone: graphs, data, the checkpoint's own small files, and `moec.json`. */

import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Bug } from '../diagnostics/bug.ts';
import { type Diagnostic, diagnose, type Outcome, refuse } from '../diagnostics/diagnostic.ts';
import type { Graph, Value, Weight } from '../graph/graph.ts';
import { exportModel, type Placement } from '../onnx/export.ts';
import { bringFile, writeWhole } from '../onnx/external-data.ts';
import { flatten } from '../onnx/flatten.ts';
import type { FunctionGraph } from '../onnx/functions.ts';
import { picksOf } from '../passes/set-picks.ts';
import { type Choice, spellWish, type Wish } from '../targets/mixture/choose.ts';
import { decodes, type Form, hasCache, loopFaults, lowerModel } from '../targets/pipeline.ts';
import type { Storage } from '../targets/store.ts';
import type { Target } from '../targets/target.ts';
import { unreadable } from '../weights/open.ts';
import type { Executable } from './executable.ts';
import { exportSettings, unrankedType } from './export-settings.ts';
import { reasonOf } from './faults.ts';
import type { Found } from './find-model.ts';
import { generateName, type Manifest, manifestName } from './manifest.ts';
import { dataFile, type PlaceOptions, placementOf, placeWeights, planWeights, type WeightPlan } from './place-weights.ts';
import { factsOf, hasFused } from './prepare.ts';
import { type Port, typedPort } from './tensor.ts';

/** How the checkpoint's bytes get into the folder. */
export type Placing = 'written' | 'reflink' | 'link' | 'in-place';

/** What a compile writes, and how. */
export interface CompileSettings {
  readonly target: Target;
  /** Keep the model's own inputs and results, without a cache. */
  readonly whole: boolean;
  /** Write `generate.onnx` too: a whole generation in one run. */
  readonly generate: boolean;
  /** Take the number of experts that a token picks as an input. */
  readonly active?: boolean;
  /** Add results that say how mixtures route. */
  readonly stats?: boolean;
  /** Write no functions, for importers that cannot read them: their bodies stand where they are called. */
  readonly flatten?: boolean;
  readonly placing: Placing;
  /** Further files of the folder. */
  readonly extras?: readonly { readonly name: string; write(file: string): void | Promise<void> }[];
  readonly version: string;
  /** How mixtures are lowered, in place of what costs least. */
  readonly lowering?: Wish;
  readonly dumpAfter?: (pass: string, graph: Graph) => void;
}

/** One graph of a compile, under the name of its file. */
export interface CompiledGraph {
  readonly file: string;
  readonly form: Form;
  readonly graph: Graph;
  /** What the graph calls. */
  readonly functions: readonly FunctionGraph[];
  /** How its mixtures are lowered. */
  readonly mixtures: readonly Choice[];
}

/** What a compile will write. */
export interface CompilePlan {
  readonly found: Found;
  readonly settings: CompileSettings;
  readonly graphs: readonly CompiledGraph[];
  /** How the first graph is driven: a model of ONNX may have a cache of its own. */
  readonly form: 'step' | 'whole';
  readonly weights: WeightPlan;
  /** Small files of the checkpoint that loaders want beside the model. */
  readonly companions: readonly string[];
}

const companions = [
  'config.json',
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'vocab.txt',
  'vocab.json',
  'merges.txt',
  'tokenizer.model',
  'chat_template.jinja',
  'preprocessor_config.json',
];

/** What keeps a model from having the graph that `generate` asks for, as far as it shows before anything is lowered. */
export function generateFaults({ imported, model: { graph } }: Pick<Found, 'imported' | 'model'>, target: Target): readonly Diagnostic[] {
  if (imported) return [diagnose('loop-needs-source', {})];
  if (!decodes(graph)) return [diagnose('cannot-generate', { reason: 'it has no causal attention' })];
  return [...loopFaults(graph, target)];
}

/** Lowers the graphs and lays out the data; nothing is written. */
export async function planCompile(found: Found, settings: CompileSettings): Promise<Outcome<CompilePlan>> {
  const storage: Storage = settings.placing === 'written' || !found.checkpoint ? 'written' : 'checkpoint';
  const decoder = !found.imported && decodes(found.model.graph);
  const main = decoder && !settings.whole ? 'step' : 'whole';
  const forms: { file: string; form: Form }[] = [{ file: 'model.onnx', form: main }];
  if (settings.generate) forms.push({ file: generateName, form: 'loop' });
  const diagnostics: Diagnostic[] = [];
  const faults = settings.generate ? generateFaults(found, settings.target) : [];
  if (faults.length > 0) return refuse(...faults);
  const graphs: CompiledGraph[] = [];
  for (const { file, form } of forms) {
    const lowered = await lowerModel(found.model.graph, {
      target: settings.target,
      form,
      storage,
      functions: true,
      stats: settings.stats ?? false,
      ...(found.imported ? { ports: 'kept' as const } : {}),
      ...(settings.active ? { active: 'input' as const } : {}),
      ...(settings.lowering ? { lowering: settings.lowering } : {}),
      ...(settings.dumpAfter ? { dumpAfter: settings.dumpAfter } : {}),
    });
    diagnostics.push(...lowered.diagnostics);
    if (!lowered.ok) return { ok: false, diagnostics };
    const { graph, mixtures } = lowered.value;
    const functions = [...lowered.value.functions, ...(found.imported?.functions ?? [])];
    const flat = settings.flatten || !settings.target.functions;
    graphs.push(flat ? { file, form, graph: flatten(graph, functions), functions: [], mixtures } : { file, form, graph, functions, mixtures });
  }
  const { opset } = exportSettings(found, settings.target);
  if (opset > settings.target.opset) diagnostics.push(diagnose('opset-kept', { file: found.source, opset, target: settings.target.name }));
  const weights = planWeights(
    graphs.map(({ graph }) => graph),
    storage,
    found.checkpoint,
  );
  const { folder } = found;
  const present = folder === undefined ? [] : companions.filter((name) => existsSync(join(folder, name)));
  const form = found.imported && hasCache(found.model.graph) ? 'step' : main;
  return { ok: true, value: { found, settings, graphs, form, weights, companions: present }, diagnostics };
}

/** One file of the folder: its size, and how it came there. */
export interface WrittenFile {
  readonly name: string;
  readonly bytes: number;
  readonly how: 'written' | 'copied' | 'cloned' | 'linked' | 'left in place';
  readonly sha256?: string;
}

/** What a digest takes in the manifest, where it is not known yet. */
const anyDigest = '0'.repeat(64);

/** The files that `writeCompiled` would give, with the sizes they would have. Nothing is written. */
export function filesOf(plan: CompilePlan): Outcome<readonly WrittenFile[]> {
  const { found, settings, weights } = plan;
  const facts = factsOf(found);
  if (!facts.ok) return facts;
  const place = placementOf(weights);
  const how = { written: 'cloned', reflink: 'cloned', link: 'linked', 'in-place': 'left in place' } as const;
  const files: WrittenFile[] = [
    ...(weights.written.length > 0 ? [{ name: dataFile, bytes: weights.layout.bytes, how: 'written', sha256: anyDigest } as const] : []),
    ...weights.files.map((file) => ({ name: basename(file), bytes: statSync(file).size, how: how[settings.placing] })),
    ...plan.graphs.map((one) => ({ name: one.file, bytes: encode(one, plan, place).length, how: 'written', sha256: anyDigest }) as const),
    ...copied(plan).map((name) => ({ name, bytes: statSync(join(found.folder ?? '', name)).size, how: 'copied', sha256: anyDigest }) as const),
  ];
  return { ok: true, value: [...files, { name: manifestName, bytes: encodeManifest(plan, facts.value, files).length, how: 'written' }], diagnostics: [] };
}

/** In place, the checkpoint's small files are there already. */
const copied = ({ settings, companions: present }: CompilePlan): readonly string[] => (settings.placing === 'in-place' ? [] : present);

/** Writes what was planned into `folder`, which exists and is the caller's to commit or discard. */
export async function writeCompiled(plan: CompilePlan, folder: string, options: PlaceOptions = {}): Promise<Outcome<readonly WrittenFile[]>> {
  const { found, settings } = plan;
  const facts = factsOf(found);
  if (!facts.ok) return facts;
  const placed = await placeWeights(folder, plan.weights, options);
  if (!placed.ok) return placed;
  const { place, data } = placed.value;
  const files: WrittenFile[] = data ? [{ ...data, how: 'written' }] : [];
  const steps: readonly (() => Promise<Outcome<WrittenFile>>)[] = [
    ...plan.weights.files.map((file) => () => bring(file, folder, settings.placing)),
    ...plan.graphs.map((one) => () => write(join(folder, one.file), encode(one, plan, place))),
    ...copied(plan).map((name) => () => copy(join(found.folder ?? '', name), join(folder, name))),
    ...(settings.extras ?? []).map((extra) => () => writeExtra(extra, folder)),
    () => write(join(folder, manifestName), encodeManifest(plan, facts.value, files)),
  ];
  for (const step of steps) {
    const written = await step();
    if (!written.ok) return written;
    files.push(written.value);
  }
  return { ok: true, value: files, diagnostics: [] };
}

function encode({ graph, functions }: CompiledGraph, { settings, found }: CompilePlan, place: (weight: Weight) => Placement): Uint8Array {
  const { target, version } = settings;
  return exportModel(graph, {
    ...exportSettings(found, target, graph),
    version,
    place,
    functions,
    ...(found.model.doc === undefined ? {} : { doc: found.model.doc }),
  });
}

async function write(file: string, bytes: Uint8Array, how: WrittenFile['how'] = 'written'): Promise<Outcome<WrittenFile>> {
  const written = await writeWhole(file, [bytes]);
  return written.ok ? { ok: true, value: { name: basename(file), ...written.value, how }, diagnostics: [] } : written;
}

async function writeExtra({ name, write: make }: NonNullable<CompileSettings['extras']>[number], folder: string): Promise<Outcome<WrittenFile>> {
  const file = join(folder, name);
  try {
    await make(file);
  } catch (error) {
    return { ok: false, diagnostics: [diagnose('cannot-write', { file: name, reason: reasonOf(error) })] };
  }
  const content = readFileSync(file);
  return { ok: true, value: { name, bytes: content.length, sha256: createHash('sha256').update(content).digest('hex'), how: 'written' }, diagnostics: [] };
}

async function copy(from: string, to: string): Promise<Outcome<WrittenFile>> {
  let content: Uint8Array;
  try {
    content = readFileSync(from);
  } catch (error) {
    return refuse(unreadable(from, error));
  }
  return write(to, content, 'copied');
}

/** Gets a file of the checkpoint into the folder without writing its bytes again, where it is not there already. */
async function bring(file: string, folder: string, placing: Placing): Promise<Outcome<WrittenFile>> {
  const about = { name: basename(file), bytes: statSync(file).size };
  if (placing === 'in-place') return { ok: true, value: { ...about, how: 'left in place' }, diagnostics: [] };
  const brought = bringFile(file, join(folder, about.name), placing === 'link' ? 'link' : 'copy');
  return brought.ok ? { ok: true, value: { ...about, how: brought.value }, diagnostics: [] } : brought;
}

function encodeManifest(...about: Parameters<typeof manifestOf>): Uint8Array {
  return Buffer.from(`${JSON.stringify(manifestOf(...about), undefined, 2)}\n`);
}

function manifestOf({ found, settings, graphs: [main], form }: CompilePlan, facts: Omit<Executable, 'model' | 'form'>, files: readonly WrittenFile[]): Manifest {
  const { model } = found;
  const picks = picksOf(model.graph);
  return {
    moec: settings.version,
    model: model.name,
    source: basename(found.source),
    params: Object.fromEntries(model.params.map(({ name, value }) => [name, value])),
    target: settings.target.name,
    form,
    ...(facts.context === undefined ? {} : { context: facts.context }),
    ...(facts.vocabulary === undefined ? {} : { vocabulary: facts.vocabulary }),
    ...(settings.active && picks ? { active: picks } : {}),
    tokenizer: facts.tokenizer === undefined ? null : facts.tokenizer.kind === 'bytes' ? 'bytes' : 'tokenizer.json',
    opset: exportSettings(found, settings.target).opset,
    ...(main && main.mixtures.length > 0 ? { lowerings: Object.fromEntries(main.mixtures.map((one) => [one.path, spellWish(one)])) } : {}),
    ...(main && hasFused(main.graph, main.functions) ? { fused: true } : {}),
    files: files.map(({ name, bytes, sha256, how }) => ({ name, bytes, ...(sha256 === undefined ? {} : { sha256 }), ...(how === 'left in place' ? { inPlace: true } : {}) })),
    inputs: (main?.graph.inputs ?? []).map((value) => portOf(value.name, value, found)),
    outputs: (main?.graph.outputs ?? []).map(({ name, value }) => portOf(name, value, found)),
  };
}

function portOf(name: string, value: Value, found: Found): Port {
  const type = value.type ?? found.model.graph.outputs.find((output) => output.name === name)?.value.type;
  if (type) return typedPort(name, type);
  const dtype = unrankedType(found, name);
  if (!dtype) throw new Bug(`${name} has no type`);
  return { name, dtype, dims: [], open: true };
}
