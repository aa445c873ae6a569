/** The IR: values in SSA form, nodes in topological order, weights beside them. Graphs are immutable; a pass builds another. */

import type { Span } from '../../grammar/span.ts';
import type { Attr, Op } from './op.ts';
import type { Source } from './source.ts';
import type { TensorType } from './type.ts';

/** One value. Identity is the object's; the name is the author's and need not be unique until written. */
export interface Value {
  readonly kind: 'value';
  /** The author's path, such as `blocks.3.ffn.gate`. */
  readonly name: string;
  /** Absent only for values of foreign nodes whose shape is not known. */
  readonly type?: TensorType;
}

/** A layer that viewers are shown as one node: a router. Its nodes carry the same object; a pass that forgets it loses nothing but the picture. */
export interface Unit {
  /** The author's name of the layer, such as `TopSoftmax`. */
  readonly name: string;
  /** Where it stands in the model, such as `blocks.3.ffn.router`. */
  readonly path: string;
  readonly doc?: string;
}

/** An op applied to values. */
export interface Node {
  readonly op: Op;
  /** In the order of the op's ports; an optional port left out is undefined; a variadic port takes the rest. */
  readonly inputs: readonly (Value | undefined)[];
  readonly outputs: readonly Value[];
  readonly attrs: Readonly<Record<string, Attr>>;
  /** Graphs inside: the branches of an `If`, the body of a `Loop`, the expert and the router of a `mixture`. They may read values of the graph around them. */
  readonly bodies?: Readonly<Record<string, Graph>>;
  /** Where the author wrote it. */
  readonly span?: Span;
  /** The layer that it is shown as part of. */
  readonly unit?: Unit;
}

/** A tensor that comes with the model. */
export interface Weight {
  readonly value: Value;
  /** Where it lives in the model, such as `blocks.3.ffn.gate`; also the name of its random values. */
  readonly path: string;
  /** Where its numbers come from. */
  readonly source: Source;
  /** `state` where a training step will change it. */
  readonly storage: 'constant' | 'state';
}

/** A result under the name the file will give it. */
export interface Output {
  readonly name: string;
  readonly value: Value;
}

/** A model, a part of one, or a graph inside a node. */
export interface Graph {
  readonly name: string;
  readonly doc?: string;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Output[];
  readonly nodes: readonly Node[];
  readonly weights: readonly Weight[];
}

/** A new value. */
export function value(name: string, type?: TensorType): Value {
  return type ? { kind: 'value', name, type } : { kind: 'value', name };
}
