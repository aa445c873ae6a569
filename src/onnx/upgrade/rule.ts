/** What a step of the table is given and gives: one node, from the form it has before a version of its op to the form it has from there on. */

import type { Node, Value } from '../../graph/graph.ts';
import { type NdArray, ndArray, scalar } from '../../graph/nd-array.ts';
import type { ForeignAttrs } from '../../graph/onnx.ts';
import type { Attr } from '../../graph/op.ts';
import type { DType } from '../../graph/type.ts';

/** The node of the new form, which makes the same values; what it needs besides was pushed before. A text says why there is none. */
export type Rule = (node: Node, up: Upgrading) => Node | string;

/** Where a rule puts further nodes, and what it may ask. Pushed nodes have the form of opset 21. */
export interface Upgrading {
  /** A node of ai.onnx with one result. */
  push(type: string, inputs: readonly (Value | undefined)[], attrs?: ForeignAttrs): Value;
  /** A constant. */
  array(array: NdArray): Value;
  /** The numbers of a value where they stand in the file. */
  known(one: Value | undefined): NdArray | undefined;
  rank(one: Value | undefined): number | undefined;
  dtype(one: Value | undefined): DType | undefined;
  /** Whether anything reads a value. */
  read(one: Value): boolean;
  /** Says how something was understood that the file leaves open. */
  assume(what: string): void;
}

/** The node with something about it changed. */
export function changed(node: Node, change: Partial<Pick<Node, 'op' | 'inputs' | 'outputs' | 'attrs' | 'bodies'>>): Node {
  return { ...node, ...change };
}

/** The settings without those of these names. */
export function without(attrs: Node['attrs'], ...names: readonly string[]): Node['attrs'] {
  return Object.fromEntries(Object.entries(attrs).filter(([name]) => !names.includes(name)));
}

/** An i64 vector constant. */
export const ints = (values: readonly number[], up: Upgrading): Value => up.array(ndArray([values.length], values, 'i64'));

/** An attribute of integers as a vector; undefined where it is left out or empty. References inside functions and numbers beyond 2^53 stay what they are. */
export function intsInput(attr: Attr, up: Upgrading): Value | undefined {
  if (isNumbers(attr)) return attr.length === 0 ? undefined : ints(attr, up);
  return attr === undefined ? undefined : up.push('Constant', [], { value_ints: attr as ForeignAttrs[string] });
}

/** An attribute of one integer as a scalar. */
export function intInput(attr: Attr, up: Upgrading): Value {
  return typeof attr === 'number' ? up.array(scalar(attr, 'i64')) : up.push('Constant', [], { value_int: attr as ForeignAttrs[string] });
}

/** An attribute of one float as a scalar of the element type of `like`; undefined where it is left out. */
export function floatInput(attr: Attr, like: Value | undefined, up: Upgrading): Value | undefined {
  if (attr === undefined) return undefined;
  const dtype = up.dtype(like);
  const number = floatOf(attr);
  if (number !== undefined && dtype !== undefined) return up.array(scalar(number, dtype));
  const made = number === undefined ? up.push('Constant', [], { value_float: attr as ForeignAttrs[string] }) : up.array(scalar(number));
  return dtype === 'f32' ? made : up.push('CastLike', [made, like]);
}

/** The number of a float attribute. */
export function floatOf(attr: Attr): number | undefined {
  return typeof attr === 'object' && 'kind' in attr && attr.kind === 'float' ? attr.value : undefined;
}

/** Whether a setting is a list of integers. */
export function isNumbers(attr: Attr): attr is readonly number[] {
  return Array.isArray(attr) && attr.every((one) => typeof one === 'number');
}
