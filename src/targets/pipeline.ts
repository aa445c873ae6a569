/** From a model's graph to the graph a file holds: the passes in order, the target's lowering, the names that loaders expect. */

import { type Diagnostic, diagnose, type Outcome, sink } from '../diagnostics/diagnostic.ts';
import { add, type Dim, same, show, substitute, symbol, symbolsOf } from '../graph/dim.ts';
import { type Graph, type Value, value } from '../graph/graph.ts';
import type { FunctionGraph } from '../onnx/functions.ts';
import { addGenerateLoop } from '../passes/add-generate-loop.ts';
import { addKvCache } from '../passes/add-kv-cache.ts';
import { addStatsPass } from '../passes/add-stats.ts';
import { batchSegments, batchSegmentsPass } from '../passes/batch-segments.ts';
import { isPast, presentOf } from '../passes/cache-names.ts';
import { cutMixturesPass } from '../passes/cut-mixtures.ts';
import { dropDead } from '../passes/drop-dead.ts';
import { foldConstants } from '../passes/fold-constants.ts';
import type { Pass } from '../passes/pass.ts';
import { recogniseNorms } from '../passes/recognise-norms.ts';
import { runPasses } from '../passes/run.ts';
import { setPicksPass } from '../passes/set-picks.ts';
import { shareDuplicates } from '../passes/share-duplicates.ts';
import { simplify } from '../passes/simplify.ts';
import { lowerGraph, replaceValues } from './lower.ts';
import { type Choice, type ChooseOptions, choose, spellWish, type Wish } from './mixture/choose.ts';
import { choices, lowerSegments } from './mixture/lower.ts';
import type { Storage } from './store.ts';
import type { Target } from './target.ts';
import { outlineUnits } from './units.ts';

/** What the file computes. `whole`: the model as written. `step`: new tokens after a cache. `loop`: a whole generation in one run. `chunk`: some tokens of one, cache in and out. */
export type Form = 'whole' | 'step' | 'loop' | 'chunk';

/** What a graph is lowered to. */
export interface LowerOptions {
  readonly target: Target;
  readonly form: Form;
  readonly storage: Storage;
  /** Whether routers become functions, for targets that have them; their nodes stand in the graph where left out. */
  readonly functions?: boolean;
  /** Whether the graph also says how its mixtures route; not in a loop. */
  readonly stats?: boolean;
  /** How many experts a token picks, in place of what the author wrote; an input of the graph where it is `'input'`. */
  readonly active?: number | 'input';
  /** Whether a step gives only the logits of its last row; a loop does, and a file that others load does not, where left out. */
  readonly lastLogits?: boolean;
  /** Whether inputs and results keep the names of their dims, in place of those that loaders expect. */
  readonly ports?: 'kept';
  /** How mixtures are lowered, in place of what costs least. */
  readonly lowering?: Wish;
  /** Called after every pass with its name. */
  readonly dumpAfter?: (pass: string, graph: Graph) => void;
}

/** What a file will hold, before its weights are placed. */
export interface Lowered {
  readonly graph: Graph;
  /** What the graph calls. */
  readonly functions: readonly FunctionGraph[];
  readonly target: Target;
  readonly form: Form;
  /** What was chosen for each segment of a mixture. */
  readonly mixtures: readonly Choice[];
}

/** Passes that make a graph smaller without changing what it computes, in order. */
const cleaning: readonly Pass[] = [foldConstants, recogniseNorms, simplify, shareDuplicates, dropDead];

/** Runs the passes for `form` and lowers to the target. What the target cannot do is a diagnostic. */
export async function lowerModel(model: Graph, options: LowerOptions): Promise<Outcome<Lowered>> {
  const { target, form } = options;
  const found = sink();
  for (const diagnostic of refusals(model, options)) found.report(diagnostic);
  if (found.failed) return { ok: false, diagnostics: found.all };
  const context = { report: (diagnostic: Diagnostic) => found.report(diagnostic) };
  const driver = { context, ...(options.dumpAfter ? { dumpAfter: options.dumpAfter } : {}) };
  const cached = form === 'whole' ? [] : [{ pass: addKvCache, options: { last: options.lastLogits ?? form !== 'step' } }];
  const cut = model.nodes.some((node) => node.op.name === 'mixture') ? [{ pass: cutMixturesPass, options: {} }] : [];
  const picked = options.active === undefined ? [] : [{ pass: setPicksPass, options: options.active === 'input' ? { input: true } : { count: options.active } }];
  const counted = options.stats && (form === 'whole' || form === 'step') ? [{ pass: addStatsPass, options: {} }] : [];
  const passes = [
    ...picked,
    ...cut,
    ...cleaning.map((pass) => ({ pass, options: {} })),
    ...cached,
    ...counted,
    ...(form === 'whole' ? [] : [simplify, shareDuplicates, dropDead].map((pass) => ({ pass, options: {} }))),
  ];
  const ready = await runPasses(model, passes, driver);
  if (found.failed) return { ok: false, diagnostics: found.all };
  const { graph: expanded, choices: mixtures, target: chosen } = await chooseMixtures(ready, options, driver);
  const plain = lowerGraph(expanded, chosen, options.storage);
  const { graph: lowered, functions } = options.functions && target.functions ? outlineUnits(plain) : { graph: plain, functions: [] };
  const named = options.ports === 'kept' ? lowered : nameDims(lowered);
  const graph = form === 'loop' || form === 'chunk' ? addGenerateLoop(named, { resume: form === 'chunk' }) : named;
  options.dumpAfter?.('lower', graph);
  return { ok: true, value: { graph, functions, target, form, mixtures }, diagnostics: found.all };
}

