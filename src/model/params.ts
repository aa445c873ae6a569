/** Params: the value of each from `--set`, the config or its default, checked against the default's type. */

import type { ParamDecl, Type } from '../../grammar/ast.ts';
import { didYouMean } from '../diagnostics/suggest.ts';
import { constant, relabel } from '../graph/dim.ts';
import { float, int, isPlain, showConstant } from './arithmetic.ts';
import { isObject, lookUpKey } from './config.ts';
import { type Context, fault, moduleEnv, type ResolvedParam } from './context.ts';
import { evaluate } from './evaluate.ts';
import type { Module } from './program.ts';
import { type Constant, type Poison, poison } from './thing.ts';

/** The value of a param; each is resolved once. */
export function resolveParam(context: Context, decl: ParamDecl, module: Module): Constant | Poison {
  const known = context.params.get(decl);
  if (known === 'being-resolved') return fault(moduleEnv(context, module), 'param-depends-on-itself', { name: decl.name.text }, { at: decl.name.span });
  if (known) return known.value;
  context.params.set(decl, 'being-resolved');
  const resolved = resolve(context, decl, module);
  const { value } = resolved;
  const labelled = value.kind === 'int' ? { ...value, value: relabel(value.value, decl.name.text) } : value;
  context.params.set(decl, { ...resolved, value: labelled });
  return labelled;
}

function resolve(context: Context, decl: ParamDecl, module: Module): ResolvedParam {
  const name = decl.name.text;
  const fallback = defaultOf(context, decl, module);
  for (const key of decl.config) context.keysRead.add(key.value);
  if (fallback.kind === 'poison') return { name, decl, value: poison, from: 'default' };
  const given = Object.hasOwn(context.set, name) && isSettable(context, decl, name) ? context.set[name] : undefined;
  if (given !== undefined) {
    const value = readText(given, fallback);
    if (!value)
      fault(moduleEnv(context, module), 'set-wrong-type', { name, given, expected: typeWords(fallback) }, { at: decl.name.span, label: `is ${showConstant(fallback)} by default` });
    return { name, decl, value: value ?? poison, from: 'set' };
  }
  for (const key of decl.config) {
    const found = lookUpKey(context.config, key.value);
    if (found === undefined) continue;
    const value = readJson(found, fallback);
    if (!value)
      fault(
        moduleEnv(context, module),
        'config-wrong-type',
        { key: key.value, found: showJson(found), expected: typeWords(fallback) },
        { at: key.span, related: [{ span: decl.value.span, text: `the default is ${typeWords(fallback)}` }] },
      );
    return { name, decl, value: value ?? poison, from: 'config', key: key.value };
  }
  return { name, decl, value: fallback, from: 'default' };
}

/** The root's params go before those of imported files of the same name. */
function isSettable(context: Context, decl: ParamDecl, name: string): boolean {
  const entry = context.program.root.names.get(name);
  return entry?.kind !== 'param' || entry.decl === decl;
}

function defaultOf(context: Context, decl: ParamDecl, module: Module): Constant | Poison {
  const env = moduleEnv(context, module);
  const value = evaluate(decl.value, env);
  if (value.kind === 'poison') return value;
  if (!isPlain(value)) return fault(env, 'not-a-constant', { what: `the default of \`${decl.name.text}\`` }, { at: decl.value.span });
  return decl.type ? conform(value, decl.type, decl, context, module) : value;
}

function conform(value: Constant, type: Type, decl: ParamDecl, context: Context, module: Module): Constant | Poison {
  const env = moduleEnv(context, module);
  const word = type.kind === 'tensor-type' ? (type.dtype?.text ?? 'f32') : 'layer';
  const list = type.kind === 'tensor-type' && type.dims !== undefined;
  if (!['int', 'float', 'bool', 'string'].includes(word))
    return fault(
      env,
      'unknown-type',
      { name: word },
      { at: type.span, fixes: didYouMean(word, ['int', 'float', 'bool', 'string']), notes: ['a param is int, float, bool, string or a list of these'] },
    );
  const fits = list ? value.kind === 'list' && (value.items ?? []).every((one) => one.kind === word || (word === 'float' && one.kind === 'int')) : value.kind === word;
  if (fits) return value;
  if (!list && word === 'float' && value.kind === 'int') return float(constant(value.value));
  return fault(
    env,
    'param-type-mismatch',
    { name: decl.name.text, expected: list ? `a list of ${word}` : word, found: typeWords(value) },
    { at: decl.value.span, related: [{ span: type.span, text: 'declared here' }] },
  );
}

