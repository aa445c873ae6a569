/** Puts a whole generation into one `Loop` of ONNX: prompt, steps and sampling in a single run. Works on a lowered step graph. */

import { Bug } from '../diagnostics/bug.ts';
import { graphBuilder } from '../graph/builder.ts';
import { type Graph, type Value, value } from '../graph/graph.ts';
import { ndArray } from '../graph/nd-array.ts';
import type { TensorType } from '../graph/type.ts';
import { isPast, presentOf } from './cache-names.ts';
import { declare, type Emitter, emitter, output, typeOf } from './emit-onnx.ts';
import type { Pass } from './pass.ts';
import { type Cache, cacheDims, emptyCache, type Scene, type State, stateOf, stepLoop, valuesOf, vocabularyOf, type Written } from './step-loop.ts';

/** With `resume`, past keys and values come in and present ones go out, so that a generation is run in chunks. */
export interface GenerateLoopOptions {
  readonly resume: boolean;
}

/** What the loop itself gives a step; other inputs are the same in every step and come from outside. */
const stepInputs: ReadonlySet<string> = new Set(['input_ids', 'attention_mask', 'position_ids']);

/**
 * The generation of up to `max_new_tokens` tokens as one graph.
 *
 * In: `input_ids` i64 [B, S], `attention_mask` i64 [B, P + S] (0 for padding on the left), `max_new_tokens` i64 [], `temperature`, `top_p`, `min_p`,
 * `repetition_penalty` f32 [], `top_k` i64 [], `stop_tokens` i64 [n], `pad_token` i64 [], `uniforms` f32 [steps, B];
 * to resume also `past_key_values.N.key|value`, `seen` i64 [B, P] (the tokens of the past) and `finished` bool [B].
 * Out: `tokens` i64 [steps, B], `pad_token` once a row has had a stop token, -1 where logits are no numbers; `finished` bool [B] (`now_finished` to resume); to resume also `present.N.key|value`.
 * Other inputs of the step stay inputs and are the same in every step.
 */
export function addGenerateLoop(step: Graph, { resume }: GenerateLoopOptions): Graph {
  const caches = cachesOf(step);
  const others = step.inputs.filter((input) => !stepInputs.has(input.name) && !isPast(input));
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
  const start: State = {
    ids: given.ids,
    mask: given.mask,
    positions: startPositions(emit, given.ids, given.mask),
    finished: resume ? finishedBefore : emit('Less', [emit('ReduceMax', [given.mask, emit.ints(1)], { keepdims: 0 }), emit.int(0)]),
    seen: startSeen(emit, resume ? emit('Concat', [seenBefore, given.ids], { axis: 1 }) : given.ids, given.mask, vocabularyOf(step)),
    caches: resume ? past : past.map((one) => emptyCache(emit, one, given.ids)),
  };
  const scene: Scene = { step, caches, given };
  const { tokens, state } = resume ? stepLoop(emit, scene, start, given.limit) : chunks(emit, scene, start);
  return build.finish({
    name: step.name,
    ...(step.doc === undefined ? {} : { doc: step.doc }),
    inputs: [...Object.values(given), ...(resume ? [seenBefore, finishedBefore, ...past] : []), ...others],
    outputs: [
      output('tokens', tokens),
      output(resume ? 'now_finished' : 'finished', state.finished),
      ...(resume ? caches.map(({ name }, i) => output(name, state.caches[i] ?? tokens)) : []),
    ],
    weights: resume ? step.weights : [],
  });
}

