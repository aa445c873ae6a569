/** From a `.moe` file or a checkpoint folder to a checked model with its checkpoint. */

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { diagnose, type Outcome, refuse } from '../diagnostics/diagnostic.ts';
import { type BuildOptions, buildModel, describes, filesNamed, loadProgram, type Model, type NamedFile, type Program, type Reader } from '../model/index.ts';
import type { Imported } from '../onnx/import.ts';
import { findFeedForwards } from '../passes/feed-forwards.ts';
import type { Checkpoint } from '../weights/checkpoint.ts';
import { openCheckpoint } from '../weights/open.ts';
import { modelOfOnnx, raisedModel } from './find-onnx.ts';
import { isObject, readJson } from './json.ts';

/** What to look for, and how. */
export interface FindOptions {
  /** Reads sources; `std/` is the library's. */
  readonly reader: Reader;
  /** The folder of family files. */
  readonly zoo: string;
  /** The folder that names of sources are relative to; that of the process where left out. */
  readonly cwd?: string;
  /** The checkpoint for a `.moe` file. */
  readonly weights?: string;
  /** Which model of the file. */
  readonly model?: string;
  /** Params to override, as typed. */
  readonly set?: Readonly<Record<string, string>>;
  readonly seed?: number;
}

/** A checked model and where its numbers are. */
export interface Found {
  readonly model: Model;
  /** The file that describes it. */
  readonly source: string;
  readonly checkpoint?: Checkpoint;
  /** The checkpoint's folder, with its config and tokenizer. */
  readonly folder?: string;
  /** What else a model of ONNX says, where it is one; its graph is `model.graph`. It runs as it is written: nobody adds a cache to it. */
  readonly imported?: Omit<Imported, 'graph' | 'tensors'>;
}

/** Where a file lies that a declaration names: beside the file that the declaration stands in. */
function pathOfNamed({ path, span }: NamedFile, cwd = ''): string {
  return resolve(cwd, dirname(span.file), path);
}

/** Checks and builds a model of a `.moe` file: with the checkpoint of `weights` or the one that the file names, else with random numbers; from an ONNX file with what stands there. */
export function modelOfSource(file: string, options: FindOptions): Outcome<Found> {
  const program = loadProgram(file, options.reader);
  const { model, set, weights } = options;
  const named = filesNamed(program, { ...(model === undefined ? {} : { model }), ...(set ? { set } : {}) });
  const found = named.onnx ? modelOfNamedOnnx(program, named.onnx, named.weights, options) : modelWithWeights(program, weights === undefined ? named.weights : weights, options);
  if (!found.ok) return found;
  const missing = found.value.model.derivations.flatMap(({ files }) => files).filter((one) => !existsSync(pathOfNamed(one, options.cwd)));
  if (missing.length === 0) return found;
  found.value.checkpoint?.close();
  return refuse(...missing.map(({ path, span }) => diagnose('named-file-missing', { path }, { at: span })));
}

/** The configuration of the checkpoint that the models of a file name, which gives them their sizes; undefined where they name none that is there, or several. */
export function configNamed(program: Program, cwd?: string): unknown {
  const own = [...program.root.names].flatMap(([model, entry]) => (entry.kind === 'model' && entry.module === program.root ? [model] : []));
  const named = own.flatMap((model) => filesNamed(program, { model }).weights ?? []);
  const [only, ...others] = new Set(named.map((one) => join(pathOfNamed(one, cwd), 'config.json')));
  const read = only !== undefined && others.length === 0 && existsSync(only) ? readJson(only) : undefined;
  return read?.ok ? read.value : undefined;
}

/** A model whose graph is that of an ONNX file. */
function modelOfNamedOnnx(program: Program, named: NamedFile, weights: NamedFile | undefined, options: FindOptions): Outcome<Found> {
  if (weights || options.weights !== undefined) return refuse(diagnose('onnx-brings-weights', { file: named.path }, { ...(weights ? { at: weights.span } : {}) }));
  const path = pathOfNamed(named, options.cwd);
  if (!existsSync(path)) return refuse(diagnose('named-file-missing', { path: named.path }, { at: named.span }));
  const read = modelOfOnnx(path, {}, named.path);
  if (!read.ok) return read;
  const raised = raisedModel(read.value);
  const { graph } = raised.model;
  const places = findFeedForwards(graph).found.map((one) => one.path);
  const built = build(program, { ...options, imported: { graph, places } }, undefined, read.value.checkpoint, undefined);
  const diagnostics = [...read.diagnostics, ...built.diagnostics];
  if (built.ok) return { ok: true, value: { ...raised, model: built.value.model, source: built.value.source }, diagnostics };
  read.value.checkpoint?.close();
  return { ok: false, diagnostics };
}

