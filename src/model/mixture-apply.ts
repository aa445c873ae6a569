/** A mixture applied to values: one node whose bodies are the router and one expert, type-checked against each other. */

import type { Span } from '../../grammar/span.ts';
import { Bug } from '../diagnostics/bug.ts';
import type { Label } from '../diagnostics/diagnostic.ts';
import { withDefaults } from '../graph/builder.ts';
import { constant, type Dim, same, show } from '../graph/dim.ts';
import { type Graph, type Node, type Value, value } from '../graph/graph.ts';
import { spellType, type TensorType } from '../graph/type.ts';
import { applyLayer, calleeName, checkNames, formalNames } from './apply.ts';
import type { GivenArgument } from './arguments.ts';
import { type Env, fault } from './context.ts';
import { type Build, join, newBuild } from './frame.ts';
import { bodyOf } from './instantiate.ts';
import { opNamed, tensorOperands } from './operator.ts';
import { type Instance, type LayerThing, type Mixture, poison, type TensorThing, type Thing, type WeightThing } from './thing.ts';

/** The sum over the picked experts, as a node. */
export function applyMixture(env: Env, mixture: Mixture, args: readonly GivenArgument[], place: string, span: Span): Thing {
  const [first, ...others] = args;
  const { frame } = env;
  if (!frame) throw new Bug('a mixture is applied outside a forward');
  if (!first) return fault(env, 'argument-missing', { callee: calleeName(env, mixture, span), name: 'x' }, { at: span });
  const extra = others.find((one) => !one.name);
  if (extra) return fault(env, 'argument-needs-name', { what: 'a mixture' }, { at: extra.span });
  if (!checkNames(env, mixture, others, span)) return poison;
  const operands = tensorOperands(env, args, span);
  if (!operands) return poison;
  const names = args.map((one, i) => (i === 0 ? 'x' : (one.name?.text ?? '')));
  const tensors = operands.map(({ tensor }) => tensor);
  const router = routerBody(env, mixture, { args, tensors, names, place, span });
  if (!router) return poison;
  const bodies = mixture.experts.map((run) => expertBody(env, mixture, run.layer, { args, tensors, names, place, span }, router));
  const [expert] = bodies;
  if (!expert || bodies.some((one) => !one)) return poison;
  const differs = bodies.findIndex((other) => other && !sameResult(other.type, expert.type));
  const other = bodies[differs];
  if (other) {
    const returns = [declared(mixture.experts[0]?.layer, `returns ${spellType(expert.type)}`), declared(mixture.experts[differs]?.layer, `returns ${spellType(other.type)}`)];
    return fault(env, 'experts-differ', { left: spellType(expert.type), right: spellType(other.type) }, { at: mixture.span, related: returns.flat() });
  }
  if (!perToken(env, mixture, tensors[0]?.type, expert.type)) return poison;
  const lifted = bodies.flatMap((body, i) => [...(body?.build.weights.keys() ?? [])].map((weight) => stacked(frame.build, weight, mixture.experts[i]?.count ?? mixture.count)));
  const result = value(join(place, ''), expert.type);
  const attrs = withDefaults(opNamed('mixture'), {
    n: mixture.count,
    result: expert.type.dims,
    dtype: expert.type.dtype,
    names,
    router: router.name,
    counts: mixture.experts.map((run) => constant(run.count) ?? 0),
  });
  const graphs = Object.fromEntries([['router', router.graph], ...bodies.flatMap((body, i) => (body ? [[i === 0 ? 'expert' : `expert${i}`, body.graph] as const] : []))]);
  const node: Node = { op: opNamed('mixture'), inputs: [...tensors.map((one) => one.value), ...lifted], outputs: [result], attrs, bodies: graphs, span };
  frame.build.nodes.push(node);
  return { kind: 'tensor', value: result, type: expert.type };
}

/** Whether an expert gives something for each token that it reads. */
function perToken(env: Env, mixture: Mixture, reads: TensorType | undefined, gives: TensorType): boolean {
  const tokens = reads?.dims.slice(0, -1) ?? [];
  if (tokens.every((size, i) => same(size, gives.dims[i] ?? -1))) return true;
  const wanted = spellType({ dtype: gives.dtype, dims: tokens }).replace(']', ', …]');
  fault(env, 'expert-gives-no-tokens', { found: spellType(gives), wanted }, { at: mixture.span, related: declared(mixture.experts[0]?.layer, 'declared here') });
  return false;
}

/** Where a layer declares what it returns: the result of that name, or its first. */
function declared(layer: LayerThing | undefined, text: string, name?: string): readonly Label[] {
  const results = layer?.kind === 'instance' ? (bodyOf(layer.decl)?.forward.results ?? []) : [];
  const result = results.find((one) => one.name?.text === name) ?? results[0];
  return result ? [{ span: result.span, text }] : [];
}

interface Applied {
  readonly args: readonly GivenArgument[];
  readonly tensors: readonly TensorThing[];
  readonly names: readonly string[];
  readonly place: string;
  readonly span: Span;
}

interface Body {
  readonly graph: Graph;
  readonly build: Build;
  readonly type: TensorType;
}