/** The type of a constant in words. */
function typeWords(value: Constant): string {
  if (value.kind !== 'list') return { int: 'an int', float: 'a float', bool: 'a bool', string: 'a string' }[value.kind];
  const [first] = value.items ?? [];
  return first && isPlain(first) ? `a list of ${first.kind === 'string' ? 'strings' : `${first.kind}s`}` : 'a list';
}

/** A JSON value as a constant of the kind of `like`; undefined where it is of another. Flags 0 and 1 stand for bools; an object where a count is asked for is counted. */
export function readJson(json: unknown, like: Constant): Constant | undefined {
  switch (like.kind) {
    case 'int':
      if (isObject(json)) return int(Object.keys(json).length);
      return typeof json === 'number' && Number.isSafeInteger(json) ? int(json) : undefined;
    case 'float':
      return typeof json === 'number' ? float(json) : undefined;
    case 'bool':
      return typeof json === 'boolean' ? { kind: 'bool', value: json } : json === 0 || json === 1 ? { kind: 'bool', value: json === 1 } : undefined;
    case 'string':
      return typeof json === 'string' ? { kind: 'string', value: json } : undefined;
    case 'list': {
      if (!Array.isArray(json)) return undefined;
      const [element] = like.items ?? [];
      const items = json.map((one: unknown) => (element && isPlain(element) ? readJson(one, element) : readAny(one)));
      return items.every((one) => one !== undefined) ? { kind: 'list', items } : undefined;
    }
  }
}

function readAny(json: unknown): Constant | undefined {
  if (typeof json === 'number') return Number.isSafeInteger(json) ? int(json) : float(json);
  if (typeof json === 'boolean') return { kind: 'bool', value: json };
  return typeof json === 'string' ? { kind: 'string', value: json } : undefined;
}

function readText(text: string, like: Constant): Constant | undefined {
  const plain = text.replaceAll('_', '').trim();
  switch (like.kind) {
    case 'int':
      return /^[+-]?\d+$/.test(plain) && Number.isSafeInteger(Number(plain)) ? int(Number(plain)) : undefined;
    case 'float':
      if (plain === 'inf' || plain === '-inf') return float(plain === 'inf' ? Infinity : -Infinity);
      return plain !== '' && Number.isFinite(Number(plain)) ? float(Number(plain)) : undefined;
    case 'bool':
      return ['true', '1', 'false', '0'].includes(plain) ? { kind: 'bool', value: plain === 'true' || plain === '1' } : undefined;
    case 'string':
      return { kind: 'string', value: text };
    case 'list': {
      const inner = text
        .trim()
        .replace(/^\[(.*)\]$/s, '$1')
        .trim();
      const [first] = like.items ?? [];
      const element: Constant = first && isPlain(first) ? first : int(0);
      const items = inner === '' ? [] : inner.split(',').map((one) => readText(one.trim().replace(/^"(.*)"$/, '$1'), element));
      return items.every((one) => one !== undefined) ? { kind: 'list', items } : undefined;
    }
  }
}

function showJson(json: unknown): string {
  const text = JSON.stringify(json) ?? 'undefined';
  return text.length <= 40 ? text : `${text.slice(0, 38)} …`;
}

/** Says of every `--set` whose name no param has what was probably meant. */
export function checkSettings(context: Context): void {
  const params = [...context.program.modules.values()].flatMap(({ names }) => [...names.values()].filter(({ kind }) => kind === 'param').map((entry) => entry.name.text));
  for (const name of Object.keys(context.set)) {
    if (!params.includes(name))
      fault(
        moduleEnv(context, context.program.root),
        'set-unknown-param',
        { name },
        { fixes: didYouMean(name, params), notes: params.length > 0 && params.length <= 40 ? [`the params are ${[...new Set(params)].join(', ')}`] : [] },
      );
  }
}
