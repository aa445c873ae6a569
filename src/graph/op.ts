/** What an op is: one definition that types, evaluates, differentiates and lowers it. The definitions stand in `src/ops`. */

import type { Dim } from './dim.ts';
import type { Node, Value } from './graph.ts';
import type { NdArray } from './nd-array.ts';
import type { Float, Floats, Onnx, Raw } from './onnx.ts';
import type { DType, TensorType } from './type.ts';

/** A setting of a node. */
export type Attr = number | boolean | string | readonly number[] | readonly string[] | Dim | readonly Dim[] | NdArray | Float | Floats | Raw | undefined;

/** The kinds of settings, with the type each has. `dim` and `dims` are symbolic sizes, resolved when a graph runs. */
interface AttrTypes {
  readonly int: number;
  readonly float: number;
  readonly bool: boolean;
  readonly string: string;
  readonly ints: readonly number[];
  readonly floats: readonly number[];
  readonly strings: readonly string[];
  readonly dim: Dim;
  readonly dims: readonly Dim[];
  readonly dtype: DType;
  readonly array: NdArray;
}

/** The name of a kind of setting. */
export type AttrKind = keyof AttrTypes;

/** A setting an op declares: its kind, and the value it has where left out. An `optional` one may have none. */
export interface AttrSpec<K extends AttrKind = AttrKind> {
  readonly kind: K;
  readonly default?: AttrTypes[K] | undefined;
  readonly optional?: boolean;
}

type AttrOf<S extends AttrSpec> = S extends { readonly optional: true } ? AttrTypes[S['kind']] | undefined : AttrTypes[S['kind']];
/** The settings of an op by name, each with the type of its kind. */
export type Attrs<A extends Readonly<Record<string, AttrSpec>>> = { readonly [N in keyof A]: AttrOf<A[N]> };

/** Port names: `x`, `bias?` may be absent, `parts*` takes any number. */
type PortName<P extends string> = P extends `${infer N}?` ? N : P extends `${infer N}*` ? N : P;
/** The inputs of an op by port: a list for a port of any number, perhaps undefined for one that may be absent. */
export type Args<P extends readonly string[], T> = {
  readonly [N in P[number] as PortName<N>]: N extends `${string}?` ? T | undefined : N extends `${string}*` ? readonly T[] : T;
};

/** Values of the names in symbolic sizes, while a graph runs. */
export interface Sizes {
  /** The number a size is; a `Bug` where a name has no value. */
  of(size: Dim): number;
}

/** What an op's reference is given beside its inputs. */
export interface EvalContext {
  readonly sizes: Sizes;
  /** The types of the results. */
  readonly types: readonly TensorType[];
  /** The graphs inside the node, ready to run. */
  readonly bodies: Readonly<Record<string, EvalBody>>;
}

/** A graph inside a node, as its reference sees it. */
export interface EvalBody {
  /** Names of its inputs, in order. */
  readonly inputs: readonly string[];
  /** Results by name, for inputs in order. */
  run(inputs: readonly NdArray[]): Readonly<Record<string, NdArray>>;
}

/** Applies ops while a graph is being built: used by gradients and by passes. */
export interface Builder {
  /** Adds a node; types are inferred by the op's rule. */
  add(
    op: Op,
    inputs: readonly (Value | undefined)[],
    attrs?: Readonly<Record<string, Attr>>,
    options?: { readonly name?: string; readonly span?: Node['span']; readonly bodies?: Node['bodies']; readonly unit?: Node['unit'] },
  ): readonly Value[];
  /** Adds a node with one result. */
  one(op: Op, inputs: readonly (Value | undefined)[], attrs?: Readonly<Record<string, Attr>>, name?: string): Value;
  /** A constant of the graph. */
  constant(array: NdArray, name?: string): Value;
}

/** A definition with its ports and settings typed. `defineOp` turns it into an `Op`. */
export interface OpSpec<P extends readonly string[], A extends Readonly<Record<string, AttrSpec>>, O extends readonly string[]> {
  readonly name: string;
  /** How the language calls it, where that differs from `name`: `max` for `maximum`; null for what cannot be called by name. */
  readonly call?: string | null;
  /** First sentence stands alone; shapes and units follow. */
  readonly doc: string;
  readonly inputs: P;
  /** Names of the results; one `y` where left out. A single `parts*` is a number of results that the type rule decides. */
  readonly outputs?: O;
  readonly attrs?: A;
  /** Result types, or a fault by `fail`. */
  type(args: Args<P, TensorType>, attrs: Attrs<A>): TensorType | readonly TensorType[];
  /** Plain reference in f64. `absent` for ops that only a lowering gives a meaning. */
  eval(args: Args<P, NdArray>, attrs: Attrs<A>, context: EvalContext): NdArray | readonly NdArray[];
  /** Gradients of the differentiable inputs, by port name, from the results `y` and their gradients `dy`; or 'none'. */
  readonly grad:
    | 'none'
    | ((
        args: Args<P, Value>,
        attrs: Attrs<A>,
        results: { readonly y: readonly Value[]; readonly dy: readonly (Value | undefined)[] },
        build: Builder,
      ) => Readonly<Record<string, Value | readonly Value[] | undefined>>);
  /** Standard ONNX ops with the same meaning, on every target. */
  lower(args: Args<P, Value>, onnx: Onnx, attrs: Attrs<A>, results: readonly Value[]): Value | readonly Value[];
  /** Shapes to try: feeds for the conformance table. */
  readonly samples: readonly Sample[];
}

