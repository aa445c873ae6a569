/** `mixture n of L`: experts and a router, made and checked against each other. */

import type { By, Mixture as MixtureNode, Settings } from '../../grammar/ast.ts';
import type { Span } from '../../grammar/span.ts';
import { constant, type Dim, dim, multiply } from '../graph/dim.ts';
import { isPlain, sameConstant, showConstant } from './arithmetic.ts';
import { type Env, fault } from './context.ts';
import { evaluate, evaluateValue, isOpen } from './evaluate.ts';
import { bodyOf } from './instantiate.ts';
import { limits } from './limits.ts';
import { routerOfSettings } from './router-settings.ts';
import { sizeOfExpr } from './shape.ts';
import { type Instance, isLayer, type LayerThing, type Mixture, poison, type Thing, thingWords } from './thing.ts';

/** The mixture that the words stand for. */
export function makeMixture(node: MixtureNode, env: Env): Thing {
  const count = countOf(node, env);
  const experts = evaluateValue(node.of, env);
  if (!count || experts.kind === 'poison') return poison;
  if (!isLayer(experts)) return fault(env, 'not-a-layer', { found: isPlain(experts) ? showConstant(experts) : thingWords[experts.kind] }, { at: node.of.span });
  const runs = runsOf(experts, count);
  const total = runs.reduce((sum, run) => multiplyAdd(sum, run.count), dim(0));
  const made = constant(total);
  if (made !== undefined && made < 1) return fault(env, 'mixture-needs-experts', { count: made }, { at: node.count.span });
  if (made !== undefined && made > limits.copies) return fault(env, 'repeat-too-often', { count: made, limit: limits.copies }, { at: node.count.span });
  if (!checkExperts(runs, node, env)) return poison;
  const router = node.router.kind === 'by' ? routerBy(node.router, env) : routerFrom(node.router, runs[0]?.layer, total, env, node.span);
  return router ? { kind: 'mixture', experts: runs, count: total, router, span: node.span } : poison;
}

const multiplyAdd = (sum: Dim, one: Dim): Dim => {
  const [a, b] = [constant(sum), constant(one)];
  return a !== undefined && b !== undefined ? dim(a + b) : one;
};

function countOf(node: MixtureNode, env: Env): Dim | undefined {
  const thing = evaluate(node.count, env);
  if (thing.kind === 'poison') return undefined;
  const value = thing.kind === 'int' ? constant(thing.value) : undefined;
  if (thing.kind === 'int' && (isOpen(thing) || (value !== undefined && value >= 1))) return thing.value;
  fault(env, 'mixture-needs-experts', { count: isPlain(thing) ? showConstant(thing) : thingWords[thing.kind] }, { at: node.count.span });
  return undefined;
}

/** Runs of equal layers: the weights of each run are stacked. */
function runsOf(experts: LayerThing, count: Dim): Mixture['experts'] {
  if (experts.kind !== 'stack') return [{ layer: experts, count }];
  const runs: { layer: LayerThing; count: number }[] = [];
  for (const layer of experts.items) {
    const last = runs.at(-1);
    if (last && alike(last.layer, layer)) last.count += 1;
    else runs.push({ layer, count: 1 });
  }
  return runs.map((run) => ({ layer: run.layer, count: multiply(count, run.count) }));
}

/** Whether two layers differ in nothing but the numbers of their weights. */
function alike(a: LayerThing, b: LayerThing): boolean {
  if (a === b) return true;
  if (a.kind !== 'instance' || b.kind !== 'instance' || a.decl !== b.decl) return false;
  return [...a.names].every(([name, thing]) => {
    const other = b.names.get(name);
    if (!other || other.kind !== thing.kind) return false;
    if (isLayer(thing) && isLayer(other)) return alike(thing, other);
    return isPlain(thing) && isPlain(other) ? sameConstant(thing, other) === true : true;
  });
}

/** The mixture that a layer is or holds, however deep. */
function mixtureIn(layer: LayerThing): Mixture | undefined {
  switch (layer.kind) {
    case 'opaque':
      return undefined;
    case 'mixture':
      return layer;
    case 'stack':
      return layer.items.map(mixtureIn).find((one) => one !== undefined);
    case 'instance':
      return [...layer.parts.values()].map((part) => mixtureIn(part.layer)).find((one) => one !== undefined);
  }
}

