/** Puts a whole generation into one `Loop` of ONNX: prompt, steps and sampling in a single run. Works on a lowered step graph. */

import { Bug } from '../diagnostics/bug.ts';
import { graphBuilder } from '../graph/builder.ts';
import { constant } from '../graph/constant.ts';
import { constant as constantSize, show } from '../graph/dim.ts';
import type { Graph, Node, Value } from '../graph/graph.ts';
import { ndArray } from '../graph/nd-array.ts';
import { replaceOuter, rewriteNodes } from '../graph/rewrite.ts';
import { showType } from '../graph/type.ts';
import { declare, type Emitter, emitter, output, typeOf } from './emit-onnx.ts';
import type { Pass } from './pass.ts';
import { sampleToken } from './sample-token.ts';
import { pastName } from './step.ts';

/** With `resume`, past keys and values come in and present ones go out, so that a generation is run in chunks. */
export interface GenerateLoopOptions {
  readonly resume: boolean;
}

/** What the loop itself gives a step; other inputs are the same in every step and come from outside. */
const stepInputs: ReadonlySet<string> = new Set(['input_ids', 'attention_mask', 'position_ids']);

/** A cache of the step graph: its input, and the result that replaces it. */
interface Cache {
  readonly past: Value;
  readonly present: Value;
  readonly name: string;
}

/**
 * The generation of up to `max_new_tokens` tokens as one graph.
 *
 * In: `input_ids` i64 [B, S], `attention_mask` i64 [B, P + S] (0 for padding on the left), `max_new_tokens` i64 [], `temperature`, `top_p`, `min_p`,
 * `repetition_penalty` f32 [], `top_k` i64 [], `stop_tokens` i64 [n], `pad_token` i64 [], `uniforms` f32 [steps, B];
 * to resume also `past_key_values.N.key|value`, `seen` i64 [B, P] (the tokens of the past) and `finished` bool [B].
 * Out: `tokens` i64 [steps, B], `pad_token` once a row has had a stop token; `finished` bool [B] (`now_finished` to resume); to resume also `present.N.key|value`.
 * Other inputs of the step stay inputs and are the same in every step.
 */
export function addGenerateLoop(step: Graph, { resume }: GenerateLoopOptions): Graph {
  const caches = cachesOf(step);
  const others = step.inputs.filter(({ name }) => !stepInputs.has(name) && !name.startsWith('past_key_values.'));
  const build = graphBuilder();
  const emit = emitter(build, 'generate');
  const total = resume ? 'total_sequence_length' : 'sequence_length';
  const given = {
    ids: declare('input_ids', 'i64', ['batch_size', 'sequence_length']),
    mask: declare('attention_mask', 'i64', ['batch_size', total]),
    limit: declare('max_new_tokens', 'i64', []),
    temperature: declare('temperature', 'f32', []),
    topK: declare('top_k', 'i64', []),
    topP: declare('top_p', 'f32', []),
    minP: declare('min_p', 'f32', []),
    penalty: declare('repetition_penalty', 'f32', []),
    stops: declare('stop_tokens', 'i64', ['stops']),
    pad: declare('pad_token', 'i64', []),
    uniforms: declare('uniforms', 'f32', ['steps', 'batch_size']),
  };
  const seenBefore = declare('seen', 'i64', ['batch_size', 'past_sequence_length']);
  const finishedBefore = declare('finished', 'bool', ['batch_size']);
  const past = caches.map(({ past: one }) => one);
  const start: Start = {
    ids: given.ids,
    mask: given.mask,
    positions: startPositions(emit, given.ids, given.mask),
    finished: resume ? finishedBefore : emit('Less', [emit('ReduceMax', [given.mask, emit.ints(1)], { keepdims: 0 }), emit.int(0)]),
    seen: startSeen(emit, resume ? emit('Concat', [seenBefore, given.ids], { axis: 1 }) : given.ids, given.mask, vocabularyOf(step)),
    caches: resume ? past : past.map((one) => emptyCache(emit, one, given.ids)),
  };
  const { body, invariant } = loopBody(step, caches, given);
  for (const node of invariant) build.push(node);
  const states = [start.ids, start.mask, start.positions, start.finished, start.seen, ...start.caches];
  const types = [
    undefined,
    undefined,
    undefined,
    typeOf('bool', ['batch_size']),
    undefined,
    ...caches.map(({ past: one }) => typeOf(one.type?.dtype ?? 'f32', cacheDims(one, 'present_sequence_length'))),
    typeOf('i64', ['steps_run', 'batch_size']),
  ];
  const going = build.constant(ndArray([], [1], 'bool'), 'generate/going');
  const results = emit.several('Loop', [given.limit, going, ...states], {}, types, { body });
  const [, , , finished, , ...rest] = results;
  const tokens = rest.at(-1);
  if (!finished || !tokens) throw new Bug('the loop has no results');
  return build.finish({
    name: step.name,
    ...(step.doc === undefined ? {} : { doc: step.doc }),
    inputs: [...Object.values(given), ...(resume ? [seenBefore, finishedBefore, ...past] : []), ...others],
    outputs: [output('tokens', tokens), output(resume ? 'now_finished' : 'finished', finished), ...(resume ? caches.map(({ name }, i) => output(name, rest[i] ?? finished)) : [])],
    weights: step.weights,
  });
}

