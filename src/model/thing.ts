/** What an expression stands for while a model is being built: constants, layers, and values of the graph. */

import type { LayerDecl, ModelDecl, WeightDecl } from '../../grammar/ast.ts';
import type { Span } from '../../grammar/span.ts';
import type { Dim } from '../graph/dim.ts';
import type { Value } from '../graph/graph.ts';
import type { TensorType } from '../graph/type.ts';
import type { Module } from './program.ts';

/** A whole number: a constant, or a size known only by name. */
export interface IntThing {
  readonly kind: 'int';
  readonly value: Dim;
}

/** `value` is absent where only the type is known: the formals of a layer that is checked alone. */
export interface FloatThing {
  readonly kind: 'float';
  readonly value?: number;
}
/** `true` or `false`; `value` is absent where only the type is known. */
export interface BoolThing {
  readonly kind: 'bool';
  readonly value?: boolean;
}
interface TextThing {
  readonly kind: 'string';
  readonly value?: string;
}

/** A list as written or from the config; `items` absent where unknown. A `rest` item is the `..` of a shape. */
export interface ListThing {
  readonly kind: 'list';
  readonly items?: readonly (Thing | { readonly kind: 'rest' })[];
}

/** A value of the graph, seen with the sizes spelt as the present layer spells them. */
export interface TensorThing {
  readonly kind: 'tensor';
  readonly value: Value;
  readonly type: TensorType;
  /** The weight it is, for messages that point at its declaration. */
  readonly weight?: WeightThing;
}

/** A weight of one layer. */
export interface WeightThing {
  readonly kind: 'weight';
  readonly name: string;
  readonly decl: WeightDecl;
  readonly type: TensorType;
  readonly shared: boolean;
  /** The value of every number before training, where declared. */
  readonly initial?: number;
}

/** Where an instance was made: one line of a trace, outermost at the end of the chain. */
export interface Trace {
  readonly span: Span;
  readonly parent?: Trace;
}

/** A layer or a model with its formals filled. Identity is the object's: the same object is the same weights. */
export interface Instance {
  readonly kind: 'instance';
  readonly decl: LayerDecl | ModelDecl;
  readonly module: Module;
  readonly trace?: Trace;
  /** Formals, weights and parts by name. */
  readonly names: ReadonlyMap<string, Thing>;
  readonly parts: ReadonlyMap<string, Part>;
  readonly weights: ReadonlyMap<string, WeightThing>;
  /** How the caller spelt the formals that are sizes: `D` of the layer is `width` out there. */
  readonly spelling: ReadonlyMap<string, string>;
  /** Nothing in it can be trusted: a fault was reported while it was made. */
  readonly broken: boolean;
}

/** A part of a layer; `formal` where it was handed in. */
export interface Part {
  readonly name: string;
  readonly layer: LayerThing;
  readonly shared: boolean;
  readonly formal: boolean;
  readonly span: Span;
}

/** Layers in a row. `open` where the count is not known: one element stands for all. */
export interface Stack {
  readonly kind: 'stack';
  readonly items: readonly LayerThing[];
  readonly open: boolean;
}

/** Experts and what picks among them. `experts` are runs of equal layers. */
export interface Mixture {
  readonly kind: 'mixture';
  readonly experts: readonly { readonly layer: LayerThing; readonly count: Dim }[];
  readonly count: Dim;
  readonly router: LayerThing;
  readonly span: Span;
}

/** A layer formal of a layer that is checked alone: nothing is known of it. */
export interface Opaque {
  readonly kind: 'opaque';
}

/** A layer of any sort. */
export type LayerThing = Instance | Stack | Mixture | Opaque;

/** What a call with several results yields. */
interface SeveralThing {
  readonly kind: 'several';
  readonly items: readonly Thing[];
}

/** Stands for what a reported fault has made unknowable; whatever it meets stays silent. */
export interface Poison {
  readonly kind: 'poison';
}

/** What is known before anything runs. */
export type Constant = IntThing | FloatThing | BoolThing | TextThing | ListThing;
/** What an expression stands for. */
export type Thing = Constant | TensorThing | WeightThing | LayerThing | SeveralThing | Poison;

/** The one `Poison`. */
export const poison: Poison = { kind: 'poison' };

/** Whether it is a layer of some sort. */
export function isLayer(thing: Thing): thing is LayerThing {
  return thing.kind === 'instance' || thing.kind === 'stack' || thing.kind === 'mixture' || thing.kind === 'opaque';
}

/** Whether it is known before anything runs (a dim's number excepted). */
export function isConstant(thing: Thing): thing is Constant {
  return thing.kind === 'int' || thing.kind === 'float' || thing.kind === 'bool' || thing.kind === 'string' || thing.kind === 'list';
}

/** Where a weight was given this name. */
export function spanOfName(thing: Thing | undefined, name: string): Span | undefined {
  return thing?.kind === 'weight' ? thing.decl.names.find((one) => one.text === name)?.span : undefined;
}

/** The words for it in messages. */
export const thingWords: Readonly<Record<Thing['kind'], string>> = {
  int: 'a whole number',
  float: 'a number',
  bool: 'a bool',
  string: 'a string',
  list: 'a list',
  tensor: 'a tensor',
  weight: 'a weight',
  instance: 'a layer',
  stack: 'a stack',
  mixture: 'a mixture',
  opaque: 'a layer',
  several: 'several results',
  poison: 'unknown',
};
