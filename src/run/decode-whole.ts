/** Decodes without a cache: the whole sequence runs again for every token. Rows are padded on the right, where causal attention cannot see. */

import type { Stepper } from './decode.ts';
import { activeFeed, allLogits, emptyPast, logitsAt } from './decode-step.ts';
import type { Engine } from './engine.ts';
import type { DecodePlan } from './protocol.ts';
import type { StatsCollector } from './routing-stats.ts';
import { integers } from './tensor.ts';

/** Runs the grown sequences of a plan from their beginning. */
export function rerunner(engine: Engine, plan: DecodePlan, stats: StatsCollector): Stepper {
  const rows = plan.rows.map((row) => [...row]);
  const wants = new Set(engine.inputs.map(({ name }) => name));

  const run = async (): Promise<readonly Float32Array[]> => {
    const width = Math.max(...rows.map((row) => row.length));
    const columns = Array.from({ length: width }, (_, i) => i);
    const square = [rows.length, width];
    const feeds = {
      ...activeFeed(plan),
      ...allLogits(engine.inputs),
      ...emptyPast(engine.inputs, rows.length),
      input_ids: integers(
        square,
        rows.flatMap((row) => columns.map((i) => row[i] ?? plan.pad)),
      ),
      attention_mask: integers(
        square,
        rows.flatMap((row) => columns.map((i) => (i < row.length ? 1 : 0))),
      ),
      position_ids: integers(
        square,
        rows.flatMap(() => columns),
      ),
      token_type_ids: integers(
        square,
        rows.flatMap(() => columns.map(() => 0)),
      ),
    };
    const { read } = await engine.run(Object.fromEntries(Object.entries(feeds).filter(([name]) => wants.has(name))), ['logits', ...stats.names]);
    stats.restart();
    stats.add(read);
    return read['logits']
      ? logitsAt(
          read['logits'],
          rows.map((row) => row.length - 1),
        )
      : [];
  };
  return {
    start: run,
    advance(tokens) {
      for (const [row, token] of tokens.entries()) rows[row]?.push(token);
      return run();
    },
    end() {},
  };
}
