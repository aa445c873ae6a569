/**
 * Makes activations that are spelled out single ops: GELU in both forms, SiLU, the logistic function, ReLU, one over a root.
 * Exporters write them in many orders, with constants rounded in many ways. So they are known by what they compute: a chain of elementwise steps
 * with constants is a function of one number, and functions are compared at points from −10⁸ to 10⁸.
 */

import { Bug } from '../diagnostics/bug.ts';
import type { Graph, Node, Value } from '../graph/graph.ts';
import { type NdArray, ndArray } from '../graph/nd-array.ts';
import type { Op, Sizes } from '../graph/op.ts';
import { rewrite } from '../graph/rewrite.ts';
import { sameType } from '../graph/type.ts';
import { gelu, gelu_tanh, relu, rsqrt, sigmoid, silu } from '../ops/activations.ts';
import { isFloat } from '../ops/rules.ts';
import { removeDead } from './drop-dead.ts';
import type { Pass } from './pass.ts';
import { probes } from './probes.ts';
import { type Producers, producersOf } from './producers.ts';
import { rebuild } from './rebuild.ts';

/** What two functions may be apart, of the larger of x and 1: constants are rounded to f32 or to seven digits. */
const tolerance = 3e-7;

const activations: readonly Op[] = [gelu, gelu_tanh, silu, sigmoid, relu, rsqrt];

const noSizes: Sizes = {
  of: () => {
    throw new Bug('an activation with a size');
  },
};

const evaluated = (op: Op, inputs: readonly NdArray[], attrs: Node['attrs'], node?: Node): NdArray | undefined =>
  op.eval(inputs, attrs, { sizes: noSizes, types: node?.outputs.flatMap(({ type }) => type ?? []) ?? [], bodies: {} })[0];

const identity = ndArray([probes.length], probes);
const wanted = activations.map((op) => ({ op, at: evaluated(op, [identity], {})?.data ?? new Float64Array() }));

/** Steps that such chains are made of. */
const steps: ReadonlySet<string> = new Set([
  ...['add', 'sub', 'mul', 'div', 'neg', 'maximum', 'minimum', 'where', 'clamp', 'exp', 'log', 'sqrt', 'rsqrt', 'abs', 'tanh', 'sigmoid', 'silu', 'relu', 'erf', 'softplus'],
  ...['lt', 'le', 'gt', 'ge'],
]);

/** A value as a function of each value that it depends on alone. */
type Curves = ReadonlyMap<Value, NdArray>;

/** No more values than this are tried as the argument: chains are short. */
const mostArguments = 16;

function curvesOf(node: Node, known: Map<Value, Curves>, from: Producers): Curves {
  const [result] = node.outputs;
  if (!result || !steps.has(node.op.name)) return new Map();
  const numbers = node.inputs.map((one) => from.number(one));
  const varying = node.inputs.filter((one, i): one is Value => one !== undefined && numbers[i] === undefined);
  const [first, ...others] = varying.map((one) => known.get(one) ?? new Map([[one, identity]]));
  const curves = new Map<Value, NdArray>();
  for (const argument of first?.keys() ?? []) {
    if (curves.size === mostArguments || !others.every((curve) => curve.has(argument))) continue;
    const inputs = node.inputs.map((one, i) => {
      const number = numbers[i];
      return number === undefined ? ((one && known.get(one)?.get(argument)) ?? identity) : ndArray([], [number], one?.type?.dtype ?? 'f32');
    });
    const curve = evaluated(node.op, inputs, node.attrs, node);
    if (curve) curves.set(argument, curve);
  }
  if (result.type && isFloat(result.type.dtype)) curves.set(result, identity);
  return curves;
}

/** Whether two functions are the same at every point; both may be undefined there, or infinite. */
function agrees(found: Float64Array, one: Float64Array): boolean {
  return one.every((y, i) => {
    const other = found[i] ?? Number.NaN;
    return Object.is(y, other) || y === other || Math.abs(y - other) <= tolerance * Math.max(1, Math.abs(probes[i] ?? 0));
  });
}

/** The op that the result is of some value, where there is one. */
function named(node: Node, curves: Curves): { readonly op: Op; readonly x: Value } | undefined {
  const [result] = node.outputs;
  for (const [x, { data }] of curves) {
    if (x === result || !x.type || !result?.type || !sameType(x.type, result.type)) continue;
    const found = wanted.find(({ at }) => agrees(data, at));
    if (found) return { op: found.op, x };
  }
  return undefined;
}

function recognise(graph: Graph): Graph {
  const known = new Map<Value, Curves>();
  let from: Producers | undefined;
  const folded = rewrite(graph, (node, build) => {
    from ??= producersOf(build);
    const curves = curvesOf(node, known, from);
    const found = named(node, curves);
    const [made] = found && found.op !== node.op ? rebuild(build, node, { op: found.op, inputs: [found.x], attrs: {} }) : [];
    const [result] = node.outputs;
    if (made) known.set(made, new Map([...curves].map(([x, curve]) => [x === result ? made : x, curve])));
    else if (result && curves.size > 0) known.set(result, curves);
    return made && [made];
  });
  return removeDead(folded);
}

export const recogniseActivations: Pass = {
  name: 'recognise-activations',
  summary: 'Makes activations that are spelled out single ops: GELU, SiLU, the logistic function, ReLU.',
  options: {},
  run: recognise,
};
