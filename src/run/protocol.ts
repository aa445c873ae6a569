/** What the main thread and the worker of a session say to each other. */

import type { Diagnostic } from '../diagnostics/diagnostic.ts';
import type { Executable, Form, ModelPlace, Provider } from './executable.ts';
import type { MixtureStats } from './routing-stats.ts';
import type { SampleSettings } from './sample.ts';
import type { Port, Tensor } from './tensor.ts';

/** Tensors by the names of inputs or results. */
export type Tensors = Readonly<Record<string, Tensor>>;

/** What a worker loads. */
export interface Opening {
  readonly model: ModelPlace;
  readonly form: Form;
  readonly provider: Provider;
  /** As in `Executable`. */
  readonly device?: Executable['device'];
  /** Threads of one op; onnxruntime's own choice where left out. */
  readonly threads?: number;
}

/** What is to be written: tokens in, settings, numbers to draw with. Everything that a continuation depends on. */
export interface DecodePlan {
  readonly rows: readonly (readonly number[])[];
  readonly maxTokens: number;
  readonly settings: SampleSettings;
  /** One number in [0, 1) for each step, the same for every row. */
  readonly uniforms: Float32Array;
  readonly stop: readonly number[];
  readonly pad: number;
  /** How many experts a token picks, for models that take it. */
  readonly active?: number;
}

/** How long a continuation took. */
export interface Timing {
  /** Until the first token of every row. */
  readonly prefillMs: number;
  /** All further tokens. */
  readonly decodeMs: number;
  /** Steps after the first. */
  readonly steps: number;
  /** How mixtures routed, where the model says so. */
  readonly routing?: readonly MixtureStats[];
}

/** What the main thread says. */
export type Request =
  /** Loads a model, where none is loaded. */
  | { readonly kind: 'open'; readonly opening: Opening }
  | { readonly kind: 'run'; readonly id: number; readonly feeds: Tensors; readonly wanted?: readonly string[] }
  | { readonly kind: 'decode'; readonly id: number; readonly plan: DecodePlan }
  /** The text of a row is complete; where all rows are, decoding ends. */
  | { readonly kind: 'finish'; readonly id: number; readonly row: number }
  /** Frees the model. The worker can load another one then. */
  | { readonly kind: 'close' };

/** What the worker says. */
export type Reply =
  | { readonly kind: 'opened'; readonly inputs: readonly Port[]; readonly outputs: readonly Port[]; readonly diagnostics: readonly Diagnostic[] }
  | { readonly kind: 'unopened'; readonly diagnostics: readonly Diagnostic[] }
  | { readonly kind: 'result'; readonly id: number; readonly outputs: Tensors }
  /** Tokens of some steps, step by step, a token for each row; -1 where a row has ended. */
  | { readonly kind: 'tokens'; readonly id: number; readonly tokens: Int32Array }
  | { readonly kind: 'decoded'; readonly id: number; readonly timing: Timing }
  | { readonly kind: 'failed'; readonly id: number; readonly diagnostics: readonly Diagnostic[] }
  | { readonly kind: 'closed' };