interface RouterBody {
  readonly graph: Graph;
  /** What the author calls it. */
  readonly name: string;
  /** What the expert's formals are handed, slot by slot. */
  readonly extras: ReadonlyMap<string, TensorType>;
}

function routerBody(env: Env, mixture: Mixture, applied: Applied): RouterBody | undefined {
  const { router } = mixture;
  if (router.kind !== 'instance' || !env.frame) return undefined;
  const build = newBuild(env.frame.build.paths, env.frame.build, new Set());
  const inputs = inputsOf(
    applied.names,
    applied.tensors.map((one) => one.type),
  );
  const result = applyIn(env, build, router, applied, inputs, join(applied.place, 'router'));
  const results = result.kind === 'several' ? result.items : [result];
  const names = bodyOf(router.decl)?.forward.results.map((one) => one.name?.text ?? 'experts') ?? [];
  const tensors = results.flatMap((one) => (one.kind === 'tensor' ? [one] : []));
  if (tensors.length !== names.length) return undefined;
  const experts = tensors[names.indexOf('experts')];
  if (!experts || !checkRouting(env, router, applied, names, tensors, experts) || !picksAmong(env, mixture, build, experts, applied.span)) return undefined;
  const lead = (applied.tensors[0]?.type.dims.length ?? 1) - 1;
  const extras = new Map(
    names.flatMap((name, i) => {
      const type = tensors[i]?.type;
      return name === 'experts' || name === 'weights' || !type ? [] : [[name, { dtype: type.dtype, dims: type.dims.filter((_, axis) => axis !== lead) }] as const];
    }),
  );
  const { doc, name } = router.decl;
  const graph = bodyGraph(
    applied.place,
    'router',
    build,
    inputs,
    tensors.map((one, i) => ({ name: names[i] ?? 'experts', value: one.value })),
  );
  return { graph: doc === undefined ? graph : { ...graph, doc }, name: name.text, extras };
}

/** `experts` and `weights` have one entry for each token and slot. */
function checkRouting(env: Env, router: Instance, { tensors: args, span }: Applied, names: readonly string[], results: readonly TensorThing[], experts: TensorThing): boolean {
  const tokens = args[0]?.type.dims.slice(0, -1) ?? [];
  const slots = experts.type.dims.at(-1);
  const fits = (dims: readonly Dim[]): boolean => dims.length === tokens.length + 1 && tokens.every((size, i) => same(size, dims[i] ?? -1));
  if (!fits(experts.type.dims)) {
    fault(
      env,
      'router-result-wrong',
      { name: 'experts', found: spellType(experts.type), expected: spellType({ dtype: 'i64', dims: [...tokens, slots ?? experts.type.dims[0] ?? tokens[0] ?? { terms: [] }] }) },
      { at: span, related: declared(router, 'declared here', 'experts') },
    );
    return false;
  }
  const weights = results[names.indexOf('weights')];
  if (!weights || (weights.type.dtype === 'f32' && fits(weights.type.dims) && slots && same(weights.type.dims.at(-1) ?? -1, slots))) return true;
  fault(
    env,
    'router-result-wrong',
    { name: 'weights', found: spellType(weights.type), expected: spellType({ dtype: 'f32', dims: experts.type.dims }) },
    { at: span, related: declared(router, 'declared here', 'weights') },
  );
  return false;
}

/** Whether experts that are the result of a `top` are picked among as many as there are. */
function picksAmong(env: Env, mixture: Mixture, build: Build, experts: TensorThing, span: Span): boolean {
  const last = build.nodes.find((node) => node.op.name === 'top' && node.outputs[0] === experts.value);
  const scored = last?.inputs[0]?.type?.dims.at(-1);
  const [scores, count] = [scored && constant(scored), constant(mixture.count)];
  if (scores === undefined || count === undefined || scores === count) return true;
  fault(
    env,
    'router-scores-others',
    { scores, experts: count },
    { at: mixture.span, related: last?.span ? [{ span: last.span, text: `picks among ${scores}` }] : [{ span, text: 'applied here' }] },
  );
  return false;
}

function expertBody(env: Env, mixture: Mixture, layer: LayerThing, applied: Applied, router: RouterBody): Body | undefined {
  if (layer.kind === 'opaque' || !env.frame) return undefined;
  const takes = formalNames(layer) ?? [];
  const extras = [...router.extras].filter(([name]) => takes.includes(name));
  const unused = [...router.extras.keys()].find((name) => !mixture.experts.some((run) => formalNames(run.layer)?.includes(name) ?? true));
  if (unused !== undefined) fault(env, 'router-result-unused', { name: unused }, { at: applied.span });
  const missing = takes.slice(1).find((name) => !router.extras.has(name) && !applied.names.includes(name) && !hasDefault(layer, name));
  if (missing !== undefined) {
    fault(env, 'expert-formal-unfilled', { name: missing }, { at: applied.span, fixes: [{ text: `pass it: \`${missing}: …\`, or have the router return it` }] });
    return undefined;
  }
  const lifted = new Set(liftedWeights(layer));
  const build = newBuild(env.frame.build.paths, env.frame.build, lifted);
  const names = [...applied.names, ...extras.map(([name]) => name)];
  const inputs = inputsOf(names, [...applied.tensors.map((one) => one.type), ...extras.map(([, type]) => type)]);
  const args: readonly GivenArgument[] = [
    ...applied.args,
    ...extras.map(([name]) => ({ name: { kind: 'ident' as const, text: name, span: applied.span }, thing: poison, span: applied.span })),
  ];
  const result = applyIn(env, build, layer, { ...applied, args, names }, inputs, applied.place);
  if (result.kind !== 'tensor') return undefined;
  warnOfAttention(env, mixture, build, lifted);
  const weights = [...build.weights].map(([, one]) => one);
  return { graph: bodyGraph(applied.place, 'expert', build, [...inputs, ...weights], [{ name: 'y', value: result.value }]), build, type: result.type };
}

