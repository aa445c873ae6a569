/** One node of ONNX as the tables that raise it see it: its inputs with their types, its attributes by kind, and a builder for what it becomes. */

import { isFloat } from '../../graph/attr.ts';
import { type Dim, constant as sizeOf } from '../../graph/dim.ts';
import type { Node, Value } from '../../graph/graph.ts';
import { type NdArray, scalar } from '../../graph/nd-array.ts';
import type { Attr, Builder, Op } from '../../graph/op.ts';
import type { TensorType } from '../../graph/type.ts';
import type { Producers } from '../producers.ts';
import type { KnownNumbers, Numbers } from './numbers.ts';

/** A node to raise. */
export interface Call {
  readonly node: Node;
  /** Input i, with a type; the node stays where it is missing or has none. */
  value(i: number): Value;
  /** Every input, each with a type. */
  values(): readonly Value[];
  /** Whether input i is given. */
  has(i: number): boolean;
  /** The type of input i; the node stays where it is not known. */
  type(i: number): TensorType;
  /** The whole numbers of input i; the node stays where they are not known. */
  numbers(i: number): Numbers;
  /** The same as constants. */
  integers(i: number): readonly number[];
  /** The one number of a constant input; undefined where it is left out. */
  number(i: number): number | undefined;
  /** The array of a constant input. */
  array(i: number): NdArray;
  int(name: string, otherwise: number): number;
  float(name: string, otherwise: number): number;
  text(name: string, otherwise: string): string;
  ints(name: string): readonly number[] | undefined;
  /** Adds an op with one result. */
  one(op: Op, inputs: readonly Value[], attrs?: Readonly<Record<string, Attr>>): Value;
  /** Adds an op with several results. */
  all(op: Op, inputs: readonly Value[], attrs?: Readonly<Record<string, Attr>>): readonly Value[];
  /** A number of the element type of x. */
  like(x: Value, number: number): Value;
  /** A constant. */
  constant(array: NdArray): Value;
  /** The sizes, which a run must be able to compute from the graph's inputs; the node stays where it is not. */
  computable(dims: readonly Dim[]): readonly Dim[];
  readonly from: Producers;
}

/** Thrown where a node has to stay as it is. */
export class Stays extends Error {}

/** Ends raising: the node stays. */
export function stay(): never {
  throw new Stays();
}

/** What calls share. */
export interface Surroundings {
  readonly from: Producers;
  readonly numbers: KnownNumbers;
  isComputable(size: Dim): boolean;
}

/** A view of a node; ops go to `build`. */
export function callOf(node: Node, build: Builder, { from, numbers: known, isComputable }: Surroundings): Call {
  const { attrs, inputs } = node;
  const given = (i: number): Value => inputs[i] ?? stay();
  const value = (i: number): Value => (given(i).type ? given(i) : stay());
  const numbers = (i: number): Numbers => known.of(given(i)) ?? stay();
  return {
    node,
    from,
    value,
    values: () => inputs.map((_, i) => value(i)),
    has: (i) => inputs[i] !== undefined,
    type: (i) => value(i).type ?? stay(),
    numbers,
    integers: (i) => numbers(i).values.map((size) => sizeOf(size) ?? stay()),
    number: (i) => (inputs[i] ? (from.number(inputs[i]) ?? stay()) : undefined),
    array: (i) => from.array(given(i)) ?? stay(),
    int: (name, otherwise) => (typeof attrs[name] === 'number' || typeof attrs[name] === 'boolean' ? Number(attrs[name]) : otherwise),
    float: (name, otherwise) => (isFloat(attrs[name]) ? attrs[name].value : otherwise),
    text: (name, otherwise) => (typeof attrs[name] === 'string' ? attrs[name] : otherwise),
    ints: (name) => (Array.isArray(attrs[name]) ? (attrs[name] as readonly number[]) : undefined),
    one: (op, values, settings) => build.one(op, values, settings),
    all: (op, values, settings) => build.add(op, values, settings),
    like: (x, number) => build.constant(scalar(number, x.type?.dtype ?? stay())),
    constant: (array) => build.constant(array),
    computable: (dims) => (dims.every(isComputable) ? dims : stay()),
  };
}
