/** What all commands that take a model share: the options that say which model is meant, and finding it. */

import { basename, dirname, join, resolve } from 'node:path';
import type { Command } from 'commander';
import { InvalidArgumentError, Option } from 'commander';
import { Bug } from '../diagnostics/bug.ts';
import { type Diagnostic, diagnose, type Outcome } from '../diagnostics/diagnostic.ts';
import { optionOf } from '../diagnostics/option.ts';
import type { Graph } from '../graph/graph.ts';
import type { Found } from '../run/find-model.ts';
import type { Wish } from '../targets/mixture/choose.ts';
import { type Target as Lowering, loweringNames } from '../targets/target.ts';
import { setting, whole } from './command.ts';
import { Refusal, WrongCall } from './exit.ts';
import { packageFolder } from './package.ts';
import { noPass } from './passes.ts';
import type { OutputOptions } from './print.ts';
import { progress } from './progress.ts';
import { type FileReader, fileReader, nameOf } from './read.ts';
import { resolveTarget, type Target } from './target.ts';
import type { Terminal } from './terminal.ts';

/** Which model is meant. */
export interface FindingOptions {
  readonly weights?: string;
  readonly model?: string;
  readonly set?: Readonly<Record<string, string>>;
  readonly seed?: number;
  /** What it will be lowered for; a model of ONNX is lifted to its operators. */
  readonly target?: string;
}

/** Adds the options of `FindingOptions` to a command. */
export function addFindingOptions(command: Command): Command {
  return command
    .option('--weights <PATH>', 'the checkpoint for a .moe file: a folder or a .safetensors file')
    .option('--model <NAME>', 'which model of the file')
    .option('--set <NAME=VALUE>', 'give a param another value; may be repeated', setting);
}

/** The option that picks a target. */
export function targetOption(): Option {
  return new Option('--target <TARGET>', 'what the graph is for').choices(['ort', 'portable', 'webgpu']).default('ort');
}

/** The option that picks the lowering of mixtures. */
export function loweringOption(): Option {
  return new Option('--lowering <NAME>', `how mixtures are lowered: ${loweringNames.join(', ')}; or two, for few tokens and for many (default: what costs least)`).argParser(
    wishOf,
  );
}

function wishOf(written: string): Wish {
  const names = written.split(',').map((one) => loweringNames.find((name) => name === one.trim()));
  const [few, many = few, ...others] = names;
  if (!few || !many || names.includes(undefined) || others.length > 0)
    throw new InvalidArgumentError(`It is one of ${loweringNames.join(', ')}, or two of them with a comma between.`);
  return { few, many };
}

/** The option that seeds random numbers. */
export function seedOption(words = 'for the random numbers of weights without a checkpoint'): Option {
  return new Option('--seed <N>', words).default(0).argParser(whole(0));
}

/** The target of that name. */
export async function loweringOf(name: string): Promise<Lowering> {
  const { targets } = await import('../targets/index.ts');
  const found = targets.get(name);
  if (!found) throw new Bug(`no target ${name}`);
  return found;
}

/** The recognised target of a path, or a refusal. */
export function recognise(terminal: Terminal, path: string): Target {
  const target = resolveTarget(terminal.cwd, path);
  if ('kind' in target) return target;
  throw new Refusal(target);
}

/** Options of models that are written down. */
const ofSources = ['weights', 'model', 'set'] as const;
/** Options of models that are lowered here. */
const ofLowering = ['lowering', 'dumpAfter'] as const;

/** Refuses an option that would say nothing of any of these targets. */
export function refuseIdle(targets: readonly Target[], options: Readonly<Partial<Record<(typeof ofSources)[number] | (typeof ofLowering)[number], unknown>>>): void {
  const isOnly = (...kinds: readonly Target['kind'][]): boolean => targets.every(({ kind }) => kinds.includes(kind));
  const idle = [...(isOnly('compiled', 'onnx') ? ofSources : []), ...(isOnly('compiled') ? ofLowering : [])].find((name) => options[name] !== undefined);
  if (idle === undefined) return;
  throw saysNothing(idle, isOnly('compiled') ? 'what is compiled already' : 'a model of ONNX');
}

/** The wrong call of an option, by its name in the code, that would say nothing of what is meant. */
export function saysNothing(name: string, of: string): WrongCall {
  return new WrongCall(`error: option '${optionOf(name)}' says nothing of ${of}`);
}

/** A name for what is made of a target: `llama` of `models/llama.moe`. */
export function nameOfTarget(target: Target): string {
  return 'file' in target ? basename(target.file).replace(/\.(moe|onnx)$/, '') : basename(target.folder);
}

