/** Inputs made from a seed, the same on any machine, for whatever a model takes. */

import { type Diagnostic, diagnose } from '../diagnostics/diagnostic.ts';
import { count } from '../graph/nd-array.ts';
import type { DType } from '../graph/type.ts';
import { isPast } from '../passes/cache-names.ts';
import { activeName } from '../passes/set-picks.ts';
import { randomNumbers } from '../weights/random.ts';
import { decoderPrefix, logitsWanted } from './decode-step.ts';
import type { Tensors } from './protocol.ts';
import type { Session } from './session.ts';
import { type Port, type Tensor, tensorOf } from './tensor.ts';
import { besideIds } from './text-feeds.ts';

/** How inputs are made. */
export interface SeededOptions {
  readonly seed: number;
  /** The size of the first axis where it has none. */
  readonly rows: number;
  /** Every other size without a number. */
  readonly length: number;
}

/** Tokens of the vocabulary, every one of them counted, at positions from 0, in the first segment; numbers of deviation 1 for floats; nothing in the past. */
export function seededInputs({ inputs, executable }: Pick<Session, 'inputs' | 'executable'>, { seed, rows, length }: SeededOptions): Tensors {
  const made = (port: Port): Tensor => {
    const { name, dtype } = port;
    const past = isPast(port);
    const dims = port.dims.map((size, axis) => (typeof size === 'number' ? size : axis === 0 ? rows : past ? 0 : length));
    const value = valuesOf(name, executable);
    const random = value ? new Float64Array() : randomNumbers(name, seed, 1, 0, count(dims));
    const last = Math.max(1, dims.at(-1) ?? 1);
    return tensorOf(
      dtype,
      dims,
      Float64Array.from({ length: count(dims) }, (_, i) => {
        if (value) return value(i % last);
        const number = random[i] ?? 0;
        if (dtype === 'bool') return 1;
        return areIds(dtype) ? Math.floor(Math.abs(number) * 65_537) % (executable.vocabulary ?? usualVocabulary) : number;
      }),
    );
  };
  return Object.fromEntries(inputs.map((port) => [port.name, made(port)]));
}

/** How many rows make `context` tokens, and the tokens that there really are: a model may take tokens along its first axis alone, or a fixed number of them. */
export function extentOf(inputs: readonly Port[], context: number): { readonly rows: number; readonly tokens: number } {
  const own = inputs.filter((port) => !isPast(port));
  if (own.some(({ dims }) => dims.slice(1).some(isOpen))) return { rows: 1, tokens: context };
  const axes = own[0] ? tokenAxes(own[0]) : [];
  const rows = axes.length === 1 && axes.some(isOpen) ? context : 1;
  return { rows, tokens: count(axes.map((size) => (typeof size === 'number' ? size : rows))) };
}

const isOpen = (size: number | string): boolean => typeof size !== 'number';

const areIds = (dtype: DType): boolean => /^[iu]\d/.test(dtype);

/** The sizes that tokens are counted by: each id is one, each vector, and each image whole, of which one is run where their number is open. */
function tokenAxes({ dtype, dims }: Port): Port['dims'] {
  if (dims.length > 3) return dims.slice(0, 1).filter((size) => !isOpen(size));
  return areIds(dtype) ? dims : dims.slice(0, -1);
}

/** Why nothing can be made from a seed for an input, where that is so. */
export function whyNoSeed({ inputs }: Pick<Session, 'inputs'>): Diagnostic | undefined {
  const open = inputs.find((port) => port.open);
  return open && diagnose('input-without-sizes', { name: open.name });
}

/** Tokens that every vocabulary has. */
const usualVocabulary = 64;

/** The usual value of an input by its column, where it has one. */
function valuesOf(name: string, { active }: Session['executable']): ((column: number) => number) | undefined {
  const usual: Readonly<Record<string, (column: number) => number>> = {
    ...besideIds,
    ...Object.fromEntries([...logitsWanted].map((one) => [one, () => 0])),
    [activeName]: () => active?.usual ?? 1,
  };
  return usual[name.startsWith(decoderPrefix) ? name.slice(decoderPrefix.length) : name];
}