/** A model with the checkpoint at a path, or that a declaration names. */
function modelWithWeights(program: Program, given: string | NamedFile | undefined, options: FindOptions): Outcome<Found> {
  if (given === undefined) return build(program, options, undefined, undefined, undefined);
  const weights = typeof given === 'string' ? given : pathOfNamed(given, options.cwd);
  if (!existsSync(weights))
    return refuse(typeof given === 'string' ? diagnose('weights-missing', { path: given }) : diagnose('weights-missing', { path: given.path }, { at: given.span }));
  const folder = statSync(weights).isDirectory() ? resolve(weights) : undefined;
  const config = folder !== undefined && existsSync(join(folder, 'config.json')) ? readConfig(folder) : undefined;
  if (config && !config.ok) return config;
  const opened = openCheckpoint(weights);
  if (!opened.ok) return opened;
  const built = build(program, options, config?.value, opened.value, folder);
  if (!built.ok) opened.value.close();
  return built;
}

/** Finds the family of a checkpoint folder in the zoo, checks it and builds it. */
export function modelOfCheckpoint(folder: string, options: FindOptions): Outcome<Found> {
  const config = readConfig(folder);
  if (!config.ok) return config;
  const opened = openCheckpoint(folder);
  if (!opened.ok) return opened;
  const families = findFamilies(folder, config.value, options);
  const outcomes = families.ok ? families.value.map(({ program, name }) => build(program, { ...options, model: name }, config.value, opened.value, resolve(folder))) : [];
  const chosen = families.ok ? choose(folder, outcomes) : families;
  if (!chosen.ok) opened.value.close();
  return chosen;
}

/** Of models that all describe a config, the one whose tensors are there. */
function choose(folder: string, outcomes: readonly Outcome<Found>[]): Outcome<Found> {
  const built = outcomes.filter((outcome) => outcome.ok);
  const [only, ...others] = built;
  if (!only) return outcomes[0] ?? refuse();
  if (others.length > 0)
    return refuse(diagnose('family-ambiguous', { path: folder, models: built.map(({ value: { model, source } }) => `${model.name} of ${source}`).join(' and ') }));
  return only;
}

function build(
  program: Program,
  options: FindOptions & Pick<BuildOptions, 'imported'>,
  config: unknown,
  checkpoint: Checkpoint | undefined,
  folder: string | undefined,
): Outcome<Found> {
  const built = buildModel(program, {
    ...(options.model === undefined ? {} : { model: options.model }),
    ...(config === undefined ? {} : { config }),
    ...(options.set ? { set: options.set } : {}),
    ...(options.imported ? { imported: options.imported } : {}),
    ...(checkpoint ? { tensors: checkpoint.tensors } : {}),
    seed: options.seed ?? 0,
  });
  const failed = built.diagnostics.some(({ severity }) => severity === 'error');
  if (failed || !built.model) return { ok: false, diagnostics: built.diagnostics };
  const found: Found = { model: built.model, source: program.root.file, ...(checkpoint ? { checkpoint } : {}), ...(folder === undefined ? {} : { folder }) };
  return { ok: true, value: found, diagnostics: built.diagnostics };
}

interface Family {
  readonly program: Program;
  readonly name: string;
}

/** The models of the zoo that describe a config, or a diagnostic that says which were tried and why they are not meant. */
function findFamilies(path: string, config: unknown, { zoo, reader, model }: FindOptions): Outcome<readonly Family[]> {
  const type = modelType(config);
  const quoted = JSON.stringify(type);
  const files = readdirSync(zoo)
    .filter((name) => name.endsWith('.moe'))
    .sort();
  const candidates = files.map((name) => join(zoo, name)).filter((file) => type !== undefined && readFileSync(file, 'utf8').includes(quoted));
  const described = candidates.flatMap((file) => {
    const program = loadProgram(file, reader);
    return describes(program, config).map((one) => ({ ...one, program, file }));
  });
  const holding = described.filter((one) => one.holds && (model === undefined || one.model === model));
  if (holding.length > 0) return { ok: true, value: holding.map(({ program, model: name }) => ({ program, name })), diagnostics: [] };
  if (described.length === 0)
    return refuse(diagnose('family-unknown', { path, type: type ?? 'no model_type' }, { notes: [`families here: ${files.map((name) => name.replace('.moe', '')).join(', ')}`] }));
  const notes = described.flatMap((one) => one.refused.map(({ message, notes: why }) => [`${one.model}: ${message}`, ...why].join(', ')));
  return refuse(diagnose('family-refuses', { path, files: [...new Set(described.map(({ file }) => file))].join(', ') }, { notes }));
}

function modelType(config: unknown): string | undefined {
  if (typeof config !== 'object' || config === null || !('model_type' in config)) return undefined;
  return typeof config.model_type === 'string' ? config.model_type : undefined;
}

function readConfig(folder: string): Outcome<unknown> {
  const file = join(folder, 'config.json');
  try {
    const parsed: unknown = JSON.parse(readFileSync(file, 'utf8'));
    if (!isObject(parsed)) return refuse(diagnose('config-unreadable', { file, reason: 'it is not an object' }));
    return { ok: true, value: parsed, diagnostics: [] };
  } catch (error) {
    return refuse(diagnose('config-unreadable', { file, reason: error instanceof Error ? error.message : String(error) }));
  }
}