/** One row of the conformance table: shapes (or arrays) by port, settings, element types where not f32. */
export interface Sample {
  readonly inputs: Readonly<Record<string, readonly number[] | NdArray | readonly (readonly number[])[]>>;
  readonly attrs?: Readonly<Record<string, Attr>>;
  /** Draw the numbers from this range instead of [-2, 2). */
  readonly range?: readonly [number, number];
}

/** An op, its rules erased to plain tables; what passes and nodes hold. */
export interface Op {
  readonly name: string;
  readonly call: string | null;
  readonly doc: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attrs: Readonly<Record<string, AttrSpec>>;
  /** Set for ops of ONNX that the graph carries as they are: domain and type. Their rules are never asked. */
  readonly foreign?: { readonly domain: string; readonly type: string };
  readonly type: (inputs: readonly (TensorType | undefined)[], attrs: Node['attrs']) => readonly TensorType[];
  readonly eval: (inputs: readonly (NdArray | undefined)[], attrs: Node['attrs'], context: EvalContext) => readonly NdArray[];
  readonly grad:
    | 'none'
    | ((
        inputs: readonly (Value | undefined)[],
        attrs: Node['attrs'],
        results: { readonly y: readonly Value[]; readonly dy: readonly (Value | undefined)[] },
        build: Builder,
      ) => readonly (Value | undefined)[]);
  readonly lower: (inputs: readonly (Value | undefined)[], onnx: Onnx, attrs: Node['attrs'], results: readonly Value[]) => readonly Value[];
  readonly samples: readonly Sample[];
}

/** The ports of an op gathered by name: a variadic port takes what is left. */
export function gather<T>(ports: readonly string[], inputs: readonly (T | undefined)[]): Readonly<Record<string, T | undefined | readonly (T | undefined)[]>> {
  return Object.fromEntries(ports.map((port, i) => (port.endsWith('*') ? [port.slice(0, -1), inputs.slice(i)] : [port.replace('?', ''), inputs[i]])));
}

/** Makes an op of its definition. The casts here are the one place where typed definitions become tables. */
export function defineOp<
  const P extends readonly string[],
  const A extends Readonly<Record<string, AttrSpec>> = Record<never, never>,
  const O extends readonly string[] = readonly ['y'],
>(spec: OpSpec<P, A, O>): Op {
  const named = <T>(inputs: readonly (T | undefined)[]): Args<P, T> => gather(spec.inputs, inputs) as Args<P, T>;
  const settings = (attrs: Node['attrs']): Attrs<A> => attrs as Attrs<A>;
  const list = <T>(result: T | readonly T[]): readonly T[] => (Array.isArray(result) ? result : [result as T]);
  const { grad } = spec;
  return {
    name: spec.name,
    call: spec.call === undefined ? spec.name : spec.call,
    doc: spec.doc,
    inputs: spec.inputs,
    outputs: spec.outputs ?? ['y'],
    attrs: spec.attrs ?? {},
    type: (inputs, attrs) => list(spec.type(named(inputs), settings(attrs))),
    eval: (inputs, attrs, context) => list(spec.eval(named(inputs), settings(attrs), context)),
    grad: grad === 'none' ? 'none' : (inputs, attrs, results, build) => spread(spec.inputs, grad(named(inputs), settings(attrs), results, build), inputs.length),
    lower: (inputs, onnx, attrs, results) => list(spec.lower(named(inputs), onnx, settings(attrs), results)),
    samples: spec.samples,
  };
}

function spread(ports: readonly string[], byName: Readonly<Record<string, Value | readonly Value[] | undefined>>, length: number): readonly (Value | undefined)[] {
  const all = ports.flatMap((port): readonly (Value | undefined)[] => {
    const given = byName[port.replace(/[?*]$/, '')];
    return Array.isArray(given) ? (given as readonly Value[]) : [given as Value | undefined];
  });
  return Array.from({ length }, (_, i) => all[i]);
}