/** A model with what was read for it and what is said of it. */
export interface Finding {
  readonly found: Found;
  readonly reader: FileReader;
  readonly diagnostics: readonly Diagnostic[];
  /** Absolute paths of the files that the model is made of. */
  readonly read: readonly string[];
}

/** The model of a source, a checkpoint or a file of ONNX, checked and built; a refusal with its diagnostics where it is not. */
export async function findOrRefuse(terminal: Terminal, target: Exclude<Target, { kind: 'compiled' }>, options: FindingOptions & OutputOptions): Promise<Finding> {
  const { modelOfCheckpoint, modelOfSource } = await import('../run/find-model.ts');
  const reader = fileReader(terminal);
  if (target.kind === 'onnx') {
    const { modelOfOnnx } = await import('../run/find-onnx.ts');
    const { opset } = await loweringOf(options.target ?? 'ort');
    const outcome = modelOfOnnx(target.file, { opset }, nameOf(terminal.cwd, target.file));
    if (!outcome.ok) throw new Refusal(...outcome.diagnostics);
    return { found: outcome.value, reader, diagnostics: outcome.diagnostics, read: [target.file, ...filesOfTensors(outcome.value)] };
  }
  const given = {
    reader,
    zoo: join(packageFolder(), 'models'),
    cwd: terminal.cwd,
    ...(options.weights === undefined ? {} : { weights: resolve(terminal.cwd, options.weights) }),
    ...(options.model === undefined ? {} : { model: options.model }),
    ...(options.set ? { set: options.set } : {}),
    ...(options.seed === undefined ? {} : { seed: options.seed }),
  };
  const outcome = target.kind === 'source' ? modelOfSource(nameOf(terminal.cwd, target.file), given) : modelOfCheckpoint(target.folder, given);
  if (!outcome.ok) throw new Refusal(...outcome.diagnostics).from(reader.sources);
  const derived = await derive(terminal, outcome.value, options);
  if (!derived.ok) throw new Refusal(...derived.diagnostics).from(reader.sources);
  const named = outcome.value.model.derivations.flatMap(({ files }) => files).map(({ path, span }) => join(dirname(span.file), path));
  const read = [...[...reader.files(), ...named].map((file) => resolve(terminal.cwd, file)), ...filesOfTensors(outcome.value)];
  return { found: derived.value, reader, diagnostics: [...outcome.diagnostics, ...derived.diagnostics], read };
}

const filesOfTensors = ({ checkpoint }: Found): readonly string[] => [...new Set([...(checkpoint?.tensors.values() ?? [])].map(({ file }) => file))];

/** The model after what was done to it, which may take calibration. */
async function derive(terminal: Terminal, found: Found, options: OutputOptions): Promise<Outcome<Found>> {
  if (found.model.derivations.length === 0) return { ok: true, value: found, diagnostics: [] };
  const { deriveModel } = await import('../run/derive-model.ts');
  const bar = progress(terminal, 'making experts', options);
  const derived = await deriveModel(found, { cwd: terminal.cwd, progress: bar.at }).finally(bar.end);
  if (!derived.ok) found.checkpoint?.close();
  return derived;
}

/** What prints the graph after one pass. */
export interface Dumper {
  /** For the options of what runs passes. */
  readonly option: { readonly dumpAfter?: (pass: string, graph: Graph) => void };
  /** Says, once all passes have run, that the one which was meant was not among them. */
  missed(): readonly Diagnostic[];
}

/** Prints the graph after the pass that `--dump-after` names; a wrong call where there is no such pass. */
export async function dumper(terminal: Terminal, wanted: string | undefined): Promise<Dumper> {
  if (wanted === undefined) return { option: {}, missed: () => [] };
  const { passes } = await import('../passes/index.ts');
  if (wanted !== 'lower' && !passes.has(wanted)) throw new WrongCall(noPass(wanted, [...passes.keys(), 'lower']));
  const { printGraph } = await import('../graph/text.ts');
  let met = false;
  const dumpAfter = (pass: string, graph: Graph): void => {
    if (pass !== wanted) return;
    met = true;
    terminal.out(printGraph(graph, { longest: 16 }));
  };
  return { option: { dumpAfter }, missed: () => (met ? [] : [diagnose('pass-not-run', { name: wanted })]) };
}

/** The option that names a pass to print the graph after; a graph among JSON would be neither. */
export function dumpOption(words = 'print the graph after this pass (`moec passes` lists them)'): Option {
  return new Option('--dump-after <PASS>', words).conflicts('json');
}
