/** The loop over steps: a step of the model and the sampler as its body, which is given tokens, masks and caches by the step before it. */

import { Bug } from '../diagnostics/bug.ts';
import { graphBuilder } from '../graph/builder.ts';
import { constant } from '../graph/constant.ts';
import { constant as constantSize, show } from '../graph/dim.ts';
import type { Graph, Node, Value } from '../graph/graph.ts';
import { ndArray } from '../graph/nd-array.ts';
import { replaceOuter, rewriteNodes } from '../graph/rewrite.ts';
import { showType } from '../graph/type.ts';
import { declare, type Emitter, emitter, output, typeOf } from './emit-onnx.ts';
import { sampleToken } from './sample-token.ts';
import { inParts, type Parts, splitPasts } from './split-caches.ts';
import { pastName } from './step.ts';

/** A cache of the step graph: its input, and the result that replaces it. */
export interface Cache {
  readonly past: Value;
  readonly present: Value;
  readonly name: string;
}

/** What the loops are written for. */
export interface Scene {
  readonly step: Graph;
  readonly caches: readonly Cache[];
  readonly given: Given;
}

/** What a step takes up from the one before it. */
export interface State {
  readonly ids: Value;
  readonly mask: Value;
  readonly positions: Value;
  readonly finished: Value;
  readonly seen: Value;
  readonly caches: readonly Value[];
}

/** Inputs that are the same in every step. */
export type Given = Readonly<Record<'limit' | 'temperature' | 'topK' | 'topP' | 'minP' | 'penalty' | 'stops' | 'pad' | 'uniforms', Value>>;

/** The number of tokens there are. */
export function vocabularyOf(step: Graph): number {
  const logits = step.outputs.find(({ name }) => name === 'logits')?.value.type?.dims.at(-1);
  const size = logits && constantSize(logits);
  if (size === undefined) throw new Bug(`${step.name} has no logits over a known vocabulary`);
  return size;
}

/** Tokens, i64 [steps, B], and what the step after them takes up. */
export interface Written {
  readonly tokens: Value;
  readonly state: State;
}

/** The values of a state in the order of a loop's. */
export const valuesOf = ({ ids, mask, positions, finished, seen, caches }: State): readonly Value[] => [ids, mask, positions, finished, seen, ...caches];

/** A state from values in that order; more may follow. */
export function stateOf(values: readonly Value[]): State {
  const [ids, mask, positions, finished, seen, ...caches] = values;
  if (!ids || !mask || !positions || !finished || !seen) throw new Bug('a loop without results');
  return { ids, mask, positions, finished, seen, caches };
}

/** Up to `limit` steps, in a graph that holds the weights: onnxruntime lays them out for products that stand one graph further in, and no deeper. `done` is how many came before, where randomness is that of all. */
export function stepLoop(emit: Emitter, scene: Scene, start: State, limit: Value, done?: Value): Written {
  const { step, caches } = scene;
  const parted = splitPasts(step);
  const made = caches.map(({ past }, i) => (parted.has(past) ? emptyCache(emit, past, start.ids) : start.caches[i])).filter((one) => one !== undefined);
  const { body, invariant } = loopBody(scene, parted, start.caches, done);
  for (const node of invariant) emit.build.push(node);
  const cacheTypes = caches.map(({ past }) => typeOf(past.type?.dtype ?? 'f32', cacheDims(past, parted.has(past) ? 'made_sequence_length' : 'present_sequence_length')));
  const types = [undefined, undefined, undefined, typeOf('bool', ['batch_size']), undefined, ...cacheTypes, typeOf('i64', ['steps_run', 'batch_size'])];
  const going = emit.build.constant(ndArray([], [1], 'bool'), 'loop/going');
  const results = emit.several('Loop', [limit, going, ...valuesOf({ ...start, caches: made })], {}, types, { body });
  const last = stateOf(results.slice(0, -1));
  const tokens = results.at(-1);
  if (!tokens) throw new Bug('the loop has no results');
  const joined = last.caches.map((rows, i) => {
    const past = caches[i]?.past;
    return past && parted.has(past) ? emit('Concat', [start.caches[i], rows], { axis: 2 }, typeOf(past.type?.dtype ?? 'f32', cacheDims(past, 'present_sequence_length'))) : rows;
  });
  return { tokens, state: { ...last, caches: joined } };
}

