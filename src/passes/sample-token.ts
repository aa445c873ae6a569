/** The sampler as nodes: penalty, temperature, top-k, top-p, min-p, and a draw by the inverse of the cumulative distribution. */

import type { Value } from '../graph/graph.ts';
import { type Emitter, typeOf } from './emit-onnx.ts';

/** The run-time settings of a sampler, as values of the graph. */
export interface SamplerSettings {
  /** f32[]; 0 picks the largest logit. */
  readonly temperature: Value;
  /** i64[]; 0 keeps all. */
  readonly topK: Value;
  /** f32[]; 1 keeps all. */
  readonly topP: Value;
  /** f32[], relative to the most probable; 0 keeps all. */
  readonly minP: Value;
  /** f32[]; 1 leaves the logits alone. */
  readonly penalty: Value;
}

/** One token per row, i64 [B], of logits f32 [B, V]; -1 where what is picked has no number. `seen` is 1 for tokens a row has had, f32 [B, V]; `uniform` f32 [B] is the only randomness. */
export function sampleToken(emit: Emitter, logits: Value, seen: Value, uniform: Value, settings: SamplerSettings): Value {
  const row = typeOf('f32', ['batch_size', 'vocabulary']);
  const scores = emit.choose(
    emit('Equal', [settings.penalty, emit.float(1)]),
    () => logits,
    (e) => penalise(e, logits, seen, settings.penalty),
    row,
  );
  const picked = emit.choose(
    emit('Greater', [settings.temperature, emit.float(0)]),
    (e) => draw(e, scores, uniform, settings),
    (e) => e('ArgMax', [scores], { axis: 1, keepdims: 0 }),
    typeOf('i64', ['batch_size']),
  );
  const score = emit('GatherElements', [logits, emit('Unsqueeze', [picked, emit.ints(1)])], { axis: 1 });
  const finite = emit('Less', [emit('Abs', [emit('Squeeze', [score, emit.ints(1)])]), emit.float(Number.POSITIVE_INFINITY)]);
  return emit('Where', [finite, picked, emit.int(-1)], {}, typeOf('i64', ['batch_size']));
}

/** Keskar et al. 2019: positive logits of seen tokens divided by the penalty, negative ones multiplied. */
function penalise(emit: Emitter, logits: Value, seen: Value, penalty: Value): Value {
  const lowered = emit('Where', [emit('Greater', [logits, emit.float(0)]), emit('Div', [logits, penalty]), emit('Mul', [logits, penalty])]);
  return emit('Where', [emit('Greater', [seen, emit.float(0)]), lowered, logits]);
}

function draw(emit: Emitter, scores: Value, uniform: Value, { temperature, topK, topP, minP }: SamplerSettings): Value {
  const size = emit('Gather', [emit('Shape', [scores]), emit.int(1)], { axis: 0 });
  const count = emit('Where', [emit('Greater', [topK, emit.int(0)]), emit('Min', [topK, size]), size]);
  const [values, tokens] = emit.several('TopK', [emit('Div', [scores, temperature]), emit('Unsqueeze', [count, emit.ints(0)])], { axis: 1, largest: 1, sorted: 1 }, [
    undefined,
    undefined,
  ]);
  const probability = emit('Softmax', [values], { axis: 1 });
  const before = emit('CumSum', [probability, emit.int(1)], { exclusive: 1 });
  const inside = emit('Or', [emit('Less', [before, topP]), emit('GreaterOrEqual', [topP, emit.float(1)])]);
  const most = emit('Slice', [probability, emit.ints(0), emit.ints(1), emit.ints(1)]);
  const likely = emit('GreaterOrEqual', [probability, emit('Mul', [most, minP])]);
  const kept = emit('Or', [emit('And', [inside, likely]), emit('Equal', [emit('CumSum', [emit('Sign', [probability]), emit.int(1)]), emit.float(1)])]);
  const weight = emit('Where', [kept, probability, emit.float(0)]);
  const reached = emit('CumSum', [weight, emit.int(1)]);
  const goal = emit('Mul', [emit('Unsqueeze', [uniform, emit.ints(1)]), emit('ReduceSum', [weight, emit.ints(1)], { keepdims: 1 })]);
  const passed = emit('ReduceSum', [emit('Cast', [emit('LessOrEqual', [reached, goal])], { to: 7 }), emit.ints(1)], { keepdims: 1 });
  const last = emit('Sub', [emit('ReduceSum', [emit('Cast', [kept], { to: 7 }), emit.ints(1)], { keepdims: 1 }), emit.int(1)]);
  return emit('Squeeze', [emit('GatherElements', [tokens, emit('Min', [passed, last])], { axis: 1 }), emit.ints(1)]);
}
