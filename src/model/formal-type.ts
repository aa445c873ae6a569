/** Types of constants: `int`, `float`, `bool`, `string` and lists of them. */

import type { TensorType } from '../../grammar/ast.ts';
import { didYouMean } from '../diagnostics/suggest.ts';
import { float, numberOf } from './arithmetic.ts';
import { type Env, fault, quote } from './context.ts';
import { type Constant, type Poison, poison, type Thing } from './thing.ts';

const words = ['int', 'float', 'bool', 'string'] as const;
type Word = (typeof words)[number];
const phrases: Readonly<Record<Word, string>> = { int: 'a whole number', float: 'a number', bool: 'true or false', string: 'a string' };

/** The word of a constant's type, or undefined where the type is of tensors. */
export function constantWord(type: TensorType): Word | undefined {
  return words.find((word) => word === type.dtype?.text);
}

/** Whether a type is of constants: one of the four words, or a list of one. */
export function isConstantType(type: TensorType): boolean {
  return constantWord(type) !== undefined && (type.dims?.items.length ?? 0) <= 1;
}

/** The thing as the declared type has it (whole numbers stand for floats), or what was expected instead. */
export function constantOf(type: TensorType, thing: Thing, env: Env): { readonly value: Constant | Poison; readonly expected?: string } {
  const word = constantWord(type);
  if (!word || !isConstantType(type)) return { value: unknownType(type, env) };
  if (type.dims) return listOf(word, thing);
  const value = scalarOf(word, thing);
  return value ? { value } : { value: poison, expected: phrases[word] };
}

function unknownType(type: TensorType, env: Env): Poison {
  const word = type.dtype?.text ?? 'f32';
  return fault(
    env,
    'formal-of-layer-is-tensor',
    { type: quote(env.context.program, type.span) },
    {
      at: type.span,
      notes: ['a formal of a layer is int, float, bool, string, a list of these, or layer'],
      fixes: [...didYouMean(word, [...words, 'layer']), { text: 'tensors are formals of `forward`' }],
    },
  );
}

function scalarOf(word: Word, thing: Thing): Constant | undefined {
  if (word === 'float' && thing.kind === 'int') return float(numberOf(thing));
  return thing.kind === word ? (thing as Constant) : undefined;
}

function listOf(word: Word, thing: Thing): { readonly value: Constant | Poison; readonly expected?: string } {
  const expected = `a list of ${word}`;
  if (thing.kind !== 'list') return { value: poison, expected };
  if (!thing.items) return { value: thing };
  const items = thing.items.map((item) => (item.kind === 'rest' ? undefined : scalarOf(word, item)));
  return items.every((item) => item !== undefined) ? { value: { kind: 'list', items } } : { value: poison, expected };
}
