/** Compiles a model into a folder that stands alone: graphs, data, the checkpoint's own small files, and `moec.json`. */

import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, linkSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Bug } from '../diagnostics/bug.ts';
import { type Diagnostic, diagnose, type Outcome } from '../diagnostics/diagnostic.ts';
import type { Graph, Value, Weight } from '../graph/graph.ts';
import { constant, show } from '../graph/dim.ts';
import { exportModel, type Placement } from '../onnx/export.ts';
import { copyFile } from '../onnx/external-data.ts';
import { decodes, type Form, lowerModel } from '../targets/pipeline.ts';
import type { Storage } from '../targets/store.ts';
import type { Target } from '../targets/target.ts';
import type { Executable } from './executable.ts';
import type { Found } from './find-model.ts';
import { generateName, type Manifest, manifestName } from './manifest.ts';
import { type PlaceOptions, placeWeights, planWeights, type WeightPlan } from './place-weights.ts';
import { factsOf } from './prepare.ts';
import type { Port } from './tensor.ts';

/** How the checkpoint's bytes get into the folder. */
export type Placing = 'written' | 'reflink' | 'link' | 'in-place';

export interface CompileSettings {
  readonly target: Target;
  /** Keep the model's own inputs and results, without a cache. */
  readonly whole: boolean;
  /** Write `generate.onnx` too: a whole generation in one run. */
  readonly generate: boolean;
  readonly placing: Placing;
  readonly version: string;
  readonly dumpAfter?: (pass: string, graph: Graph) => void;
}

/** What a compile will write. */
export interface CompilePlan {
  readonly found: Found;
  readonly settings: CompileSettings;
  readonly graphs: readonly { readonly file: string; readonly form: Form; readonly graph: Graph }[];
  readonly weights: WeightPlan;
  /** Small files of the checkpoint that loaders want beside the model. */
  readonly companions: readonly string[];
}

const companions = ['config.json', 'generation_config.json', 'tokenizer.json', 'tokenizer_config.json', 'special_tokens_map.json', 'added_tokens.json', 'vocab.txt', 'vocab.json', 'merges.txt', 'tokenizer.model', 'chat_template.jinja', 'preprocessor_config.json'];

/** Lowers the graphs and lays out the data; nothing is written. */
export async function planCompile(found: Found, settings: CompileSettings): Promise<Outcome<CompilePlan>> {
  const storage: Storage = settings.placing === 'written' || !found.checkpoint ? 'written' : 'checkpoint';
  const decoder = decodes(found.model.graph);
  const forms: { file: string; form: Form }[] = [{ file: 'model.onnx', form: decoder && !settings.whole ? 'step' : 'whole' }];
  if (settings.generate) forms.push({ file: generateName, form: 'loop' });
  const diagnostics: Diagnostic[] = [];
  if (settings.generate && !decoder) return { ok: false, diagnostics: [diagnose('cannot-generate', { reason: 'it has no causal attention' })] };
  const graphs: { file: string; form: Form; graph: Graph }[] = [];
  for (const { file, form } of forms) {
    const lowered = await lowerModel(found.model.graph, { target: settings.target, form, storage, ...(settings.dumpAfter ? { dumpAfter: settings.dumpAfter } : {}) });
    diagnostics.push(...lowered.diagnostics);
    if (!lowered.ok) return { ok: false, diagnostics };
    graphs.push({ file, form, graph: lowered.value.graph });
  }
  const weights = planWeights(graphs.map(({ graph }) => graph), storage, found.checkpoint);
  const { folder } = found;
  const present = folder === undefined ? [] : companions.filter((name) => existsSync(join(folder, name)));
  return { ok: true, value: { found, settings, graphs, weights, companions: present }, diagnostics };
}

/** One file of the folder: its size, and how it came there. */
export interface WrittenFile {
  readonly name: string;
  readonly bytes: number;
  readonly how: 'written' | 'copied' | 'cloned' | 'linked' | 'left in place';
  readonly sha256?: string;
}