function cachesOf(step: Graph): readonly Cache[] {
  return step.inputs.filter(isPast).map((past) => {
    const name = presentOf(past.name);
    const present = step.outputs.find((one) => one.name === name)?.value;
    if (!present) throw new Bug(`${past.name} has no ${name}`);
    return { past, present, name };
  });
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

/** Steps of one chunk after the first, which reads the prompt: long enough that joining caches costs little, short enough that few rows are copied in every step. */
const chunkLength = 32;

/** All chunks: the prompt with its first token, then some tokens at a time, whose rows join the caches at the end of each. */
function chunks(emit: Emitter, scene: Scene, start: State): Written {
  const { caches, given, step } = scene;
  const vocabulary = vocabularyOf(step);
  const cacheTypes = (rows: string): readonly TensorType[] => caches.map(({ past }) => typeOf(past.type?.dtype ?? 'f32', cacheDims(past, rows)));
  const going = declare('chunks/going', 'bool', []);
  const done = declare('chunks/done', 'i64', []);
  const written = declare('chunks/written', 'i64', ['steps_before', 'batch_size']);
  const before: State = {
    ids: declare('chunks/ids', 'i64', ['batch_size', 'chunk_length']),
    mask: declare('chunks/mask', 'i64', ['batch_size', 'chunk_total']),
    positions: declare('chunks/positions', 'i64', ['batch_size', 'chunk_length']),
    finished: declare('chunks/finished', 'bool', ['batch_size']),
    seen: declare('chunks/seen', 'f32', ['batch_size', vocabulary]),
    caches: cacheTypes('chunk_past').map((type, i) => value(`chunks/${caches[i]?.past.name}`, type)),
  };
  const build = graphBuilder();
  const inside = emitter(build, 'chunks');
  const most = inside('Min', [inside('Sub', [given.limit, done]), inside.int(chunkLength)]);
  const count = inside('Where', [inside('Equal', [done, inside.int(0)]), inside.int(1), most], {}, typeOf('i64', []));
  const { tokens, state } = stepLoop(inside, scene, before, count, done);
  const nowDone = inside('Add', [done, count], {}, typeOf('i64', []));
  const unfinished = inside('ReduceSum', [inside('Cast', [inside('Not', [state.finished])], { to: 7 }), inside.ints(0)], { keepdims: 0 });
  const more = inside('And', [inside('Greater', [unfinished, inside.int(0)]), inside('Less', [nowDone, given.limit])], {}, typeOf('bool', []));
  const all = inside('Concat', [written, tokens], { axis: 0 }, typeOf('i64', ['steps_after', 'batch_size']));
  const results = [more, nowDone, all, ...valuesOf(state)];
  const body = build.finish({
    name: 'chunk',
    inputs: [declare('chunks/iteration', 'i64', []), going, done, written, ...valuesOf(before)],
    outputs: results.map((held, i) => output(`chunks/${held.name}.${i}`, held)),
    weights: step.weights,
  });
  const none = emit('ConstantOfShape', [emit('Concat', [emit.ints(0), emit('Shape', [start.ids], { start: 0, end: 1 })], { axis: 0 })], {
    value: { ...ndArray([1], [0]), dtype: 'i64' },
  });
  const types = [
    typeOf('i64', []),
    typeOf('i64', ['steps_run', 'batch_size']),
    undefined,
    undefined,
    undefined,
    typeOf('bool', ['batch_size']),
    undefined,
    ...cacheTypes('present_sequence_length'),
  ];
  const [, tokensWritten, ...last] = emit.several(
    'Loop',
    [given.limit, emit.build.constant(ndArray([], [1], 'bool'), 'generate/going'), emit.int(0), none, ...valuesOf(start)],
    {},
    types,
    { body },
  );
  if (!tokensWritten) throw new Bug('the loop has no results');
  return { tokens: tokensWritten, state: stateOf(last) };
}

export const generateLoop: Pass = {
  name: 'add-generate-loop',
  summary: 'Puts the lowered graph of a step into one Loop with a sampler, so that one run writes many tokens.',
  options: { resume: { kind: 'bool', default: false, doc: 'Take past keys and values in and give present ones out, so that a text is written in chunks.' } },
  run: (step, options) => addGenerateLoop(step, { resume: options['resume'] === true }),
};
