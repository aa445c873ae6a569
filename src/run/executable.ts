/** What is run: a model with its form, its tokenizer and its limits. Made by compiling, or by reading a compiled folder. */

import type { Picks } from '../passes/set-picks.ts';

/** Where the model is: encoded, with the folder in which its external data lie, or a file. */
export type ModelPlace = { readonly kind: 'bytes'; readonly bytes: Uint8Array; readonly dataFolder: string } | { readonly kind: 'file'; readonly path: string };

/** Where the tokenizer is: `tokenizer.json` (and its settings) in a folder, or bytes taken as tokens. */
export type TokenizerPlace = { readonly kind: 'file'; readonly folder: string } | { readonly kind: 'bytes' };

/** How a model is driven. `whole`: its own inputs to its own results. `step`: with past keys and values in and present ones out. `loop`: many tokens in one call. */
export const forms = ['whole', 'step', 'loop'] as const;
/** One of the forms. */
export type Form = (typeof forms)[number];

/** A model that is ready to run. */
export interface Executable {
  readonly model: ModelPlace;
  readonly form: Form;
  /** Set where it was made for a device: every node is to run there, and results of these names stay there between steps. */
  readonly device?: { readonly kept: readonly string[] };
  /** False for models that read a text from both sides and so cannot continue one; not known where left out. */
  readonly causal?: boolean;
  /** The most tokens it can look at, prompt and continuation together. */
  readonly context?: number;
  /** How many different tokens there are. */
  readonly vocabulary?: number;
  readonly tokenizer: TokenizerPlace | undefined;
  /** Tokens that end a text. */
  readonly stop: readonly number[];
  /** The token that fills short rows. */
  readonly pad?: number;
  /** The token that a text begins with. */
  readonly bos?: number;
  /** Set where the number of experts that a token picks is the input `active`: the author's number, and the most there can be. */
  readonly active?: Picks;
  /** Set where onnxruntime's operator `MoE` is among its nodes: without a row it ends the process (1.30, by a division by zero). */
  readonly fused?: true;
  /** Inputs and results of a model of ONNX that says nothing of their sizes, not even how many there are: runtimes tell them from numbers without a size by this alone. */
  readonly open?: readonly string[];
  /** Removes temporary data; called once, when nothing runs any more. */
  dispose?(): void;
}

/** What runs the model: an execution provider of onnxruntime. */
export const providers = ['cpu', 'webgpu', 'cuda'] as const;
/** One of the providers. */
export type Provider = (typeof providers)[number];
