/** Where the numbers of a weight come from: a tensor of the checkpoint seen through views, numbers made from a seed, or numbers at hand. */

import type { NdArray } from './nd-array.ts';
import type { DType } from './type.ts';

/** Sizes are constants here: what a source yields is known before anything is read. */
interface Sized {
  readonly dims: readonly number[];
  readonly dtype: DType;
}

/** A source, by its kind. */
export type Source = Tensor | Transpose | Slice | Interleaved | Picked | Reshape | Concat | Arithmetic | Cast | Random | Literal;

/** A tensor of the checkpoint, by name, as stored. */
export interface Tensor extends Sized {
  readonly kind: 'tensor';
  readonly name: string;
}

/** The last two axes exchanged. */
export interface Transpose extends Sized {
  readonly kind: 'transpose';
  readonly of: Source;
}

/** Rows `from` to `to` (half-open) of `axis`; `split(x, n)` is n of these. With `drop`, the axis (of one row) goes. */
export interface Slice extends Sized {
  readonly kind: 'slice';
  readonly of: Source;
  readonly axis: number;
  readonly from: number;
  readonly to: number;
  readonly drop: boolean;
}

/** Every `step`-th row of `axis`, from `from`; `unzip(x, n)` is n of these. */
export interface Interleaved extends Sized {
  readonly kind: 'interleaved';
  readonly of: Source;
  readonly axis: number;
  readonly from: number;
  readonly step: number;
}

/** Rows of `axis` in the order named; -1 is a row of zeros. A conversion lays the neurons of an expert side by side with it. */
export interface Picked extends Sized {
  readonly kind: 'picked';
  readonly of: Source;
  readonly axis: number;
  readonly order: readonly number[];
}

/** The same numbers in the same order, under other sizes. */
export interface Reshape extends Sized {
  readonly kind: 'reshape';
  readonly of: Source;
}

/** Several sources one after another along `axis`. */
export interface Concat extends Sized {
  readonly kind: 'concat';
  readonly of: readonly Source[];
  readonly axis: number;
}

/** Each number through one step: `x + 1.0`, `x * 2.0`, `-x`. */
export interface Arithmetic extends Sized {
  readonly kind: 'arithmetic';
  readonly of: Source;
  readonly operator: '+' | '-' | '*' | '/' | 'negate' | 'exp' | 'log' | 'sqrt' | 'rsqrt';
  /** The constant operand, absent for one-argument steps; `left` where it stands to the left. */
  readonly operand?: number;
  readonly left?: boolean;
}

/** Another element type, rounding to nearest even. */
export interface Cast extends Sized {
  readonly kind: 'cast';
  readonly of: Source;
}

/** Numbers that depend on the seed and the weight's path alone: `value` everywhere where given (`weight gain = 1.0`), else normal with deviation `deviation`. */
export interface Random extends Sized {
  readonly kind: 'random';
  readonly path: string;
  readonly seed: number;
  readonly deviation: number;
  readonly value?: number;
}

/** Numbers at hand, made by a pass. */
export interface Literal extends Sized {
  readonly kind: 'literal';
  readonly array: NdArray;
}
