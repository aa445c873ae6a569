/** The two ways to a model: checked with its defaults, or built for a checkpoint. */

import type { ModelDecl } from '../../grammar/ast.ts';
import { syntax } from '../diagnostics/catalog/syntax.ts';
import type { Diagnostic } from '../diagnostics/diagnostic.ts';
import type { Graph } from '../graph/graph.ts';
import { isPlain, numberOf } from './arithmetic.ts';
import { type Bindings, bindWeights } from './bind.ts';
import { boundSource, randomSource, unreadTensors } from './bound-source.ts';
import { buildForward, finishGraph, type Skeleton } from './build.ts';
import { type Chain, chainOf, weightsNamed } from './chain.ts';
import { checkUnreached, warnUnused } from './check-layer.ts';
import { checkMixtures } from './check-mixtures.ts';
import { chooseModel } from './choose-model.ts';
import { unreadKeys } from './config.ts';
import { type Context, fault, moduleEnv, newContext, type ResolvedParam } from './context.ts';
import type { Base, Derivation, NamedFile } from './derivation.ts';
import { checkDerived, checkWords, derivationsOf, modelGround, refuseUnbuilt } from './derive.ts';
import { familiesOf } from './family.ts';
import { bodyOf, instantiate } from './instantiate.ts';
import { type Misfit, reportMisfits } from './misfits.ts';
import { checkSettings, resolveParam } from './params.ts';
import { type LayerNode, type Placement, placeWeights } from './paths.ts';
import type { Module, Program } from './program.ts';
import { refusalsLeft } from './require.ts';
import type { TensorHeader } from './source.ts';
import type { Constant, Instance, WeightThing } from './thing.ts';
import { checkTraining } from './train.ts';
import { reportUnbound } from './unbound.ts';

/** A model with everything known: what the later stages compile. */
export interface Model {
  readonly name: string;
  /** The model types of checkpoints it is for. */
  readonly families: readonly string[];
  readonly doc?: string;
  readonly graph: Graph;
  readonly params: readonly Param[];
  /** Every layer, by path, with the weights it owns; of an ONNX file, nothing. */
  readonly layers: LayerNode;
  /** What the graph is: that of the base, whatever the derivations. */
  readonly base: Base;
  /** What is to be done to the graph, in this order. */
  readonly derivations: readonly Derivation[];
  /** The checkpoint that the file itself names, where it does. */
  readonly weightsFrom?: NamedFile;
}

/** A param with its value and where that came from. */
export interface Param {
  readonly name: string;
  readonly value: Plain;
  readonly from: ResolvedParam['from'];
  /** The key of the config that decided. */
  readonly key?: string;
  readonly doc?: string;
}

/** A constant as JSON has it; what is not finite is a word. */
export type Plain = number | boolean | string | readonly Plain[];

/** How a program is checked. */
export interface CheckOptions {
  readonly set?: Readonly<Record<string, string>>;
  readonly config?: unknown;
}

/** How a model is built. */
export interface BuildOptions extends CheckOptions {
  /** The model of the file; the only one where left out. */
  readonly model?: string;
  /** The headers of the checkpoint; without them the numbers are random. */
  readonly tensors?: ReadonlyMap<string, TensorHeader>;
  readonly seed?: number;
  /** For a model that is derived from an ONNX file: that file, with the paths of the feed-forwards found in it. */
  readonly imported?: { readonly graph: Graph; readonly places: readonly string[] };
}

/** Checks every model with the values at hand, and every layer that no model contains for any sizes. */
export function checkProgram(program: Program, options: CheckOptions = {}): { readonly diagnostics: readonly Diagnostic[]; readonly models: readonly string[] } {
  // What the parser had to leave out would be missed everywhere: the text comes first.
  if (program.diagnostics.some((one) => one.code in syntax)) return { diagnostics: inOrder(program, program.diagnostics), models: [] };
  const context: Context = { ...newContext(program, options), refusals: new Map() };
  const models: string[] = [];
  for (const { kind, name, decl, module } of ownEntries(program)) {
    if (kind === 'param') resolveParam(context, decl, module);
    if (kind !== 'model') continue;
    models.push(name.text);
    if (decl.what.kind === 'derived') checkDerivedModel(context, decl, module);
    else checkModel(context, decl, module);
  }
  context.diagnostics.push(
    ...refusalsLeft(
      context,
      [...program.modules.values()].flatMap(({ ast }) => ast.items.filter((item) => item.kind === 'model')),
    ),
  );
  checkSettings(context);
  for (const { kind, decl, module } of ownEntries(program)) if (kind === 'train') checkTraining(context, decl, module);
  checkUnreached(context);
  warnUnused(context);
  return { diagnostics: inOrder(program, [...program.diagnostics, ...context.diagnostics]), models };
}

