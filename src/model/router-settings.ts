/** The three verbs `score`, `pick`, `weigh` → the router of the library that they are short for, whose weight is always `gate`. */

import type { Expr, LayerDecl, Setting, Settings } from '../../grammar/ast.ts';
import { parse } from '../../grammar/parse.ts';
import type { Span } from '../../grammar/span.ts';
import { Bug } from '../diagnostics/bug.ts';
import { didYouMean } from '../diagnostics/suggest.ts';
import { constant, type Dim } from '../graph/dim.ts';
import { type Env, fault, quote } from './context.ts';
import { sizeOf } from './index-tensor.ts';
import { instantiate } from './instantiate.ts';
import type { Module } from './program.ts';
import { lookUpLocal } from './scope.ts';
import type { LayerThing } from './thing.ts';

type Weighing = 'softmax-picked' | 'softmax-all' | 'sigmoid' | 'one';

const returns: Readonly<Record<Weighing, string>> = {
  'softmax-picked': '-> (experts: i64[.., k], weights: [.., k]) { s = x @ gate  e = top(s, k)  return e, softmax(take(s, e)) }',
  'softmax-all': '-> (experts: i64[.., k], weights: [.., k]) { s = x @ gate  e = top(s, k)  return e, take(softmax(s), e) }',
  sigmoid: '-> (experts: i64[.., k], weights: [.., k]) { s = x @ gate  e = top(s, k)  return e, sigmoid(take(s, e)) }',
  one: '-> experts: i64[.., k] { return top(x @ gate, k) }',
};

/** The names they are shown under. */
const called: Readonly<Record<Weighing, string>> = { 'softmax-picked': 'TopSoftmax', 'softmax-all': 'TopOfSoftmax', sigmoid: 'TopSigmoid', one: 'TopOnes' };

const routers = new Map<Weighing, { readonly decl: LayerDecl; readonly module: Module }>();

/** The router as a layer, made once for each way to weigh. */
function routerDecl(weighing: Weighing): { readonly decl: LayerDecl; readonly module: Module } {
  const known = routers.get(weighing);
  if (known) return known;
  const file = `std/routers#${weighing}`;
  const text = `layer ${called[weighing]}(D: int, E: int, k: int) { weight gate: [D, E]  forward(x: [.., D]) ${returns[weighing]}  weights { gate <- "weight".T } }`;
  const { ast } = parse(text, file);
  const [decl] = ast.items;
  if (decl?.kind !== 'layer') throw new Bug('the router of the library does not parse');
  const made = { decl, module: { file, text, ast, names: new Map() } };
  routers.set(weighing, made);
  return made;
}

const verbs = ['score', 'pick', 'weigh'] as const;
const words = ['linear', 'top', 'softmax', 'sigmoid', 'picked', 'all', 'one'];

/** The router that the settings ask for; undefined after a fault. */
export function routerOfSettings(settings: Settings, sizes: { readonly width: Dim; readonly count: Dim; readonly span: Span }, env: Env): LayerThing | undefined {
  const byName = readVerbs(settings, env);
  if (!byName) return undefined;
  const [score, pick, weigh] = verbs.map((verb) => byName.get(verb));
  if (!score || !pick || !weigh) return undefined;
  const linear = isScore(score, env);
  const k = pickOf(pick, sizes.count, env);
  const weighing = weighingOf(weigh, env);
  if (!linear || !k || !weighing) return undefined;
  const { decl, module } = routerDecl(weighing);
  const argument = (value: Dim) => ({ thing: { kind: 'int' as const, value }, span: sizes.span });
  const made = instantiate(decl, module, [argument(sizes.width), argument(sizes.count), argument(k)], { ...env, makers: [] }, sizes.span);
  return made.kind === 'poison' ? undefined : made;
}