interface Start {
  readonly ids: Value;
  readonly mask: Value;
  readonly positions: Value;
  readonly finished: Value;
  readonly seen: Value;
  readonly caches: readonly Value[];
}

type Given = Readonly<Record<'limit' | 'temperature' | 'topK' | 'topP' | 'minP' | 'penalty' | 'stops' | 'pad' | 'uniforms', Value>>;

function cachesOf(step: Graph): readonly Cache[] {
  return step.inputs
    .filter(({ name }) => name.startsWith('past_key_values.'))
    .map((past) => {
      const name = past.name.replace('past_key_values.', 'present.');
      const present = step.outputs.find((one) => one.name === name)?.value;
      if (!present) throw new Bug(`${past.name} has no ${name}`);
      return { past, present, name };
    });
}

function vocabularyOf(step: Graph): number {
  const logits = step.outputs.find(({ name }) => name === 'logits')?.value.type?.dims.at(-1);
  const size = logits && constantSize(logits);
  if (size === undefined) throw new Bug(`${step.name} has no logits over a known vocabulary`);
  return size;
}

/** Counts the tokens of each row that are not padding: i64 [B, S], from 0. */
function startPositions(emit: Emitter, ids: Value, mask: Value): Value {
  const counted = emit('Sub', [emit('CumSum', [mask, emit.int(1)]), emit.int(1)]);
  const all = emit('Max', [counted, emit.int(0)]);
  const length = emit('Shape', [ids], { start: 1, end: 2 });
  return emit('Slice', [all, emit('Neg', [length]), emit.ints(2 ** 31 - 1), emit.ints(1)], {}, typeOf('i64', ['batch_size', 'sequence_length']));
}

/** 1 for every token a row has had, f32 [B, V]. */
function startSeen(emit: Emitter, ids: Value, mask: Value, vocabulary: number): Value {
  const batch = emit('Shape', [ids], { start: 0, end: 1 });
  const none = emit('ConstantOfShape', [emit('Concat', [batch, emit.ints(vocabulary)], { axis: 0 })], { value: ndArray([1], [0]) });
  return emit('ScatterElements', [none, ids, emit('Cast', [mask], { to: 1 })], { axis: 1, reduction: 'max' });
}

/** Keys or values of no token: [B, heads, 0, width]. */
function emptyCache(emit: Emitter, past: Value, ids: Value): Value {
  const sizes = cacheDims(past, 0).map((size) => (typeof size === 'string' ? emit('Shape', [ids], { start: 0, end: 1 }) : emit.ints(size)));
  return emit('ConstantOfShape', [emit('Concat', sizes, { axis: 0 })], { value: { ...ndArray([1], [0]), dtype: past.type?.dtype ?? 'f32' } });
}

/** The sizes of a cache with `rows` for the number of rows it holds. */
function cacheDims<T extends string | number>(past: Value, rows: T): readonly (T | number | 'batch_size')[] {
  return (past.type?.dims ?? []).map((size) => constantSize(size) ?? (show(size) === 'batch_size' ? 'batch_size' : show(size) === pastName ? rows : open(past)));
}

function open(past: Value): never {
  throw new Bug(`${past.name} is ${past.type ? showType(past.type) : 'of no type'}: only its batch and its rows may be open`);
}

/** The body: the step, then the sampler. Nodes that read nothing of a step are handed back, to stand before the loop. */
function loopBody(step: Graph, caches: readonly Cache[], given: Given): { readonly body: Graph; readonly invariant: readonly Node[] } {
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
  const { build: rebuilt, of } = rewriteNodes(step, () => undefined, { replace });
  const grown = new Map(caches.map((cache) => [of(cache.present), declare(cache.name, cache.past.type?.dtype ?? 'f32', cacheDims(cache.past, 'next_past'))]));
  const presents = caches.map((cache) => grown.get(of(cache.present)) ?? cache.present);
  const { inside, invariant } = hoist(renamed(rebuilt.nodes, grown), new Set([...replace.values()]), step);
  const build = graphBuilder();
  for (const node of inside) build.push(node);
  const emit = emitter(build, 'loop');
  const logits = step.outputs.find(({ name }) => name === 'logits')?.value;
  if (!logits) throw new Bug('a step without logits');
  const token = nextToken(emit, of(logits), seen, finished, iteration, given);
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
function nextToken(emit: Emitter, logits: Value, seen: Value, finished: Value, iteration: Value, given: Given): Value {
  const last = emit('Squeeze', [logits, emit.ints(1)], {}, typeOf('f32', ['batch_size', 'vocabulary']));
  const uniform = emit('Gather', [given.uniforms, iteration], { axis: 0 });
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

export const generateLoop: Pass = {
  name: 'add-generate-loop',
  summary: 'Puts the lowered graph of a step into one Loop with a sampler, so that one run writes many tokens.',
  options: { resume: { kind: 'bool', default: false, doc: 'Take past keys and values in and give present ones out, so that a text is written in chunks.' } },
  run: (step, options) => addGenerateLoop(step, { resume: options['resume'] === true }),
};
