/** What decoding asks of a runtime: run the model, read some results, keep others where they are. The worker implements it. */

import type { Port, Tensor } from './tensor.ts';

/** A result that stays where the runtime put it, to be fed back. */
export interface Held {
  readonly kind: 'held';
  readonly value: unknown;
  /** Frees it; it cannot be fed after that. */
  release(): void;
}

/** A feed: numbers, or a result of an earlier run. */
export type Feed = Tensor | Held;

/** The results of a run by name. */
export interface Results {
  readonly read: Readonly<Record<string, Tensor>>;
  readonly held: Readonly<Record<string, Held>>;
}

/** A loaded model. */
export interface Engine {
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  /** Computes the results named in `read` and `hold`, and nothing more than they need. Read tensors are views that hold until the next run. */
  run(feeds: Readonly<Record<string, Feed>>, read: readonly string[], hold?: readonly string[]): Promise<Results>;
}