function readVerbs(settings: Settings, env: Env): ReadonlyMap<string, Setting> | undefined {
  const byName = new Map<string, Setting>();
  let failed = false;
  for (const setting of settings.settings) {
    const { text, span } = setting.name;
    if (!(verbs as readonly string[]).includes(text)) {
      fault(
        env,
        'setting-unknown',
        { name: text },
        { at: span, fixes: didYouMean(text, verbs), notes: ['a mixture has score, pick and weigh; anything else is a router named with `by`'] },
      );
      failed = true;
    } else if (byName.has(text)) {
      fault(env, 'setting-twice', { name: text }, { at: span, related: [{ span: byName.get(text)?.span ?? span, text: 'set here first' }] });
      failed = true;
    } else byName.set(text, setting);
  }
  for (const verb of verbs) {
    if (byName.has(verb) || failed) continue;
    fault(
      env,
      'setting-missing',
      { name: verb },
      { at: settings.span, fixes: [{ text: { score: 'add `score = linear`', pick: 'add `pick = top(k)`', weigh: 'add `weigh = softmax(picked)`' }[verb] }] },
    );
    failed = true;
  }
  return failed ? undefined : byName;
}

/** A word of a setting, which no name of the file may hide. */
function word(expr: Setting['value'] | undefined, env: Env): string | undefined {
  if (expr?.kind !== 'name') return undefined;
  const hidden = words.includes(expr.text) ? (lookUpLocal(env, expr.text) ? undefined : env.module.names.get(expr.text)) : undefined;
  if (!words.includes(expr.text) || (!hidden && !lookUpLocal(env, expr.text))) return expr.text;
  fault(
    env,
    'setting-word-hidden',
    { word: expr.text },
    {
      at: expr.span,
      related: hidden && hidden.kind !== 'broken' ? [{ span: hidden.name.span, text: 'declared here' }] : [],
      fixes: [{ text: `give the ${hidden?.kind ?? 'other'} another name` }],
    },
  );
  return undefined;
}

function invalid(setting: Setting, expected: string, env: Env): undefined {
  fault(env, 'setting-invalid', { name: setting.name.text, expected, found: quote(env.context.program, setting.value.span, 40) }, { at: setting.value.span });
  return undefined;
}

function isScore(setting: Setting, env: Env): true | undefined {
  const found = word(setting.value, env);
  if (found === 'linear') return true;
  return setting.value.kind === 'name' && words.includes(setting.value.text) && found === undefined ? undefined : invalid(setting, '`linear`', env);
}

function pickOf(setting: Setting, count: Dim, env: Env): Dim | undefined {
  const { value } = setting;
  const [argument, ...more] = value.kind === 'call' ? value.args : [];
  if (
    value.kind !== 'call' ||
    value.callee.kind !== 'name' ||
    value.callee.text !== 'top' ||
    !argument ||
    more.length > 0 ||
    argument.value.kind === 'repeat' ||
    argument.value.kind === 'mixture'
  )
    return invalid(setting, '`top(k)`', env);
  const k = sizeOf(env, argument.value);
  const [picked, experts] = [k && constant(k), constant(count)];
  if (k && picked !== undefined && (picked < 1 || (experts !== undefined && picked > experts))) {
    fault(env, 'picks-out-of-range', { picked, experts: experts ?? 'the' }, { at: argument.value.span });
    return undefined;
  }
  return k;
}

function weighingOf(setting: Setting, env: Env): Weighing | undefined {
  const { value } = setting;
  const expected = '`softmax(picked)`, `softmax(all)`, `sigmoid` or `one`';
  if (value.kind === 'name') {
    const found = word(value, env);
    if (found === 'one' || found === 'sigmoid') return found;
    return found === undefined ? undefined : invalid(setting, expected, env);
  }
  const [argument, ...more] = value.kind === 'call' ? value.args : [];
  if (value.kind !== 'call' || value.callee.kind !== 'name' || value.callee.text !== 'softmax' || !argument || more.length > 0) return invalid(setting, expected, env);
  const over = word(argument.value as Expr, env);
  if (over === 'picked' || over === 'all') return `softmax-${over}`;
  return over === undefined && argument.value.kind === 'name' ? undefined : invalid(setting, expected, env);
}