const hasDefault = (layer: LayerThing, name: string): boolean =>
  layer.kind === 'instance' && bodyOf(layer.decl)?.forward.formals.find((one) => one.name.text === name)?.initial !== undefined;

function inputsOf(names: readonly string[], types: readonly TensorType[]): readonly Value[] {
  return names.map((name, i) => value(name, types[i]));
}

/** Applies a layer in a body: each argument it takes is an input of the body. */
function applyIn(env: Env, build: Build, layer: LayerThing, applied: Applied, inputs: readonly Value[], place: string): Thing {
  if (!env.frame) return poison;
  const takes = formalNames(layer);
  const args = applied.args.flatMap((one, i): readonly GivenArgument[] => {
    const input = inputs[i];
    if (!input?.type || (i > 0 && takes && one.name && !takes.slice(1).includes(one.name.text))) return [];
    return [{ ...one, thing: { kind: 'tensor', value: input, type: input.type } }];
  });
  return applyLayer({ ...env, frame: { ...env.frame, build } }, layer, args, place, applied.span);
}

function bodyGraph(place: string, name: string, build: Build, inputs: readonly Value[], outputs: Graph['outputs']): Graph {
  return { name: `${place}/${name}`, inputs, outputs, nodes: [...build.nodes], weights: [] };
}

/** The weights that every expert has its own of: all but those marked `shared`, and those inside parts marked so. */
function liftedWeights(layer: LayerThing): readonly WeightThing[] {
  switch (layer.kind) {
    case 'opaque':
      return [];
    case 'stack':
      return layer.items.flatMap(liftedWeights);
    case 'mixture':
      return [layer.router, ...layer.experts.map((run) => run.layer)].flatMap(liftedWeights);
    case 'instance':
      return [...[...layer.weights.values()].filter((one) => !one.shared), ...[...layer.parts.values()].filter((one) => !one.shared).flatMap((one) => liftedWeights(one.layer))];
  }
}

/** The value in front of a mixture that holds a weight of all its experts. */
function stacked(outer: Build, weight: WeightThing, count: Dim): Value {
  if (outer.outer && !outer.lifted?.has(weight)) throw new Bug(`${weight.name} is lifted by a mixture that does not hold it`);
  const known = outer.weights.get(weight);
  if (known) return known;
  const made = value(outer.paths.get(weight) ?? weight.name, { dtype: weight.type.dtype, dims: [count, ...weight.type.dims] });
  outer.weights.set(weight, made);
  return made;
}

const sameResult = (a: TensorType, b: TensorType): boolean =>
  a.dtype === b.dtype && a.dims.length === b.dims.length && a.dims.every((size, i) => show({ terms: size.terms }) === show({ terms: b.dims[i]?.terms ?? [] }));

/** Attention reads keys and values of every token: where they come from a weight of each expert, every expert reads every token. */
function warnOfAttention(env: Env, mixture: Mixture, build: Build, lifted: ReadonlySet<WeightThing>): void {
  const behind = new Map<Value, ReadonlySet<WeightThing>>(
    [...lifted].flatMap((weight) => {
      const held = build.weights.get(weight);
      return held ? [[held, new Set([weight])] as const] : [];
    }),
  );
  for (const node of build.nodes) {
    const read = (one: Value | undefined): readonly WeightThing[] => (one ? [...(behind.get(one) ?? [])] : []);
    if (node.op.name === 'attend') {
      for (const weight of [...read(node.inputs[1]), ...read(node.inputs[2])]) {
        const name = weight.decl.names.find((one) => one.text === weight.name);
        fault(
          env,
          'expert-reads-all-tokens',
          { name: weight.name, count: constant(mixture.count) ?? 'many' },
          {
            at: name?.span ?? weight.decl.span,
            related: node.span ? [{ span: node.span, text: 'read here for every token' }] : [],
            fixes: [{ text: `mark it \`shared weight ${weight.name}\`` }],
          },
        );
      }
    }
    const all = new Set((node.op.name === 'attend' ? node.inputs.slice(0, 1) : node.inputs).flatMap(read));
    if (all.size > 0) node.outputs.forEach((one) => behind.set(one, all));
  }
}