/** File by file from the root, then as the text has them; what has no place comes last. */
function inOrder({ modules }: Program, diagnostics: readonly Diagnostic[]): readonly Diagnostic[] {
  const files = [...modules.keys()];
  const file = ({ at }: Diagnostic): number => (at ? files.indexOf(at.span.file) : files.length);
  return [...diagnostics].sort((a, b) => file(a) - file(b) || (a.at?.span.start ?? 0) - (b.at?.span.start ?? 0));
}

/** What the root file itself declares, in the order written. */
function ownEntries({ root }: Program): readonly Exclude<ReturnType<Module['names']['get']>, undefined | { kind: 'broken' }>[] {
  return [...root.names.values()].filter((entry) => entry.kind !== 'broken').filter((entry) => entry.module === root);
}

interface Made {
  readonly instance: Instance;
  readonly placement: Placement;
  readonly skeleton?: Skeleton;
}

function makeModel(context: Context, decl: ModelDecl, module: Module): Made | undefined {
  const made = instantiate(decl, module, [], { ...moduleEnv(context, module), depth: 0 }, decl.name.span);
  if (made.kind === 'poison') return undefined;
  const placement = placeWeights(made);
  const skeleton = buildForward(context, made, placement.paths);
  if (skeleton && !failed(context)) checkMixtures(context, skeleton);
  return { instance: made, placement, ...(skeleton ? { skeleton } : {}) };
}

/** A base of another file is checked with what is derived from it: nobody else does. */
function checkDerivedModel(context: Context, decl: ModelDecl, module: Module): void {
  const base = chainOf(context, decl, module)?.base;
  if (base?.kind === 'model' && base.module !== context.program.root) checkModel(context, base.decl, base.module);
  checkDerived(context, decl, module);
}

function checkModel(context: Context, decl: ModelDecl, module: Module): void {
  const made = makeModel(context, decl, module);
  if (!made) return;
  const bindings = bindWeights(context, made.instance);
  if (bodyOf(decl)?.weights && !failed(context)) requireBound(context, made, bindings);
}

/** A model that says where its weights are says so of all of them. */
function requireBound(context: Context, { placement }: Made, { bound }: Bindings): void {
  reportUnbound(
    context,
    placement.weights.filter(({ weight }) => (bound.get(weight)?.size ?? 0) === 0),
  );
}

/** Builds a model: its params from `--set`, the config or their defaults, its weights from the checkpoint or from the seed. */
export function buildModel(program: Program, options: BuildOptions = {}): { readonly model?: Model; readonly diagnostics: readonly Diagnostic[] } {
  const context = newContext(program, options);
  const done = (model?: Model): ReturnType<typeof buildModel> => ({ ...(model ? { model } : {}), diagnostics: inOrder(program, [...program.diagnostics, ...context.diagnostics]) });
  if (program.diagnostics.some((one) => one.severity === 'error')) return done();
  const { model: name, ...others } = options;
  const isComplete = (one: string): boolean => buildModel(program, { ...others, model: one }).model !== undefined;
  const decl = chooseModel(context, { ...(name === undefined ? {} : { name }), ...(options.tensors ? { isComplete } : {}) });
  checkSettings(context);
  const chain = decl && chainOf(context, decl, program.root);
  if (!chain) return done();
  checkWords(context, chain);
  if (failed(context) || refuseUnbuilt(context, chain, decl.name.text)) return done();
  if (chain.base.kind === 'onnx') return done(modelOfImport(context, decl, chain, chain.base.file, options.imported));
  const made = makeModel(context, chain.base.decl, chain.base.module);
  if (!made) return done();
  const derivations = derivationsOf(context, chain, modelGround(context, made.instance));
  const { tensors, seed = 0 } = options;
  const bindings = bindWeights(context, made.instance, tensors);
  if (tensors && !failed(context)) requireBound(context, made, bindings);
  if (!made.skeleton || failed(context)) return done();
  const tables = tablesOf(made.skeleton.build);
  const misfits: Misfit[] = [];
  const sources = new Map(
    made.placement.weights.map(
      (placed) => [placed.weight, tensors ? boundSource(context, placed, bindings, misfits) : randomSource(placed, seed, tables.has(placed.weight))] as const,
    ),
  );
  reportMisfits(context, misfits);
  if (failed(context)) return done();
  if (tensors) context.diagnostics.push(...unreadTensors(tensors, bindings.read));
  context.diagnostics.push(...unreadKeys(context.config, context.keysRead));
  const graph = finishGraph(decl.name.text, decl.doc ?? chain.base.decl.doc, made.skeleton, made.placement, sources);
  return done({ ...describe(decl, chain), graph, params: paramsOf(context, program), layers: made.placement.root, derivations });
}

