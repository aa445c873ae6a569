/** A target: what a runtime can do, and what it does better than the standard lowering. One file each beside this one. */

import type { Graph, Node, Value, Weight } from '../graph/graph.ts';
import type { Onnx } from '../graph/onnx.ts';
import type { TensorType } from '../graph/type.ts';
import type { Device } from './device-builder.ts';

/** What a lowering of a target is given: the node with its inputs already lowered, and a look at what made them. */
export interface LoweringContext {
  readonly onnx: Onnx;
  /** The value whose transpose this one is, where a lowered value is a transposed one. */
  transposeOf(value: Value): Value | undefined;
  /** The value under a type, for lowerings that ask for it. */
  typed(value: Value, type: TensorType | undefined): Value;
  /** The weight of one expert out of a value that holds those of all; undefined where the value is computed. */
  expertWeight(lifted: Value, e: number): Weight | undefined;
  /** The weight behind a value of the graph before lowering; undefined where it is computed. */
  weightOf(one: Value): Weight | undefined;
  /** What a value of the graph around has become. */
  lowered(old: Value): Value;
  /** The node of the graph around that makes a value; undefined for inputs and weights. */
  madeBy(old: Value | undefined): Node | undefined;
  /** Has a value of the graph around become another than its own node made: one that a later node makes as well. */
  becomes(old: Value, now: Value): void;
  /** A weight that stands in this graph alone. */
  store(weight: Weight): Value;
  /** Lowers a node with inputs that are lowered already. */
  apply(node: Node, inputs: readonly (Value | undefined)[]): readonly Value[];
  /** A graph inside a node, with weights of its own: `write` makes its results. It may read values of the graph around. */
  branch(name: string, write: (inside: LoweringContext) => readonly Value[], inputs?: readonly Value[]): Graph;
}

/** Lowers one node, or leaves it to the standard lowering by returning undefined. `old` is the node before its inputs were lowered. */
export type Lowering = (node: Node, context: LoweringContext, old: Node) => readonly Value[] | undefined;

/** The ways a segment of a mixture can be lowered. */
export const loweringNames = ['batched', 'guarded', 'gathered', 'looped', 'fused'] as const;
/** One of these ways. */
export type LoweringName = (typeof loweringNames)[number];

/** What a runtime was measured to take, with two threads. */
export interface MixtureCosts {
  /** Microseconds to start a node. */
  readonly node: number;
  /** Bytes of weights a microsecond, from memory: read by products, read by the fused operator, which takes them where they lie in the file, and copied. */
  readonly read: number;
  readonly readFused: number;
  readonly copy: number;
  /** Floating-point operations a microsecond: of products, and inside the fused operator. */
  readonly multiply: number;
  readonly multiplyFused: number;
}

/** A runtime to write for: what it can do, and what is lowered for it in a way of its own. */
export interface Target {
  readonly name: string;
  /** One line for `moec --help` and the reports. */
  readonly summary: string;
  /** Operator set of ai.onnx. */
  readonly opset: number;
  /** IR version of the file. */
  readonly ir: number;
  /** Other domains that its graphs use, with their versions. */
  readonly domains: Readonly<Record<string, number>>;
  /** Whether `If` and `Loop` may be written. */
  readonly controlFlow: boolean;
  /** Whether files for it may hold functions. */
  readonly functions: boolean;
  /** What its runtime computes in place of what lowerings write; they write for it as they stand where left out. */
  readonly device?: (onnx: Onnx, inputs: readonly Value[]) => Device;
  /** How mixtures may be lowered, and what that costs. */
  readonly mixtures: { readonly names: readonly LoweringName[]; readonly costs: MixtureCosts };
  /** Lowerings by op name. */
  readonly lowerings: ReadonlyMap<string, Lowering>;
}