/** Refuses a mixture inside a mixture. */
function holdsNone(layer: LayerThing, what: string, span: Span, env: Env): boolean {
  const inner = mixtureIn(layer);
  if (!inner) return true;
  fault(env, 'mixture-in-mixture', { what }, { at: span, related: inner.span === span ? [] : [{ span: inner.span, text: 'the mixture inside' }] });
  return false;
}

function checkExperts(runs: Mixture['experts'], node: MixtureNode, env: Env): boolean {
  for (const { layer } of runs) {
    if (!holdsNone(layer, 'an expert', node.of.span, env)) return false;
    if (layer.kind !== 'instance') continue;
    const forward = bodyOf(layer.decl)?.forward;
    if (!forward) return false;
    const declared = { span: layer.decl.name.span, text: 'declared here' };
    if (forward.formals.length === 0 || forward.results.length !== 1) {
      fault(
        env,
        'expert-has-wrong-forward',
        { name: layer.decl.name.text, takes: forward.formals.length, returns: forward.results.length },
        { at: node.of.span, related: [declared] },
      );
      return false;
    }
  }
  return true;
}

function routerBy(by: By, env: Env): LayerThing | undefined {
  const thing = evaluateValue(by.value, env);
  if (thing.kind === 'poison') return undefined;
  if (thing.kind === 'opaque') return thing;
  if (thing.kind === 'instance') return holdsNone(thing, 'the router', by.value.span, env) && checkRouter(thing, by.value.span, env) ? thing : undefined;
  fault(env, 'not-a-layer', { found: isPlain(thing) ? showConstant(thing) : thingWords[thing.kind] }, { at: by.value.span });
  return undefined;
}

/** A router takes the tokens and returns `experts`, perhaps `weights`, perhaps more. */
function checkRouter(router: Instance, span: Span, env: Env): boolean {
  const forward = bodyOf(router.decl)?.forward;
  if (!forward) return false;
  const names = forward.results.map(({ name }) => name?.text ?? (forward.results.length === 1 ? 'experts' : ''));
  const related = [{ span: forward.results[0]?.span ?? forward.span, text: 'declared here' }];
  const first = forward.results[names.indexOf('experts')];
  if (!first || forward.formals.length === 0) {
    fault(
      env,
      'router-returns-no-experts',
      { name: router.decl.name.text },
      { at: span, related, fixes: [{ text: 'declare `forward(x: [.., D]) -> (experts: i64[.., k], weights: [.., k])`' }] },
    );
    return false;
  }
  if (first.type.kind === 'tensor-type' && first.type.dtype?.text === 'i64') return true;
  fault(
    env,
    'router-experts-are-indices',
    { name: router.decl.name.text },
    { at: span, related: [{ span: first.type.span, text: 'declared here' }], fixes: [{ text: 'declare `experts: i64[.., k]`' }] },
  );
  return false;
}

function routerFrom(settings: Settings, expert: LayerThing | undefined, count: Dim, env: Env, span: Span): LayerThing | undefined {
  const width = expert && widthOf(expert, env);
  if (!width) {
    if (expert?.kind === 'opaque') return { kind: 'opaque' };
    fault(env, 'router-width-unknown', {}, { at: span, fixes: [{ text: 'give the expert a first formal such as `x: [.., D]`, or name a router with `by`' }] });
    return undefined;
  }
  return routerOfSettings(settings, { width, count, span }, env);
}

/** The size of the last axis of what an expert reads. */
function widthOf(expert: LayerThing, env: Env): Dim | undefined {
  if (expert.kind !== 'instance') return undefined;
  const type = bodyOf(expert.decl)?.forward.formals[0]?.type;
  const last = type?.kind === 'tensor-type' ? type.dims?.items.at(-1) : undefined;
  if (!last || last.kind === 'rest' || last.kind === 'repeat' || last.kind === 'mixture') return undefined;
  return sizeOfExpr(last, { context: env.context, module: expert.module, scopes: [expert.names], depth: env.depth });
}

export { applyMixture } from './mixture-apply.ts';