/** A model whose graph is that of an ONNX file. */
function modelOfImport(context: Context, decl: ModelDecl, chain: Chain, file: NamedFile, imported: BuildOptions['imported']): Model | undefined {
  const { root } = context.program;
  if (!imported) return void fault(moduleEnv(context, root), 'onnx-not-read', { name: decl.name.text, file: file.path }, { at: file.span });
  const derivations = derivationsOf(context, chain, { kind: 'onnx', file: file.path, places: imported.places });
  if (failed(context)) return undefined;
  return { ...describe(decl, chain), graph: imported.graph, params: paramsOf(context, context.program), layers: { path: '', kind: 'layer', weights: [], parts: [] }, derivations };
}

/** The files that the model that is meant names: to be read before it is built. */
export function filesNamed(program: Program, options: Pick<BuildOptions, 'model' | 'config' | 'set'>): { readonly onnx?: NamedFile; readonly weights?: NamedFile } {
  const context = newContext(program, options);
  const decl = program.diagnostics.some((one) => one.severity === 'error') ? undefined : chooseModel(context, options.model === undefined ? {} : { name: options.model });
  const chain = decl && chainOf(context, decl, program.root);
  const weights = chain && weightsNamed(chain);
  return { ...(chain?.base.kind === 'onnx' ? { onnx: chain.base.file } : {}), ...(weights ? { weights } : {}) };
}

/** The weights whose rows are looked up by index: a row has the size of its own width, whatever the number of rows. */
function tablesOf({ nodes, weights }: Skeleton['build']): ReadonlySet<WeightThing> {
  const tables = new Set(nodes.filter(({ op }) => op.name === 'gather').map(({ inputs }) => inputs[0]));
  return new Set([...weights].filter(([, held]) => tables.has(held)).map(([weight]) => weight));
}

const failed = (context: Context): boolean => context.diagnostics.some((one) => one.severity === 'error');

function describe(decl: ModelDecl, chain: Chain): Pick<Model, 'name' | 'families' | 'doc' | 'base' | 'weightsFrom'> {
  const { base, links } = chain;
  const doc = decl.doc ?? (base.kind === 'model' ? base.decl.doc : undefined);
  const from = weightsNamed(chain);
  return {
    name: decl.name.text,
    families: base.kind === 'model' ? familiesOf(base.decl) : [],
    base: links.length === 0 ? { kind: 'own' } : base.kind === 'onnx' ? base : { kind: 'model', name: base.decl.name.text },
    ...(doc === undefined ? {} : { doc }),
    ...(from ? { weightsFrom: from } : {}),
  };
}

/** The params of the root file and of its imports that the model asked for. */
function paramsOf(context: Context, program: Program): readonly Param[] {
  for (const { kind, decl } of ownEntries(program)) if (kind === 'param') resolveParam(context, decl, program.root);
  return [...context.params.values()].flatMap((one): readonly Param[] => {
    if (one === 'being-resolved' || one.value.kind === 'poison') return [];
    return [
      { name: one.name, value: plain(one.value), from: one.from, ...(one.key === undefined ? {} : { key: one.key }), ...(one.decl.doc === undefined ? {} : { doc: one.decl.doc }) },
    ];
  });
}

function plain(value: Constant): Plain {
  if (value.kind === 'list') return (value.items ?? []).flatMap((one) => (isPlain(one) ? [plain(one)] : []));
  if (value.kind === 'int' || value.kind === 'float') {
    const number = numberOf(value) ?? Number.NaN;
    return Number.isFinite(number) ? number : number > 0 ? 'inf' : '-inf';
  }
  return value.value ?? '';
}
