/** Decodes with a cache: past keys and values in, present ones out, one token for each row a step. Prompts are padded on the left. */

import { count } from '../graph/nd-array.ts';
import { isPast, isPresent, pastOf, presentOf } from '../passes/cache-names.ts';
import { activeName } from '../passes/set-picks.ts';
import type { Stepper } from './decode.ts';
import type { Engine, Feed, Held } from './engine.ts';
import type { DecodePlan } from './protocol.ts';
import type { StatsCollector } from './routing-stats.ts';
import { floatsOf, integers, type Port, type Tensor, tensorOf } from './tensor.ts';

/** The prefix of names in a model that reads one text and writes another: those of the text that it writes. */
export const decoderPrefix = 'decoder_';

/** What the names of a step's tokens, mask and positions begin with. */
export function steppedPrefix(inputs: readonly Pick<Port, 'name'>[]): '' | typeof decoderPrefix {
  return inputs.some(({ name }) => name === `${decoderPrefix}input_ids`) ? decoderPrefix : '';
}

/** The axis of the rows so far: behind the batch, the first whose size has a name. Keys and values of heads have it third, a latent second. */
export function pastAxis({ dims }: Pick<Port, 'dims'>): number {
  const axis = dims.findIndex((size, at) => at > 0 && typeof size === 'string');
  return axis < 0 ? 2 : axis;
}

/** The names of the results that are fed back. */
export function presentNames(inputs: readonly Port[]): readonly string[] {
  return inputs.filter(isPast).map(({ name }) => presentOf(name));
}

/** Held results under the names of the inputs they feed. */
export function asPast(held: Readonly<Record<string, Held>>): Readonly<Record<string, Held>> {
  return Object.fromEntries(Object.entries(held).flatMap(([name, value]) => (isPresent({ name }) ? [[pastOf(name), value]] : [])));
}

/** An empty past for `rows` rows: the first axis is the batch, every other size without a number is 0. */
export function emptyPast(inputs: readonly Port[], rows: number): Readonly<Record<string, Tensor>> {
  return Object.fromEntries(
    inputs.filter(isPast).map(({ name, dtype, dims }) => {
      const sizes = dims.map((size, axis) => (typeof size === 'number' ? size : axis === 0 ? rows : 0));
      return [name, tensorOf(dtype, sizes, new Float64Array(count(sizes)))];
    }),
  );
}

/** Inputs that ask for the logits of so many last tokens, as exporters call them. */
export const logitsWanted: ReadonlySet<string> = new Set(['num_logits_to_keep', 'logits_to_keep']);

/** The logits of all tokens, for models that ask how many are wanted: 0. */
export function allLogits(inputs: readonly Port[]): Readonly<Record<string, Tensor>> {
  return Object.fromEntries(
    inputs
      .filter(({ name }) => logitsWanted.has(name))
      .map(({ name, dims }) => {
        const sizes = dims.map(() => 1);
        return [name, integers(sizes, [0])];
      }),
  );
}

/** Prompts as one rectangle, padded on the left: ids, and a mask that is 0 where nothing is. */
export function leftPadded(rows: readonly (readonly number[])[], pad: number): { readonly ids: readonly number[]; readonly mask: readonly number[]; readonly width: number } {
  const width = Math.max(...rows.map((row) => row.length));
  return {
    width,
    ids: rows.flatMap((row) => [...new Array<number>(width - row.length).fill(pad), ...row]),
    mask: rows.flatMap((row) => [...new Array<number>(width - row.length).fill(0), ...new Array<number>(row.length).fill(1)]),
  };
}

/** The number of experts a token picks, where the plan has one. */
export function activeFeed({ active }: DecodePlan): Readonly<Record<string, Tensor>> {
  return active === undefined ? {} : { [activeName]: integers([], [active]) };
}

/** Logits of one position of each row, [V] each; `logits` is [B, S, V]. */
export function logitsAt(logits: Tensor, positions: readonly number[]): readonly Float32Array[] {
  const [, width = 1, size = 0] = logits.dims;
  return positions.map((position, row) => {
    const from = (row * width + position) * size;
    return floatsOf({ dtype: logits.dtype, dims: [size], data: logits.data.slice(from, from + size) });
  });
}

/** Steps through a plan with the cache held by the engine. */
export function stepper(engine: Engine, plan: DecodePlan, stats: StatsCollector): Stepper {
  const rows = plan.rows.length;
  const { ids, mask, width } = leftPadded(plan.rows, plan.pad);
  const presents = presentNames(engine.inputs);
  const wants = new Set(engine.inputs.map(({ name }) => name));
  let held: Readonly<Record<string, Held>> = {};
  let length = width;

  /** Runs tokens, as many for each row, with what is kept of those before. */
  const run = async (
    tokens: readonly number[],
    seen: readonly number[],
    positions: readonly number[],
    before: Readonly<Record<string, Feed>>,
  ): Promise<readonly Float32Array[]> => {
    const columns = tokens.length / rows;
    const square = [rows, columns];
    const feeds: Readonly<Record<string, Feed>> = {
      input_ids: integers(square, tokens),
      attention_mask: integers([rows, length], seen),
      position_ids: integers(square, positions),
      token_type_ids: integers(square, new Array<number>(tokens.length).fill(0)),
      ...activeFeed(plan),
      ...allLogits(engine.inputs),
      ...before,
    };
    const given = Object.fromEntries(Object.entries(feeds).filter(([name]) => wants.has(name)));
    const { read, held: next } = await engine.run(given, ['logits', ...stats.names], presents);
    stats.add(read);
    for (const one of Object.values(held)) one.release();
    held = asPast(next);
    const { logits } = read;
    // A model may give the last row alone.
    return logits ? logitsAt(logits, new Array<number>(rows).fill(Math.min(columns, logits.dims[1] ?? 1) - 1)) : [];
  };
  return {
    start() {
      const positions = plan.rows.flatMap((row) => Array.from({ length: width }, (_, i) => Math.max(0, i - (width - row.length))));
      return run(ids, mask, positions, emptyPast(engine.inputs, rows));
    },
    advance(tokens) {
      length++;
      const seen = plan.rows.flatMap((row) => Array.from({ length }, (_, i) => (i < width - row.length ? 0 : 1)));
      return run(
        tokens,
        seen,
        plan.rows.map((row) => row.length + length - width - 1),
        held,
      );
    },
    end() {
      for (const one of Object.values(held)) one.release();
      held = {};
    },
  };
}
