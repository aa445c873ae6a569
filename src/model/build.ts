/** A model with its params known → the graph: its `forward` at inputs with the sizes it declares. */

import type { Forward } from '../../grammar/ast.ts';
import { Bug } from '../diagnostics/bug.ts';
import { symbol } from '../graph/dim.ts';
import type { Graph, Output, Value, Weight } from '../graph/graph.ts';
import { value } from '../graph/graph.ts';
import type { Source } from '../graph/source.ts';
import { forwardEnv, runForward } from './apply.ts';
import { type Context, fault, moduleEnv, openMark } from './context.ts';
import { type Build, type Frame, newBuild } from './frame.ts';
import { bodyOf } from './instantiate.ts';
import type { Placement } from './paths.ts';
import { namesIn } from './require.ts';
import { dtypeOf, sizeOfExpr } from './shape.ts';
import { type Instance, poison, type TensorThing, type Thing, type WeightThing } from './thing.ts';

/** A graph whose weights have no sources yet. */
export interface Skeleton {
  readonly inputs: readonly Value[];
  readonly outputs: readonly Output[];
  readonly build: Build;
}

/** Builds the forward of a layer whose formals are filled, at inputs of the declared shapes; `..` is two axes of any size. Undefined where a fault leaves no result. */
export function buildForward(context: Context, instance: Instance, paths: ReadonlyMap<WeightThing, string>): Skeleton | undefined {
  const body = bodyOf(instance.decl);
  if (!body) return undefined;
  const build = newBuild(paths);
  const frame: Frame = { build, instance, place: '', dims: new Map(), rests: [], read: new Set() };
  const variables = new Map<string, Thing>();
  const env = forwardEnv(moduleEnv(context, instance.module), instance, frame, variables);
  for (const name of namesIn(body.forward.formals)) if (instance.module.names.get(name)?.kind === 'dim' && !instance.names.has(name)) frame.dims.set(name, symbol(name));
  const inputs = body.forward.formals.map((formal, i) => inputOf(body.forward, i, env, frame, variables, formal.name.text));
  const results = runForward(env, body.forward, frame, variables);
  if (inputs.some((one) => !one) || results.some((one) => !one)) return undefined;
  const outputs = results.flatMap((one, i): readonly Output[] =>
    one ? [{ name: body.forward.results[i]?.name?.text ?? (results.length === 1 ? 'output' : `output_${i}`), value: one.tensor.value }] : [],
  );
  return { inputs: inputs.filter((one) => one !== undefined), outputs, build };
}

function inputOf(forward: Forward, index: number, env: ReturnType<typeof forwardEnv>, frame: Frame, variables: Map<string, Thing>, name: string): Value | undefined {
  const formal = forward.formals[index];
  const type = formal?.type;
  const fail = (): undefined => void variables.set(name, poison);
  if (!formal || !type) return fail();
  if (type.kind === 'layer-type') {
    fault(env, 'forward-takes-tensors', { name }, { at: type.span });
    return fail();
  }
  const dtype = dtypeOf(type, env);
  if (!dtype) return fail();
  const rest = [symbol(`a${openMark}`), symbol(`b${openMark}`)].map((size) => ({ ...size, label: '..' }));
  const sizes = (type.dims?.items ?? []).map((item) => {
    if (item.kind === 'rest') {
      if (frame.instance.decl.kind === 'model') fault(env, 'rest-in-model', { name }, { at: item.span });
      frame.rests.push(rest);
      return rest;
    }
    if (item.kind === 'repeat' || item.kind === 'mixture') return undefined;
    const size = sizeOfExpr(item, env);
    return size && [size];
  });
  if (sizes.some((one) => one === undefined)) return fail();
  const input = value(name, { dtype, dims: sizes.flatMap((one) => one ?? []) });
  const thing: TensorThing = { kind: 'tensor', value: input, type: input.type ?? { dtype, dims: [] } };
  variables.set(name, thing);
  return input;
}

/** The graph with the source of each weight that it reads: each of those has a place, and so a source. */
export function finishGraph(
  name: string,
  doc: string | undefined,
  { inputs, outputs, build }: Skeleton,
  { weights }: Placement,
  sources: ReadonlyMap<WeightThing, Source | undefined>,
): Graph {
  const used = weights.flatMap(({ weight, path }): readonly Weight[] => {
    const held = build.weights.get(weight);
    if (!held) return [];
    const source = sources.get(weight);
    if (!source) throw new Bug(`the weight ${path} has no source`);
    return [{ value: held, path, source, storage: 'constant' }];
  });
  return { name, ...(doc === undefined ? {} : { doc }), inputs, outputs, nodes: [...build.nodes], weights: used };
}