/** Writes what was planned into `folder`, which exists and is the caller's to commit or discard. */
export async function writeCompiled(plan: CompilePlan, folder: string, options: PlaceOptions = {}): Promise<Outcome<readonly WrittenFile[]>> {
  const { found, settings } = plan;
  const facts = factsOf(found);
  if (!facts.ok) return facts;
  const placed = await placeWeights(folder, plan.weights, options);
  if (!placed.ok) return placed;
  const files: WrittenFile[] = placed.value.data ? [{ ...placed.value.data, how: 'written' }] : [];
  for (const file of plan.weights.files) files.push(bringFile(file, folder, settings.placing));
  for (const { file, graph } of plan.graphs) files.push(writeModel(graph, file, folder, plan, placed.value.place));
  if (settings.placing !== 'in-place') for (const name of plan.companions) files.push(copyCompanion(found.folder ?? '', name, folder));
  const manifest = `${JSON.stringify(manifestOf(plan, facts.value, files), undefined, 2)}\n`;
  writeFileSync(join(folder, manifestName), manifest);
  return { ok: true, value: [...files, { name: manifestName, bytes: Buffer.byteLength(manifest), how: 'written' }], diagnostics: [] };
}

function writeModel(graph: Graph, file: string, folder: string, { settings, found }: CompilePlan, place: (weight: Weight) => Placement): WrittenFile {
  const { target, version } = settings;
  const bytes = exportModel(graph, { opset: target.opset, ir: target.ir, domains: target.domains, version, place, ...(found.model.doc === undefined ? {} : { doc: found.model.doc }) });
  writeFileSync(join(folder, file), bytes);
  return { name: file, bytes: bytes.length, how: 'written', sha256: createHash('sha256').update(bytes).digest('hex') };
}

/** Gets a file of the checkpoint into the folder without copying its bytes, where it is not there already. */
function bringFile(file: string, folder: string, placing: Placing): WrittenFile {
  const name = basename(file);
  const bytes = statSync(file).size;
  if (placing === 'in-place') return { name, bytes, how: 'left in place' };
  if (placing === 'link') {
    linkSync(file, join(folder, name));
    return { name, bytes, how: 'linked' };
  }
  return { name, bytes, how: copyFile(file, join(folder, name)) };
}

function copyCompanion(from: string, name: string, folder: string): WrittenFile {
  copyFileSync(join(from, name), join(folder, name));
  const bytes = readFileSync(join(folder, name));
  return { name, bytes: bytes.length, how: 'copied', sha256: createHash('sha256').update(bytes).digest('hex') };
}

function manifestOf({ found, settings, graphs: [main] }: CompilePlan, facts: Omit<Executable, 'model' | 'form'>, files: readonly WrittenFile[]): Manifest {
  const { model } = found;
  return {
    moec: settings.version,
    model: model.name,
    source: basename(found.source),
    params: Object.fromEntries(model.params.map(({ name, value }) => [name, value])),
    target: settings.target.name,
    form: main?.form === 'step' ? 'step' : 'whole',
    ...(facts.context === undefined ? {} : { context: facts.context }),
    ...(facts.vocabulary === undefined ? {} : { vocabulary: facts.vocabulary }),
    tokenizer: facts.tokenizer === undefined ? null : facts.tokenizer.kind === 'bytes' ? 'bytes' : 'tokenizer.json',
    opset: settings.target.opset,
    files: files.map(({ name, bytes, sha256 }) => ({ name, bytes, ...(sha256 === undefined ? {} : { sha256 }) })),
    inputs: (main?.graph.inputs ?? []).map((value) => portOf(value.name, value)),
    outputs: (main?.graph.outputs ?? []).map(({ name, value }) => portOf(name, value)),
  };
}

function portOf(name: string, { type }: Value): Port {
  if (!type) throw new Bug(`${name} has no type`);
  return { name, dtype: type.dtype, dims: type.dims.map((dim) => constant(dim) ?? show(dim)) };
}
