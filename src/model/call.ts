/** Calls: a layer's name makes a new layer, a layer is applied to values, a function is computed or becomes a node. */

import type { Argument, Call, Name } from '../../grammar/ast.ts';
import { nearest } from '../diagnostics/suggest.ts';
import { type DType, dtypes } from '../graph/type.ts';
import { applyLayer } from './apply.ts';
import type { GivenArgument } from './arguments.ts';
import { callOp, castTo, listTensor } from './call-op.ts';
import { type Env, fault } from './context.ts';
import { evaluate, evaluateValue } from './evaluate.ts';
import { join } from './frame.ts';
import { allConstant, constantFunctions } from './functions.ts';
import { instantiate } from './instantiate.ts';
import { needsForward } from './operator.ts';
import { functionNames, isFunction, lookUpLocal, opsCalled, unknownName } from './scope.ts';
import { isLayer, poison, type Thing, thingWords } from './thing.ts';

/** What a call yields; several results come as `several`. */
export function evaluateCall(call: Call, env: Env): Thing {
  const { callee } = call;
  if (callee.kind === 'name' && !lookUpLocal(env, callee.text)) {
    const entry = env.module.names.get(callee.text);
    if (entry?.kind === 'broken') return poisonAfter(call, env);
    if (entry?.kind === 'layer' || entry?.kind === 'model') return makeLayer(entry.decl, entry.module, call, env);
    if (!entry && isFunction(callee.text)) return callFunction(callee, call, env);
    if (!entry) return unknownFunction(callee, call, env);
  }
  const target = evaluate(callee, env);
  if (target.kind === 'poison' || target.kind === 'opaque') return poisonAfter(call, env);
  if (!isLayer(target))
    return fault(
      env,
      'cannot-call',
      { what: thingWords[target.kind] },
      { at: callee.span, fixes: target.kind === 'weight' ? [{ text: `\`x @ ${target.name}\` multiplies by it` }] : [] },
    );
  if (!env.frame) return needsForward(env, call.span);
  return applyLayer(env, target, evaluateArguments(call.args, env), placeOf(callee, env), call.span);
}

function makeLayer(decl: Parameters<typeof instantiate>[0], module: Parameters<typeof instantiate>[1], call: Call, env: Env): Thing {
  const made = instantiate(decl, module, evaluateArguments(call.args, env), env, call.span);
  if (env.frame && made.kind === 'instance' && hasWeights(made)) {
    return fault(
      env,
      'weights-made-in-forward',
      { name: decl.name.text },
      { at: call.span, fixes: [{ text: `make it a part: \`${decl.name.text.toLowerCase()} = ${decl.name.text}(…)\` before \`forward\`` }] },
    );
  }
  return made;
}

function hasWeights(layer: Thing): boolean {
  if (layer.kind === 'instance') return layer.weights.size > 0 || [...layer.parts.values()].some((part) => !part.formal && hasWeights(part.layer));
  if (layer.kind === 'stack') return layer.items.some(hasWeights);
  return layer.kind === 'mixture' ? layer.experts.some((one) => hasWeights(one.layer)) || hasWeights(layer.router) : false;
}

/** The arguments are evaluated even where the callee is unknown, so that their own faults are found. */
function poisonAfter(call: Call, env: Env): Thing {
  evaluateArguments(call.args, env);
  return poison;
}

function unknownFunction(callee: Name, call: Call, env: Env): Thing {
  evaluateArguments(call.args, env);
  const callable = [
    ...functionNames(),
    ...[...env.module.names].filter(([, { kind }]) => kind === 'layer' || kind === 'model').map(([name]) => name),
    ...env.scopes.flatMap((scope) => [...scope].filter(([, thing]) => isLayer(thing)).map(([name]) => name)),
  ];
  if (nearest(callee.text, callable) === undefined && /^[A-Z]/.test(callee.text)) {
    return fault(env, 'unknown-layer', { name: callee.text }, { at: callee.span, fixes: [{ text: layerFix(callee.text, env) }] });
  }
  if (nearest(callee.text, callable) !== undefined)
    return fault(env, 'unknown-function', { name: callee.text }, { at: callee.span, fixes: [{ text: `did you mean \`${nearest(callee.text, callable) ?? ''}\`?` }] });
  return unknownName(env, callee.text, { at: callee.span });
}

function layerFix(name: string, { context }: Env): string {
  const library = context.program.library();
  const found = library.has(name) ? name : nearest(name, library.keys());
  return found === undefined
    ? `declare \`layer ${name}(…)\`, or import it from a file that has it`
    : `${found === name ? 'import it:' : 'the library has another spelling:'} \`import { ${found} } from "${library.get(found) ?? ''}"\``;
}

/** The arguments with where each was written; the name where one was given. */
function evaluateArguments(args: readonly Argument[], env: Env): readonly GivenArgument[] {
  return args.map((argument) => ({
    ...(argument.name ? { name: argument.name } : {}),
    thing: evaluateValue(argument.value, env),
    span: argument.value.span,
    ...(argument.value.kind === 'name' ? { spelling: argument.value.text } : {}),
    ...(argument.value.kind === 'list' ? { items: argument.value.items.map((item) => item.span) } : {}),
  }));
}

function callFunction(callee: Name, call: Call, env: Env): Thing {
  const args = evaluateArguments(call.args, env);
  if (args.some(({ thing }) => thing.kind === 'poison' || thing.kind === 'opaque')) return poison;
  const things = args.map(({ thing }) => thing);
  const [list] = things;
  if (env.frame && isDType(callee.text) && list?.kind === 'list' && things.length === 1) return listTensor(env, list, callee.text, call.span);
  const constants = constantFunctions.get(callee.text);
  const computes = constants && args.every(({ name }) => !name) && allConstant(things) && !things.some((one) => env.frame && needsGraph(one));
  if (constants && computes) {
    const result = constants.apply(things);
    if (typeof result !== 'string') return result;
    return fault(env, 'function-takes', { name: constants.signature, expected: result }, { at: call.span });
  }
  if (!env.frame) {
    if (constants) return fault(env, 'function-takes', { name: constants.signature, expected: 'constants' }, { at: call.span });
    return needsForward(env, call.span);
  }
  if (isDType(callee.text)) return castTo(env, callee.text, args, call.span);
  return callOp(env, callee.text, opsCalled(callee.text), args, call.span);
}

const isDType = (word: string): word is DType => (dtypes as readonly string[]).includes(word);

/** A size known only at run time has no logarithm yet. */
const needsGraph = (thing: Thing): boolean => thing.kind === 'int' && thing.value.terms.some(({ powers }) => powers.length > 0);

/** Where the applied layer stands: the path that was written, from the layer whose forward this is. */
function placeOf(callee: Call['callee'], env: Env): string {
  const place = env.frame?.place ?? '';
  return join(place, relativePlace(callee));
}

function relativePlace(callee: Call['callee']): string {
  switch (callee.kind) {
    case 'name':
      return callee.text;
    case 'member':
      return join(relativePlace(callee.object), callee.name.text);
    case 'indexed': {
      const [index] = callee.indices;
      const at = index?.kind === 'at' && index.value.kind === 'number' ? index.value.text : index?.kind === 'range' && index.from?.kind === 'number' ? `${index.from.text}+` : '';
      return join(relativePlace(callee.object), at);
    }
    case 'call':
      return relativePlace(callee.callee).toLowerCase();
    case 'paren':
      return relativePlace(callee.inner);
    default:
      return '';
  }
}