/** Keys or values of no token: [B, heads, 0, width]. */
export function emptyCache(emit: Emitter, past: Value, ids: Value): Value {
  const sizes = cacheDims(past, 0).map((size) => (typeof size === 'string' ? emit('Shape', [ids], { start: 0, end: 1 }) : emit.ints(size)));
  return emit('ConstantOfShape', [emit('Concat', sizes, { axis: 0 })], { value: { ...ndArray([1], [0]), dtype: past.type?.dtype ?? 'f32' } });
}

/** The sizes of a cache with `rows` for the number of rows it holds. */
export function cacheDims<T extends string | number>(past: Value, rows: T): readonly (T | number | 'batch_size')[] {
  return (past.type?.dims ?? []).map((size) => constantSize(size) ?? (show(size) === 'batch_size' ? 'batch_size' : show(size) === pastName ? rows : open(past)));
}

function open(past: Value): never {
  throw new Bug(`${past.name} is ${past.type ? showType(past.type) : 'of no type'}: only its batch and its rows may be open`);
}

/** The body: the step, then the sampler. Nodes that read nothing of a step are handed back, to stand before the loop. */
function loopBody(
  { step, caches, given }: Scene,
  parted: ReadonlySet<Value>,
  before: readonly Value[],
  done: Value | undefined,
): { readonly body: Graph; readonly invariant: readonly Node[] } {
  const iteration = declare('loop/iteration', 'i64', []);
  const going = declare('loop/going', 'bool', []);
  const ids = declare('loop/ids', 'i64', ['batch_size', 'step_length']);
  const mask = declare('loop/mask', 'i64', ['batch_size', 'step_total']);
  const positions = declare('loop/positions', 'i64', ['batch_size', 'step_length']);
  const finished = declare('loop/finished', 'bool', ['batch_size']);
  const seen = declare('loop/seen', 'f32', ['batch_size', vocabularyOf(step)]);
  const past = caches.map(({ past: one }) => declare(`loop/${one.name}`, one.type?.dtype ?? 'f32', cacheDims(one, 'step_past')));
  const stands: Readonly<Record<string, Value>> = { input_ids: ids, attention_mask: mask, position_ids: positions };
  const replace = new Map(step.inputs.map((input) => [input, stands[input.name] ?? past[caches.findIndex((cache) => cache.past === input)] ?? input]));
  const pairs = caches.flatMap((cache, i) => (parted.has(cache.past) ? [[past[i], before[i]] as const] : []));
  const front = graphBuilder();
  const parts = pairs.length === 0 ? undefined : partsOf(emitter(front, 'loop/parts'), ids, pairs);
  const { build: rebuilt, of } = rewriteNodes(step, (node, inner) => parts && inParts(node, inner, parts), { replace });
  const grown = new Map(caches.map((cache) => [of(cache.present), declare(cache.name, cache.past.type?.dtype ?? 'f32', cacheDims(cache.past, 'next_past'))]));
  const presents = caches.map((cache) => grown.get(of(cache.present)) ?? cache.present);
  const { inside, invariant } = hoist([...front.nodes, ...renamed(rebuilt.nodes, grown)], new Set([...replace.values(), ...before]), step);
  const build = graphBuilder();
  for (const node of inside) build.push(node);
  const emit = emitter(build, 'loop');
  const logits = step.outputs.find(({ name }) => name === 'logits')?.value;
  if (!logits) throw new Bug('a step without logits');
  const at = done ? emit('Add', [done, iteration]) : iteration;
  const token = nextToken(emit, of(logits), seen, finished, at, given);
  const column = emit('Unsqueeze', [token, emit.ints(1)], {}, typeOf('i64', ['batch_size', 1]));
  const ones = emit('Add', [emit('Mul', [column, emit.int(0)]), emit.int(1)]);
  const stopped = emit('Greater', [
    emit('ReduceSum', [emit('Cast', [emit('Equal', [column, emit('Unsqueeze', [given.stops, emit.ints(0)])])], { to: 7 }), emit.ints(1)], { keepdims: 0 }),
    emit.int(0),
  ]);
  const nowFinished = emit('Or', [finished, stopped], {}, typeOf('bool', ['batch_size']));
  const unfinished = emit('ReduceSum', [emit('Cast', [emit('Not', [nowFinished])], { to: 7 }), emit.ints(0)], { keepdims: 0 });
  const lastPosition = emit('Slice', [positions, emit.ints(-1), emit.ints(2 ** 31 - 1), emit.ints(1)]);
  const results = [
    emit('Greater', [unfinished, emit.int(0)], {}, typeOf('bool', [])),
    column,
    emit('Concat', [mask, ones], { axis: 1 }, typeOf('i64', ['batch_size', 'next_total'])),
    emit('Add', [lastPosition, emit.int(1)], {}, typeOf('i64', ['batch_size', 1])),
    nowFinished,
    emit('ScatterElements', [seen, column, emit('Cast', [ones], { to: 1 })], { axis: 1, reduction: 'max' }, typeOf('f32', ['batch_size', vocabularyOf(step)])),
    ...presents,
    token,
  ];
  const body = build.finish({
    name: 'step',
    inputs: [iteration, going, ids, mask, positions, finished, seen, ...past],
    outputs: results.map((held, i) => output(`${held.name}.${i}`, held)),
    weights: [],
  });
  return { body, invariant };
}