/** Chooses the lowerings of mixtures: those that are batched become ops of their own, the others are left to the target that is returned. */
async function chooseMixtures(
  graph: Graph,
  { target, form, storage, lowering }: LowerOptions,
  driver: Parameters<typeof runPasses>[2],
): Promise<{ readonly graph: Graph; readonly choices: readonly Choice[]; readonly target: Target }> {
  const settings: ChooseOptions = { target, steps: form !== 'whole' || target.controlFlow, written: storage === 'written', ...(lowering ? { wish: lowering } : {}) };
  const chosen = choices(graph, settings);
  if (chosen.length === 0) return { graph, choices: [], target };
  for (const { path, few, many, reason } of chosen.filter((one) => lowering && (one.few !== lowering.few || one.many !== lowering.many)))
    driver?.context?.report(diagnose('lowering-not-used', { name: path, asked: spellWish(lowering ?? { few, many }), used: spellWish({ few, many }), reason }));
  const batched: Pass = { ...batchSegmentsPass, run: (given) => batchSegments(given, (node) => choose(node, given, settings).many === 'batched') };
  const expanding = chosen.some(({ many }) => many === 'batched') ? [batched, simplify, shareDuplicates, dropDead] : [];
  const expanded = await runPasses(
    graph,
    expanding.map((pass) => ({ pass, options: {} })),
    driver,
  );
  return { graph: expanded, choices: chosen, target: { ...target, lowerings: new Map([...target.lowerings, ['segment', lowerSegments(expanded, settings)]]) } };
}

function* refusals(graph: Graph, { target, form }: LowerOptions): Iterable<Diagnostic> {
  const carried = target.device && graph.nodes.find((node) => node.op.foreign);
  if (carried) yield diagnose('target-needs-ops', { target: target.name, op: carried.op.foreign?.type ?? '' });
  if (form === 'loop' || form === 'chunk') yield* loopFaults(graph, target);
}

/** What keeps a generation with a model from being one graph. */
export function* loopFaults(graph: Graph, target: Target): Iterable<Diagnostic> {
  if (!target.controlFlow) yield diagnose('target-has-no-loop', { target: target.name });
  if (!loops(graph)) yield diagnose('loop-needs-tokens-alone', { inputs: graph.inputs.map(({ name }) => name).join(', ') });
}

/** Whether a model decodes: it takes `input_ids` and has a causal attention. */
export function decodes(graph: Graph): boolean {
  return graph.inputs.some(({ name }) => name === 'input_ids') && attendsCausally(graph);
}

/** Whether a model has a cache of keys and values as loaders name them: it is a step already. */
export function hasCache({ inputs, outputs }: Pick<Graph, 'inputs' | 'outputs'>): boolean {
  const pasts = inputs.filter(isPast);
  const presents = new Set(outputs.map(({ name }) => name));
  return pasts.length > 0 && inputs.some(({ name }) => name === 'input_ids') && pasts.every(({ name }) => presents.has(presentOf(name)));
}

/** Whether an attention sees only what came before, in the experts of a mixture too. */
function attendsCausally({ nodes }: Graph): boolean {
  return nodes.some((node) => (node.op.name === 'attend' && node.attrs['causal'] === true) || Object.values(node.bodies ?? {}).some(attendsCausally));
}

/** The form in which a model is run on a target: in chunks of a loop where it can be, stepped where it decodes, as written otherwise. */
export function formFor(graph: Graph, target: Target): Form {
  if (!decodes(graph)) return 'whole';
  return target.controlFlow && loops(graph) ? 'chunk' : 'step';
}

/** Whether a generation needs nothing but the tokens: a loop has no one to ask for further inputs of each step. */
function loops(graph: Graph): boolean {
  return graph.inputs.every(({ name }) => ['input_ids', 'attention_mask', 'position_ids'].includes(name));
}

/** Renames the dims of a model of text to what loaders expect: `batch_size`, `sequence_length`, `total_sequence_length`. */
function nameDims(graph: Graph): Graph {
  const ids = graph.inputs.find(({ name }) => name === 'input_ids');
  const [batch, sequence] = ids?.type?.dims.map(plainSymbol) ?? [];
  if (!batch || !sequence) return graph;
  const names = new Map([
    [batch, symbol('batch_size')],
    [sequence, symbol('sequence_length')],
  ]);
  const total = add(symbol('past_sequence_length'), symbol('sequence_length'));
  const rename = (dim: Dim): Dim => {
    const renamed = substitute(dim, names);
    return same(renamed, total) ? symbol('total_sequence_length') : renamed;
  };
  const swap = new Map<Value, Value>();
  for (const one of [...graph.inputs, ...graph.outputs.map(({ value: held }) => held)]) {
    if (one.type) swap.set(one, value(one.name, { ...one.type, dims: one.type.dims.map(rename) }));
  }
  return { ...replaceValues(graph, swap), inputs: graph.inputs.map((one) => swap.get(one) ?? one) };
}

function plainSymbol(dim: Dim): string | undefined {
  const [name, ...others] = symbolsOf(dim);
  return name !== undefined && others.length === 0 && show(dim) === name ? name : undefined;
}
