/** A forward while it is being built: where it stands, what its sizes are called, and the nodes so far. */

import type { Span } from '../../grammar/span.ts';
import { Bug } from '../diagnostics/bug.ts';
import { withDefaults } from '../graph/builder.ts';
import { constant } from '../graph/constant.ts';
import { type Dim, show } from '../graph/dim.ts';
import { TypeFault } from '../graph/fail.ts';
import { type Node, type Value, value } from '../graph/graph.ts';
import { scalar } from '../graph/nd-array.ts';
import type { Attr, Op } from '../graph/op.ts';
import { type DType, spell, spellType, type TensorType } from '../graph/type.ts';
import { type Env, fault, openMark } from './context.ts';
import { limits } from './limits.ts';
import { type Instance, type Poison, poison, type TensorThing, type WeightThing } from './thing.ts';
import { reportTypeFault } from './type-fault.ts';

/** The graph under construction. One for a model; one more for each body of a mixture. */
export interface Build {
  readonly nodes: Node[];
  /** Values that a `cache` of the present layer stands behind. */
  readonly cached: Set<Value>;
  /** `positions(n)`, each once, by size. */
  readonly positions: Map<string, Value>;
  /** How often a place was used, so that each cache has its own name. */
  readonly caches: Map<string, number>;
  /** The graph's value of each weight that was read. */
  readonly weights: Map<WeightThing, Value>;
  /** Where each weight lives: its canonical path. */
  readonly paths: ReadonlyMap<WeightThing, string>;
  /** Set while the body of a mixture is built: what the experts own. */
  readonly lifted?: ReadonlySet<WeightThing>;
  readonly outer?: Build;
}

/** One application of a layer's forward. */
export interface Frame {
  readonly build: Build;
  readonly instance: Instance;
  /** The way from the model to here, such as `blocks.3.attn`. */
  readonly place: string;
  /** The sizes known only at run time, by the names this file gives them. */
  readonly dims: Map<string, Dim>;
  /** What each `..` of the formals stands for, in order. */
  readonly rests: (readonly Dim[])[];
  /** The name being assigned and the expression it stands for: what is computed on the way there is named after it. */
  readonly target?: { readonly name: string; readonly span: Span };
  /** Names of statements that were read. */
  readonly read: Set<string>;
}

/** An empty graph. */
export function newBuild(paths: ReadonlyMap<WeightThing, string>, outer?: Build, lifted?: ReadonlySet<WeightThing>): Build {
  return { nodes: [], cached: new Set(), positions: new Map(), caches: new Map(), weights: new Map(), paths, ...(outer ? { outer } : {}), ...(lifted ? { lifted } : {}) };
}

/** An operand with where it was written. */
export interface Operand {
  readonly tensor: TensorThing;
  readonly span: Span;
  /** What to mark instead where the operand does not fit: the index that picks from it. */
  readonly blame?: Span;
}

/** The name of a node's results where it is not that of the statement, and where its settings were written. */
export interface Naming {
  readonly name?: string;
  readonly settings?: ReadonlyMap<string, Span>;
}

/** Appends a node; a fault of its type rule is reported at `span`. Undefined where there is one. */
export function emit(
  env: Env,
  op: Op,
  inputs: readonly (Operand | undefined)[],
  attrs: Readonly<Record<string, Attr>>,
  span: Span,
  { name, settings = new Map() }: Naming = {},
): readonly TensorThing[] | Poison {
  const { frame } = env;
  if (!frame) throw new Bug(`${op.name} outside a forward`);
  const full = withDefaults(op, attrs);
  const types = typesOf(env, op, inputs, full, span, settings);
  if (!types) return poison;
  const { build } = frame;
  if (build.nodes.length >= limits.nodes) return fault(env, 'graph-too-large', { limit: limits.nodes }, { at: span });
  const base = name ?? join(frame.place, nameOf(frame, op, span));
  const outputs = types.map((type, i) => value(types.length === 1 ? base : `${base}.${op.outputs[i] ?? i}`, type));
  build.nodes.push({ op, inputs: inputs.map((one) => one?.tensor.value), outputs, attrs: full, span });
  markCached(build, op, inputs, outputs);
  return outputs.map((one, i) => ({ kind: 'tensor', value: one, type: types[i] ?? { dtype: 'f32', dims: [] } }));
}

function nameOf({ target }: Frame, op: Op, span: Span): string {
  if (!target) return op.name;
  return target.span.start === span.start && target.span.end === span.end ? target.name : `${target.name}.${op.name}`;
}

/** The same for ops with one result. */
export function emitOne(env: Env, op: Op, inputs: readonly (Operand | undefined)[], attrs: Readonly<Record<string, Attr>>, span: Span, name?: string): TensorThing | Poison {
  const results = emit(env, op, inputs, attrs, span, name === undefined ? {} : { name });
  return 'kind' in results ? results : (results[0] ?? poison);
}

/** `a.b`, where either may be empty. */
export function join(place: string, name: string): string {
  return place === '' ? name : name === '' ? place : `${place}.${name}`;
}

/** A number as a value of the graph. */
export function scalarValue(env: Env, number: number, dtype: DType, span: Span): TensorThing | Poison {
  return emitOne(env, constant, [], { array: scalar(number, dtype) }, span, join(env.frame?.place ?? '', 'constant'));
}

function typesOf(
  env: Env,
  op: Op,
  inputs: readonly (Operand | undefined)[],
  attrs: Readonly<Record<string, Attr>>,
  span: Span,
  settings: ReadonlyMap<string, Span>,
): readonly TensorType[] | undefined {
  try {
    return op.type(
      inputs.map((one) => one?.tensor.type),
      attrs,
    );
  } catch (error) {
    if (error instanceof TypeFault) reportTypeFault(env, error, { op, inputs, settings, span });
    else if (error instanceof Bug && /beyond 2\^53|whole number/.test(error.message)) fault(env, 'number-too-large', {}, { at: span });
    else throw error;
    return undefined;
  }
}

/** A size with its number where the author's spelling hides it: `H = 1536`. */
export function spellValue(size: Dim): string {
  const [word, meaning] = [spell(size), show({ terms: size.terms })];
  return word === meaning || meaning.includes(openMark) ? word : `${word} = ${meaning}`;
}

/** A type with the numbers behind its names: `[B, S, D] with D = 576`. */
export function spellSized(type: TensorType): string {
  const hidden = new Map(
    type.dims
      .filter((size) => size.label !== undefined && size.label !== '..' && size.label !== show({ terms: size.terms }) && show({ terms: size.terms }).match(/^\d+$/))
      .map((size) => [size.label ?? '', spellValue(size)]),
  );
  return hidden.size === 0 ? spellType(type) : `${spellType(type)} with ${[...hidden.values()].join(', ')}`;
}

/** What lies behind a `cache` stays marked until an `attend` has read it: rows of its result are those of the query. */
function markCached(build: Build, op: Op, inputs: readonly (Operand | undefined)[], outputs: readonly Value[]): void {
  const relevant = op.name === 'attend' ? inputs.slice(0, 1) : inputs;
  if (op.name === 'cache' || relevant.some((one) => one && build.cached.has(one.tensor.value))) outputs.forEach((one) => build.cached.add(one));
}