/** What attention in parts reads of a step, computed once for all layers. `pairs` are rows made in the loop and those before it; all caches have as many. */
function partsOf(emit: Emitter, ids: Value, pairs: readonly (readonly [made: Value | undefined, before: Value | undefined])[]): Parts {
  const rows = (one: Value | undefined): Value => emit('Shape', [one], { start: 2, end: 3 });
  const [made, before] = pairs[0] ?? [];
  return {
    before: new Map(pairs.flatMap(([one, first]) => (one && first ? [[one, first] as const] : []))),
    single: emit('Equal', [emit('Shape', [ids], { start: 1, end: 2 }), emit.ints(1)]),
    sizes: emit('Concat', [rows(before), emit('Add', [rows(made), emit.ints(1)])], { axis: 0 }),
  };
}

/** The nodes with other values in place of some: caches hold more rows after a step, and a copy to say so would cost as much as the cache. */
function renamed(nodes: readonly Node[], swaps: ReadonlyMap<Value, Value>): readonly Node[] {
  const of = (one: Value): Value => swaps.get(one) ?? one;
  return nodes.map((node) => ({
    ...node,
    inputs: node.inputs.map((one) => one && of(one)),
    outputs: node.outputs.map(of),
    ...(node.bodies ? { bodies: Object.fromEntries(Object.entries(node.bodies).map(([name, body]) => [name, replaceOuter(body, of)])) } : {}),
  }));
}

/** The token of each row, `pad_token` where it has finished: i64 [B]. */
function nextToken(emit: Emitter, logits: Value, seen: Value, finished: Value, at: Value, given: Given): Value {
  const last = emit('Squeeze', [logits, emit.ints(1)], {}, typeOf('f32', ['batch_size', 'vocabulary']));
  const uniform = emit('Gather', [given.uniforms, at], { axis: 0 });
  const picked = sampleToken(emit, last, seen, uniform, given);
  return emit('Where', [finished, given.pad, picked], {}, typeOf('i64', ['batch_size']));
}

/** Parts nodes that depend on a step from those that do not: weights turned or split, tables of constants. Constants stay where they are read. */
function hoist(nodes: readonly Node[], stepped: ReadonlySet<Value>, step: Graph): { readonly inside: readonly Node[]; readonly invariant: readonly Node[] } {
  const changing = new Set<Value>(stepped);
  const inside: Node[] = [];
  const invariant: Node[] = [];
  const fixed = new Set<Value>(step.weights.map((weight) => weight.value));
  for (const node of nodes) {
    const isFixed = node.op === constant || (!node.bodies && node.inputs.every((one) => !one || fixed.has(one)) && !node.inputs.some((one) => one && changing.has(one)));
    for (const one of node.outputs) (isFixed ? fixed : changing).add(one);
    (isFixed ? invariant : inside).push(node);
  }
  return { inside, invariant };
}
